//! Certificates by their end.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dps_dashboard::{EndingDay, Renewals, Section};

use super::frame::Frame;
use super::rendered;
use crate::admin::App;
use crate::admin::fleet::{FleetQuery, page};
use crate::admin::problem::Refusal;
use crate::cli::fleet;

/// Domains of the page.
const PAGE: u32 = 50;
/// The times within which certificates are counted.
const TIMES: [(&str, u32); 3] = [("1d", 1), ("3d", 3), ("7d", 7)];

/// Shows what ends soon.
pub(super) async fn show(State(app): State<Arc<App>>, frame: Frame) -> Result<Response, Refusal> {
    let mut ending = Vec::new();
    for (within, days) in TIMES {
        let found =
            fleet::expiring_at_least(app.store.as_ref(), app.now(), fleet::DAY * days).await?;
        ending.push(EndingDay {
            within,
            domains: found.domains,
            is_least: found.is_least,
        });
    }
    let wanted = FleetQuery {
        expires_within: Some("30d".to_owned()),
        limit: Some(PAGE),
        ..FleetQuery::default()
    };
    let soonest = page(&app, &wanted).await?;
    Ok(rendered(&Renewals {
        page: frame.within(Section::Renewals),
        ending,
        soonest,
    }))
}
