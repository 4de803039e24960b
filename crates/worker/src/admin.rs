//! The admin API and the dashboard: a listener of its own, for the operator's people and programs.
//!
//! Every call needs a bearer token of section `Admin`, whose role decides what is allowed. A call
//! that acts is recorded with the name of the token's holder, and one on a domain also in its
//! history. Errors are problem documents (RFC 9457). Every request is bounded in size and time.

mod activity;
mod auth;
mod diagnose;
mod domains;
mod edges;
mod explain;
mod fleet;
mod issuance;
mod limits;
mod pages;
mod params;
mod problem;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use dps_application::ports::{CertificateStore, Clock};
use dps_application::{Policy, Service};
use dps_domain::Timestamp;
use dps_host::TokenGuard;
use dps_host::http_server::{self, ServerLimits};
use dps_host::mutual_tls::{self, ServerTls};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{LicenseBuilder, OpenApi};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::auth::Caller;
use self::diagnose::Diagnoser;
use self::problem::{AdminProblemDocument, Refusal};
use self::tokens::Tokens;
use crate::config::{AdminRole, Settings};

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
    diagnoser: Diagnoser,
    /// Permits for calls, which share the connections to the database with the workers.
    calls: Semaphore,
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
pub(crate) fn bind(settings: &Settings, service: &Service) -> anyhow::Result<Option<Bound>> {
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
    let settings = settings.clone();
    Ok(Some(Bound {
        app: Arc::new(App {
            policy: settings.policy(),
            settings,
            store: Arc::clone(&service.store),
            clock: Arc::clone(&service.clock),
            guard,
            is_encrypted: tls.is_some(),
            diagnoser: Diagnoser::new(service.clone()),
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
    guarded(viewer_routes(), AdminRole::Viewer)
        .merge(guarded(operator_routes(), AdminRole::Operator))
        .merge(guarded(admin_routes(), AdminRole::Admin))
        .merge(Router::from(public_routes()))
        .merge(pages::routes(&app))
        .fallback(async || Refusal::not_found("there is nothing at this path"))
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
}

fn operator_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(domains::retry))
        .routes(routes!(domains::renew))
        .routes(routes!(domains::recheck))
        .routes(routes!(diagnose::diagnose_domain))
        .routes(routes!(issuance::pause))
        .routes(routes!(issuance::resume))
        .routes(routes!(issuance::pause_domain))
        .routes(routes!(issuance::resume_domain))
        .routes(routes!(limits::lift))
}

fn admin_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(edges::approve))
}

fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// Returns this document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getOpenApiDocument",
    tag = "public",
    responses((status = 200, description = "The OpenAPI document.", body = serde_json::Value))
)]
async fn openapi() -> Json<OpenApi> {
    Json(openapi_document())
}

/// Returns the `OpenAPI` document, as in `docs/openapi/admin-v1.json`.
pub fn openapi_document() -> OpenApi {
    let mut document = OpenApi::default();
    for routes in [
        viewer_routes(),
        operator_routes(),
        admin_routes(),
        public_routes(),
    ] {
        document.merge(routes.into_openapi());
    }
    "Admin API".clone_into(&mut document.info.title);
    "1".clone_into(&mut document.info.version);
    document.info.description = Some(
        "For the operator's people and programs. Every call needs a bearer token of the section Admin of the settings. \
         The role of the token is Viewer, Operator or Admin; each allows the calls of the roles before it. A call that \
         acts is recorded with the name of the token's holder, and one on a domain also in its history. Every refusal is a problem \
         document (RFC 9457) with a stable code. Clients ignore fields that they do not know."
            .to_owned(),
    );
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")));
    document.info.license = Some(license.build());
    let server = |url: &str, text: &str| {
        ServerBuilder::new()
            .url(url)
            .description(Some(text))
            .build()
    };
    document.servers = Some(vec![
        server("/", "The service that serves this document."),
        server("http://127.0.0.1:8082", "A service with default settings."),
    ]);
    let tags = [
        ("viewer", "Calls that change nothing."),
        ("operator", "Calls that act on domains, limits or issuance."),
        ("admin", "Calls that change who takes part."),
        ("public", "Calls without a token."),
    ];
    let tag = |(name, text)| TagBuilder::new().name(name).description(Some(text)).build();
    document.tags = Some(tags.map(tag).to_vec());
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("A token of Admin:Tokens.".to_owned());
    let components = document.components.get_or_insert_default();
    // Refusals refer to it by name, which registers no schema.
    components.schemas.insert(
        AdminProblemDocument::name().into_owned(),
        AdminProblemDocument::schema(),
    );
    components
        .security_schemes
        .insert("token".to_owned(), SecurityScheme::Http(bearer).into());
    document
}

async fn answer_in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => Refusal::timeout().into_response(),
    }
}
