//! Who may call which side.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dps_cabinet_api::ProblemCode;
use dps_host::TokenGuard;

use super::App;
use crate::refusal::Refusal;

/// Lets the service pass.
pub(super) async fn service(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    pass(&app.draft.service_token, request, next).await
}

/// Lets the platform's own backend pass.
pub(super) async fn customer(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    pass(&app.draft.api_token, request, next).await
}

async fn pass(guard: &TokenGuard, request: Request, next: Next) -> Response {
    if guard.admits(request.headers(), request.extensions()).await {
        return next.run(request).await;
    }
    let detail =
        "send the header \"Authorization: Bearer <token>\" with the token for this part of the API";
    Refusal::at(ProblemCode::Unauthorized, "Authorization", detail).into_response()
}
