//! Spans on their way to a collector over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dps_lab::collector::{Collector, Span};
use dps_lab::wait;
use dps_traces::{Export, Exporter, add_context, start};
use reqwest::header::HeaderMap;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// The target of the exported spans.
const TARGET: &str = "spans";
/// How long anything may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Counts the warnings of the export.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target().starts_with("dps_traces") && *metadata.level() == tracing::Level::WARN
        {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Exports the spans of this thread.
fn export(endpoint: &str, ratio: f64) -> (DefaultGuard, Exporter) {
    export_beside(endpoint, ratio, Warnings::default())
}

fn export_beside(endpoint: &str, ratio: f64, warnings: Warnings) -> (DefaultGuard, Exporter) {
    let export = Export {
        endpoint: endpoint.parse().unwrap(),
        token: Some("token-of-the-collector".into()),
        sample_ratio: ratio,
        service: "dps",
        version: "1.2.3",
        instance: "dps-1".to_owned(),
    };
    let (layer, exporter) = start(export, TARGET).unwrap();
    let subscriber = tracing_subscriber::registry().with(layer).with(warnings);
    (tracing::subscriber::set_default(subscriber), exporter)
}

fn step(code: &str) {
    let span = tracing::trace_span!(
        target: TARGET, "step", lane = "dns", attempt = 3, otel.kind = "client", code
    );
    let _entered = span.enter();
    let _of_the_log = tracing::info_span!("secret of the log").entered();
    tracing::trace_span!(target: TARGET, "call").in_scope(|| {
        tracing::info!("a line of the log");
    });
}

async fn received(collector: &Collector, count: usize) -> Vec<Span> {
    until("spans arrive", || collector.spans().len() >= count).await;
    collector.spans()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let reached = wait::until(what, TIMEOUT, async || condition().then_some(()));
    reached.await.unwrap();
}

#[tokio::test]
async fn spans_arrive_with_their_parents_and_nothing_of_the_log() {
    let collector = Collector::start().await.unwrap();
    let (_guard, exporter) = export(&collector.endpoint(), 1.0);
    step("DNS_NXDOMAIN");
    let spans = received(&collector, 2).await;
    let [call, step] = spans.as_slice() else {
        panic!("{spans:?}")
    };
    assert_eq!((&*call.name, &*step.name), ("call", "step"));
    assert_eq!(call.parent_id, step.span_id);
    assert_eq!(call.trace_id, step.trace_id);
    assert_eq!(step.parent_id, "");
    assert!(step.is_client && !call.is_client);
    assert_eq!((step.additions, call.additions), (0, 0));
    let attributes: Vec<_> = step.attributes.keys().map(String::as_str).collect();
    assert_eq!(attributes, ["attempt", "code", "lane"]);
    assert_eq!(step.attribute("code"), "DNS_NXDOMAIN");
    let resource = [
        ("service.instance.id", "dps-1"),
        ("service.name", "dps"),
        ("service.version", "1.2.3"),
    ];
    assert!(step.resource.iter().map(|(k, v)| (&**k, &**v)).eq(resource));
    assert_eq!(
        collector.authorization().unwrap(),
        "Bearer token-of-the-collector"
    );
    exporter.close().await;
}

#[tokio::test]
async fn an_outage_of_the_collector_loses_nothing_that_the_queue_holds() {
    let collector = Collector::start().await.unwrap();
    collector.set_status(503);
    let warnings = Warnings::default();
    let endpoint = format!("{}/", collector.endpoint());
    let (_guard, exporter) = export_beside(&endpoint, 1.0, warnings.clone());
    for _ in 0..600 {
        step("");
    }
    until("two requests are refused", || collector.requests() >= 2).await;
    assert_eq!(collector.spans(), []);
    collector.set_status(200);
    assert_eq!(received(&collector, 1200).await.len(), 1200);
    exporter.close().await;
    assert_eq!(collector.spans().len(), 1200, "each arrives once");
    let logged = warnings.0.load(Ordering::Relaxed);
    assert_eq!(logged, 1, "of several refusals in a minute, one is logged");
}

#[tokio::test]
async fn a_batch_that_the_collector_calls_bad_holds_up_no_other() {
    let collector = Collector::start().await.unwrap();
    collector.set_status(400);
    let (_guard, exporter) = export(&collector.endpoint(), 1.0);
    step("bad");
    until("the batch is refused", || collector.requests() >= 1).await;
    collector.set_status(200);
    step("good");
    let spans = received(&collector, 2).await;
    exporter.close().await;
    assert_eq!(collector.spans().len(), 2, "{spans:?}");
    assert_eq!(spans[1].attribute("code"), "good");
}

#[tokio::test]
async fn the_end_sends_the_last_spans_and_waits_for_nobody() {
    let collector = Collector::start().await.unwrap();
    let (guard, exporter) = export(&collector.endpoint(), 1.0);
    step("last");
    exporter.close().await;
    assert_eq!(collector.spans().len(), 2);
    drop(guard);
    // Accepts connections and answers none.
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = deaf.local_addr().unwrap();
    let (_guard, exporter) = export(&format!("http://{address}"), 1.0);
    step("never arrives");
    let ended = tokio::time::timeout(Duration::from_secs(30), exporter.close());
    let began = tokio::time::Instant::now();
    ended.await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(9),
        "the request would take ten seconds"
    );
}

#[tokio::test]
async fn a_ratio_selects_whole_traces() {
    let collector = Collector::start().await.unwrap();
    let (guard, exporter) = export(&collector.endpoint(), 0.0);
    step("none");
    exporter.close().await;
    assert_eq!(collector.spans(), []);
    drop(guard);
    let (_guard, exporter) = export(&collector.endpoint(), 0.5);
    for _ in 0..200 {
        step("");
    }
    exporter.close().await;
    let spans = collector.spans();
    let steps = spans.iter().filter(|span| span.name == "step").count();
    assert_eq!(spans.len(), steps * 2);
    // With a chance of one in billions, a right ratio fails this.
    assert!((50..150).contains(&steps), "{steps} of 200");
}

#[tokio::test]
async fn a_request_carries_the_current_span_of_the_trace() {
    let collector = Collector::start().await.unwrap();
    let traceparent = || {
        let mut headers = HeaderMap::new();
        add_context(&mut headers);
        let value = headers.get("traceparent")?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (guard, exporter) = export(&collector.endpoint(), 1.0);
    assert_eq!(traceparent(), None);
    let sent = tracing::trace_span!(target: TARGET, "call").in_scope(|| {
        // The spans of the log have no part in it.
        tracing::info_span!("of the log").in_scope(traceparent)
    });
    exporter.close().await;
    let spans = collector.spans();
    let expected = format!("00-{}-{}-01", spans[0].trace_id, spans[0].span_id);
    assert_eq!(sent.unwrap(), expected);
    drop(guard);
    let (_guard, _exporter) = export(&collector.endpoint(), 0.0);
    let unsampled = tracing::trace_span!(target: TARGET, "call").in_scope(traceparent);
    assert!(unsampled.unwrap().ends_with("-00"));
}
