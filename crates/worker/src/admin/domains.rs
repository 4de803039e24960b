//! Calls that act on one domain.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};
use dps_admin_api::{Acted, Action, RevocationPreview, RevokeRequest};
use dps_application::operator::{self, OperatorError, Target, WhichClaim};
use dps_domain::DomainId;
use dps_domain::record::DomainRecord;
use dps_domain::record::operator::Requester;
use serde::Deserialize;

use super::App;
use super::auth::Caller;
use super::conditional::IfMatch;
use super::params::{ClaimQuery, JsonBody, PathHost, checked_reason, query, revocation_reason};
use super::problem::{ActionRefusals, AdminProblemDocument, FindRefusals, Refusal};
use crate::documents;

/// Makes the next step of a domain due now.
///
/// A domain that failed starts over. DNS and the HTTP probe are checked anew; limits of the CA stay
/// in force. A domain is checked at most once in 20 seconds. If several domains claim the hostname,
/// the refusal lists them.
#[utoipa::path(post, path = "/admin/v1/domains/{host}/retry", tag = "operator",
    operation_id = "retryDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the domain that was read."),
        ClaimQuery),
    request_body(content = Action, description = "The reason, if any."),
    responses((status = 200, description = "The step is due.", body = Acted), ActionRefusals))]
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    (if_match, uri): (IfMatch, Uri),
    JsonBody(action): JsonBody<Action>,
) -> Result<Json<Acted>, Refusal> {
    let (which, reason) = (query::<ClaimQuery>(&uri)?, action.reason.as_deref());
    let target = Target {
        claim: which.claim(),
        ..if_match.target(&host)
    };
    Ok(Json(retry_domain(&app, &caller, target, reason).await?))
}

/// Makes the next step due, on behalf of a caller of the API or of a page.
pub(super) async fn retry_domain(
    app: &App,
    caller: &Caller,
    target: Target<'_>,
    reason: Option<&str>,
) -> Result<Acted, Refusal> {
    let (store, now) = (app.store.as_ref(), app.now());
    let require = app.policy.ownership.require;
    let retry = async |by: Requester<'_>| operator::retry(store, by, now, target, require).await;
    let done = act(caller, reason, retry).await?;
    tracing::info!(domain.hostname = %target.hostname, by = %caller.in_history(), "admin.retry_requested");
    Ok(done)
}

/// Begins the renewal of a live domain now.
///
/// The present certificate is served meanwhile.
#[utoipa::path(post, path = "/admin/v1/domains/{host}/renew", tag = "operator",
    operation_id = "renewDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the domain that was read."),
        ClaimQuery),
    request_body(content = Action, description = "The reason, if any."),
    responses((status = 200, description = "The renewal is due.", body = Acted), ActionRefusals))]
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    (if_match, uri): (IfMatch, Uri),
    JsonBody(action): JsonBody<Action>,
) -> Result<Json<Acted>, Refusal> {
    let (which, reason) = (query::<ClaimQuery>(&uri)?, action.reason.as_deref());
    let target = Target {
        claim: which.claim(),
        ..if_match.target(&host)
    };
    Ok(Json(renew_domain(&app, &caller, target, reason).await?))
}

/// Makes the renewal due, on behalf of a caller of the API or of a page.
pub(super) async fn renew_domain(
    app: &App,
    caller: &Caller,
    target: Target<'_>,
    reason: Option<&str>,
) -> Result<Acted, Refusal> {
    let (store, now) = (app.store.as_ref(), app.now());
    let renew = async |by: Requester<'_>| operator::renew(store, by, now, target).await;
    let done = act(caller, reason, renew).await?;
    tracing::info!(domain.hostname = %target.hostname, by = %caller.in_history(), "admin.renewal_requested");
    Ok(done)
}

/// Checks now whether the DNS and CAA records of a live domain are still right.
///
/// The certificate and the time of its renewal stay as they are.
#[utoipa::path(post, path = "/admin/v1/domains/{host}/recheck", tag = "operator",
    operation_id = "recheckDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the domain that was read."),
        ClaimQuery),
    request_body(content = Action, description = "The reason, if any."),
    responses((status = 200, description = "The check is due.", body = Acted), ActionRefusals))]
pub(super) async fn recheck(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    (if_match, uri): (IfMatch, Uri),
    JsonBody(action): JsonBody<Action>,
) -> Result<Json<Acted>, Refusal> {
    let (which, reason) = (query::<ClaimQuery>(&uri)?, action.reason.as_deref());
    let target = Target {
        claim: which.claim(),
        ..if_match.target(&host)
    };
    Ok(Json(recheck_domain(&app, &caller, target, reason).await?))
}

/// Makes the check due, on behalf of a caller of the API or of a page.
pub(super) async fn recheck_domain(
    app: &App,
    caller: &Caller,
    target: Target<'_>,
    reason: Option<&str>,
) -> Result<Acted, Refusal> {
    let (store, now) = (app.store.as_ref(), app.now());
    let recheck = async |by: Requester<'_>| operator::recheck(store, by, now, target).await;
    let done = act(caller, reason, recheck).await?;
    tracing::info!(domain.hostname = %target.hostname, by = %caller.in_history(), "admin.recheck_requested");
    Ok(done)
}

/// Revokes the certificate of a domain at the CA.
///
/// A certificate that is served is replaced first, by one with a new key. It is waited for an
/// hour at most if its key is compromised, and 24 hours otherwise. A compromised key is erased as
/// soon as no live edge needs it. A revocation cannot be undone.
#[utoipa::path(post, path = "/admin/v1/domains/{host}/revoke", tag = "admin",
    operation_id = "revokeDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the domain that was read."),
        ClaimQuery),
    request_body(content = RevokeRequest, description = "The reason for the CA, and why."),
    responses((status = 200, description = "The revocation is requested.", body = Acted),
        ActionRefusals))]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    (if_match, uri): (IfMatch, Uri),
    JsonBody(request): JsonBody<RevokeRequest>,
) -> Result<Json<Acted>, Refusal> {
    let which = query::<ClaimQuery>(&uri)?;
    let target = Target {
        claim: which.claim(),
        ..if_match.target(&host)
    };
    let (store, now) = (app.store.as_ref(), app.now());
    let for_ca = revocation_reason(&request.revocation_reason)?;
    let revoke =
        async |by: Requester<'_>| operator::revoke::revoke(store, by, now, target, for_ca).await;
    let done = act(&caller, request.reason.as_deref(), revoke).await?;
    tracing::info!(
        domain.hostname = %host, reason = for_ca.as_str(), by = %caller.in_history(),
        "admin.revocation_requested"
    );
    Ok(Json(done))
}

/// The wanted preview of a revocation.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct RevocationQuery {
    /// The domain's identifier, where several claim the hostname.
    #[param(value_type = Option<Uuid>)]
    id: Option<DomainId>,
    /// The domain's tenant, where several claim the hostname.
    tenant: Option<String>,
    /// The reason for the CA: `key-compromise`, `superseded`, `cessation-of-operation` or
    /// `unspecified`.
    #[param(example = "superseded", required = true)]
    revocation_reason: String,
}

/// Shows the certificate that a revocation would be about.
///
/// The call is refused where the revocation would be.
#[utoipa::path(get, path = "/admin/v1/domains/{host}/revocation", tag = "viewer",
    operation_id = "previewRevocation", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com"),
        RevocationQuery),
    responses((status = 200, description = "The certificate.", body = RevocationPreview),
        (status = 409, description = "The state does not allow a revocation.",
            body = AdminProblemDocument, content_type = "application/problem+json"),
        FindRefusals))]
pub(super) async fn preview_revocation(
    State(app): State<Arc<App>>,
    PathHost(host): PathHost,
    uri: Uri,
) -> Result<Json<RevocationPreview>, Refusal> {
    let wanted: RevocationQuery = query(&uri)?;
    let target = Target {
        claim: WhichClaim {
            id: wanted.id,
            tenant: wanted.tenant.as_deref(),
        },
        ..Target::from(&host)
    };
    let for_ca = revocation_reason(&wanted.revocation_reason)?;
    let (store, now) = (app.store.as_ref(), app.now());
    let found = operator::revoke::preview(store, now, target, for_ca).await?;
    Ok(Json(documents::revocation(&found, for_ca)))
}

/// Acts as the caller, for the given reason.
async fn act(
    caller: &Caller,
    reason: Option<&str>,
    act: impl AsyncFnOnce(Requester<'_>) -> Result<DomainRecord, OperatorError>,
) -> Result<Acted, Refusal> {
    let (who, reason) = (caller.in_history(), checked_reason(reason)?);
    let record = act(caller.requester(&who, reason)).await?;
    Ok(documents::acted(&record))
}
