//! Parts of ours, or the CA, are away: that is never the customer's fault, never makes a domain
//! `Failed`, and ends by itself.

use dps_lab::postgres::Postgres;
use dps_lab::wait;
use serde_json::json;

use crate::world::{Database, Log, Options, TIMEOUT, World, npgsql};

const HOST: &str = "shop.bakery.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cabinet_that_is_down_delays_only_its_own_reports_which_come_later_in_order() {
    const BROKEN: &str = "www.nowhere.test";
    // A check that says the same again is logged at this level only.
    let debug = json!({ "Logging": { "Level": "Debug" } });
    let mut world = World::start(Options::quick().with(&debug)).await;
    let id = world.customer.add(HOST).await;
    let broken = world.customer.add(BROKEN).await;
    let seen = |host, event: &'static str, times| {
        let log = world.service.spec().log_path().to_owned();
        wait::until("the log has it", TIMEOUT, move || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            std::future::ready((Log::parse(&text).count(host, event) >= times).then_some(()))
        })
    };
    seen(HOST, "domain.taken_in", 1).await.unwrap();
    seen(BROKEN, "domain.taken_in", 1).await.unwrap();
    world.cabinet.kill().unwrap();
    // Whatever happens from here on, the Cabinet cannot have heard of before.
    world.point_at_us(HOST);
    world.wait_until_served(HOST).await;
    seen(BROKEN, "dns_nxdomain", 4).await.unwrap();
    let waiting = wait::until("the gauge shows that reports wait", TIMEOUT, || async {
        let (_, metrics) = world.get("/metrics").await;
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix("dps_cabinet_outbox_waiting_seconds "));
        (value.unwrap().parse::<f64>().unwrap() > 0.0).then_some(())
    });
    waiting.await.unwrap();
    let away = Log::parse(&world.service.log_text());
    assert_eq!(
        away.values("cabinet.unreachable", "level").count(),
        1,
        "{}",
        world.service.log_tail()
    );

    world.restart_cabinet().await;
    let active = world.wait_for_status(&id, "Active").await;
    assert!(active["lastErrorCode"].is_null(), "{active}");
    world.wait_for_code(&broken, "DNS_NXDOMAIN").await;
    let reports = Log::parse(&world.cabinet.log_text());
    let reports_of = |id| -> Vec<&str> {
        let of = reports.values_of("domain.status_reported", "domain.id", id, "status");
        of.filter(|status| *status != "PendingDns").collect()
    };
    assert_eq!(reports_of(&id), ["PendingHttpProbe", "Issuing", "Active"]);
    assert_eq!(world.log().values("cabinet.recovered", "level").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_agent_is_our_fault_and_the_domain_becomes_active_when_it_returns() {
    let mut world = World::start(Options::quick()).await;
    world.agent.kill().unwrap();
    let id = world.add(HOST).await;
    let domain = world.wait_for_code(&id, "EDGE_UNREACHABLE").await;
    assert_eq!(domain["status"], "PendingHttpProbe", "{domain}");
    assert!(
        domain["lastErrorMessage"]
            .as_str()
            .unwrap()
            .contains("on our side"),
        "{domain}"
    );
    world.restart_agent().await;
    world.wait_for_status(&id, "Active").await;
    world.visit(HOST).await;
    assert_eq!(world.pebble.orders_for(HOST), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_that_is_down_and_then_knows_nobody_any_more_costs_only_time() {
    let mut world = World::start(Options::quick()).await;
    let before = world.add("before.bakery.test").await;
    world.wait_for_status(&before, "Active").await;
    world.pebble.process().kill().unwrap();
    let id = world.add(HOST).await;
    let domain = world.wait_for_code(&id, "ACME_CA_UNAVAILABLE").await;
    assert_eq!(domain["status"], "Issuing", "{domain}");
    assert!(domain["nextAttemptAt"].is_string(), "{domain}");
    // Pebble comes back without a memory: our account is unknown there, and its root is another.
    world.pebble.restart().await.unwrap();
    let new_root = world.pebble.root_pem().await.unwrap();
    world.trust(&new_root);
    world.wait_for_status(&id, "Active").await;
    world.visit("before.bakery.test").await;
    world.root_pem = new_root;
    world.visit(HOST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_down_turns_readiness_red_and_work_continues_when_it_returns() {
    let mut postgres = Postgres::start_durable().await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let mut world = World::start(Options {
        database: Database::Postgres(npgsql(&url)),
        ..Options::quick()
    })
    .await;
    wait_for_readiness(&world, 200).await;
    let failures = |world: &World| world.log().values("intake.failed", "level").count();
    let before = failures(&world);
    world.cabinet.kill().unwrap();
    let logged = wait::until("the log has it", TIMEOUT, || async {
        (failures(&world) > before).then_some(())
    });
    logged.await.unwrap();
    postgres.server().kill().unwrap();
    let report = wait_for_readiness(&world, 503).await;
    assert_eq!(report["checks"][0]["name"], "store", "{report}");
    assert_eq!(report["checks"][0]["status"], "failing", "{report}");
    assert_eq!(world.get("/health/live").await.0, 200);
    // The gauges of this process are right without the store.
    let shown = wait::until(
        "the gauge shows that the Cabinet is unreachable",
        TIMEOUT,
        || async {
            let (_, metrics) = world.get("/metrics").await;
            let is_down = metrics.lines().any(|line| line == "dps_cabinet_up 0.0");
            is_down.then_some(())
        },
    );
    shown.await.unwrap();
    world.restart_cabinet().await;
    // Taken in by the Cabinet, which has a database of its own.
    let id = world.add(HOST).await;
    postgres.restart().await.unwrap();
    wait_for_readiness(&world, 200).await;
    world.wait_for_status(&id, "Active").await;
    world.visit(HOST).await;
    assert!(world.service.is_running());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_only_reads_turns_readiness_red_with_the_reason_and_work_continues_afterwards()
 {
    let postgres = Postgres::start().await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let world = World::start(Options {
        database: Database::Postgres(npgsql(&url)),
        ..Options::quick()
    })
    .await;
    wait_for_readiness(&world, 200).await;
    postgres.set_read_only(&url, true).await.unwrap();
    let report = wait_for_readiness(&world, 503).await;
    let detail = report["checks"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("read-only"), "{report}");
    let id = world.add(HOST).await;
    postgres.set_read_only(&url, false).await.unwrap();
    wait_for_readiness(&world, 200).await;
    world.wait_for_status(&id, "Active").await;
    world.visit(HOST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_turns_readiness_red_with_the_reason_and_leaves_nothing_half_written() {
    let mut world = World::start(Options::quick()).await;
    let disk = world.start_service_on_small_disk(6 * 1024).await;
    let before = world.add("before.bakery.test").await;
    world.wait_for_status(&before, "Active").await;

    // The check has written before, and notices all the same.
    wait_for_readiness(&world, 200).await;
    let ballast = disk.join("ballast");
    fill(&ballast);
    let report = wait_for_readiness(&world, 503).await;
    let detail = report["checks"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("full"), "{report}");
    let id = world.add(HOST).await;
    world.visit("before.bakery.test").await;

    std::fs::remove_file(&ballast).unwrap();
    wait_for_readiness(&world, 200).await;
    world.wait_for_status(&id, "Active").await;
    world.visit(HOST).await;
    assert_eq!(world.pebble.orders_for(HOST), 1);
    assert!(world.service.is_running());
    let checked = std::process::Command::new("sqlite3")
        .arg(disk.join("dps.db"))
        .arg("PRAGMA integrity_check; PRAGMA foreign_key_check")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&checked.stdout), "ok\n");
}

/// Writes until the disk takes no byte more.
fn fill(file: &std::path::Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(file).unwrap();
    for size in [64 * 1024, 1024, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

async fn wait_for_readiness(world: &World, wanted: u16) -> serde_json::Value {
    let what = format!("/health/ready answers {wanted}");
    let report = wait::until(&what, TIMEOUT, || async {
        let (status, body) = world.get("/health/ready").await;
        (status == wanted).then(|| serde_json::from_str(&body).unwrap())
    });
    match report.await {
        Ok(report) => report,
        Err(error) => {
            let now = world.get("/health/ready").await;
            panic!("{error}, but {now:?}\n{}", world.service.log_tail())
        }
    }
}

/// HAProxy is ours too: that no server answers on port 80 while it is down is no fault of the
/// customer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_haproxy_that_is_down_is_ours_and_the_domain_becomes_active_when_it_returns() {
    let mut world = World::start(Options::quick()).await;
    world.haproxy.kill().unwrap();
    let id = world.add(HOST).await;
    let domain = world
        .wait_until(&id, "a code", |domain| domain["lastErrorCode"].is_string())
        .await;
    assert_eq!(domain["lastErrorCode"], "EDGE_UNREACHABLE", "{domain}");
    world.haproxy.restart().await.unwrap();
    world.wait_for_status(&id, "Active").await;
    world.visit(HOST).await;
}

/// Active means that every edge has proven it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_is_active_only_when_all_edges_serve_it_whichever_was_unreachable() {
    let mut world = World::start(Options {
        more_edges: 1,
        ..Options::quick()
    })
    .await;
    let second = &mut world.more_edges[0];
    let https = second.https;
    second.agent.kill().unwrap();
    let id = world.add(HOST).await;
    let domain = world.wait_for_code(&id, "EDGE_UNREACHABLE").await;
    assert_eq!(domain["status"], "PendingHttpProbe", "{domain}");
    world.more_edges[0].agent.restart().unwrap();
    world.wait_for_status(&id, "Active").await;
    let first = world.visit(HOST).await;
    let leaf = dps_lab::tls::served_leaf(https, HOST, &world.root_pem)
        .await
        .unwrap();
    assert_eq!(leaf.fingerprint, first);
    assert_eq!(world.pebble.orders_for(HOST), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_between_acknowledgement_and_fetch_costs_no_order() {
    let mut world = World::start(Options {
        // Some seconds of validation, so that the agent can be restarted meanwhile.
        pebble: |pebble| pebble.pause_before_validation = true,
        ..Options::default()
    })
    .await;
    let id = world.add(HOST).await;
    let pebble = &world.pebble;
    let began = || std::future::ready(pebble.validations_for(HOST) > 0);
    world
        .service
        .wait_until(HOST, TIMEOUT, began)
        .await
        .unwrap();
    world.agent.kill().unwrap();
    world.restart_agent().await;
    world.wait_for_status(&id, "Active").await;
    assert_eq!(
        world.pebble.orders_for(HOST),
        1,
        "{}",
        world.service.log_tail()
    );
    assert_eq!(world.log().count(HOST, "acme_validation_failed"), 0);
}
