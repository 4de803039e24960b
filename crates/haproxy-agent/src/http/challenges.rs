//! HTTP-01 challenges: published by the service, fetched by the CA.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use dps_agent_api::{ChallengePublication, ChallengeToken, ProblemCode};
use dps_domain::with_causes;
use tokio::time::Instant;

use super::App;
use super::certificates::unreadable_body;
use super::document::{PublishRefusals, ReadRefusals};
use super::problem::{Rejection, read_json};
use crate::challenges::ChallengeError;
use crate::disk::{Disk, DiskError, KeptChallenge};

/// Publishes the answer to an HTTP-01 challenge (RFC 8555 §8.3).
#[utoipa::path(put, path = "/internal/v1/challenges/{token}", tag = "internal",
    operation_id = "publishChallenge", security(("token" = []), ("mutualTls" = [])),
    params(("token" = String, Path, description = "The challenge token (RFC 8555 §8.3).", example = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0")),
    request_body(content = ChallengePublication, description = "The answer."),
    responses((status = 204, description = "The agent answers the challenge."), PublishRefusals))]
pub(super) async fn publish(
    State(app): State<App>,
    token: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Rejection> {
    let token = parse_token(token)?;
    let body: ChallengePublication = read_json(&body.map_err(unreadable_body)?)?;
    let kept = KeptChallenge {
        token: token.clone(),
        key_authorization: body.key_authorization.clone(),
        expires_at: app.clock.now() + app.challenges.ttl(),
    };
    let over = app
        .challenges
        .publish(token, body.key_authorization, Instant::now())
        .map_err(|error| match error {
            ChallengeError::KeyAuthorization => {
                Rejection::new(ProblemCode::RequestMalformed, error.to_string())
                    .at("keyAuthorization")
            }
            ChallengeError::Full => {
                Rejection::new(ProblemCode::CapacityExhausted, error.to_string())
            }
        })?;
    on_disk(&app, move |disk| {
        let forgotten = over
            .iter()
            .try_for_each(|token| disk.forget_challenge(token));
        disk.keep_challenge(&kept).and(forgotten)
    })
    .await;
    Ok(StatusCode::NO_CONTENT)
}

/// Withdraws the answer to a challenge.
#[utoipa::path(delete, path = "/internal/v1/challenges/{token}", tag = "internal",
    operation_id = "withdrawChallenge", security(("token" = []), ("mutualTls" = [])),
    params(("token" = String, Path, description = "The challenge token (RFC 8555 §8.3).", example = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0")),
    responses((status = 204, description = "The agent does not answer the challenge any more."),
        ReadRefusals))]
pub(super) async fn withdraw(
    State(app): State<App>,
    token: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Rejection> {
    let token = parse_token(token)?;
    app.challenges.withdraw(&token);
    on_disk(&app, move |disk| disk.forget_challenge(&token)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes what is kept for the next start. A disk that fails takes nothing from what is answered
/// now.
async fn on_disk(app: &App, change: impl FnOnce(&Disk) -> Result<(), DiskError> + Send + 'static) {
    let disk = app.disk.clone();
    match tokio::task::spawn_blocking(move || change(&disk)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %with_causes(&error), "challenge.not_kept"),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Answers a challenge for the CA, through HAProxy.
#[utoipa::path(get, path = "/.well-known/acme-challenge/{token}", tag = "public",
    operation_id = "getKeyAuthorization",
    params(("token" = String, Path, description = "The challenge token (RFC 8555 §8.3).", example = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0")),
    responses(
        (status = 200, description = "The key authorization (RFC 8555 §8.1).", body = String, content_type = "text/plain"),
        (status = 404, description = "The agent does not know the token.", body = String, content_type = "text/plain")))]
pub(super) async fn answer(
    State(app): State<App>,
    token: Result<Path<String>, PathRejection>,
) -> Response {
    let known = parse_token(token)
        .ok()
        .and_then(|token| app.challenges.answer(&token, Instant::now()));
    let headers = [
        (header::CONTENT_TYPE, "text/plain"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    match known {
        Some(key_authorization) => (headers, key_authorization).into_response(),
        None => (StatusCode::NOT_FOUND, headers, "unknown token\n").into_response(),
    }
}

fn parse_token(token: Result<Path<String>, PathRejection>) -> Result<ChallengeToken, Rejection> {
    let text = token.map_or_else(|_| String::new(), |Path(text)| text);
    ChallengeToken::parse(&text).map_err(|error| {
        Rejection::new(ProblemCode::RequestMalformed, error.to_string()).at("token")
    })
}
