//! The edges.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use dps_admin_api::{ApproveRequest, Approved, CompareRequest, ComparisonDue, Edges};

use super::App;
use super::auth::Caller;
use super::params::{JsonBody, checked_reason};
use super::problem::{ActionRefusals, ReadRefusals, Refusal};
use crate::documents::edges::{self, EdgeError};

/// Lists all edges.
///
/// These are the edges that are or were in the fleet, and those that were found and wait for
/// approval.
#[utoipa::path(get, path = "/admin/v1/edges", tag = "viewer", operation_id = "listEdges",
    security(("token" = [])),
    responses((status = 200, description = "The edges, by name.", body = Edges), ReadRefusals))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Edges>, Refusal> {
    let configured = &app.settings.haproxy_agent;
    let items = edges::all(app.store.as_ref(), configured, app.now()).await?;
    Ok(Json(Edges { items }))
}

/// Approves an edge that was found by DNS.
///
/// The service sends it certificates after its next DNS lookup. An edge that was approved before
/// stays so.
#[utoipa::path(post, path = "/admin/v1/edges/approve", tag = "admin", operation_id = "approveEdge",
    security(("token" = [])),
    request_body(content = ApproveRequest, description = "The edge."),
    responses((status = 200, description = "The edge is approved.", body = Approved), ActionRefusals))]
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<ApproveRequest>,
) -> Result<Json<Approved>, Refusal> {
    Ok(Json(approve_edge(&app, &caller, &request).await?))
}

/// Makes the comparison of an edge with what it should hold due now.
///
/// The service sends it the certificates that it lacks.
#[utoipa::path(post, path = "/admin/v1/edges/compare", tag = "operator", operation_id = "compareEdge",
    security(("token" = [])),
    request_body(content = CompareRequest, description = "The edge."),
    responses((status = 200, description = "The comparison is due.", body = ComparisonDue), ActionRefusals))]
pub(super) async fn compare(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<CompareRequest>,
) -> Result<Json<ComparisonDue>, Refusal> {
    Ok(Json(compare_edge(&app, &caller, &request).await?))
}

/// Makes the comparison due, on behalf of a caller of the API or of a page.
pub(super) async fn compare_edge(
    app: &App,
    caller: &Caller,
    request: &CompareRequest,
) -> Result<ComparisonDue, Refusal> {
    let reason = checked_reason(request.reason.as_deref())?;
    let (store, configured) = (app.store.as_ref(), &app.settings.haproxy_agent);
    let who = caller.in_history();
    let author = (caller.requester(&who, reason), app.now());
    let due = edges::compare(store, configured, author, &request.name).await?;
    tracing::info!(edge = due.name, by = %who, reason, "admin.comparison_requested");
    Ok(due)
}

impl From<EdgeError> for Refusal {
    fn from(error: EdgeError) -> Self {
        match error {
            EdgeError::Operator(error) => error.into(),
            EdgeError::Unknown(_) => Self::not_found(error.to_string()),
            EdgeError::NotInFleet(_) => Self::conflict(error.to_string()),
        }
    }
}

/// Approves an edge, on behalf of a caller of the API or of a page.
pub(super) async fn approve_edge(
    app: &App,
    caller: &Caller,
    request: &ApproveRequest,
) -> Result<Approved, Refusal> {
    let reason = checked_reason(request.reason.as_deref())?;
    let (store, configured) = (app.store.as_ref(), &app.settings.haproxy_agent);
    let who = caller.in_history();
    let author = (caller.requester(&who, reason), app.now());
    let approved = edges::approve(store, configured, author, &request.name).await?;
    if approved.is_new {
        tracing::info!(edge = approved.name, by = %who, reason, "admin.edge_approved");
    }
    Ok(approved)
}
