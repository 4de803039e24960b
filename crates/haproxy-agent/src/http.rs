//! The agent's HTTP interface. `/internal/…` is for the service, which authenticates by the bearer
//! token, by its TLS certificate, or by both. HAProxy's backend requests the challenge path without
//! either.

mod auth;
mod certificates;
mod challenges;
mod document;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handshakes;
mod health;
mod probes;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use dps_agent_api::{MAX_BATCH_BYTES, ProblemCode};
use dps_domain::Timestamp;
use dps_host::TokenGuard;
use dps_host::mutual_tls::ServerTls;
use dps_http_probe::HttpProber;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::document::openapi_document;
use self::problem::Rejection;
use crate::challenges::Challenges;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::edge::{EdgeHandle, Shared};
use crate::handshake::Prober;
use crate::metrics::Metrics;

/// A chain of 64 KiB and a key of 16 KiB, as JSON strings.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The state of the handlers.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) edge: EdgeHandle,
    pub(crate) shared: Arc<Shared>,
    pub(crate) challenges: Arc<Challenges>,
    /// Where challenges are kept for the next start.
    pub(crate) disk: Disk,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started_at: Timestamp,
    /// The token that the service must show; `None` if the settings have none.
    pub(crate) token: Option<Arc<TokenGuard>>,
    /// With `Agent:Tls`.
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) request_timeout: Duration,
    pub(crate) http_prober: Arc<HttpProber>,
    /// Makes handshakes with HAProxy.
    pub(crate) prober: Prober,
    /// Bounds the probes and handshakes at once.
    pub(crate) probe_turns: Arc<Semaphore>,
}

/// Who comes in by a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The service among others: what is internal is answered to who proves to be the service.
    Service,
    /// Everybody, while the service has a listener of its own with mutual TLS: what is internal is
    /// answered to nobody.
    Public,
}

/// All routes.
pub(crate) fn router(app: App, door: Door) -> Router {
    let internal = match door {
        Door::Service => internal(&app),
        Door::Public => Router::new().route("/internal/{*path}", any(auth::only_over_tls)),
    };
    Router::new()
        .merge(internal)
        .merge(Router::from(public_routes()))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(app.clone(), limit_time))
        .with_state(app)
}

fn internal(app: &App) -> Router<App> {
    Router::from(internal_routes())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(app.clone(), auth::require_token))
}

fn internal_routes() -> OpenApiRouter<App> {
    let batch = OpenApiRouter::new().routes(routes!(certificates::apply_batch));
    OpenApiRouter::new()
        .routes(routes!(certificates::inventory))
        .routes(routes!(certificates::apply))
        .merge(batch.layer(DefaultBodyLimit::max(MAX_BATCH_BYTES)))
        .routes(routes!(certificates::remove))
        .routes(routes!(challenges::publish, challenges::withdraw))
        .routes(routes!(probes::probe))
        .routes(routes!(handshakes::observe))
}

fn public_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(challenges::answer))
        .routes(routes!(health::health))
        .routes(routes!(health::metrics))
        .routes(routes!(document::openapi))
}

async fn no_such_path() -> Rejection {
    Rejection::new(
        ProblemCode::NotFound,
        "no such path; /openapi.json lists the calls",
    )
}

async fn no_such_method(method: Method) -> Rejection {
    Rejection::new(
        ProblemCode::MethodNotAllowed,
        format!("this path does not support {method}"),
    )
}

async fn limit_time(State(app): State<App>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("no response within {:?}; try again", app.request_timeout);
            Rejection::new(ProblemCode::RequestTimeout, detail).into_response()
        }
    }
}
