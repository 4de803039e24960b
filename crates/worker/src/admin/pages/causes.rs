//! The causes of failures.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dps_dashboard::{Causes, Section};

use super::frame::Frame;
use super::rendered;
use crate::admin::App;
use crate::admin::problem::Refusal;
use crate::documents::fleet;

/// Shows every cause.
pub(super) async fn show(State(app): State<Arc<App>>, frame: Frame) -> Result<Response, Refusal> {
    let now = app.now();
    let kept = fleet::kept(app.store.as_ref(), now, now - fleet::COMPARED).await?;
    Ok(rendered(&Causes {
        page: frame.within(Section::Causes),
        fleet: kept.fleet,
    }))
}
