//! The tenants.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use dps_dashboard::{Section, TenantsView};
use serde::Deserialize;

use super::frame::Frame;
use super::rendered;
use crate::admin::App;
use crate::admin::problem::Refusal;
use crate::admin::tenants::{TenantsQuery, page};

/// Tenants of a page.
const PAGE: u32 = 50;

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    after: String,
}

/// Shows the first tenants, or those after a place.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let is_first = asked.after.is_empty();
    let wanted = TenantsQuery {
        limit: Some(PAGE),
        after: (!is_first).then_some(asked.after),
    };
    let tenants = match page(&app, &wanted).await {
        Ok(tenants) => Some(tenants),
        Err(refusal) => {
            // Only the place can be wrong, and the page says so.
            refusal.into_field()?;
            None
        }
    };
    let is_stale = tenants.is_none();
    let mut response = rendered(&TenantsView {
        page: frame.within(Section::Tenants),
        tenants,
        is_first,
    });
    if is_stale {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(response)
}
