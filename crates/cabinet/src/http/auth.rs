//! Tokens of the two parts of the API.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dps_cabinet_api::ProblemCode;
use dps_host::TokenGuard;

use super::App;
use crate::refusal::Refusal;

/// Requires the service's token.
pub(super) async fn service(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    require_token(&app.config.service_token, request, next).await
}

/// Requires the token of the platform's backend.
pub(super) async fn customer(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    require_token(&app.config.api_token, request, next).await
}

async fn require_token(guard: &TokenGuard, request: Request, next: Next) -> Response {
    if guard.admits(request.headers(), request.extensions()).await {
        return next.run(request).await;
    }
    let detail =
        "send the header \"Authorization: Bearer <token>\" with the token for this part of the API";
    Refusal::at(ProblemCode::Unauthorized, "Authorization", detail).into_response()
}
