//! The bearer token.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dps_agent_api::ProblemCode;

use super::App;
use super::problem::Rejection;

pub(super) async fn require_token(State(app): State<App>, request: Request, next: Next) -> Response {
    if app.token.is_in(request.headers()) {
        return next.run(request).await;
    }
    Rejection::new(
        ProblemCode::Unauthorized,
        "send 'Authorization: Bearer <token>' with the token of Agent:Token",
    )
    .into_response()
}
