//! Customers' mistakes. Each has its code and the sentence with its remedy, and the service notices
//! the correction.

use std::net::{Ipv4Addr, Ipv6Addr};

use dps_lab::dns::Fault;
use serde_json::{Value, json};

use crate::world::{EDGE, Options, STRANGER, TARGET, UNANSWERING, World, on_both};

/// A customer's mistake.
struct Mistake {
    host: &'static str,
    make: fn(&World, &str),
    status: &'static str,
    code: &'static str,
    /// Parts of the sentence that the customer reads.
    says: &'static [&'static str],
}

const MISTAKES: [Mistake; 10] = [
    Mistake {
        host: "blog.florist.test",
        make: |world, host| {
            everywhere(world, |zone| {
                zone.set_a("old.elsewhere.test", &[[192, 0, 2, 10].into()]);
                zone.set_cname(host, "old.elsewhere.test").unwrap();
            });
        },
        status: "PendingDns",
        code: "DNS_WRONG_TARGET",
        says: &[
            "blog.florist.test points to old.elsewhere.test",
            "\"blog CNAME customers.platform.test.\" in the zone florist.test",
        ],
    },
    Mistake {
        host: "www.nowhere.test",
        make: |_, _| {},
        status: "PendingDns",
        code: "DNS_NXDOMAIN",
        says: &[
            "does not exist",
            "\"www CNAME customers.platform.test.\" in the zone nowhere.test",
        ],
    },
    Mistake {
        host: "www.address.test",
        make: |world, host| everywhere(world, |zone| zone.set_a(host, &[[192, 0, 2, 11].into()])),
        status: "PendingDns",
        code: "DNS_NO_CNAME",
        says: &[
            "192.0.2.11",
            "remove that record",
            "\"www CNAME customers.platform.test.\"",
        ],
    },
    Mistake {
        host: "www.broken.test",
        make: |world, host| everywhere(world, |zone| zone.set_fault(host, Fault::ServFail)),
        status: "PendingDns",
        code: "DNS_SERVFAIL",
        says: &["DNS servers of broken.test", "SERVFAIL"],
    },
    Mistake {
        host: "www.bogus.test",
        make: |world, host| everywhere(world, |zone| zone.set_fault(host, Fault::Bogus)),
        status: "PendingDns",
        code: "DNS_DNSSEC_BOGUS",
        says: &["DNSSEC signatures of bogus.test are not valid"],
    },
    Mistake {
        host: "www.endless.test",
        make: |world, host| {
            everywhere(world, |zone| {
                zone.set_cname(host, "round.endless.test").unwrap();
                zone.set_cname("round.endless.test", host).unwrap();
            });
        },
        status: "PendingDns",
        code: "DNS_CNAME_LOOP",
        says: &["form a loop"],
    },
    Mistake {
        host: "stray.test",
        make: |world, host| {
            everywhere(world, |zone| {
                zone.set_a(host, &[EDGE, [192, 0, 2, 12].into()]);
            });
        },
        status: "PendingDns",
        code: "DNS_STRAY_ADDRESS",
        says: &["192.0.2.12", "Remove that record"],
    },
    Mistake {
        host: "www.underway.test",
        make: |world, host| world.zone.set_cname(host, TARGET).unwrap(),
        status: "PendingDns",
        code: "DNS_PROPAGATING",
        says: &["still propagating", "You do not need to do anything"],
    },
    Mistake {
        host: "museum.test",
        make: |world, host| everywhere(world, |zone| zone.set_a(host, &[STRANGER])),
        status: "PendingHttpProbe",
        code: "HTTP_WRONG_RESPONDER",
        says: &["127.0.0.2", "another server"],
    },
    Mistake {
        host: "unanswered.test",
        make: |world, host| everywhere(world, |zone| zone.set_a(host, &[UNANSWERING])),
        status: "PendingHttpProbe",
        code: "HTTP_TIMEOUT",
        says: &["127.0.0.3", "port 80 in time"],
    },
];

fn everywhere(world: &World, change: impl Fn(&dps_lab::dns::Zone)) {
    for zone in [&world.zone, &world.second_zone] {
        change(zone);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_is_reported_with_its_remedy_and_the_corrected_domain_becomes_active() {
    on_both(async |database| {
        let world = World::start(Options {
            database,
            split_dns: true,
            ..Options::quick()
        })
        .await;
        let mut ids = Vec::new();
        for mistake in &MISTAKES {
            (mistake.make)(&world, mistake.host);
            ids.push(world.customer.add(mistake.host).await);
        }
        for (mistake, id) in MISTAKES.iter().zip(&ids) {
            let domain = world.wait_for_code(id, mistake.code).await;
            assert_eq!(domain["status"], mistake.status, "{domain}");
            assert_eq!(domain["errorDetails"]["code"], mistake.code, "{domain}");
            assert!(domain["nextAttemptAt"].is_string(), "{domain}");
            let sentence = domain["lastErrorMessage"].as_str().unwrap();
            for part in mistake.says {
                assert!(sentence.contains(part), "{part:?} is not in {sentence:?}");
            }
        }
        for mistake in &MISTAKES {
            assert_eq!(world.pebble.orders_for(mistake.host), 0, "{}", mistake.host);
            mend(&world, mistake.host);
        }
        for (mistake, id) in MISTAKES.iter().zip(&ids) {
            let active = world.wait_for_status(id, "Active").await;
            assert_no_complaint(&active);
            world.visit(mistake.host).await;
        }
    })
    .await;
}

/// Names below a zone get the CNAME, apex names the address.
fn mend(world: &World, host: &str) {
    if host.matches('.').count() > 1 {
        world.point_at_us(host);
    } else {
        everywhere(world, |zone| zone.set_a(host, &[EDGE]));
    }
}

fn assert_no_complaint(domain: &Value) {
    for field in [
        "lastErrorCode",
        "lastErrorMessage",
        "errorDetails",
        "nextAttemptAt",
    ] {
        assert!(domain[field].is_null(), "{field} of {domain}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_domain_leaves_the_edge_and_may_come_back() {
    let world = World::start(Options::quick()).await;
    let (host, neighbour) = ("leaving.test", "staying.test");
    let ids = [world.add(host).await, world.add(neighbour).await];
    for id in &ids {
        world.wait_for_status(id, "Active").await;
    }
    world.visit(host).await;
    world.customer.remove(&ids[0]).await;
    world.wait_for_status(&ids[0], "Removed").await;
    let presented = dps_lab::tls::presented_leaf(world.https, Some(host)).await;
    assert_eq!(presented.unwrap(), None, "{host} after its removal");
    world.visit(neighbour).await;

    let again = world.add(host).await;
    world.wait_for_status(&again, "Active").await;
    world.visit(host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_domain_is_tried_again_when_its_customer_asks() {
    let timeout = json!({ "Workers": { "DomainVerification": { "GiveUpAfter": "1s" } } });
    let world = World::start(Options {
        pebble: |pebble| pebble.blocked_domains = vec!["forbidden.test".into()],
        ..Options::quick().with(&timeout)
    })
    .await;
    let refused = world.add("shop.forbidden.test").await;
    let late = world.customer.add("late.florist.test").await;

    let domain = world.wait_for_status(&refused, "Failed").await;
    assert_eq!(
        domain["lastErrorCode"], "ACME_REJECTED_IDENTIFIER",
        "{domain}"
    );
    assert!(
        domain["lastErrorMessage"]
            .as_str()
            .unwrap()
            .contains("shop.forbidden.test"),
        "{domain}"
    );
    assert!(
        domain["nextAttemptAt"].is_null(),
        "nothing is tried by itself: {domain}"
    );
    let before = domain["version"].as_u64().unwrap();
    world.customer.retry(&refused).await;
    let again = |domain: &Value| {
        domain["status"] == "Failed" && domain["version"].as_u64().unwrap() > before + 1
    };
    let domain = world.wait_until(&refused, "Failed again", again).await;
    assert_eq!(
        domain["lastErrorCode"], "ACME_REJECTED_IDENTIFIER",
        "{domain}"
    );

    let domain = world.wait_for_status(&late, "Failed").await;
    assert_eq!(domain["lastErrorCode"], "DNS_NXDOMAIN", "{domain}");
    world.point_at_us("late.florist.test");
    world.customer.retry(&late).await;
    assert_no_complaint(&world.wait_for_status(&late, "Active").await);
    world.visit("late.florist.test").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_with_thousands_of_addresses_costs_no_more_than_others() {
    const HOST: &str = "www.many.test";
    /// For a line of the log, which holds all that is stored of a check.
    const MOST: usize = 8 * 1024;
    let world = World::start(Options::quick()).await;
    let first = u32::from_be_bytes([203, 0, 0, 0]);
    let ipv4: Vec<Ipv4Addr> = (0..4000).map(|n| Ipv4Addr::from_bits(first + n)).collect();
    let first = Ipv6Addr::from([0x2a00, 0, 0, 0, 0, 0, 0, 0]).to_bits();
    let ipv6: Vec<Ipv6Addr> = (0..2300).map(|n| Ipv6Addr::from_bits(first + n)).collect();
    world.zone.set_a(HOST, &ipv4);
    world.zone.set_aaaa(HOST, &ipv6);
    let id = world.customer.add(HOST).await;
    let domain = world.wait_for_code(&id, "DNS_NO_CNAME").await;
    let details = &domain["errorDetails"];
    assert_eq!(
        details["addresses"].as_array().unwrap().len(),
        8,
        "{domain}"
    );
    assert_eq!(details["more"], 6300 - 8, "{domain}");
    let sentence = domain["lastErrorMessage"].as_str().unwrap();
    assert!(sentence.contains("and 6292 more"), "{sentence}");
    let log = world.service.log_text();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("dns_no_cname"))
        .collect();
    assert!(!lines.is_empty());
    assert!(lines.iter().all(|line| line.len() < MOST), "{}", lines[0]);
}
