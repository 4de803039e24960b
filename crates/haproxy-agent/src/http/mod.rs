//! The agent's HTTP interface. `/internal/…` needs the bearer token; the challenge path is what HAProxy's backend asks for.

mod auth;
mod certificates;
mod challenges;
mod health;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use dps_agent_api::{CHALLENGE_PATH_PREFIX, ProblemCode};
use dps_host::BearerToken;

use crate::challenges::Challenges;
use crate::clock::Clock;
use crate::edge::{EdgeHandle, Shared};
use crate::metrics::Metrics;
use problem::Rejection;

/// A chain of 64 KiB and a key of 16 KiB, as JSON strings.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) edge: EdgeHandle,
    pub(crate) shared: Arc<Shared>,
    pub(crate) challenges: Arc<Challenges>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) token: BearerToken,
    pub(crate) request_timeout: Duration,
}

/// All routes.
pub(crate) fn router(app: App) -> Router {
    let internal = Router::new()
        .route("/internal/v1/certificates", get(certificates::inventory))
        .route("/internal/v1/certificates/apply", post(certificates::apply))
        .route(
            "/internal/v1/certificates/{hostname}",
            axum::routing::delete(certificates::remove),
        )
        .route(
            "/internal/v1/challenges/{token}",
            put(challenges::publish).delete(challenges::withdraw),
        )
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(app.clone(), auth::require_token));
    Router::new()
        .merge(internal)
        .route(
            &format!("{CHALLENGE_PATH_PREFIX}{{token}}"),
            get(challenges::answer),
        )
        .route("/health", get(health::health))
        .route("/metrics", get(health::metrics))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(app.clone(), limit_time))
        .with_state(app)
}

async fn no_such_path() -> Rejection {
    Rejection::new(
        ProblemCode::NotFound,
        "no such path; the calls are listed in the agent's documentation",
    )
}

async fn no_such_method(method: Method) -> Rejection {
    Rejection::new(
        ProblemCode::MethodNotAllowed,
        format!("{method} is not offered on this path"),
    )
}

async fn limit_time(State(app): State<App>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("no answer within {:?}; try again", app.request_timeout);
            Rejection::new(ProblemCode::RequestTimeout, detail).into_response()
        }
    }
}
