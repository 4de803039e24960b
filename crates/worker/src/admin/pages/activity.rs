//! The record of operators' actions.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use dps_dashboard::{ActivityView, Section};
use serde::Deserialize;

use super::frame::Frame;
use super::rendered;
use crate::admin::App;
use crate::admin::activity::{ActivityQuery, page};
use crate::admin::problem::Refusal;

/// Actions of a page.
const PAGE: u32 = 50;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    before: String,
}

/// Shows the newest actions, or those before a place.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let is_first = asked.before.is_empty();
    let wanted = ActivityQuery {
        limit: Some(PAGE),
        before: (!is_first).then_some(asked.before),
    };
    let activities = match page(&app, &wanted).await {
        Ok(activities) => Some(activities),
        Err(refusal) => {
            // Only the place can be wrong, and the page says so.
            refusal.into_field()?;
            None
        }
    };
    let is_stale = activities.is_none();
    let mut response = rendered(&ActivityView {
        page: frame.within(Section::Activity),
        activities,
        is_first,
    });
    if is_stale {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(response)
}
