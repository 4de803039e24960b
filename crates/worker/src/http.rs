//! The service's own HTTP interface: health and metrics.
//!
//! | Path | Answer |
//! | --- | --- |
//! | `/health/live` | 200 as long as the process can answer at all |
//! | `/health/ready`, `/health` | 200 if every required check passes, else 503; the body names each check |
//! | `/metrics` | the metrics as `OpenMetrics` text |
//!
//! Errors are problem documents (RFC 9457). Every request is bounded in size and time.

pub mod health;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

pub use health::{HealthCheck, Readiness};
pub use problem::Problem;

use crate::telemetry::{self, Metrics};

/// Longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the interface shows.
#[derive(Clone)]
pub struct Surface {
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// What `/health` and `/health/ready` show.
    pub readiness: Arc<Readiness>,
}

/// The routes.
pub fn router(surface: Surface) -> Router {
    let routes = Router::new()
        .route("/health", get(health::ready))
        .route("/health/ready", get(health::ready))
        .route("/health/live", get(health::live))
        .route("/metrics", get(metrics))
        .with_state(surface);
    bounded(routes)
}

/// The same routes with bounds, and with problem documents for what no route answers.
fn bounded(routes: Router) -> Router {
    routes
        .fallback(async || Problem::NOT_FOUND)
        .method_not_allowed_fallback(async || Problem::METHOD_NOT_ALLOWED)
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn(problem::answer_in_time))
        .layer(CatchPanicLayer::custom(problem::after_panic))
}

async fn metrics(State(surface): State<Surface>) -> Result<impl IntoResponse, Problem> {
    let headers = [
        (CONTENT_TYPE, telemetry::CONTENT_TYPE),
        (CACHE_CONTROL, "no-store"),
    ];
    match surface.metrics.encode() {
        Ok(text) => Ok((headers, text)),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            Err(Problem::INTERNAL)
        }
    }
}

#[cfg(test)]
mod tests;
