//! JSON bodies: bounded in size and time, and refused with the field's name.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use dps_cabinet_api::{CreateRequest, ProblemCode, StatusReport, limits};
use dps_domain::text::shown;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::refusal::Refusal;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a body that is too large is read and thrown away, so that its sender can read the
/// refusal.
const DRAIN_BYTES: usize = 1024 * 1024;
/// How much of the caller's own input a refusal repeats.
const SHOWN_CHARS: usize = 300;

/// A body of the contract.
pub(super) trait Contract: DeserializeOwned {
    /// Fields that must be there.
    const REQUIRED: &'static [&'static str];
}

impl Contract for CreateRequest {
    const REQUIRED: &'static [&'static str] = &["hostname", "tenantId"];
}

impl Contract for StatusReport {
    const REQUIRED: &'static [&'static str] = &["status"];
}

/// The body of a request, decoded.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: Contract, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let is_json = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                let media_type = value.split(';').next().unwrap_or_default().trim();
                media_type.eq_ignore_ascii_case("application/json")
            });
        if !is_json {
            let detail = "send the body as JSON, with Content-Type: application/json";
            return Err(Refusal::at(ProblemCode::MediaType, "Content-Type", detail));
        }
        let bytes = tokio::time::timeout(BODY_TIMEOUT, collect(request.into_body()))
            .await
            .map_err(|_| {
                Refusal::at(
                    ProblemCode::BodyTimeout,
                    "body",
                    "send the body without a pause",
                )
            })??;
        decode(&bytes).map(Self)
    }
}

async fn collect(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| invalid("the body was cut off"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.len());
        if seen <= limits::MAX_BODY_BYTES {
            bytes.extend_from_slice(&data);
        } else if seen > DRAIN_BYTES {
            break;
        }
    }
    if seen > limits::MAX_BODY_BYTES {
        let detail = format!("send at most {} bytes", limits::MAX_BODY_BYTES);
        return Err(Refusal::at(ProblemCode::BodyTooLarge, "body", detail));
    }
    Ok(bytes)
}

fn decode<T: Contract>(bytes: &[u8]) -> Result<T, Refusal> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| invalid(format!("the body is not valid JSON: {error}")))?;
    let Some(object) = value.as_object() else {
        return Err(invalid("send a JSON object"));
    };
    if let Some(missing) = T::REQUIRED.iter().find(|name| !object.contains_key(**name)) {
        return Err(Refusal::at(
            ProblemCode::FieldInvalid,
            missing,
            "this field is missing",
        ));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        Refusal::at(
            ProblemCode::FieldInvalid,
            &shown(&path, SHOWN_CHARS),
            shown(&error.into_inner().to_string(), SHOWN_CHARS),
        )
    })
}

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::at(ProblemCode::BodyInvalid, "body", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_repeats_no_control_character_of_the_caller() {
        let body = r#"{"status": "\u001b[2J\u0085Sideways"}"#;
        let refusal = decode::<StatusReport>(body.as_bytes()).unwrap_err();
        assert_eq!(refusal.problem.field.as_deref(), Some("status"));
        let detail = &refusal.problem.detail;
        assert!(detail.contains("[2JSideways"), "{detail:?}");
        assert!(!detail.contains(char::is_control), "{detail:?}");
    }
}
