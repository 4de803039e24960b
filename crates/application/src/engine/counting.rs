//! The periodic task that counts the fleet by state. One replica counts at a time.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::with_causes;
use tokio_util::sync::CancellationToken;

use crate::ports::store::StoreError;
use crate::service::Service;

/// The task's name in the store.
const TASK: &str = "fleet.count";
/// Time between two counts, and between two checks whether one is due.
const INTERVAL: Duration = Duration::from_secs(60);
/// Time after which another replica counts in place of one that died.
const LEASE: Duration = Duration::from_secs(5 * 60);

/// Counts whenever it is due, until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            counted = count_fleet(&service) => if let Err(error) = counted {
                let retry_in_seconds = INTERVAL.as_secs();
                tracing::warn!(error = %with_causes(&error), retry_in_seconds, "fleet.not_counted");
            }
        }
    }
}

/// Counts the fleet and keeps the result, if that is due and no other replica does it. Returns
/// whether it was counted.
pub async fn count_fleet(service: &Service) -> Result<bool, StoreError> {
    let (store, now) = (&service.store, service.now());
    let Some(lease) = store.periodic_acquire(TASK, now, LEASE, now).await? else {
        return Ok(false);
    };
    let counted = store.fleet_counts_store(now).await;
    // Replicas check at this interval too. A count that is due earlier is found by the next check.
    let due_at = now + INTERVAL / 2;
    let released = store.periodic_release(&lease, None, due_at).await;
    counted?;
    match released {
        Err(StoreError::LeaseLost) => Ok(false),
        released => released.map(|()| true),
    }
}
