//! The HTTP API: the calls of the service and those of the platform's backend.

mod auth;
mod body;
mod customer;
mod examples;
mod health;
mod internal;
mod params;
mod refusals;
mod reply;
mod setup;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use dps_cabinet_api::{ProblemCode, ProblemSchema};
use dps_host::TokenGuard;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{LicenseBuilder, OpenApi};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Ports;
use crate::names::NamePolicy;
use crate::refusal::Refusal;
use crate::settings::{Settings, SettingsError};
use crate::setup::SetupPage;
use crate::store::Store;

/// Timeout of a call, without the wait that it requested.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Configuration and ports of the handlers.
pub(crate) struct AppConfig {
    ports: Arc<Ports>,
    names: NamePolicy,
    service_token: TokenGuard,
    api_token: TokenGuard,
    retry_min_interval: Duration,
    max_domains_per_tenant: u32,
    allow_contested_claims: bool,
    max_creations_per_tenant_per_day: u32,
    max_retries_per_tenant_per_day: u32,
    /// The page for customers; `None` if it is off.
    setup: Option<SetupPage>,
    draining: CancellationToken,
}

impl AppConfig {
    pub(crate) fn new(
        settings: &Settings,
        ports: Arc<Ports>,
        draining: CancellationToken,
    ) -> Result<Self, SettingsError> {
        settings.exposure()?;
        settings.different_tokens()?;
        settings.own_targets()?;
        Ok(Self {
            ports,
            names: NamePolicy::new(settings)?,
            service_token: TokenGuard::new(
                "Cabinet:ServiceToken",
                &settings.resolved_service_token()?,
            ),
            api_token: TokenGuard::new("Cabinet:ApiToken", &settings.resolved_api_token()?),
            retry_min_interval: settings.retry_min_interval.get(),
            max_domains_per_tenant: settings.max_domains_per_tenant,
            allow_contested_claims: settings.allow_contested_claims,
            max_creations_per_tenant_per_day: settings.max_creations_per_tenant_per_day,
            max_retries_per_tenant_per_day: settings.max_retries_per_tenant_per_day,
            setup: settings.setup_page.checked()?.map(SetupPage::new),
            draining,
        })
    }
}

/// State that all handlers share.
pub(crate) struct App {
    config: AppConfig,
    store: Arc<Store>,
    /// Wakes the waiting calls of the change feed.
    changed: watch::Sender<()>,
}

type Shared = State<Arc<App>>;

impl App {
    pub(crate) fn new(config: AppConfig, store: Arc<Store>) -> Self {
        let (changed, _) = watch::channel(());
        Self {
            config,
            store,
            changed,
        }
    }
}

/// Returns all routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (public, internal, customer) = (public_routes(), internal_routes(), customer_routes());
    let internal = Router::from(internal).layer(middleware::from_fn_with_state(
        Arc::clone(&app),
        auth::service,
    ));
    let customer = Router::from(customer).layer(middleware::from_fn_with_state(
        Arc::clone(&app),
        auth::customer,
    ));
    Router::from(public)
        .merge(internal)
        .merge(customer)
        .merge(setup::routes(&app))
        .fallback(async || Refusal::new(ProblemCode::NotFound, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Refusal::new(
                ProblemCode::MethodNotAllowed,
                "this path does not support this method",
            )
        })
        .layer(middleware::from_fn(with_timeout))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(app)
}

fn internal_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(internal::list))
        .routes(routes!(internal::changes))
        .routes(routes!(internal::get))
        .routes(routes!(internal::report))
}

fn customer_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(customer::create, customer::list))
        .routes(routes!(customer::get, customer::remove))
        .routes(routes!(customer::retry))
}

fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::openapi))
}

/// Returns the `OpenAPI` document, as in `docs/openapi/cabinet-v1.json`.
pub fn openapi_document() -> OpenApi {
    let mut document = OpenApi::default();
    for routes in [internal_routes(), customer_routes(), public_routes()] {
        document.merge(routes.into_openapi());
    }
    "Cabinet API".clone_into(&mut document.info.title);
    "1".clone_into(&mut document.info.version);
    document.info.description = Some(
        "Source of truth for custom domains. The service calls only /internal/v1; a platform with its own Cabinet \
         implements that part. For the proof of ownership, it gives each domain an unguessable target of its own and \
         each tenant a stable tenantId, takes claims of several tenants to one hostname, gives a tenant that returns its \
         former target, and shows ownershipVerification and lastErrorMessage to the customer. \
         It keeps ownershipVerification and shows it in the answer to the report; the service warns if it does not. \
         /api/v1 is the customer API of the reference Cabinet. Every refusal is a problem document \
         (RFC 9457) with a stable code. Clients ignore fields that they do not know."
            .to_owned(),
    );
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")));
    document.info.license = Some(license.build());
    document.servers = Some(vec![
        ServerBuilder::new()
            .url("/")
            .description(Some("The Cabinet that serves this document."))
            .build(),
        ServerBuilder::new()
            .url("http://127.0.0.1:8081")
            .description(Some("The reference Cabinet with default settings."))
            .build(),
    ]);
    let tags = [
        ("internal", "Calls of the service."),
        (
            "customer",
            "Calls of the platform's backend on behalf of its customers.",
        ),
        ("public", "Calls without a token."),
    ];
    let tag = |(name, text)| TagBuilder::new().name(name).description(Some(text)).build();
    document.tags = Some(tags.map(tag).to_vec());
    let components = document.components.get_or_insert_default();
    // Refusals refer to it by name, which registers no schema.
    components
        .schemas
        .insert(ProblemSchema::name().into_owned(), ProblemSchema::schema());
    for (name, caller) in [
        ("serviceToken", "the service"),
        ("apiToken", "the platform's backend"),
    ] {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some(format!("The token of {caller}."));
        components
            .security_schemes
            .insert(name.to_owned(), SecurityScheme::Http(bearer).into());
    }
    document
}

/// Limits a call to `CALL_TIMEOUT`, plus the `wait` of the changes call.
async fn with_timeout(request: Request, next: Next) -> Response {
    let bound = CALL_TIMEOUT + internal::longest_wait(request.uri());
    match tokio::time::timeout(bound, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::new(ProblemCode::Timeout, "the request took too long; try again")
            .retry_after(Duration::from_secs(5))
            .into_response(),
    }
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    // The panic hook has logged the text, which is not for callers.
    Refusal::new(ProblemCode::Internal, "try again later").into_response()
}
