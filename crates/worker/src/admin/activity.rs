//! The record of operators' actions.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use dps_admin_api::Activities;
use dps_domain::ActionId;
use serde::Deserialize;

use super::App;
use super::params::{page_size, query};
use super::problem::{ReadRefusals, Refusal};
use crate::documents::activity;

/// The wanted page of actions.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ActivityQuery {
    /// Actions at most, from 1 to 1000; 100 by default.
    pub(super) limit: Option<u32>,
    /// `next` of the page before.
    pub(super) before: Option<String>,
}

/// Lists the actions of operators, the newest first.
///
/// Actions are kept for 400 days.
#[utoipa::path(get, path = "/admin/v1/activity", tag = "viewer", operation_id = "listActivity",
    security(("token" = [])), params(ActivityQuery),
    responses((status = 200, description = "A page of actions.", body = Activities), ReadRefusals))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Json<Activities>, Refusal> {
    let wanted: ActivityQuery = query(&uri)?;
    Ok(Json(page(&app, &wanted).await?))
}

/// A page of actions.
pub(super) async fn page(app: &App, wanted: &ActivityQuery) -> Result<Activities, Refusal> {
    let limit = page_size(wanted.limit)?;
    let before = wanted.before.as_deref().map(str::parse::<ActionId>);
    let before = before
        .transpose()
        .map_err(|_| Refusal::field("before", "copy it from the page before, or leave it out"))?;
    Ok(activity::page(app.store.as_ref(), before, limit).await?)
}
