//! Export of spans to a collector of OpenTelemetry, in OTLP over HTTP.
//!
//! [`start`] gives a layer that turns the `tracing` spans of one target into spans of
//! OpenTelemetry. Ended spans go into a bounded queue, and one task sends them. Spans that a
//! collector does not take stay in the queue, so a step never waits for it.

mod context;
mod processor;
mod queue;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};
use url::Url;

pub use self::context::add_context;

use self::processor::{Shared, ToQueue};
use self::sender::Sender;

/// How long the end of the process waits for the last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// A layer below all others.
pub type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Where spans are sent, and which.
#[derive(Debug, Clone)]
pub struct Export {
    /// Base URL of the collector; `/v1/traces` is added to its path.
    pub endpoint: Url,
    /// Bearer token of every request; `None` sends none.
    pub token: Option<SecretString>,
    /// Part of the traces that is sent, from 0 to 1.
    pub sample_ratio: f64,
    /// Name of the program at the collector.
    pub service: &'static str,
    /// Version of the program.
    pub version: &'static str,
    /// Name of this process among others of the same program.
    pub instance: String,
}

/// Spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The HTTP client cannot be made, as without any root certificate.
    #[error("no HTTP client can be built")]
    Client(#[from] reqwest::Error),
}

/// The running export. Dropping it ends it without the last spans.
#[derive(Debug)]
pub struct Exporter {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Sends what is in the queue, for 5 seconds at most.
    pub async fn close(mut self) {
        self.stop.cancel();
        // Also a task that panicked has ended.
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, &mut self.task).await;
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts the export of spans of `target`, in a task of this runtime. Nothing is recorded until the
/// layer is part of the subscriber.
///
/// # Errors
/// [`TracesError::Client`].
pub fn start(export: Export, target: &'static str) -> Result<(SpanLayer, Exporter), TracesError> {
    let resource = Resource::builder_empty()
        .with_service_name(export.service)
        .with_attribute(KeyValue::new("service.version", export.version))
        .with_attribute(KeyValue::new("service.instance.id", export.instance))
        .build();
    let shared = Arc::new(Shared::default());
    let sender = Sender::new(
        export.endpoint,
        export.token,
        &resource,
        Arc::clone(&shared),
    )?;
    let ratio = Sampler::TraceIdRatioBased(export.sample_ratio);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(ratio)))
        .with_span_processor(ToQueue(shared))
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(export.service))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(move |metadata| metadata.target() == target));
    let stop = CancellationToken::new();
    let task = tokio::spawn(sender.run(stop.clone()));
    Ok((Box::new(layer), Exporter { stop, task }))
}
