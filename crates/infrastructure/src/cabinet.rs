//! The Cabinet over HTTP: contract v1 of `dps-cabinet-api`.
//!
//! The Cabinet may be another party's, slow, down or wrong, and the service must go on. So
//! [`HttpCabinet`] bounds every call in time and size, and reads a page item by item. It turns
//! everything else into one [`CabinetError`] that describes the response. It uses no proxy and
//! follows no redirect, since a bearer token must not travel further. It never retries: the caller
//! decides when to call again.

mod answer;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::Cabinet;
use dps_application::ports::cabinet::{
    CabinetDomain, CabinetError, CabinetPage, ReportAnswer, StatusReport,
};
use dps_cabinet_api::{
    ChangesPage, INTERNAL_PATH, Page, ProblemCode, limits, read_domain, version_tag,
};
use dps_domain::{DomainId, Status};
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use url::Url;

use self::answer::{error, json, refusal};
use crate::spans::{self, in_span};

/// Longest body of a page, in bytes.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Longest body of a single domain, in bytes.
const MAX_DOMAIN_BYTES: usize = 64 * 1024;

/// How the Cabinet is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CabinetSettings {
    /// For the TCP and TLS connection.
    pub connect_timeout: Duration,
    /// For a whole call, to the last byte of the answer. A long poll may take its wait in addition.
    pub total_timeout: Duration,
    /// Domains read at once.
    pub page_limit: u32,
}

impl Default for CabinetSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(20),
            page_limit: limits::MAX_PAGE_LIMIT,
        }
    }
}

/// Talks to one Cabinet. Connections are kept and shared.
#[derive(Debug)]
pub struct HttpCabinet {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
    settings: CabinetSettings,
}

impl HttpCabinet {
    /// A client for the Cabinet at `base` (such as `https://cabinet.platform.example`, a path in
    /// front of the contract's is kept), showing `token` with every call.
    ///
    /// # Errors
    /// When `base` cannot carry a path, or no HTTP client can be built.
    pub fn new(
        base: Url,
        token: SecretString,
        settings: CabinetSettings,
    ) -> Result<Self, CabinetError> {
        if base.cannot_be_a_base() {
            return Err(error(format!("{base} is no URL that calls can be made to")));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.total_timeout)
            .user_agent(concat!("dps/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| error(format!("no HTTP client can be built: {source}")))?;
        Ok(Self {
            http,
            base,
            token,
            settings,
        })
    }

    fn call(&self, method: Method, below: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        let path = format!(
            "{}{INTERNAL_PATH}{below}",
            self.base.path().trim_end_matches('/')
        );
        url.set_path(&path);
        self.http
            .request(method, url)
            .bearer_auth(self.token.expose_secret())
    }

    fn paged(&self, below: &str) -> RequestBuilder {
        self.call(Method::GET, below)
            .query(&[("limit", self.settings.page_limit)])
    }

    async fn send(&self, call: RequestBuilder) -> Result<Response, CabinetError> {
        let mut request = call.build().map_err(answer::lost)?;
        let span = spans::cabinet_call(request.method(), request.url().path());
        let send = async {
            dps_traces::add_context(request.headers_mut());
            self.http.execute(request).await
        };
        let answer = in_span(span.clone(), send).await.map_err(answer::lost)?;
        spans::record_status(&span, answer.status());
        Ok(answer)
    }

    async fn feed(&self, cursor: Option<&str>, wait: Duration) -> Result<Response, CabinetError> {
        let wait = wait.min(Duration::from_secs(limits::MAX_WAIT_SECONDS));
        let mut call = self
            .paged("/changes")
            .query(&[("wait", wait.as_secs())])
            .timeout(self.settings.total_timeout + wait);
        if let Some(cursor) = cursor {
            call = call.query(&[("after", cursor)]);
        }
        self.send(call).await
    }
}

#[async_trait]
impl Cabinet for HttpCabinet {
    async fn list(
        &self,
        status: Status,
        cursor: Option<&str>,
    ) -> Result<CabinetPage, CabinetError> {
        let mut call = self.paged("").query(&[("status", status.as_str())]);
        if let Some(cursor) = cursor {
            call = call.query(&[("cursor", cursor)]);
        }
        let answer = self.send(call).await?;
        if answer.status() != StatusCode::OK {
            return Err(refusal(answer).await.into());
        }
        let page: Page<Box<RawValue>> = json(answer, MAX_PAGE_BYTES).await?;
        let next = page.next_cursor.filter(|next| !next.is_empty());
        if next.is_some() && next.as_deref() == cursor {
            return Err(error("a page names itself as the next one".to_owned()));
        }
        wire::page(&page.items, next)
    }

    async fn changes(
        &self,
        cursor: Option<&str>,
        wait: Duration,
    ) -> Result<Option<CabinetPage>, CabinetError> {
        let answer = self.feed(cursor, wait).await?;
        match answer.status() {
            StatusCode::OK => {
                let page: ChangesPage<Box<RawValue>> = json(answer, MAX_PAGE_BYTES).await?;
                wire::page(&page.items, Some(page.next_cursor)).map(Some)
            }
            StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED => Ok(None),
            _ => Err(refusal(answer).await.into()),
        }
    }

    async fn domain(&self, id: DomainId) -> Result<Option<CabinetDomain>, CabinetError> {
        let answer = self.send(self.call(Method::GET, &format!("/{id}"))).await?;
        match answer.status() {
            StatusCode::OK => {
                let item: Box<RawValue> = json(answer, MAX_DOMAIN_BYTES).await?;
                let entry = read_domain(&item).map_err(|refused| error(refused.to_string()))?;
                if entry.id != id {
                    return Err(error(format!(
                        "asked for the domain {id}, it sent {}",
                        entry.id
                    )));
                }
                Ok(Some(wire::domain(entry)))
            }
            _ => match refusal(answer).await {
                gone if gone.is_not_found() => Ok(None),
                other => Err(other.into()),
            },
        }
    }

    async fn report(
        &self,
        id: DomainId,
        version: u64,
        report: &StatusReport,
    ) -> Result<ReportAnswer, CabinetError> {
        let report = wire::report(report);
        let call = self
            .call(Method::POST, &format!("/{id}/status"))
            .header(http::header::IF_MATCH, version_tag(version))
            .json(&report);
        let answer = self.send(call).await?;
        match answer.status() {
            status if status.is_success() => {
                let proof = report.ownership_verification.as_ref();
                Ok(wire::accepted(answer, proof, MAX_DOMAIN_BYTES).await)
            }
            // The contract says 409; RFC 9110 §13.1.1 would say 412.
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => {
                Ok(ReportAnswer::VersionMoved)
            }
            status => {
                let refusal = refusal(answer).await;
                let content =
                    refusal.is(ProblemCode::FieldInvalid) || refusal.is(ProblemCode::BodyInvalid);
                match status {
                    _ if refusal.is_not_found() => Ok(ReportAnswer::Gone),
                    StatusCode::UNPROCESSABLE_ENTITY if !content => Ok(ReportAnswer::IllegalMove {
                        detail: refusal.detail,
                    }),
                    _ if content || status == StatusCode::PAYLOAD_TOO_LARGE => {
                        Ok(ReportAnswer::ContentRefused {
                            detail: refusal.detail,
                        })
                    }
                    _ => Err(refusal.into()),
                }
            }
        }
    }
}
