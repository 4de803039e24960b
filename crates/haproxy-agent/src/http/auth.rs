//! Who may give orders. Where there is no token, the TLS listener has seen to it that the caller is
//! the service.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dps_agent_api::ProblemCode;

use super::App;
use super::problem::Rejection;

pub(super) async fn require_token(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Response {
    let is_admitted = match &app.token {
        Some(guard) => guard.admits(request.headers(), request.extensions()).await,
        None => true,
    };
    if is_admitted {
        return next.run(request).await;
    }
    app.metrics.count_refused(ProblemCode::Unauthorized);
    Rejection::new(
        ProblemCode::Unauthorized,
        "send 'Authorization: Bearer <token>' with the token of Agent:Token",
    )
    .into_response()
}

/// For what is internal, on the listener that does not encrypt.
pub(super) async fn only_over_tls() -> Rejection {
    Rejection::new(
        ProblemCode::Unauthorized,
        "this agent accepts internal calls only over mutual TLS, at the address of Agent:Tls:Listen",
    )
}
