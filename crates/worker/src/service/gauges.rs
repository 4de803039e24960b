//! Keeps the gauges of the metrics up to date.

use std::time::Duration;

use dps_application::Service;
use dps_application::ports::store::StoreError;
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, LimitKind};
use dps_host::mutual_tls::ClientTls;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;

/// How often the gauges are brought up to date.
const GAUGE_PERIOD: Duration = Duration::from_secs(15);
/// Longer queues are reported as this long.
const MOST_COUNTED: u32 = 100_000;

/// Sets the gauges of what this process knows by itself.
fn show_known(service: &Service, agent_tls: Option<&ClientTls>, gauges: &Metrics) {
    gauges.resolvers(&service.resolvers.status());
    gauges.cabinet(&service.cabinet_health.status());
    if let Some(tls) = agent_tls {
        gauges.agent_tls_not_after(tls.state().expires_at);
    }
}

/// Keeps the gauges true without a query during a scrape.
pub(super) async fn refresh(
    service: Service,
    agent_tls: Option<ClientTls>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let (store, gauges) = (&service.store, &metrics);
    let refresh_all = async || -> Result<(), StoreError> {
        gauges.certificate_expiry(store.soonest_expiry().await?, service.now());
        gauges.orders_waiting(store.waiting(Lane::OrderQueue, MOST_COUNTED).await?);
        for kind in [LimitKind::NewOrders, LimitKind::NewAccounts] {
            let limit = service.limits.get(kind);
            if !limit.is_none() {
                let key = BucketKey::of_account(kind, service.ca.directory_url());
                let bucket = store.ledger_bucket(&key).await?;
                gauges.limit_remaining(kind, bucket.tokens(&limit, service.now()));
            }
        }
        gauges.outbox_reports(store.outbox_count(MOST_COUNTED).await?);
        gauges.outbox_waiting(store.outbox_oldest().await?, service.now());
        let members = service.fleet.members();
        let members: Vec<&str> = members.iter().map(|edge| edge.name()).collect();
        let grace = service.policy.unreachable_grace;
        gauges.edges(&members, &store.edges().await?, |reachability| {
            reachability.is_live(service.now(), grace)
        });
        for lane in Lane::ALL {
            let mut due = store.next_due(lane).await?;
            // Renewal information is polled beside the checks of live domains.
            if lane == Lane::Recheck {
                due = due
                    .into_iter()
                    .chain(store.renewal_info_next_due().await?)
                    .min();
            }
            gauges.oldest_due(lane, due, service.now());
        }
        Ok(())
    };
    loop {
        // First, so that an outage of the store does not stop them.
        show_known(&service, agent_tls.as_ref(), gauges);
        match refresh_all().await {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "metrics.not_refreshed"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(GAUGE_PERIOD) => {}
        }
    }
}
