//! The overview.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use dps_application::ports::fleet::KnownEdge;
use dps_application::ports::fleet_view::FleetCounts;
use dps_dashboard::{EdgeState, Hour, Overview, Section};
use dps_domain::Status;

use super::frame::Frame;
use super::limits::headroom;
use super::rendered;
use crate::admin::App;
use crate::admin::problem::Refusal;
use crate::cli::{edges, fleet, issuance, limits};

/// The time of the curves.
const CURVES: Duration = Duration::from_secs(7 * 86_400);

/// Shows the fleet and what needs attention.
pub(super) async fn show(State(app): State<Arc<App>>, frame: Frame) -> Result<Response, Refusal> {
    let (store, now) = (app.store.as_ref(), app.now());
    let kept = fleet::kept(store, now, now - CURVES).await?;
    let edges = edges::states(store, &app.settings.haproxy_agent, now).await?;
    let limits = limits::of_account(store, &app.settings.lets_encrypt, now).await?;
    let mut pauses = store.pauses(None, 2).await?;
    let has_more_pauses = pauses.len() > 1;
    pauses.truncate(1);
    let pause = pauses.pop();
    let edge = |(edge, state): (KnownEdge, &'static str)| EdgeState {
        name: edge.name,
        state,
    };
    Ok(rendered(&Overview {
        page: frame.within(Section::Overview),
        fleet: kept.fleet,
        expiring_is_least: kept.expiring_is_least,
        pause: pause.map(issuance::wire),
        has_more_pauses,
        edges: edges.into_iter().map(edge).collect(),
        limits: limits.into_iter().map(headroom).collect(),
        hours: kept.hours.iter().map(hour).collect(),
    }))
}

fn hour(counts: &FleetCounts) -> Hour {
    let sum = |statuses: &[Status]| {
        let wanted = counts.counts.iter();
        let wanted = wanted.filter(|count| statuses.contains(&count.state.status));
        wanted.map(|count| count.domains).sum()
    };
    Hour {
        at: counts.counted_at,
        active: sum(&[Status::Active]),
        pending: sum(&[
            Status::PendingDns,
            Status::PendingHttpProbe,
            Status::Issuing,
        ]),
        failed: sum(&[Status::Failed]),
    }
}
