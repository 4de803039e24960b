//! The overview.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet::KnownEdge;
use dps_application::ports::fleet_view::FleetCounts;
use dps_application::ports::store::StoreError;
use dps_application::survey::{self, Survey};
use dps_dashboard::{EdgeState, Hour, OrdersAhead, Overview, Section, TimeToActive};
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, LimitKind};
use dps_domain::{Status, Timestamp};

use super::frame::Frame;
use super::limits::headroom;
use super::rendered;
use crate::admin::App;
use crate::admin::problem::Refusal;
use crate::config::LetsEncrypt;
use crate::documents::{self, edges, fleet, issuance, limits};

/// The time of the curves.
const CURVES: Duration = Duration::from_secs(7 * 86_400);

/// Waiting orders that are counted.
const MOST_ORDERS: u32 = 10_000;

/// Shows the fleet and what needs attention.
pub(super) async fn show(State(app): State<Arc<App>>, frame: Frame) -> Result<Response, Refusal> {
    let (store, now) = (app.store.as_ref(), app.now());
    let kept = fleet::kept(store, now, now - CURVES).await?;
    let edges = edges::states(store, &app.settings.haproxy_agent, now).await?;
    let limits = limits::of_account(store, &app.settings.lets_encrypt, now).await?;
    let orders = orders_ahead(store, &app.settings.lets_encrypt, now).await?;
    let survey = survey::kept(store).await?;
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
        time_to_active: survey.as_ref().and_then(time_to_active),
        orders,
        queues: documents::queues(store).await?,
        replicas: documents::replicas(store, now).await?,
    }))
}

fn time_to_active(survey: &Survey) -> Option<TimeToActive> {
    Some(TimeToActive {
        at: survey.ended_at,
        domains: survey.first_served_count(),
        half: survey.time_to_active(500)?,
        nearly_all: survey.time_to_active(990)?,
    })
}

/// The first orders that wait for the CA's limit, and when it allows the last of them.
async fn orders_ahead(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
) -> Result<OrdersAhead, StoreError> {
    let limit = ca.effective_limits().get(LimitKind::NewOrders);
    let waiting = store.waiting(Lane::OrderQueue, MOST_ORDERS).await?;
    if limit.is_none() || waiting == 0 {
        return Ok(OrdersAhead {
            waiting,
            ..OrdersAhead::default()
        });
    }
    let key = BucketKey::of_account(LimitKind::NewOrders, ca.directory_url.as_str());
    let bucket = store.ledger_bucket(&key).await?;
    Ok(OrdersAhead {
        waiting,
        is_least: waiting >= MOST_ORDERS,
        last_at: Some(bucket.token_at(&limit, now, waiting)),
    })
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
