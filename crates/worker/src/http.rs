//! The service's own HTTP interface: health and metrics.
//!
//! - `/health/live`: 200 from the start of the process to its end.
//! - `/health/ready`, `/health`: 200 if every required check passes, else 503. The body names each
//!   check, and to clients on this machine its details.
//! - `/metrics`: the metrics as Prometheus text, or as `OpenMetrics` text where the client prefers
//!   it.
//!
//! Errors are problem documents (RFC 9457). Every request is bounded in size and time.

pub mod health;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use dps_host::exposition;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

pub use health::{HealthCheck, Readiness};
pub use problem::ProblemCode;

use crate::telemetry::Metrics;

/// Longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The sources of the answers.
#[derive(Clone)]
pub struct Surface {
    /// The metrics of `/metrics`.
    pub metrics: Metrics,
    /// The checks of `/health` and `/health/ready`.
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
        .fallback(async || ProblemCode::NotFound)
        .method_not_allowed_fallback(async || ProblemCode::MethodNotAllowed)
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn(problem::answer_in_time))
        .layer(CatchPanicLayer::custom(problem::after_panic))
}

async fn metrics(
    State(surface): State<Surface>,
    headers: HeaderMap,
) -> Result<Response, ProblemCode> {
    match surface.metrics.encode() {
        Ok(text) => Ok(exposition::response(&headers, text)),
        Err(error) => {
            tracing::error!(%error, "metrics.encode_failed");
            Err(ProblemCode::Internal)
        }
    }
}

#[cfg(test)]
mod tests;
