//! Whose name is it: tenants who claim one hostname, with real DNS packets, on both databases. Each
//! domain has a target of its own, as is the default.

use dps_domain::Timestamp;
use dps_lab::dns::{Fault, Kind};
use dps_lab::postgres::Postgres;
use dps_lab::wait;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _, SqlitePool};

use crate::world::{Database, EDGE, Options, TIMEOUT, World, dps, npgsql, on_both};

const OWNER: &str = "owner";
const ANOTHER: &str = "another";
/// Longer ago than a domain may be elsewhere without a new proof.
const SINCE: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);

async fn world(database: Database) -> World {
    let settings = json!({ "Cabinet": { "CnameTarget": "{random}.t.platform.test" } });
    let options = Options {
        database,
        ..Options::quick()
    };
    let world = World::start(options.with(&settings)).await;
    for zone in [&world.zone, &world.second_zone] {
        zone.set_a("*.t.platform.test", &[EDGE]);
    }
    world
}

/// The owner of the name points it at the target of this domain.
async fn point_at_target_of(world: &World, id: &str, host: &str) {
    let domain = world.customer.read(id).await;
    let target = domain["cnameTarget"].as_str().unwrap();
    world.zone.clear(host);
    world.zone.set_cname(host, target).unwrap();
}

/// Waits until the domain was checked a few times more.
async fn checked_again(world: &World, id: &str) {
    for _ in 0..3 {
        let before = world.customer.read(id).await;
        let checked = |domain: &Value| domain["nextAttemptAt"] != before["nextAttemptAt"];
        world.wait_until(id, "another check", checked).await;
    }
}

/// The result of the check `ownership` of a service that is ready.
pub(crate) async fn readiness_check(world: &World) -> Value {
    let ready = wait::until("the service is ready", TIMEOUT, || async {
        let (status, body) = world.get("/health/ready").await;
        let report: Value = serde_json::from_str(&body).ok()?;
        (status == 200 && report["status"] == "ready").then_some(report)
    });
    let report = ready.await.unwrap();
    let mut checks = report["checks"].as_array().unwrap().iter();
    checks
        .find(|check| check["name"] == "ownership")
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_warns_of_a_target_that_all_domains_share() {
    let shared = World::start(Options::quick()).await;
    let check = readiness_check(&shared).await;
    assert_eq!(check["status"], "failing", "{check}");
    assert_eq!(check["required"], false, "{check}");
    let detail = check["detail"].as_str().unwrap();
    assert!(detail.contains("share their CNAME target"), "{detail}");
    drop(shared);

    let unique = world(Database::Sqlite).await;
    let check = readiness_check(&unique).await;
    assert_eq!(check["status"], "ok", "{check}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cname_left_behind_lets_no_other_tenant_in_and_its_own_back_at_once() {
    on_both(async |database| {
        let world = world(database).await;
        let host = "shop.victim.test";
        let id = world.customer.add_for(OWNER, host).await;
        point_at_target_of(&world, &id, host).await;
        world.wait_for_status(&id, "Active").await;
        world.customer.remove(&id).await;
        world.wait_for_status(&id, "Removed").await;

        let evil = world.customer.add_for(ANOTHER, host).await;
        let reported = world.wait_for_code(&evil, "DNS_WRONG_TARGET").await;
        assert_eq!(reported["status"], "PendingDns", "{reported}");
        checked_again(&world, &evil).await;

        let back = world.customer.add_for(OWNER, host).await;
        world.wait_for_status(&back, "Active").await;
        world.visit(host).await;
        let lost = world.wait_for_status(&evil, "Failed").await;
        assert_eq!(lost["lastErrorCode"], "NAME_ALREADY_CLAIMED", "{lost}");
        world.customer.retry(&evil).await;
        world.wait_for_code(&evil, "DNS_WRONG_TARGET").await;
        checked_again(&world, &evil).await;
        let active = world.customer.read(&back).await;
        assert_eq!(active["status"], "Active", "{active}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_squatter_loses_to_the_owner_who_points_the_name_at_the_own_target() {
    on_both(async |database| {
        let world = world(database).await;
        let host = "www.bigcustomer.test";
        let squatter = world.customer.add_for(ANOTHER, host).await;
        world.zone.set_a(host, &[EDGE]);
        world.wait_for_status(&squatter, "Active").await;
        let before = world.visit(host).await;

        let id = world.customer.add_for(OWNER, host).await;
        let asked = world.wait_for_code(&id, "DNS_OWNERSHIP_REQUIRED").await;
        assert_eq!(asked["errorDetails"]["contested"], true, "{asked}");
        point_at_target_of(&world, &id, host).await;
        let active = world.wait_for_status(&id, "Active").await;
        assert!(active["ownershipVerification"].is_null(), "{active}");
        assert_ne!(world.visit(host).await, before);

        let lost = world.wait_for_status(&squatter, "Failed").await;
        assert_eq!(lost["lastErrorCode"], "NAME_ALREADY_CLAIMED", "{lost}");
        let events = dps(world.home(), &["domains", "show", host]);
        let events = String::from_utf8_lossy(&events.stdout).into_owned();
        assert!(events.contains("claim.contested"), "{events}");
        let (_, metrics) = world.get("/metrics").await;
        for event in ["contested", "superseded"] {
            let line = format!("dps_claims_total{{event=\"{event}\"}} 1");
            assert!(metrics.contains(&line), "{metrics}");
        }
        // No line of the log has the value of the proof.
        let value = asked["ownershipVerification"]["value"].as_str().unwrap();
        assert!(!world.service.log_text().contains(value));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apex_that_is_sold_goes_to_the_tenant_of_its_buyer() {
    on_both(async |database| {
        let world = world(database).await;
        let host = "sold.test";
        let seller = world.customer.add_for(ANOTHER, host).await;
        world.zone.set_a(host, &[EDGE]);
        world.wait_for_status(&seller, "Active").await;
        let before = world.visit(host).await;

        let buyer = world.customer.add_for(OWNER, host).await;
        let asked = world.wait_for_code(&buyer, "DNS_OWNERSHIP_REQUIRED").await;
        checked_again(&world, &buyer).await;
        assert_eq!(world.visit(host).await, before);
        world.publish_proof(&asked);
        world.wait_for_status(&buyer, "Active").await;
        assert_ne!(world.visit(host).await, before);
        let lost = world.wait_for_status(&seller, "Failed").await;
        assert_eq!(lost["lastErrorCode"], "NAME_ALREADY_CLAIMED", "{lost}");

        // The record of the buyer stays, and the seller cannot prove the name any more.
        world.customer.retry(&seller).await;
        let asked = world.wait_for_code(&seller, "DNS_OWNERSHIP_REQUIRED").await;
        checked_again(&world, &seller).await;
        assert_eq!(asked["status"], "PendingDns", "{asked}");
        let active = world.customer.read(&buyer).await;
        assert_eq!(active["status"], "Active", "{active}");
    })
    .await;
}

/// Without an answer, a forgotten claim of another tenant could be passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_never_answers_txt_keeps_its_name_waiting_until_it_answers() {
    let settings = json!({ "Dns": { "Timeout": "1s" } });
    let world = World::start(Options::quick().with(&settings)).await;
    let host = "shop.mute.test";
    world
        .zone
        .set_fault_of_kind(Kind::Txt, Some(Fault::Unanswered));
    let id = world.add(host).await;
    let reported = world.wait_for_code(&id, "DNS_TIMEOUT").await;
    assert_eq!(reported["status"], "PendingDns", "{reported}");
    assert!(reported["nextAttemptAt"].is_string(), "{reported}");
    assert!(reported["ownershipVerification"].is_null(), "{reported}");
    let sentence = reported["lastErrorMessage"].as_str().unwrap();
    for part in [
        "The DNS servers of mute.test do not answer the query for TXT records of _dps-challenge.shop.mute.test",
        "make these servers answer this query too, even if no such record exists",
    ] {
        assert!(sentence.contains(part), "{part:?} is not in {sentence:?}");
    }
    checked_again(&world, &id).await;
    assert_eq!(world.pebble.orders_for(host), 0);

    // There is no such record: the answer alone is enough, and nobody requests a retry.
    world.zone.set_fault_of_kind(Kind::Txt, None);
    let active = world.wait_for_status(&id, "Active").await;
    assert!(active["lastErrorCode"].is_null(), "{active}");
    world.visit(host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_was_moved_away_for_eight_days_proves_itself_when_it_returns() {
    let on_sqlite = world(Database::Sqlite).await;
    let file = on_sqlite.home().join("dps.db");
    a_domain_returns_after_eight_days(on_sqlite, async |sql| {
        let pool = SqlitePool::connect(&format!("sqlite://{}", file.display())).await;
        pool.unwrap().execute(AssertSqlSafe(sql)).await.unwrap();
    })
    .await;
    let postgres = Postgres::start().await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let on_postgres = world(Database::Postgres(npgsql(&url))).await;
    a_domain_returns_after_eight_days(on_postgres, async |sql| {
        postgres.execute(&url, &sql).await.unwrap();
    })
    .await;
}

/// The store says that the domain was elsewhere for long: no test waits for eight days.
async fn a_domain_returns_after_eight_days(world: World, execute: impl AsyncFn(String)) {
    let host = "returned.test";
    let id = world.customer.add_for(OWNER, host).await;
    world.zone.set_a(host, &[EDGE]);
    world.wait_for_status(&id, "Active").await;
    let before = world.visit(host).await;
    let sql = format!(
        "UPDATE custom_domains SET phase = replace(phase, ',\"next\":', ',\"dns\":{{\"movedAway\":{{\"since\":\"{SINCE}\"}}}},\"next\":'), \
         moved_away_since = {}, next_attempt_at = 0, lease_token = NULL, lease_expires_at = NULL",
        SINCE.unix_micros()
    );
    execute(sql).await;
    let asked = world.wait_for_code(&id, "DNS_OWNERSHIP_REQUIRED").await;
    assert_eq!(asked["status"], "Active", "{asked}");
    assert_eq!(asked["errorDetails"]["contested"], false, "{asked}");
    world.publish_proof(&asked);
    world.customer.retry(&id).await;
    let is_well =
        |domain: &Value| domain["lastErrorCode"].is_null() && domain["status"] == "Active";
    let returned = world.wait_until(&id, "the return", is_well).await;
    assert!(returned["ownershipVerification"].is_null(), "{returned}");
    assert_eq!(world.visit(host).await, before);
}
