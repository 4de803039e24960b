//! Spans of the service at a collector of OpenTelemetry.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use dps_lab::collector::{Collector, Span};
use dps_lab::proxy::TcpProxy;
use dps_lab::{free_port, wait};
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

/// A proxy in front of a server, and the URL at which it listens.
async fn proxy(server: SocketAddr) -> (TcpProxy, String) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().unwrap()));
    let proxy = TcpProxy::start(address, server).await.unwrap();
    (proxy, format!("http://{address}"))
}

/// The children of a step of the domain, by name.
fn children<'a>(spans: &'a [Span], step: &str, name: &str) -> Vec<&'a Span> {
    let parents: Vec<&Span> = spans
        .iter()
        .filter(|span| span.attribute("step") == step)
        .collect();
    let is_child = |span: &&Span| {
        let is_within =
            |parent: &&Span| parent.span_id == span.parent_id && parent.trace_id == span.trace_id;
        span.name == name && parents.iter().any(is_within)
    };
    spans.iter().filter(is_child).collect()
}

/// The spans that are named by `traceparent` in requests.
fn named<'a>(spans: &'a [Span], requests: &str) -> Vec<&'a Span> {
    let is_named = |span: &&Span| {
        let line = format!("traceparent: 00-{}-{}-01\r\n", span.trace_id, span.span_id);
        requests.contains(&line)
    };
    spans.iter().filter(is_named).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_of_a_step_are_its_children_and_carry_its_context() {
    let (mut world, collector) = world().await;
    let (cabinet, cabinet_url) = proxy(world.cabinet_listen()).await;
    let (agent, agent_url) = proxy(world.agent_listen()).await;
    let through_proxies = [
        ("CabinetApi__BaseUrl", &*cabinet_url),
        ("HAProxyAgent__BaseUrls__0", &*agent_url),
    ];
    world.start_service_again_with(&through_proxies).await;
    let id = world.add(HOST).await;
    world.wait_for_status(&id, "Active").await;
    let wanted = [
        ("check_dns", "dns.lookup"),
        ("probe_http", "http.probe"),
        ("probe_http", "agent.call"),
        ("place_order", "acme.request"),
        ("validate", "acme.request"),
        ("validate", "agent.call"),
        ("finalize", "acme.request"),
        ("deploy", "agent.call"),
    ];
    let is_report =
        |span: &&Span| span.name == "cabinet.call" && span.attribute("http.path").contains(&id);
    let spans = received(&world, &collector, "all calls arrive", |spans| {
        let has = |&(step, name): &(&str, &str)| !children(spans, step, name).is_empty();
        wanted.iter().all(has) && spans.iter().any(|span| is_report(&span))
    })
    .await;
    for name in ["dns.lookup", "http.probe", "acme.request", "agent.call"] {
        let calls = spans.iter().filter(|span| span.name == name);
        assert!(calls.clone().all(|span| span.is_client), "{spans:#?}");
    }
    let lookups = children(&spans, "check_dns", "dns.lookup");
    let queried: BTreeSet<_> = lookups
        .iter()
        .map(|span| span.attribute("dns.name"))
        .collect();
    assert!(
        queried.iter().any(|name| name.starts_with(HOST)),
        "{queried:?}"
    );
    let ordered = children(&spans, "place_order", "acme.request");
    assert!(ordered.iter().any(|span| {
        span.attribute("endpoint") == "new_order" && span.attribute("http.status") == "201"
    }));
    let deployed = children(&spans, "deploy", "agent.call")[0];
    assert_eq!(deployed.attribute("edge.name"), agent_url);
    assert_eq!(deployed.attribute("domain.hostname"), HOST);
    let at_agent = named(&spans, &agent.received());
    assert!(
        at_agent.iter().any(|span| **span == *deployed),
        "{at_agent:#?}"
    );
    let at_cabinet = named(&spans, &cabinet.received());
    assert!(at_cabinet.iter().any(is_report), "{at_cabinet:#?}");
    // Challenges are in the paths of calls to the agent, and their tokens are not for others.
    let requests = agent.received();
    let token = requests
        .split("PUT /internal/v1/challenges/")
        .nth(1)
        .unwrap();
    let token = token.split(' ').next().unwrap();
    assert!(token.len() > 20, "{token}");
    for span in &spans {
        assert!(!format!("{span:?}").contains(token), "{span:?}");
    }
}
