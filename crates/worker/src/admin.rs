//! The admin API and the dashboard: a listener of its own, for the operator's people and programs.
//!
//! Every call needs a bearer token of section `Admin`, whose role decides what is allowed. A call
//! that acts is recorded with the name of the token's holder, and one on a domain also in its
//! history. Errors are problem documents (RFC 9457). Every request is bounded in size and time.

mod activity;
mod auth;
mod ca;
mod conditional;
mod diagnose;
mod document;
mod domains;
mod edges;
mod explain;
mod fleet;
mod idempotency;
mod issuance;
mod jobs;
mod limits;
mod pages;
mod params;
mod problem;
mod rates;
mod removals;
mod system;
mod tenants;
mod tokens;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use dps_admin_api::NO_SUCH_PATH;
use dps_application::ports::{CertificateAuthority, CertificateStore, Clock};
use dps_application::{Policy, Service};
use dps_domain::Timestamp;
use dps_host::TokenGuard;
use dps_host::http_server::{self, ServerLimits};
use dps_host::mutual_tls::{self, ServerTls};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::auth::Caller;
use self::problem::Refusal;
use self::rates::Rates;
use self::tokens::Tokens;
use crate::config::{AdminRole, Settings};
use crate::http::Readiness;
use crate::service::Front;
use crate::telemetry::Metrics;
use crate::wiring;

pub use self::document::openapi_document;
pub(crate) use self::tokens::is_missing;

/// Longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// Calls that work at once; others wait for their turn.
const MAX_CALLS: usize = 3;
/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// State that all handlers share.
pub(crate) struct App {
    settings: Settings,
    policy: Policy,
    store: Arc<dyn CertificateStore>,
    clock: Arc<dyn Clock>,
    guard: TokenGuard<Caller>,
    /// Whether callers come by TLS.
    is_encrypted: bool,
    /// Observes for a diagnosis.
    observer: Service,
    rates: Rates,
    process: Process,
    /// Permits for calls, which share the connections to the database with the workers.
    calls: Semaphore,
}

/// The parts of this process that the store does not know.
struct Process {
    replica: Arc<str>,
    ca: Arc<dyn CertificateAuthority>,
    readiness: Arc<Readiness>,
    metrics: Metrics,
    /// The key-encryption keys, the current one first.
    key_ids: Vec<String>,
}

impl App {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// An admin API that listens; [`Bound::run`] serves.
pub(crate) struct Bound {
    app: Arc<App>,
    tokens: Tokens,
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    /// Where it listens; the real port if port 0 was requested.
    pub(crate) address: SocketAddr,
}

/// Listens as section `Admin` says; `None` if the API is off.
pub(crate) fn bind(
    settings: &Settings,
    service: &Service,
    front: &Front,
) -> anyhow::Result<Option<Bound>> {
    let section = &settings.admin;
    if !section.is_on() {
        return Ok(None);
    }
    let mut tokens = Tokens::default();
    for problem in tokens.refresh(section) {
        tracing::warn!(%problem, "admin.token_unusable");
    }
    let guard = TokenGuard::of_holders("Admin:Tokens", tokens.holders());
    let tls = section.server_tls()?.map(Arc::new);
    let listener = http_server::listen(section.listen)
        .with_context(|| format!("Admin:Listen {} cannot be bound", section.listen))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "admin.listening");
    let process = Process {
        replica: Arc::clone(&service.replica),
        ca: Arc::clone(&service.ca),
        readiness: front.shared_readiness(),
        metrics: front.metrics.clone(),
        key_ids: wiring::open_vault(settings)?
            .key_ids()
            .map(ToString::to_string)
            .collect(),
    };
    let settings = settings.clone();
    Ok(Some(Bound {
        app: Arc::new(App {
            policy: settings.policy(),
            process,
            rates: Rates::new(&settings.admin),
            settings,
            store: Arc::clone(&service.store),
            clock: Arc::clone(&service.clock),
            guard,
            is_encrypted: tls.is_some(),
            observer: service.clone(),
            calls: Semaphore::new(MAX_CALLS),
        }),
        tokens,
        listener,
        tls,
        address,
    }))
}

impl Bound {
    /// Serves until `stop`, and follows changes of the token and certificate files.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let router = router(Arc::clone(&self.app));
        let limits = ServerLimits::default();
        let tokens = tokens::watch(&self.app, self.tokens, stop.clone());
        match self.tls {
            Some(tls) => {
                let files = Arc::clone(&tls);
                let files = mutual_tls::watch(move || files.refresh(), stop.clone());
                let server = http_server::serve_tls(self.listener, tls, router, limits, stop);
                tokio::join!(server, tokens, files);
            }
            None => {
                let server = http_server::serve(self.listener, router, limits, stop);
                tokio::join!(server, tokens);
            }
        }
    }
}

fn router(app: Arc<App>) -> Router {
    let guarded = |routes: OpenApiRouter<Arc<App>>, role: AdminRole| {
        let state = (Arc::clone(&app), role);
        Router::from(routes).layer(middleware::from_fn_with_state(state, auth::require))
    };
    let reads = viewer_routes().layer(middleware::from_fn(conditional::tag));
    guarded(reads, AdminRole::Viewer)
        .merge(guarded(operator_routes(), AdminRole::Operator))
        .merge(guarded(admin_routes(), AdminRole::Admin))
        .merge(Router::from(public_routes()))
        .merge(pages::routes(&app))
        .fallback(async || Refusal::not_found(NO_SUCH_PATH))
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(answer_in_time))
        .layer(CatchPanicLayer::custom(problem::after_panic))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            pages::for_browsers,
        ))
        .with_state(app)
}

fn viewer_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(fleet::list))
        .routes(routes!(fleet::count))
        .routes(routes!(fleet::show))
        .routes(routes!(explain::explain))
        .routes(routes!(fleet::survey))
        .routes(routes!(edges::list))
        .routes(routes!(limits::list))
        .routes(routes!(activity::list))
        .routes(routes!(issuance::show))
        .routes(routes!(tenants::list))
        .routes(routes!(tenants::show))
        .routes(routes!(ca::account))
        .routes(routes!(removals::show))
        .routes(routes!(system::show))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show))
        .routes(routes!(webhooks::list))
        .routes(routes!(domains::preview_revocation))
}

fn operator_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(domains::retry))
        .routes(routes!(domains::renew))
        .routes(routes!(domains::recheck))
        .routes(routes!(diagnose::diagnose_domain))
        .routes(routes!(jobs::preview))
        .routes(routes!(jobs::begin))
        .routes(routes!(jobs::cancel))
        .routes(routes!(issuance::pause))
        .routes(routes!(issuance::resume))
        .routes(routes!(issuance::pause_domain))
        .routes(routes!(issuance::resume_domain))
        .routes(routes!(limits::lift))
        .routes(routes!(edges::compare))
        .routes(routes!(removals::approve))
        .routes(routes!(webhooks::redeliver))
}

fn admin_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(edges::approve))
        .routes(routes!(domains::revoke))
}

fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(document::openapi))
}

async fn answer_in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => Refusal::timeout().into_response(),
    }
}
