//! The brake on removals.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use dps_admin_api::{Action, Removals};
use dps_application::workers;

use super::App;
use super::auth::Caller;
use super::params::{JsonBody, checked_reason};
use super::problem::{ActionRefusals, ReadRefusals, Refusal};

/// Shows the removals of the present day, and whether more are let through.
#[utoipa::path(get, path = "/admin/v1/removals", tag = "viewer", operation_id = "showRemovals",
    security(("token" = [])),
    responses((status = 200, description = "The removals.", body = Removals), ReadRefusals))]
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<Removals>, Refusal> {
    Ok(Json(shown(&app).await?))
}

/// The removals of the present day.
pub(super) async fn shown(app: &App) -> Result<Removals, Refusal> {
    let (removed_today, approved_until) = workers::removals(app.store.as_ref(), app.now()).await?;
    Ok(Removals {
        removed_today,
        brake_percent: app.policy.removal_brake_percent,
        approved_until,
    })
}

/// Approves all removals for a day.
///
/// The service applies those that it held back.
#[utoipa::path(post, path = "/admin/v1/removals/approve", tag = "operator",
    operation_id = "approveRemovals", security(("token" = [])),
    request_body(content = Action, description = "The reason, if any."),
    responses((status = 200, description = "Removals are approved.", body = Removals), ActionRefusals))]
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    JsonBody(action): JsonBody<Action>,
) -> Result<Json<Removals>, Refusal> {
    approve_all(&app, &caller, action.reason.as_deref()).await?;
    Ok(Json(shown(&app).await?))
}

/// Approves all removals for a day, on behalf of a caller of the API or of a page.
pub(super) async fn approve_all(
    app: &App,
    caller: &Caller,
    reason: Option<&str>,
) -> Result<(), Refusal> {
    let (who, reason) = (caller.in_history(), checked_reason(reason)?);
    let (store, by) = (app.store.as_ref(), caller.requester(&who, reason));
    let until = workers::approve_removals(store, by, app.now()).await?;
    if until.is_none() {
        return Err(Refusal::conflict(
            "another process is changing the count of removals; try again",
        ));
    }
    tracing::info!(by = %who, reason, "admin.removals_approved");
    Ok(())
}
