//! The limits of the CA.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use dps_admin_api::{LiftRequest, Lifted, Limits};
use dps_application::operator;

use super::App;
use super::auth::Caller;
use super::params::{JsonBody, checked_reason};
use super::problem::{ActionRefusals, ReadRefusals, Refusal};
use crate::cli::limits;

/// Lists the limits of the configured CA that are used in part or waited for.
#[utoipa::path(get, path = "/admin/v1/limits", tag = "viewer", operation_id = "listLimits",
    security(("token" = [])),
    responses((status = 200, description = "The limits.", body = Limits), ReadRefusals))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Limits>, Refusal> {
    let ca = &app.settings.lets_encrypt;
    let items = limits::all(app.store.as_ref(), ca, app.now()).await?;
    Ok(Json(Limits { items }))
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
    Ok(Lifted {
        lifted: buckets,
        woken,
        is_complete: lifted.is_complete,
    })
}
