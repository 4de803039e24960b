//! Reads answers within bounds, and describes what is wrong with those that cannot be used.

use std::time::Duration;

use dps_application::ports::cabinet::{CabinetError, CabinetFault};
use dps_cabinet_api::{Problem, ProblemCode, read_body};
use dps_domain::text::shown;
use dps_domain::{Purpose, with_causes};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::{local_fault, retry_after};

/// Longest problem document that is read, in bytes.
const MAX_PROBLEM_BYTES: usize = 64 * 1024;
/// Characters kept of what the Cabinet says about itself.
const MAX_DETAIL_CHARS: usize = 300;

/// An answer that is no success.
pub(super) struct Refusal {
    /// The problem's code, if there is one.
    pub(super) code: Option<String>,
    /// Status and problem in words.
    pub(super) detail: String,
    status: StatusCode,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn is(&self, code: ProblemCode) -> bool {
        self.code.as_deref() == Some(code.as_str())
    }

    /// Whether the Cabinet itself says that it has no such thing: a 404 or 410 with the contract's
    /// code. Any other comes from a wrong route or from a server in front of the Cabinet.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::GONE)
            && self.is(ProblemCode::NotFound)
    }

    fn fault(&self) -> CabinetFault {
        if self.is(ProblemCode::CursorInvalid) {
            return CabinetFault::CursorUnknown;
        }
        match self.status {
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => CabinetFault::Away,
            status if status.is_redirection() => CabinetFault::Away,
            _ => CabinetFault::Call,
        }
    }
}

impl From<Refusal> for CabinetError {
    fn from(refusal: Refusal) -> Self {
        Self {
            fault: refusal.fault(),
            detail: refusal.detail,
            retry_after: refusal.retry_after,
        }
    }
}

/// An error without a time to come again.
pub(super) fn error(detail: String) -> CabinetError {
    CabinetError {
        fault: CabinetFault::Call,
        detail,
        retry_after: None,
    }
}

/// No answer, or the answer broke off. The URL is left out; the chain of causes is kept.
pub(super) fn lost(failed: reqwest::Error) -> CabinetError {
    if let Some(reason) = local_fault::of_call(&failed) {
        return CabinetError {
            fault: CabinetFault::Local,
            ..error(reason)
        };
    }
    let failed = failed.without_url();
    let detail = if failed.is_timeout() {
        "no complete answer in time".to_owned()
    } else {
        with_causes(&failed)
    };
    CabinetError {
        fault: CabinetFault::Away,
        ..error(detail)
    }
}

/// Reads what an answer other than success says about itself.
pub(super) async fn refusal(answer: Response) -> Refusal {
    let status = answer.status();
    let retry_after =
        retry_after::read(answer.headers(), None).map(|wait| Purpose::Cabinet.bound(wait));
    let problem: Option<Problem> = match body(answer, MAX_PROBLEM_BYTES).await {
        Ok(body) => read_body(&body).ok(),
        Err(_) => None,
    };
    let code = problem.as_ref().map(|problem| problem.code.to_string());
    let said = problem.as_ref().map_or("", |problem| {
        if problem.detail.is_empty() {
            problem.title.as_str()
        } else {
            problem.detail.as_str()
        }
    });
    let meaning = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "it refuses our token; check it on both sides"
        }
        StatusCode::NOT_FOUND if code.as_deref() != Some(ProblemCode::NotFound.as_str()) => {
            "the server there is not a Cabinet; check the base URL and any proxy in front of it"
        }
        _ if status.is_redirection() => "it redirects, which is not followed; check the base URL",
        _ => "",
    };
    let mut detail = format!("status {}", status.as_u16());
    for part in [meaning, &shown(said, MAX_DETAIL_CHARS)] {
        if !part.is_empty() {
            detail.push_str(": ");
            detail.push_str(part);
        }
    }
    Refusal {
        code,
        detail,
        status,
        retry_after,
    }
}

/// Reads a JSON body of at most `limit` bytes.
pub(super) async fn json<T: DeserializeOwned>(
    answer: Response,
    limit: usize,
) -> Result<T, CabinetError> {
    let body = body(answer, limit).await?;
    read_body(&body).map_err(|cause| error(format!("the answer cannot be read: {cause}")))
}

async fn body(mut answer: Response, limit: usize) -> Result<Vec<u8>, CabinetError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > limit {
            return Err(error(format!("the answer is longer than {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
