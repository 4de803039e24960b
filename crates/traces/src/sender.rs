//! The task that sends spans in batches.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use prost::Message as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::processor::Shared;

/// Spans of one request at most.
pub(crate) const BATCH: usize = 512;
/// Longest time that an ended span waits for others.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest time between two attempts while the collector takes nothing.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// Shortest time between two log lines about failures.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// For the TCP and TLS connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For a whole request.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends the spans of the queue to one collector.
#[derive(Debug)]
pub(crate) struct Sender {
    http: Client,
    url: Url,
    token: Option<SecretString>,
    resource: ResourceAttributesWithSchema,
    shared: Arc<Shared>,
    logged_at: Option<Instant>,
}

/// A batch was not taken.
#[derive(Debug)]
struct Refused {
    reason: String,
    /// Whether the same batch may be taken later.
    may_retry: bool,
}

impl Refused {
    const fn for_now(reason: String) -> Self {
        Self {
            reason,
            may_retry: true,
        }
    }
}

impl Sender {
    pub(crate) fn new(
        endpoint: Url,
        token: Option<SecretString>,
        resource: &Resource,
        shared: Arc<Shared>,
    ) -> Result<Self, reqwest::Error> {
        let mut url = endpoint;
        url.set_path(&format!("{}/v1/traces", url.path().trim_end_matches('/')));
        // A token must not travel further than to the host that the operator named.
        let http = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .user_agent(concat!("dps/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            url,
            token,
            resource: resource.into(),
            shared,
            logged_at: None,
        })
    }

    /// Sends until `stop`, and then what is left, once.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = INTERVAL;
        while !stop.is_cancelled() {
            let delivered = self.send_waiting().await;
            backoff = if delivered {
                INTERVAL
            } else {
                (backoff * 2).min(MAX_BACKOFF)
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(backoff) => {}
                // During an outage, a full queue is no reason to try sooner.
                () = self.shared.full.notified(), if delivered => {}
            }
        }
        self.send_waiting().await;
    }

    /// Sends all that waits; `false` if the collector did not take it.
    async fn send_waiting(&mut self) -> bool {
        loop {
            let batch = self.shared.queue().take(BATCH);
            if batch.is_empty() {
                return true;
            }
            let count = batch.len() as u64;
            let request = ExportTraceServiceRequest {
                resource_spans: group_spans_by_resource_and_scope(batch.clone(), &self.resource),
            };
            match self.send(request.encode_to_vec()).await {
                Ok(0) => {}
                Ok(rejected) => {
                    self.shared.queue().note_lost(rejected);
                    self.log("the collector rejected spans of a batch");
                }
                Err(refused) if refused.may_retry => {
                    self.shared.queue().give_back(batch);
                    self.log(&refused.reason);
                    return false;
                }
                Err(refused) => {
                    self.shared.queue().note_lost(count);
                    self.log(&refused.reason);
                }
            }
        }
    }

    /// Sends one batch; returns how many of its spans the collector rejected.
    async fn send(&self, body: Vec<u8>) -> Result<u64, Refused> {
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let response = request
            .send()
            .await
            .map_err(|error| Refused::for_now(with_causes(&error)))?;
        let status = response.status();
        if !status.is_success() {
            return Err(Refused {
                reason: format!("the collector answered {status}"),
                // Both are about this batch. All others end when the operator mends something.
                may_retry: !matches!(
                    status,
                    StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE
                ),
            });
        }
        Ok(rejected(response).await)
    }

    /// Logs a failure, at most once a minute.
    fn log(&mut self, reason: &str) {
        let now = Instant::now();
        if self.logged_at.is_some_and(|at| now - at < LOG_INTERVAL) {
            return;
        }
        self.logged_at = Some(now);
        let (waiting, lost) = {
            let mut queue = self.shared.queue();
            (queue.len(), queue.take_lost())
        };
        tracing::warn!(
            endpoint = %self.url, reason, waiting, lost,
            remedy = "check OpenTelemetry:Endpoint and the collector", "traces.not_exported"
        );
    }
}

/// The number of rejected spans in an answer; 0 if it cannot be read.
async fn rejected(mut response: Response) -> u64 {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return 0;
        }
    }
    let answer = ExportTraceServiceResponse::decode(body.as_slice()).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |part| part.rejected_spans);
    u64::try_from(rejected).unwrap_or(0)
}

/// An error in one line, with its causes.
fn with_causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        text = format!("{text}: {one}");
        cause = one.source();
    }
    text
}
