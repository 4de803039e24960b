//! Certificates by their end.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use dps_application::survey;
use dps_dashboard::{EndingDay, Renewals, Section, Surveyed};
use dps_domain::lane::Lane;

use super::frame::Frame;
use super::rendered;
use crate::admin::App;
use crate::admin::fleet::{FleetQuery, page};
use crate::admin::problem::Refusal;
use crate::documents::{self, fleet};

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
    let survey = survey::kept(app.store.as_ref()).await?;
    let urgent = documents::queue(app.store.as_ref(), Lane::Urgent).await?;
    Ok(rendered(&Renewals {
        page: frame.within(Section::Renewals),
        ending,
        soonest,
        survey: survey.map(|survey| Surveyed {
            at: survey.ended_at,
            renewing: survey.renewing,
            ahead: survey.renewals_ahead.into(),
            fresh: survey.fresh,
            stale: survey.stale,
            overdue: survey.overdue,
            // The first three buckets are those of a tenth of the lifetime or less.
            late: survey.by_share[..3].iter().sum(),
            late_for_customers: survey.late_for_customers,
            late_paused: survey.late_paused,
        }),
        urgent,
    }))
}
