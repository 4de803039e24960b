//! The limits of the CA.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};
use dps_admin_api::{LiftRequest, Lifted, Limits};
use dps_application::operator;
use serde::Deserialize;

use super::App;
use super::auth::Caller;
use super::params::{JsonBody, checked_reason, page_size, query};
use super::problem::{ActionRefusals, ReadRefusals, Refusal};
use crate::documents::limits;

/// The wanted page of limits.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct LimitsQuery {
    /// Limits at most, from 1 to 1000; 100 by default.
    pub(super) limit: Option<u32>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
}

/// Lists the limits of the configured CA that are used in part or waited for.
///
/// A page reads a bounded part of them, so it may be shorter than `limit`.
#[utoipa::path(get, path = "/admin/v1/limits", tag = "viewer", operation_id = "listLimits",
    security(("token" = [])), params(LimitsQuery),
    responses((status = 200, description = "A page of limits.", body = Limits), ReadRefusals))]
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<Limits>, Refusal> {
    let wanted: LimitsQuery = query(&uri)?;
    let limit = page_size(wanted.limit)?;
    let after = wanted.after.as_deref().unwrap_or_default();
    if after.contains('\0') {
        return Err(Refusal::field(
            "after",
            "copy it from the page before, or leave it out",
        ));
    }
    let ca = &app.settings.lets_encrypt;
    let page = limits::page(app.store.as_ref(), ca, app.now(), (after, limit)).await?;
    Ok(Json(limits::wire_page(page)))
}

/// Lifts a limit, of one name if one is given.
///
/// Waiting domains are due now. If the CA refuses a request again, they wait again. A call that is
/// not complete is completed by the same call again.
#[utoipa::path(post, path = "/admin/v1/limits/lift", tag = "operator", operation_id = "liftLimit",
    security(("token" = [])),
    request_body(content = LiftRequest, description = "The limit."),
    responses((status = 200, description = "The limit is lifted.", body = Lifted), ActionRefusals))]
pub(super) async fn lift(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<LiftRequest>,
) -> Result<Json<Lifted>, Refusal> {
    Ok(Json(lift_limit(&app, &caller, &request).await?))
}

/// Lifts a limit, on behalf of a caller of the API or of a page.
pub(super) async fn lift_limit(
    app: &App,
    caller: &Caller,
    request: &LiftRequest,
) -> Result<Lifted, Refusal> {
    let (kind, subject) = limits::parse(&request.limit, request.name.as_deref())
        .map_err(|error| Refusal::field(error.field, error.problem))?;
    let reason = checked_reason(request.reason.as_deref())?;
    let who = caller.in_history();
    let directory_url = app.settings.lets_encrypt.directory_url.as_str();
    let lifted = operator::limits::lift(
        app.store.as_ref(),
        (caller.requester(&who, reason), app.now()),
        directory_url,
        (kind, subject.as_deref()),
        &operator::in_time(),
    )
    .await?;
    let (buckets, woken) = (lifted.buckets.len(), lifted.woken);
    tracing::info!(limit = %kind, name = subject, buckets, woken, by = %who, reason, "admin.limit_lifted");
    Ok(limits::wire_lifted(&lifted))
}
