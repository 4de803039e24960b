//! Problem documents (RFC 7807, RFC 8555 §6.7), and which [`CaError`] each of them is.

use std::fmt::Write;

use dps_application::ports::ca::CaError;
use dps_domain::{Purpose, Until};
use http::StatusCode;
use http::header::LOCATION;
use serde::Deserialize;

use super::exchange::Answer;

const ACME_PREFIX: &str = "urn:ietf:params:acme:error:";
/// Longer problem types are cut; those of RFC 8555 have at most 23 characters.
const MAX_KIND_CHARS: usize = 64;
/// Longer words of the CA are cut: they end in rows, logs and mails.
const MAX_DETAIL_CHARS: usize = 600;
/// Longer unpause URLs are dropped; a cut one would not work.
const MAX_URL_BYTES: usize = 4_096;
/// More subproblems are not repeated.
const MAX_SUBPROBLEMS: usize = 5;

/// The subject of a call that met a problem. The same problem type means different things for
/// different subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Registering, placing an order or reading renewal information: no order exists yet.
    Account,
    /// Reading an order, its authorization or its certificate.
    Order,
    /// Answering a challenge or finalizing.
    Proof,
    /// A problem shown inside an authorization or order: the outcome of a validation.
    Validation,
}

/// A problem document with the members that we use.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    subproblems: Vec<Subproblem>,
}

#[derive(Debug, Deserialize)]
struct Subproblem {
    #[serde(rename = "type")]
    kind: Option<String>,
    detail: Option<String>,
    identifier: Option<Identifier>,
}

#[derive(Debug, Deserialize)]
struct Identifier {
    value: String,
}

impl Problem {
    /// Reads an answer's body; `None` if it is no problem document.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let problem: Self = serde_json::from_slice(body).ok()?;
        (problem.kind.is_some() || problem.detail.is_some()).then_some(problem)
    }

    /// The type without the prefix of ACME. The subproblems decide where the problem itself says
    /// nothing (`compound`, `malformed`) and they do.
    pub(super) fn kind(&self) -> String {
        let own = self.kind.as_deref().map_or("about:blank", short);
        if !matches!(own, "compound" | "malformed" | "about:blank") {
            return tidy_to(own, MAX_KIND_CHARS);
        }
        let inner = self.subproblems.iter().find_map(|sub| sub.kind.as_deref());
        tidy_to(inner.map_or(own, short), MAX_KIND_CHARS)
    }

    /// The CA's words on one line of bounded length, those of the subproblems included.
    pub(super) fn detail(&self) -> String {
        let mut text = self.detail.clone().unwrap_or_default();
        for sub in self.subproblems.iter().take(MAX_SUBPROBLEMS) {
            let name = sub.identifier.as_ref().map_or("", |id| id.value.as_str());
            let words = sub.detail.as_deref().unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = write!(text, " [{name}: {words}]");
        }
        if text.trim().is_empty() {
            text = format!("no explanation was given ({})", self.kind());
        }
        tidy(&text)
    }

    fn is_pause(&self) -> bool {
        let words = self
            .detail
            .as_deref()
            .unwrap_or_default()
            .to_ascii_lowercase();
        ["unpause", "paused", "temporarily prevented"]
            .iter()
            .any(|sign| words.contains(sign))
    }

    fn unpause_url(&self) -> Option<String> {
        let words = self.detail.as_deref()?;
        let url = &words[words.find("https://")?..];
        let end = url.find(char::is_whitespace).unwrap_or(url.len());
        let url = url[..end].trim_end_matches(['.', ',', ')']);
        (url.len() <= MAX_URL_BYTES).then(|| url.to_owned())
    }

    fn limit(&self, until: Option<Until>) -> CaError {
        let detail = self.detail();
        if until.is_none() && self.is_pause() {
            let unpause_url = self.unpause_url();
            return CaError::Paused {
                unpause_url,
                detail,
            };
        }
        CaError::RateLimited { until, detail }
    }

    /// Converts the problem to our error.
    pub(super) fn to_error(&self, subject: Subject, answer: Option<&Answer>) -> CaError {
        let status = answer.map(|answer| answer.status);
        let until = |purpose| answer.and_then(|answer| answer.until(purpose));
        let (kind, detail) = (self.kind(), self.detail());
        match kind.as_str() {
            "rateLimited" => self.limit(until(Purpose::Limit)),
            "serverInternal" | "badNonce" => unavailable(detail, until(Purpose::Outage)),
            _ if status.is_some_and(is_outage) => unavailable(detail, until(Purpose::Outage)),
            "rejectedIdentifier" | "unsupportedIdentifier" => {
                CaError::RejectedIdentifier { detail }
            }
            "accountDoesNotExist"
            | "externalAccountRequired"
            | "userActionRequired"
            | "invalidContact"
            | "unsupportedContact" => CaError::Account { detail },
            // A deactivated account gets `unauthorized` too (RFC 8555 §7.3.6).
            "unauthorized" if matches!(subject, Subject::Account | Subject::Order) => {
                CaError::Account { detail }
            }
            "caa" | "dns" | "connection" | "unauthorized" | "incorrectResponse" | "tls" => {
                CaError::Validation {
                    sub_cause: kind,
                    detail,
                }
            }
            _ if subject == Subject::Validation => CaError::Validation {
                sub_cause: kind,
                detail,
            },
            "orderNotReady" => CaError::OrderGone { detail },
            _ if subject != Subject::Account && status.is_some_and(is_absence) => {
                CaError::OrderGone { detail }
            }
            _ => CaError::Malformed { kind, detail },
        }
    }
}

/// Converts a response with an error status to our error.
pub(super) fn error_of(answer: &Answer, subject: Subject) -> CaError {
    let status = answer.status;
    if let Some(problem) = Problem::read(&answer.body) {
        return problem.to_error(subject, Some(answer));
    }
    // Some servers refuse unknown resources this way. A page, in contrast, comes from another
    // server.
    if answer.body.is_empty() && subject != Subject::Account && is_absence(status) {
        let detail = format!("HTTP {} without a word", status.as_u16());
        return CaError::OrderGone { detail };
    }
    // A page of some box in between, or nothing at all. Its text is useless.
    let detail = not_acme(answer, "an answer that is not ACME");
    unavailable(detail, answer.until(Purpose::Outage))
}

/// An answer that is none, such as the page of some box in between or a redirect, in one line.
/// Redirects are never followed: a signed request is for one URL (RFC 8555 §6.4).
pub(super) fn not_acme(answer: &Answer, what: &str) -> String {
    let status = answer.status.as_u16();
    if !answer.status.is_redirection() {
        return format!("HTTP {status} with {what}");
    }
    match answer.headers.get(LOCATION) {
        Some(target) => format!(
            "HTTP {status}, a redirect to {}, which is not followed; if the CA moved, set LetsEncrypt:DirectoryUrl to its \
             new address",
            tidy(&String::from_utf8_lossy(target.as_bytes()))
        ),
        None => format!("HTTP {status}, a redirect without a target"),
    }
}

fn unavailable(detail: String, retry_after: Option<Until>) -> CaError {
    CaError::Unavailable {
        detail,
        retry_after,
    }
}

fn is_outage(status: StatusCode) -> bool {
    // A 429 without a named limit is an overload, not an account's limit.
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

fn is_absence(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

fn short(kind: &str) -> &str {
    kind.strip_prefix(ACME_PREFIX).unwrap_or(kind)
}

/// One line of at most [`MAX_DETAIL_CHARS`] characters without control characters.
pub(super) fn tidy(text: &str) -> String {
    tidy_to(text, MAX_DETAIL_CHARS)
}

fn tidy_to(text: &str, most: usize) -> String {
    let clean = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line: String = clean
        .chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect();
    if line.len() < clean.len() {
        line.push('…');
    }
    line
}

impl From<&instant_acme::Problem> for Problem {
    fn from(problem: &instant_acme::Problem) -> Self {
        Self {
            kind: problem.r#type.clone(),
            detail: problem.detail.clone(),
            subproblems: problem.subproblems.iter().map(Subproblem::from).collect(),
        }
    }
}

impl From<&instant_acme::Subproblem> for Subproblem {
    fn from(problem: &instant_acme::Subproblem) -> Self {
        Self {
            kind: problem.r#type.clone(),
            detail: problem.detail.clone(),
            identifier: problem.identifier.as_ref().map(|identifier| Identifier {
                value: identifier.authorized(false).to_string(),
            }),
        }
    }
}

#[cfg(test)]
#[path = "problem_tests.rs"]
mod tests;
