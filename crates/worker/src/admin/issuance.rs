//! The pauses of issuance.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use dps_admin_api::{Action, Issuance, PauseRequest, PauseScopeName, Resumed};
use dps_application::operator::{self, Target, pauses};
use dps_cabinet_api::limits::MAX_TENANT_ID_BYTES;
use dps_domain::Hostname;
use dps_domain::pause::PauseScope;

use super::App;
use super::auth::Caller;
use super::conditional::IfMatch;
use super::explain::unknown;
use super::params::{JsonBody, PathHost, checked_reason};
use super::problem::{ActionRefusals, ReadRefusals, Refusal};
use crate::documents::issuance;

/// Shows the pauses of issuance, and what waits for their end.
#[utoipa::path(get, path = "/admin/v1/issuance", tag = "viewer", operation_id = "showIssuance",
    security(("token" = [])),
    responses((status = 200, description = "The pauses.", body = Issuance), ReadRefusals))]
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<Issuance>, Refusal> {
    Ok(Json(issuance::status(app.store.as_ref(), app.now()).await?))
}

/// Pauses issuance: for everything, a tenant or a hostname.
///
/// No order is placed for these domains, also not for an urgent renewal. Certificates that are
/// served stay. Orders already placed at the CA continue.
#[utoipa::path(post, path = "/admin/v1/issuance/pause", tag = "operator",
    operation_id = "pauseIssuance", security(("token" = [])),
    request_body(content = PauseRequest, description = "The domains."),
    responses((status = 200, description = "The pause is in force.", body = Issuance), ActionRefusals))]
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<PauseRequest>,
) -> Result<Json<Issuance>, Refusal> {
    begin_pause(&app, &caller, &request).await?;
    Ok(Json(issuance::status(app.store.as_ref(), app.now()).await?))
}

/// Pauses issuance, on behalf of a caller of the API or of a page.
pub(super) async fn begin_pause(
    app: &App,
    caller: &Caller,
    request: &PauseRequest,
) -> Result<(), Refusal> {
    begin(app, caller, &scope(request)?, request.reason.as_deref()).await
}

/// Ends a pause of issuance.
///
/// Orders that wait for it are due now. Those that another pause covers wait again. A call for a
/// scope that is not paused reaches orders that still wait, as after a call that was not complete.
#[utoipa::path(post, path = "/admin/v1/issuance/resume", tag = "operator",
    operation_id = "resumeIssuance", security(("token" = [])),
    request_body(content = PauseRequest, description = "The domains, as the pause names them."),
    responses((status = 200, description = "The pause has ended.", body = Resumed), ActionRefusals))]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<PauseRequest>,
) -> Result<Json<Resumed>, Refusal> {
    end_pause(&app, &caller, &request).await.map(Json)
}

/// Ends a pause, on behalf of a caller of the API or of a page.
pub(super) async fn end_pause(
    app: &App,
    caller: &Caller,
    request: &PauseRequest,
) -> Result<Resumed, Refusal> {
    end(app, caller, &scope(request)?, request.reason.as_deref()).await
}

/// Pauses issuance for one hostname.
#[utoipa::path(post, path = "/admin/v1/domains/{host}/pause", tag = "operator",
    operation_id = "pauseDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the domain that was read.")),
    request_body(content = Action, description = "The reason, if any."),
    responses((status = 200, description = "The pause is in force.", body = Issuance), ActionRefusals))]
pub(super) async fn pause_domain(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    if_match: IfMatch,
    JsonBody(action): JsonBody<Action>,
) -> Result<Json<Issuance>, Refusal> {
    check(&app, if_match.target(&host)).await?;
    let reason = action.reason.as_deref();
    begin(&app, &caller, &PauseScope::Domain(host), reason).await?;
    Ok(Json(issuance::status(app.store.as_ref(), app.now()).await?))
}

/// Ends the pause of issuance for one hostname.
#[utoipa::path(post, path = "/admin/v1/domains/{host}/resume", tag = "operator",
    operation_id = "resumeDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the domain that was read.")),
    request_body(content = Action, description = "The reason, if any."),
    responses((status = 200, description = "The pause has ended.", body = Resumed), ActionRefusals))]
pub(super) async fn resume_domain(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    if_match: IfMatch,
    JsonBody(action): JsonBody<Action>,
) -> Result<Json<Resumed>, Refusal> {
    check(&app, if_match.target(&host)).await?;
    let reason = action.reason.as_deref();
    end(&app, &caller, &PauseScope::Domain(host), reason)
        .await
        .map(Json)
}

/// Refuses a record that is not as the caller expects it. A pause is no part of the record.
async fn check(app: &App, target: Target<'_>) -> Result<(), Refusal> {
    if target.expected.is_none() {
        return Ok(());
    }
    let found = app.store.domain_by_hostname(target.hostname).await?;
    let found = found.ok_or_else(|| unknown(target.hostname))?;
    Ok(target.check(&found)?)
}

async fn begin(
    app: &App,
    caller: &Caller,
    scope: &PauseScope,
    reason: Option<&str>,
) -> Result<(), Refusal> {
    let (who, reason) = (caller.in_history(), checked_reason(reason)?);
    let by = caller.requester(&who, reason);
    Ok(pauses::pause(app.store.as_ref(), by, app.now(), scope).await?)
}

async fn end(
    app: &App,
    caller: &Caller,
    scope: &PauseScope,
    reason: Option<&str>,
) -> Result<Resumed, Refusal> {
    let (who, reason) = (caller.in_history(), checked_reason(reason)?);
    let by = caller.requester(&who, reason);
    let now = app.now();
    let done = pauses::resume(app.store.as_ref(), by, now, scope, &operator::in_time()).await?;
    Ok(Resumed {
        woken: done.woken,
        is_complete: done.is_complete,
    })
}

fn scope(request: &PauseRequest) -> Result<PauseScope, Refusal> {
    let refuse = |detail: &str| Err(Refusal::field("subject", detail));
    match (request.scope, request.subject.as_deref()) {
        (PauseScopeName::All, None) => Ok(PauseScope::All),
        (PauseScopeName::All, Some(_)) => refuse("is for a tenant or a domain; leave it out"),
        (PauseScopeName::Tenant, Some(tenant)) => {
            if tenant.is_empty()
                || tenant.len() > MAX_TENANT_ID_BYTES
                || tenant.contains(char::is_control)
            {
                return refuse("give a tenant of 1 to 200 bytes without control characters");
            }
            Ok(PauseScope::Tenant(tenant.to_owned()))
        }
        (PauseScopeName::Tenant, None) => refuse("give the tenant"),
        (PauseScopeName::Domain, Some(host)) => Hostname::parse(host)
            .map(PauseScope::Domain)
            .map_err(|error| Refusal::field("subject", error.to_string())),
        (PauseScopeName::Domain, None) => refuse("give the hostname"),
    }
}
