//! Calls that act on one domain.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use dps_admin_api::{Acted, Action};
use dps_application::operator;
use dps_domain::record::DomainRecord;
use dps_domain::record::operator::Requester;

use super::App;
use super::auth::Caller;
use super::params::{JsonBody, PathHost, checked_reason};
use super::problem::{ActionRefusals, Refusal};

/// Makes the next step of a domain due now.
///
/// A domain that failed starts over. DNS and the HTTP probe are checked anew; limits of the CA stay
/// in force.
#[utoipa::path(post, path = "/admin/v1/domains/{host}/retry", tag = "operator",
    operation_id = "retryDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com")),
    request_body(content = Action, description = "The reason, if any."),
    responses((status = 200, description = "The step is due.", body = Acted), ActionRefusals))]
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    JsonBody(action): JsonBody<Action>,
) -> Result<Json<Acted>, Refusal> {
    let who = caller.in_history();
    let by = requester(&who, &action)?;
    let record = operator::retry(app.store.as_ref(), by, app.now(), &host).await?;
    tracing::info!(domain.hostname = %host, by = %who, "admin.retry_requested");
    Ok(Json(acted(&record)))
}

/// Begins the renewal of a live domain now.
///
/// The present certificate is served meanwhile.
#[utoipa::path(post, path = "/admin/v1/domains/{host}/renew", tag = "operator",
    operation_id = "renewDomain", security(("token" = [])),
    params(("host" = String, Path, description = "The hostname.", example = "shop.example.com")),
    request_body(content = Action, description = "The reason, if any."),
    responses((status = 200, description = "The renewal is due.", body = Acted), ActionRefusals))]
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    PathHost(host): PathHost,
    JsonBody(action): JsonBody<Action>,
) -> Result<Json<Acted>, Refusal> {
    let who = caller.in_history();
    let by = requester(&who, &action)?;
    let record = operator::renew(app.store.as_ref(), by, app.now(), &host).await?;
    tracing::info!(domain.hostname = %host, by = %who, "admin.renewal_requested");
    Ok(Json(acted(&record)))
}

fn requester<'a>(who: &'a str, action: &'a Action) -> Result<Requester<'a>, Refusal> {
    let reason = checked_reason(action.reason.as_deref())?;
    Ok(Requester { who, reason })
}

fn acted(record: &DomainRecord) -> Acted {
    Acted {
        hostname: record.hostname.to_string(),
        status: record.phase.status(),
        phase: record.phase.name().to_owned(),
        next_attempt_at: record.next_attempt_at,
    }
}
