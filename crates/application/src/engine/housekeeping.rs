//! Forgets what is too old to be of use.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::with_causes;
use tokio_util::sync::CancellationToken;

use crate::ports::store::StoreError;
use crate::service::Service;

/// Between two rounds. Replicas that do the same at the same time take other rows.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Lines dropped in one transaction: short enough to delay no other write.
const BATCH: u32 = 500;
/// Between two transactions.
const BATCH_PAUSE: Duration = Duration::from_millis(200);

/// Prunes the histories every hour, at another minute in each process, until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut pause = INTERVAL.mul_f64(service.randomness.unit());
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match prune(&service).await {
            Ok(pruned) if pruned >= u64::from(BATCH) => BATCH_PAUSE,
            Ok(_) => {
                if let Err(error) = compact_limits(&service).await {
                    tracing::warn!(error = %with_causes(&error), "limits.not_compacted");
                }
                INTERVAL
            }
            Err(error) => {
                tracing::warn!(error = %with_causes(&error), "history.not_pruned");
                INTERVAL
            }
        };
    }
}

/// Deletes one batch each of old history lines, of full buckets, and of keys of superseded
/// certificates. Returns the size of the largest batch.
pub async fn prune(service: &Service) -> Result<u64, StoreError> {
    let now = service.now();
    let lines = service.store.events_prune(now, BATCH).await?;
    let buckets = service.store.ledger_prune(now, BATCH).await?;
    let keys = service.store.certificate_keys_prune(now, BATCH).await?;
    Ok(lines.max(buckets).max(keys))
}

/// Lowers buckets of the CA's limits in which more is booked than issued certificates and waiting
/// domains account for.
pub async fn compact_limits(service: &Service) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let (store, now) = (&service.store, service.now());
        after = store
            .ledger_compact(&service.limits, now, after.as_ref(), BATCH)
            .await?;
        if after.is_none() {
            return Ok(());
        }
        tokio::time::sleep(BATCH_PAUSE).await;
    }
}
