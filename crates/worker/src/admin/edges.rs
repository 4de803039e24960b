//! The edges.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use dps_admin_api::{ApproveRequest, Approved, CompareRequest, ComparisonDue, Edges};
use dps_application::operator;

use super::App;
use super::auth::Caller;
use super::params::{JsonBody, checked_reason};
use super::problem::{ActionRefusals, ReadRefusals, Refusal};
use crate::cli::edges;

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
    let name = request.name.trim_end_matches('/');
    let (store, now) = (app.store.as_ref(), app.now());
    let edge = store.edges().await?;
    let edge = edge
        .into_iter()
        .find(|edge| edge.name == name)
        .ok_or_else(unknown)?;
    if edge.approved_at.is_none() || edges::has_left(&edge, &app.settings.haproxy_agent, now) {
        return Err(Refusal::conflict(
            "the edge is not part of the fleet: it waits for approval, or is no longer configured",
        ));
    }
    let who = caller.in_history();
    operator::edges::compare(store, caller.requester(&who, reason), now, name).await?;
    tracing::info!(edge = name, by = %who, reason, "admin.comparison_requested");
    Ok(ComparisonDue {
        name: name.to_owned(),
        due_at: now,
        compared_at: edge.compared.map(|compared| compared.at),
    })
}

fn unknown() -> Refusal {
    Refusal::not_found("no edge has this name; GET /admin/v1/edges lists the edges")
}

/// Approves an edge, on behalf of a caller of the API or of a page.
pub(super) async fn approve_edge(
    app: &App,
    caller: &Caller,
    request: &ApproveRequest,
) -> Result<Approved, Refusal> {
    let reason = checked_reason(request.reason.as_deref())?;
    let name = request.name.trim_end_matches('/').to_owned();
    let known = app.store.edges().await?;
    let edge = known.into_iter().find(|edge| edge.name == name);
    let edge = edge.ok_or_else(unknown)?;
    let approved_at = match edge.approved_at {
        Some(at) => at,
        None => {
            let now = app.now();
            let who = caller.in_history();
            let by = caller.requester(&who, reason);
            if !operator::edges::approve(app.store.as_ref(), by, now, &name).await? {
                return Err(unknown());
            }
            tracing::info!(edge = name, by = %who, reason, "admin.edge_approved");
            now
        }
    };
    Ok(Approved { name, approved_at })
}
