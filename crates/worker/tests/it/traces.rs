//! Spans of the service at a collector of OpenTelemetry.

use std::collections::BTreeSet;

use dps_lab::collector::{Collector, Span};
use dps_lab::wait;
use serde_json::json;

use crate::world::{AGENT_TOKEN, Options, TIMEOUT, World, dps};

const HOST: &str = "shop.bakery.test";
/// The service's token for the collector.
const TOKEN: &str = "token-of-the-collector";
/// The steps from a new domain to a live one, and the lanes that they may be in.
const STEPS: [&str; 6] = [
    "check_dns",
    "probe_http",
    "place_order",
    "validate",
    "finalize",
    "deploy",
];

/// A world whose service sends its spans to a collector.
async fn world() -> (World, Collector) {
    let collector = Collector::start().await.unwrap();
    let section = json!({ "OpenTelemetry": { "Endpoint": collector.endpoint(), "Token": TOKEN } });
    let world = World::start(Options::quick().with(&section)).await;
    (world, collector)
}

/// Waits until the spans have all that is wanted. If they do not, the error says what was seen.
async fn received(
    world: &World,
    collector: &Collector,
    what: &str,
    wanted: impl Fn(&[Span]) -> bool,
) -> Vec<Span> {
    let read = async || {
        let spans = collector.spans();
        wanted(&spans).then_some(spans)
    };
    wait::until(what, TIMEOUT, read)
        .await
        .unwrap_or_else(|error| {
            let spans = collector.spans();
            let names: Vec<_> = spans
                .iter()
                .map(|span| (&*span.name, &span.attributes))
                .collect();
            panic!(
                "{error}\n{} requests; spans: {names:#?}\n{}",
                collector.requests(),
                world.service.log_tail()
            )
        })
}

/// The names of the steps of a domain in these spans.
fn steps<'a>(spans: &'a [Span], host: &str) -> BTreeSet<&'a str> {
    let steps = spans
        .iter()
        .filter(|span| span.name == "step" && span.attribute("domain.hostname") == host);
    steps.map(|span| span.attribute("step")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_to_a_live_domain_is_a_span_at_the_collector() {
    let (world, collector) = world().await;
    let id = world.customer.add(HOST).await;
    world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    world.point_at_us(HOST);
    world.wait_for_status(&id, "Active").await;
    let spans = received(&world, &collector, "all steps arrive", |spans| {
        STEPS.iter().all(|step| steps(spans, HOST).contains(step))
    })
    .await;
    assert_eq!(
        collector.authorization().unwrap(),
        format!("Bearer {TOKEN}")
    );
    let missing = spans.iter().find(|span| {
        span.attribute("step") == "check_dns" && span.attribute("code") == "DNS_NXDOMAIN"
    });
    let missing = missing.unwrap();
    assert!(missing.is_error && missing.parent_id.is_empty());
    assert_eq!(missing.attribute("lane"), "verification");
    assert_eq!(missing.attribute("domain.id"), id);
    let deployed = spans
        .iter()
        .find(|span| span.attribute("step") == "deploy")
        .unwrap();
    assert!(!deployed.is_error && deployed.attribute("code").is_empty());
    assert_eq!(deployed.attribute("lane"), "issuance");
    assert_eq!(deployed.resource["service.name"], "dps");
    for span in &spans {
        let text = format!("{span:?}");
        assert!(
            !text.contains(AGENT_TOKEN) && !text.contains(TOKEN),
            "{text}"
        );
    }
    let log = std::fs::read_to_string(world.home().join("run.log")).unwrap();
    assert!(
        !log.contains("traces.not_exported") && !log.contains(TOKEN),
        "{log}"
    );
    let check = dps(world.home(), &["config", "check"]);
    assert!(check.status.success(), "{check:?}");
}
