//! The system.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dps_dashboard::{Section, SystemView};

use super::frame::Frame;
use super::rendered;
use crate::admin::App;
use crate::admin::problem::Refusal;
use crate::admin::system::shown;

/// Shows readiness, replicas, database, queues, tasks and keys.
pub(super) async fn show(State(app): State<Arc<App>>, frame: Frame) -> Result<Response, Refusal> {
    Ok(rendered(&SystemView {
        page: frame.within(Section::System),
        system: shown(&app).await?,
    }))
}
