//! The edges.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use dps_admin_api::{ApproveRequest, CompareRequest};
use dps_application::ports::fleet::{Comparison, KnownEdge};
use dps_dashboard::{EdgeRow, EdgesView, Section};
use serde::Deserialize;

use super::frame::{Form, Frame};
use super::{rendered, see_other};
use crate::admin::App;
use crate::admin::auth::Caller;
use crate::admin::edges::{approve_edge, compare_edge};
use crate::admin::problem::Refusal;
use crate::documents::edges;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    done: String,
}

/// The form to approve or compare an edge.
#[derive(Debug, Deserialize)]
pub(super) struct Chosen {
    name: String,
}

/// Shows every edge with its last comparison.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let configured = &app.settings.haproxy_agent;
    let edges = edges::states(app.store.as_ref(), configured, app.now()).await?;
    Ok(rendered(&EdgesView {
        page: frame.within(Section::Edges),
        edges: edges.into_iter().map(row).collect(),
        is_approved: asked.done == "approve",
        is_compared: asked.done == "compare",
    }))
}

/// Lets an edge that was found take part.
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Chosen>,
) -> Result<Response, Refusal> {
    let request = ApproveRequest {
        name: form.name,
        reason: None,
    };
    approve_edge(&app, &caller, &request).await?;
    Ok(see_other("/edges?done=approve"))
}

/// Makes the comparison of an edge due.
pub(super) async fn compare(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Chosen>,
) -> Result<Response, Refusal> {
    let request = CompareRequest {
        name: form.name,
        reason: None,
    };
    compare_edge(&app, &caller, &request).await?;
    Ok(see_other("/edges?done=compare"))
}

fn row((edge, state): (KnownEdge, &'static str)) -> EdgeRow {
    let compared = edge.compared.as_ref();
    let number = |pick: fn(&Comparison) -> u64| compared.map(pick);
    EdgeRow {
        state,
        unreachable_since: edge.reachability.unreachable_since,
        expected: number(|compared| compared.certificates),
        refused: number(|compared| compared.refused),
        unknown: number(|compared| compared.unknown),
        compared_at: compared.map(|compared| compared.at),
        problem: edge.problem,
        name: edge.name,
    }
}
