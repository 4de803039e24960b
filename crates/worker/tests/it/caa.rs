//! CAA records: each set that forbids the order has its code and remedy, and no order is placed.
//! Real DNS packets; the CA's name is configured, since Pebble does not give one.

use dps_lab::dns::Fault;
use serde_json::json;

use crate::world::{Database, EDGE, Options, TARGET, World, dps, on_both};

const HOST: &str = "shop.bakery.test";
const CA: &str = "ca.test";

/// Records that forbid the CA to issue for a name.
struct Case {
    host: &'static str,
    /// The name in another zone to which the customer's own alias leads.
    alias: Option<&'static str>,
    /// The name that has the records.
    owner: &'static str,
    records: &'static [(u8, &'static str, &'static str)],
    /// Parts of the sentence that the customer reads.
    says: &'static [&'static str],
}

const CASES: [Case; 6] = [
    Case {
        host: "www.florist.test",
        alias: None,
        owner: "florist.test",
        records: &[(0, "issue", "other.test"), (0, "issuewild", "ca.test")],
        says: &[
            "0 issue \"other.test\" of florist.test",
            "add the record @ CAA 0 issue \"ca.test\" in the zone florist.test",
        ],
    },
    Case {
        host: "baker.test",
        alias: None,
        owner: "baker.test",
        records: &[(0, "issue", ";")],
        says: &["0 issue \";\" of baker.test", "add the record @ CAA"],
    },
    Case {
        host: "www.account.test",
        alias: None,
        owner: "account.test",
        records: &[(0, "issue", "ca.test; accounturi=https://ca.test/account/2")],
        says: &[
            "only for another account",
            "@ CAA 0 issue \"ca.test; accounturi=https://",
        ],
    },
    Case {
        host: "www.critical.test",
        alias: None,
        owner: "critical.test",
        records: &[(0, "issue", "ca.test"), (128, "tbs", "unknown")],
        says: &["128 tbs \"unknown\" of critical.test", "remove that record"],
    },
    Case {
        host: "www.method.test",
        alias: None,
        owner: "method.test",
        records: &[(0, "issue", "ca.test; validationmethods=dns-01")],
        says: &[
            "only if it is validated in another way than over HTTP (http-01)",
            "add the record @ CAA 0 issue \"ca.test\" in the zone method.test",
        ],
    },
    Case {
        host: "www.tailor.test",
        alias: Some("shops.alias.test"),
        owner: "shops.alias.test",
        records: &[(0, "issue", "other.test")],
        says: &[
            "0 issue \"other.test\" of shops.alias.test",
            "add the record shops.alias.test. CAA 0 issue \"ca.test\"",
        ],
    },
];

async fn world(database: Database) -> World {
    let settings = json!({ "LetsEncrypt": { "CaaIdentities": [CA] } });
    let options = Options {
        database,
        ..Options::quick()
    };
    World::start(options.with(&settings)).await
}

fn point_at_us(world: &World, host: &str, alias: Option<&str>) {
    if let Some(alias) = alias {
        world.zone.set_cname(host, alias).unwrap();
        world.zone.set_a(alias, &[EDGE]);
    } else if host.matches('.').count() > 1 {
        world.point_at_us(host);
    } else {
        world.zone.set_a(host, &[EDGE]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_forbid_an_order_are_reported_and_nothing_is_ordered_until_they_allow_it() {
    on_both(async |database| {
        let world = world(database).await;
        let mut ids = vec![];
        for case in &CASES {
            point_at_us(&world, case.host, case.alias);
            world.zone.set_caa(case.owner, case.records);
            ids.push(world.customer.add(case.host).await);
        }
        for (case, id) in CASES.iter().zip(&ids) {
            let reported = world.wait_for_code(id, "CAA_FORBIDS").await;
            assert_eq!(reported["status"], "Issuing", "{reported}");
            let sentence = reported["lastErrorMessage"].as_str().unwrap();
            for part in case.says {
                assert!(sentence.contains(part), "{part:?} is not in {sentence:?}");
            }
            assert_eq!(world.pebble.orders_for(case.host), 0, "{}", case.host);
            world.zone.set_caa(case.owner, &[(0, "issue", CA)]);
        }
        for (case, id) in CASES.iter().zip(&ids) {
            let active = world.wait_for_status(id, "Active").await;
            assert!(active["lastErrorCode"].is_null(), "{active}");
            world.visit(case.host).await;
        }
    })
    .await;
}

/// The walk goes up from the customer's name alone (RFC 8659 §3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_above_the_target_of_an_alias_forbid_nothing() {
    on_both(async |database| {
        let world = world(database).await;
        let (host, alias) = ("www.tailor.test", "shops.alias.test");
        point_at_us(&world, host, Some(alias));
        let forbids = &[(0, "issue", "other.test")];
        world.zone.set_caa("alias.test", forbids);
        let id = world.customer.add(host).await;
        world.wait_for_status(&id, "Active").await;
        assert_eq!(world.pebble.orders_for(host), 1);
        world.visit(host).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_look_up_in_the_customers_zone_keeps_the_order_back() {
    on_both(async |database| {
        let world = world(database).await;
        let host = "www.broken.test";
        world.point_at_us(host);
        world.zone.set_fault("broken.test", Fault::ServFail);
        let id = world.customer.add(host).await;
        let reported = world.wait_for_code(&id, "CAA_LOOKUP_FAILED").await;
        let sentence = reported["lastErrorMessage"].as_str().unwrap();
        assert!(
            sentence.contains("broken.test: server failure"),
            "{sentence}"
        );
        assert_eq!(world.pebble.orders_for(host), 0);
        world.zone.clear_fault("broken.test");
        world.wait_for_status(&id, "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_our_own_target_are_never_the_customers_fault() {
    let world = world(Database::Sqlite).await;
    world.zone.set_caa(TARGET, &[(0, "issue", "other.test")]);
    let id = world.add(HOST).await;
    let reported = world.wait_for_code(&id, "INTERNAL").await;
    let sentence = reported["lastErrorMessage"].as_str().unwrap();
    assert!(!sentence.contains("CAA"), "{sentence}");
    assert_eq!(world.pebble.orders_for(HOST), 0);
    world.zone.set_caa(TARGET, &[]);
    world.wait_for_status(&id, "Active").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_is_forbidden_leaves_the_certificate_and_continues_when_it_is_allowed() {
    let world = world(Database::Sqlite).await;
    let id = world.add(HOST).await;
    let first = world.wait_for_status(&id, "Active").await;
    let before = world.visit(HOST).await;
    let shown = dps(world.home(), &["domains", "show", HOST]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    let safest = "safest CAA    @ CAA 0 issue \"ca.test; accounturi=https://";
    assert!(shown.contains(safest), "{shown}");
    world
        .zone
        .set_caa("bakery.test", &[(0, "issue", "other.test")]);
    let output = dps(world.home(), &["domains", "renew", HOST]);
    assert!(output.status.success(), "{output:?}");
    let reported = world.wait_for_code(&id, "CAA_FORBIDS").await;
    assert_eq!(reported["status"], "Active", "{reported}");
    assert_eq!(world.visit(HOST).await, before);
    assert_eq!(world.pebble.orders_for(HOST), 1);
    world.zone.set_caa("bakery.test", &[]);
    let later =
        |domain: &serde_json::Value| domain["certificateNotAfter"] != first["certificateNotAfter"];
    let renewed = world.wait_until(&id, "the renewal", later).await;
    assert!(renewed["lastErrorCode"].is_null(), "{renewed}");
    assert_ne!(world.visit(HOST).await, before);
}
