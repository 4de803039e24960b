//! The HTTP probe from this edge.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use dps_agent_api::{ChallengeToken, ProbeRequest, ProbeResult, ProblemCode};

use super::App;
use super::certificates::unreadable_body;
use super::document::ProbeRefusals;
use super::problem::{Rejection, read_json};

/// Longest expected answer, as that of a published challenge.
const MAX_EXPECTED_BYTES: usize = 512;

/// Fetches a token from an address, as a CA would, and returns the answer.
#[utoipa::path(post, path = "/internal/v1/probes", tag = "internal",
    operation_id = "probeName", security(("token" = []), ("mutualTls" = [])),
    request_body(content = ProbeRequest, description = "The name, and the address to connect to."),
    responses((status = 200, description = "The answer of the address.", body = ProbeResult),
        ProbeRefusals))]
pub(super) async fn probe(
    State(app): State<App>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<ProbeResult>, Rejection> {
    let request: ProbeRequest = read_json(&body.map_err(unreadable_body)?)?;
    let token = ChallengeToken::parse(&request.token).map_err(|error| {
        Rejection::new(ProblemCode::RequestMalformed, error.to_string()).at("token")
    })?;
    if request.expected.len() > MAX_EXPECTED_BYTES {
        let detail = format!("has more than {MAX_EXPECTED_BYTES} bytes");
        return Err(Rejection::new(ProblemCode::RequestMalformed, detail).at("expected"));
    }
    // The semaphore is never closed.
    let _turn = app.probe_turns.acquire().await;
    let answer = app
        .http_prober
        .probe(
            &request.hostname,
            request.address,
            token.as_str(),
            &request.expected,
        )
        .await;
    Ok(Json(answer.into()))
}
