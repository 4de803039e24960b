//! The certificate that HAProxy presents for a hostname.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use dps_agent_api::{Presented, ProblemCode};
use dps_domain::{Hostname, with_causes};

use super::App;
use super::document::ReadRefusals;
use super::problem::Rejection;

/// Makes a TLS handshake with HAProxy, and returns the certificate that it presents.
///
/// Nothing is changed. The certificate may be any, or none.
#[utoipa::path(get, path = "/internal/v1/handshakes/{hostname}", tag = "internal",
    operation_id = "observeHandshake", security(("token" = []), ("mutualTls" = [])),
    params(("hostname" = String, Path, description = "The hostname.", example = "shop.example.com")),
    responses((status = 200, description = "The presented certificate, or the reason why there is none.",
        body = Presented), ReadRefusals))]
pub(super) async fn observe(
    State(app): State<App>,
    hostname: Result<Path<String>, PathRejection>,
) -> Result<Json<Presented>, Rejection> {
    let Path(hostname) = hostname.map_err(|_| {
        Rejection::new(ProblemCode::RequestMalformed, "the path is not valid UTF-8")
    })?;
    let hostname = Hostname::parse(&hostname)?;
    // The semaphore is never closed.
    let _turn = app.probe_turns.acquire().await;
    Ok(Json(match app.prober.presented(&hostname).await {
        Ok(fingerprint) => Presented {
            fingerprint: Some(fingerprint),
            problem: None,
        },
        Err(error) => Presented {
            fingerprint: None,
            problem: Some(with_causes(&error)),
        },
    }))
}
