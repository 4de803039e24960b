//! Certificates are renewed when their stored moment has come, without an effect on visitors.

use std::time::Duration;

use dps_lab::tls::HandshakeWatcher;
use dps_lab::wait;
use serde_json::json;

use crate::world::{Options, TIMEOUT, World, dps};

const HOST: &str = "shop.bakery.test";
/// The pause between two visits.
const VISIT: Duration = Duration::from_millis(10);
/// Visits before and after the change.
const VISITS: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_by_itself_at_its_stored_moment_and_no_visitor_notices() {
    let world = World::start(Options {
        // Renewed after half of it.
        pebble: |pebble| pebble.certificate_validity = Some(Duration::from_secs(40)),
        ..Options::default()
    })
    .await;
    let id = world.add(HOST).await;
    let first = world.wait_for_status(&id, "Active").await;
    let visitor = HandshakeWatcher::start(world.https, HOST, &world.root_pem, VISIT).unwrap();
    let before = visitor
        .wait_until("visits", TIMEOUT, |report| report.successes >= VISITS)
        .await
        .unwrap();
    assert_eq!(before.fingerprints.len(), 1);
    let seen = visitor
        .wait_until("the new certificate", TIMEOUT, |report| {
            report.fingerprints.len() > 1
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
    let enough = seen.successes + VISITS;
    visitor
        .wait_until("more visits", TIMEOUT, |report| report.successes >= enough)
        .await
        .unwrap();
    let report = visitor.stop();
    assert_eq!(report.failures, 0, "{:?}", report.last_failure);
    let later =
        |domain: &serde_json::Value| domain["certificateNotAfter"] != first["certificateNotAfter"];
    let renewed = world
        .wait_until(&id, "the new end of validity", later)
        .await;
    assert_eq!(renewed["status"], "Active", "{renewed}");
    let log = world.log();
    assert!(log.count(HOST, "renewal.due") >= 1);
    assert_eq!(log.count(HOST, "renewal.requested"), 0);
}

/// Checks within seconds are evidence of a move.
fn moves_soon() -> serde_json::Value {
    json!({ "Workers": { "Recheck": { "Observations": 2, "MovedAfter": "1s" } } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_away_domain_is_reported_and_not_ordered_for_and_revives_when_its_dns_returns() {
    let world = World::start(Options {
        pebble: |pebble| pebble.certificate_validity = Some(Duration::from_secs(3600)),
        ..Options::quick().with(&moves_soon())
    })
    .await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let before = world.visit(HOST).await;
    world.zone.clear(HOST);
    let output = dps(world.home(), &["domains", "renew", HOST]);
    assert!(output.status.success());
    let domain = world.wait_for_code(&id, "DNS_MOVED").await;
    assert_eq!(domain["status"], "Active", "{domain}");
    let sentence = domain["lastErrorMessage"].as_str().unwrap();
    assert!(
        sentence.contains("shop CNAME customers.platform.test."),
        "{sentence}"
    );
    assert_eq!(
        world.visit(HOST).await,
        before,
        "the certificate is served to its end"
    );
    assert_eq!(world.pebble.orders_for(HOST), 1);

    world.point_at_us(HOST);
    let output = dps(world.home(), &["domains", "retry", HOST]);
    assert!(output.status.success());
    let revived = wait::until("another certificate", TIMEOUT, || async {
        let now = world.visit(HOST).await;
        (now != before).then_some(())
    });
    revived
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
    let live = world
        .wait_until(&id, "no complaint", |domain| {
            domain["lastErrorCode"].is_null()
        })
        .await;
    assert_eq!(live["status"], "Active", "{live}");
    assert_eq!(world.pebble.orders_for(HOST), 2);
}
