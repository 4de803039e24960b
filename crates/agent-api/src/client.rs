//! The service's side of the protocol.

mod answer;
mod batch;

use std::sync::Arc;
use std::time::Duration;

use dps_domain::Hostname;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use self::answer::{Answer, unreachable_because};
use crate::{
    AgentError, Applied, ApplyRequest, CHALLENGE_PATH_PREFIX, ChallengePublication, ChallengeToken,
    Health, InventoryPage, Presented, ProbeRequest, ProbeResult,
};

/// Calls to one agent at once, but for health checks. An agent has places for many more
/// connections of one peer, and shares them with a second replica at the same address.
const MAX_CALLS: usize = 48;

/// How long a client waits.
#[derive(Debug, Clone, Copy)]
pub struct ClientOptions {
    /// For the TCP connection.
    pub connect_timeout: Duration,
    /// For a whole call, from connecting to the last byte of the answer.
    pub total_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(30),
        }
    }
}

/// How a client proves itself: by a token, by a TLS certificate, or by both.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The bearer token to show with every internal call.
    pub token: Option<SecretString>,
    /// The TLS configuration that holds our certificate and the authorities that we trust; without
    /// it, those of the system.
    pub tls: Option<rustls::ClientConfig>,
}

impl From<SecretString> for Access {
    fn from(token: SecretString) -> Self {
        Self {
            token: Some(token),
            tls: None,
        }
    }
}

/// Talks to one agent. Cheap to clone; connections are kept and shared.
#[derive(Debug, Clone)]
pub struct AgentClient {
    http: reqwest::Client,
    base: Url,
    token: Option<Arc<SecretString>>,
    turns: Arc<Semaphore>,
    add_headers: fn(&mut HeaderMap),
}

impl AgentClient {
    /// A client for the agent at `base` (such as `http://127.0.0.1:9402`) that proves itself by
    /// `access`. It uses no proxy and follows no redirect.
    pub fn new(
        base: Url,
        access: impl Into<Access>,
        options: ClientOptions,
    ) -> Result<Self, AgentError> {
        let Access { token, tls } = access.into();
        let builder = match tls {
            Some(tls) => reqwest::Client::builder().tls_backend_preconfigured(tls),
            None => reqwest::Client::builder(),
        };
        let http = builder
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .pool_max_idle_per_host(MAX_CALLS)
            .timeout(options.total_timeout)
            .user_agent(concat!("dps/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| {
                unreachable_because(&base, "no HTTP client can be built", Some(source))
            })?;
        Ok(Self {
            http,
            base,
            token: token.map(Arc::new),
            turns: Arc::new(Semaphore::new(MAX_CALLS)),
            add_headers: |_| (),
        })
    }

    /// Has more headers added to every call when it is sent.
    #[must_use]
    pub fn with_headers(mut self, add: fn(&mut HeaderMap)) -> Self {
        self.add_headers = add;
        self
    }

    /// The agent's base URL.
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// Has a certificate served. `Ok` means that the edge presented exactly this certificate in a
    /// handshake.
    pub async fn apply(&self, request: &ApplyRequest) -> Result<Applied, AgentError> {
        let call = self
            .internal(Method::POST, &["internal", "v1", "certificates", "apply"])
            .json(request);
        let applied: Applied = self.json(self.send(call).await?).await?;
        self.confirm(request, applied)
    }

    fn confirm(&self, request: &ApplyRequest, applied: Applied) -> Result<Applied, AgentError> {
        if applied.fingerprint != request.fingerprint || applied.hostname != request.hostname {
            let detail = format!(
                "asked for {}, the agent reports {}",
                request.fingerprint, applied.fingerprint
            );
            return Err(AgentError::Mismatch {
                agent: self.base.to_string(),
                detail,
            });
        }
        Ok(applied)
    }

    /// Has a hostname served no more. Idempotent.
    pub async fn remove(&self, hostname: &Hostname) -> Result<(), AgentError> {
        let path = ["internal", "v1", "certificates", hostname.as_str()];
        self.send(self.internal(Method::DELETE, &path))
            .await
            .map(drop)
    }

    /// The same unless the agent holds a newer generation, which it answers with
    /// [`crate::ProblemCode::GenerationStale`] and keeps serving. An agent that is too old to
    /// know of generations here removes whatever it holds.
    pub async fn remove_generation(
        &self,
        hostname: &Hostname,
        generation: u64,
    ) -> Result<(), AgentError> {
        let path = ["internal", "v1", "certificates", hostname.as_str()];
        let call = self.internal(Method::DELETE, &path);
        let call = call.query(&[("generation", generation.to_string())]);
        self.send(call).await.map(drop)
    }

    /// A page of what the agent holds; `cursor` is the last page's `next_cursor`.
    pub async fn inventory(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<InventoryPage, AgentError> {
        let mut call = self
            .internal(Method::GET, &["internal", "v1", "certificates"])
            .query(&[("limit", limit.to_string())]);
        if let Some(cursor) = cursor {
            call = call.query(&[("cursor", cursor)]);
        }
        self.json(self.send(call).await?).await
    }

    /// Has a challenge answered with this key authorization until it is withdrawn or its time to
    /// live is over.
    pub async fn publish_challenge(
        &self,
        token: &ChallengeToken,
        key_authorization: &str,
    ) -> Result<(), AgentError> {
        let body = ChallengePublication {
            key_authorization: key_authorization.to_owned(),
        };
        let path = ["internal", "v1", "challenges", token.as_str()];
        self.send(self.internal(Method::PUT, &path).json(&body))
            .await
            .map(drop)
    }

    /// Has a challenge answered no more. Idempotent.
    pub async fn withdraw_challenge(&self, token: &ChallengeToken) -> Result<(), AgentError> {
        let path = ["internal", "v1", "challenges", token.as_str()];
        self.send(self.internal(Method::DELETE, &path))
            .await
            .map(drop)
    }

    /// Asks the agent for a challenge as a CA would, on the public path: `None` if it does not know
    /// the token.
    pub async fn read_challenge(
        &self,
        token: &ChallengeToken,
    ) -> Result<Option<String>, AgentError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{CHALLENGE_PATH_PREFIX}{token}"));
        let answer = self.in_turn(self.http.get(url)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = self.accept(answer).await?;
        let body = self.body(answer).await?;
        String::from_utf8(body)
            .map(Some)
            .map_err(|_| self.not_an_agent("the challenge's answer is not text"))
    }

    /// Has the agent fetch a token from an address. An agent that is too old for it refuses with
    /// [`crate::ProblemCode::NotFound`].
    pub async fn probe(&self, request: &ProbeRequest) -> Result<ProbeResult, AgentError> {
        let call = self
            .internal(Method::POST, &["internal", "v1", "probes"])
            .json(request);
        self.json(self.send(call).await?).await
    }

    /// Has the agent make a handshake with its HAProxy. An agent that is too old for it refuses
    /// with [`crate::ProblemCode::NotFound`].
    pub async fn presented(&self, hostname: &Hostname) -> Result<Presented, AgentError> {
        let path = ["internal", "v1", "handshakes", hostname.as_str()];
        let call = self.internal(Method::GET, &path);
        self.json(self.send(call).await?).await
    }

    /// How the agent and its HAProxy are.
    pub async fn health(&self) -> Result<Health, AgentError> {
        // How a busy agent is must not wait for its other calls.
        let answer = self
            .transport(self.internal(Method::GET, &["health"]), None)
            .await?;
        // A degraded agent answers 503 with the same document.
        if !answer.status().is_success() && answer.status() != StatusCode::SERVICE_UNAVAILABLE {
            return Err(self.refusal(answer).await);
        }
        self.json(answer).await
    }

    fn internal(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        let call = self.http.request(method, url);
        match &self.token {
            Some(token) => call.bearer_auth(token.expose_secret()),
            None => call,
        }
    }

    async fn send(&self, call: RequestBuilder) -> Result<Answer, AgentError> {
        let answer = self.in_turn(call).await?;
        self.accept(answer).await
    }

    /// Sends the call once there is a turn for it.
    async fn in_turn(&self, call: RequestBuilder) -> Result<Answer, AgentError> {
        // The semaphore is never closed.
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok();
        self.transport(call, turn).await
    }

    async fn transport(
        &self,
        call: RequestBuilder,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Answer, AgentError> {
        let send = async {
            let mut request = call.build()?;
            (self.add_headers)(request.headers_mut());
            self.http.execute(request).await
        };
        let response = send.await.map_err(|source| {
            unreachable_because(&self.base, "no answer", Some(source.without_url()))
        })?;
        Ok(Answer {
            response,
            _turn: turn,
        })
    }
}
