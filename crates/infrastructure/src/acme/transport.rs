//! The way to the CA: our HTTP client under the protocol library, which leaves bounds, nonces and
//! headers to us.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dps_application::ports::Clock;
use dps_application::ports::metrics::{AcmeMetrics, AcmeResult};
use dps_application::ports::requests::RequestTokens;
use dps_domain::limits::Endpoint;
use dps_domain::{Purpose, Timestamp, with_causes};
use http::header::{DATE, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use tokio::time::Instant;
use tracing::debug;

use crate::local_fault;

use super::directory::DirectoryCache;
use super::exchange::{self, Answer, Exchange};
use super::hosts::Hosts;
use super::lenient;
use super::nonces::NoncePool;
use super::pacer::{Held, Pacer};
use super::{settings::AcmeSettings, settings::AcmeSetupError};
use crate::retry_after;
use crate::spans::{self, in_span};

/// No answer of a CA is longer; a certificate chain has at most about 20 kB.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// The state that all accounts of one CA share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Transport(Arc<Shared>);

struct Shared {
    http: reqwest::Client,
    user_agent: HeaderValue,
    directory_url: String,
    /// The configured names of the CA in CAA records.
    caa_identities: Vec<String>,
    hosts: Hosts,
    directory: DirectoryCache,
    nonces: NoncePool,
    pacer: Pacer,
    clock: Arc<dyn Clock>,
    metrics: Option<Arc<dyn AcmeMetrics>>,
}

/// The parts of the service that pace and count requests to the CA.
pub(super) struct Pacing {
    pub(super) tokens: Arc<dyn RequestTokens>,
    pub(super) metrics: Arc<dyn AcmeMetrics>,
}

impl Transport {
    pub(super) fn new(
        settings: &AcmeSettings,
        clock: Arc<dyn Clock>,
        pacing: Option<Pacing>,
    ) -> Result<Self, AcmeSetupError> {
        let (tokens, metrics) = pacing.map(|pacing| (pacing.tokens, pacing.metrics)).unzip();
        Ok(Self(Arc::new(Shared {
            http: settings.http_client()?,
            user_agent: HeaderValue::from_str(&settings.user_agent)
                .map_err(AcmeSetupError::UserAgent)?,
            directory_url: settings.directory_url.to_string(),
            caa_identities: settings
                .caa_identities
                .iter()
                .map(ToString::to_string)
                .collect(),
            hosts: Hosts::new(&settings.directory_url, &settings.allowed_hosts),
            directory: DirectoryCache::default(),
            nonces: NoncePool::default(),
            pacer: Pacer::new(tokens, Arc::clone(&clock)),
            clock,
            metrics,
        })))
    }

    pub(super) fn directory_url(&self) -> &str {
        &self.0.directory_url
    }

    /// Counts the directories seen; `None` when the next call must fetch it anew.
    pub(super) fn directory_generation(&self) -> Option<u64> {
        self.0.directory.generation(self.0.clock.now())
    }

    /// Has a directory to go by.
    pub(super) async fn fetch_directory(&self) -> Result<(), Error> {
        if self.directory_generation().is_some() {
            return Ok(());
        }
        let request = Request::get(self.directory_url()).body(BodyWrapper::default())?;
        self.clone().route(request).await?;
        match self.directory_generation() {
            Some(_) => Ok(()),
            None => Err(Error::Str("an ACME directory")),
        }
    }

    /// The terms of service named by the directory, if it was fetched.
    pub(super) fn terms_of_service(&self) -> Option<String> {
        self.0.directory.terms_of_service(self.0.clock.now())
    }

    /// Where the directory says its renewal information is, if it was fetched and says so.
    pub(super) fn renewal_info_url(&self) -> Option<String> {
        self.0.directory.renewal_info(self.0.clock.now())
    }

    /// Fetches what needs no signature, such as renewal information (RFC 9773 §4.1).
    pub(super) async fn fetch(&self, url: &str) -> Result<Answer, Error> {
        let request = Request::get(url).body(BodyWrapper::default())?;
        self.send(request).await
    }

    /// The names by which CAA records allow the CA: those configured, or those of the directory
    /// that was fetched last.
    pub(super) fn caa_identities(&self) -> Vec<String> {
        match self.0.caa_identities.as_slice() {
            [] => self.0.directory.caa_identities(),
            configured => configured.to_vec(),
        }
    }

    /// The same, with a directory to go by.
    pub(super) async fn fetch_caa_identities(&self) -> Result<Vec<String>, Error> {
        if self.0.caa_identities.is_empty() {
            self.fetch_directory().await?;
        }
        Ok(self.caa_identities())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Fetches the directory before the next call.
    pub(super) fn forget_directory(&self) {
        self.0.directory.forget();
    }

    async fn route(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let now = self.0.clock.now();
        if request.method() == Method::HEAD {
            if let Some(nonce) = self.0.nonces.take(now) {
                return Ok(with_nonce(nonce));
            }
            let answer = self.send(request).await?;
            return Ok(match answer.headers.get(REPLAY_NONCE) {
                // RFC 8555 §7.2 says 200, but 204 is seen too.
                Some(nonce) if answer.status.is_success() => with_nonce(nonce.clone()),
                _ => response(&answer),
            });
        }
        if request.method() == Method::GET && *request.uri() == *self.0.directory_url {
            if let Some(body) = self.0.directory.body(now) {
                return Ok(Response::new(BodyWrapper::from(body.to_vec())).into());
            }
            let answer = self.send(request).await?;
            if answer.status == StatusCode::OK {
                self.0.directory.keep(&answer.body, now);
            }
            return Ok(response(&answer));
        }
        let mut answer = self.send(request).await?;
        if let Some(nonce) = answer.headers.remove(REPLAY_NONCE) {
            if answer.refuses_nonce() {
                self.0.nonces.clear();
            }
            self.0.nonces.give(nonce, now);
        }
        Ok(response(&answer))
    }

    /// One request when its turn has come, and its whole, bounded answer, noted for the caller of
    /// the call.
    async fn send(&self, request: Request<BodyWrapper<Bytes>>) -> Result<Answer, Error> {
        if let Err(refusal) = self.0.hosts.check(request.uri()) {
            exchange::note(Exchange::Fault(refusal));
            return Err(Error::Str("an address that may be called"));
        }
        let endpoint = self.endpoint(&request.uri().to_string());
        if let Err(held) = self.0.pacer.admit(endpoint).await {
            let seen = match held {
                Held::Until(until) => Exchange::Held(until),
                Held::Unknown(fault) => Exchange::Fault(fault),
            };
            exchange::note(seen);
            return Err(Error::Str("the CA's limits leave no request for now"));
        }
        let answer = self.send_now(request, endpoint).await?;
        if wants_quiet(&answer, endpoint) {
            // Only the CA's own word about a limit binds the other replicas. A page of some box in
            // between is an outage of this request.
            if !answer.is_limit() {
                if let Some(until) = answer.until(Purpose::Outage) {
                    self.0.pacer.quiet(endpoint, until);
                }
            } else if let Some(until) = answer.until(Purpose::Limit) {
                self.0.pacer.block(endpoint, until).await;
            }
        }
        // The library takes a redirect for success, and its target for the URL of a new account.
        if answer.status.is_redirection() {
            return Err(Error::Str("an answer without a redirect"));
        }
        Ok(answer)
    }

    fn endpoint(&self, url: &str) -> Endpoint {
        if url == self.directory_url() {
            return Endpoint::Directory;
        }
        self.0.directory.endpoint(url, self.0.clock.now())
    }

    async fn send_now(
        &self,
        request: Request<BodyWrapper<Bytes>>,
        endpoint: Endpoint,
    ) -> Result<Answer, Error> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let started = Instant::now();
        let span = spans::acme_request(&method, endpoint, uri.host());
        let outcome = in_span(span.clone(), self.exchange(request)).await;
        if let Ok(answer) = &outcome {
            spans::record_status(&span, answer.status);
        }
        let elapsed = started.elapsed();
        // A fault of our own machine has a counter of its own.
        if !matches!(&outcome, Err(Fault::Local(_))) {
            self.count(endpoint, outcome.as_ref().ok(), elapsed);
        }
        match outcome {
            Ok(answer) => {
                debug!(http.method = %method, http.url = %uri, http.status = answer.status.as_u16(),
                    elapsed_seconds = elapsed.as_secs_f64(), "the CA answered");
                exchange::note(Exchange::Answer(answer.clone()));
                Ok(answer)
            }
            Err(fault) => {
                debug!(http.method = %method, http.url = %uri, fault = %fault.detail(),
                    elapsed_seconds = elapsed.as_secs_f64(), "the CA did not answer");
                let detail = fault.detail().to_owned();
                exchange::note(match fault {
                    Fault::Call(detail) => Exchange::Fault(detail),
                    Fault::Local(detail) => Exchange::Local(detail),
                });
                Err(Error::Other(detail.into()))
            }
        }
    }

    /// Counts a request that was sent, and notes how far our clock is from the CA's.
    fn count(&self, endpoint: Endpoint, answer: Option<&Answer>, elapsed: Duration) {
        let Some(metrics) = &self.0.metrics else {
            return;
        };
        metrics.acme_request(endpoint, result_of(answer), elapsed);
        let sent_at = answer.and_then(|answer| {
            let date = answer.headers.get(DATE)?.to_str().ok()?;
            Some((answer.received_at, retry_after::date(date)?))
        });
        if let Some((received_at, sent_at)) = sent_at {
            metrics.ca_clock(seconds_between(sent_at, received_at));
        }
    }

    async fn exchange(&self, request: Request<BodyWrapper<Bytes>>) -> Result<Answer, Fault> {
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(USER_AGENT, self.0.user_agent.clone());
        let Ok(body) = body.collect().await;
        let mut answer = self
            .0
            .http
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body.to_bytes())
            .send()
            .await
            .map_err(call_fault)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(call_fault)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Fault::Call(format!(
                    "the answer is longer than {MAX_ANSWER_BYTES} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        let now = self.0.clock.now();
        Ok(Answer {
            status: answer.status(),
            retry_after: retry_after::read(answer.headers(), Some(now)).map(|wait| now + wait),
            received_at: now,
            headers: std::mem::take(answer.headers_mut()),
            body: lenient::normalize(body.freeze()),
        })
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().route(request))
    }
}

/// The result of a request, by its answer.
fn result_of(answer: Option<&Answer>) -> AcmeResult {
    let Some(answer) = answer else {
        return AcmeResult::NoAnswer;
    };
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS => AcmeResult::Limited,
        status if status.is_client_error() => AcmeResult::Refused,
        status if status.is_server_error() || status.is_redirection() => AcmeResult::ServerError,
        _ => AcmeResult::Success,
    }
}

/// Seconds from one moment to another; negative if it is earlier.
fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    let signed = if to >= from {
        to.since(from).as_secs_f64()
    } else {
        -from.since(to).as_secs_f64()
    };
    // `Date` has whole seconds: on average, half a second is cut off.
    signed - 0.5
}

/// Whether the response demands a pause at the endpoint: it is overloaded, or our requests
/// come too fast. Limits at newOrder and newAccount belong to the account and the name, and do not
/// concern other requests.
fn wants_quiet(answer: &Answer, endpoint: Endpoint) -> bool {
    match answer.status {
        StatusCode::SERVICE_UNAVAILABLE => true,
        StatusCode::TOO_MANY_REQUESTS => {
            !matches!(endpoint, Endpoint::NewOrder | Endpoint::NewAccount)
        }
        _ => false,
    }
}

fn with_nonce(nonce: HeaderValue) -> BytesResponse {
    let mut response = Response::new(BodyWrapper::<Bytes>::from(Vec::new()));
    response.headers_mut().insert(REPLAY_NONCE, nonce);
    response.into()
}

fn response(answer: &Answer) -> BytesResponse {
    let mut response = Response::new(());
    *response.status_mut() = answer.status;
    response.headers_mut().clone_from(&answer.headers);
    BytesResponse {
        parts: response.into_parts().0,
        body: Box::new(answer.body.clone()),
    }
}

/// Why there is no whole answer.
enum Fault {
    /// On the way to the CA, or there.
    Call(String),
    /// In our own machine.
    Local(String),
}

impl Fault {
    fn detail(&self) -> &str {
        match self {
            Self::Call(detail) | Self::Local(detail) => detail,
        }
    }
}

/// The error with its causes, which is where reqwest keeps what happened.
#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn call_fault(error: reqwest::Error) -> Fault {
    match local_fault::of_call(&error) {
        Some(reason) => Fault::Local(reason),
        None => Fault::Call(super::problem::tidy(&with_causes(&error))),
    }
}
