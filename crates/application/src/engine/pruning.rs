//! The periodic task that deletes rows which no step needs any more.
//!
//! One replica makes a pass at a time. A pass takes each kind of row in turn, batch after batch. A
//! crash loses nothing: what is left is still due, and the next replica begins with the same kind.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::backoff::{AROUND, spread};
use dps_domain::retention::Prunable;
use dps_domain::with_causes;
use tokio_util::sync::CancellationToken;

use crate::ports::store::{PeriodicTaskLease, PruneBatch, StoreError};
use crate::service::Service;

/// The task's name in the store.
const TASK: &str = "store.prune";
/// Time between two passes, and the time in which the first pass after an installation begins.
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Time between two checks whether a pass is due.
const CHECK_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Time after which another replica continues the pass of one that died. Each batch starts it anew.
const LEASE: Duration = Duration::from_secs(10 * 60);
/// Rows of one transaction: few enough to delay no other write.
const BATCH: u32 = 500;
/// Pause between two transactions.
const BATCH_PAUSE: Duration = Duration::from_millis(200);

/// Makes a pass whenever one is due, until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    // Replicas that start together do not all ask at once.
    let mut pause = CHECK_INTERVAL.mul_f64(service.randomness.unit());
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            made = prune(&service) => if let Err(error) = made {
                tracing::warn!(error = %with_causes(&error), "rows.not_pruned");
            }
        }
        pause = CHECK_INTERVAL;
    }
}

/// Makes a pass, or what is left of one, if it is due and no other replica makes it. Returns
/// whether it was made.
pub async fn prune(service: &Service) -> Result<bool, StoreError> {
    let (store, now) = (&service.store, service.now());
    let first = now + INTERVAL.mul_f64(service.randomness.unit());
    let Some(lease) = store.periodic_acquire(TASK, now, LEASE, first).await? else {
        return Ok(false);
    };
    let made = match pass(service, &lease).await {
        Err(StoreError::LeaseLost) => return Ok(false),
        made => made,
    };
    let due_at = service.now() + spread(INTERVAL, AROUND, service.randomness.unit());
    let released = store.periodic_release(&lease, None, due_at).await;
    made?;
    match released {
        Err(StoreError::LeaseLost) => Ok(false),
        released => released.map(|()| true),
    }
}

async fn pass(service: &Service, lease: &PeriodicTaskLease) -> Result<(), StoreError> {
    let begun = |kind: &Prunable| lease.progress.as_deref() == Some(kind.as_str());
    let first = Prunable::ALL.iter().position(begun).unwrap_or(0);
    for kind in &Prunable::ALL[first..] {
        let rows = prune_kind(service, lease, *kind).await?;
        if rows > 0 {
            tracing::info!(kind = kind.as_str(), rows, "rows.pruned");
        }
    }
    if let Err(error) = compact_limits(service, lease).await {
        if matches!(error, StoreError::LeaseLost) {
            return Err(error);
        }
        tracing::warn!(error = %with_causes(&error), "limits.not_compacted");
    }
    Ok(())
}

async fn prune_kind(
    service: &Service,
    lease: &PeriodicTaskLease,
    kind: Prunable,
) -> Result<u64, StoreError> {
    let now = service.now();
    let (mut rows, mut after) = (0, None);
    loop {
        extend(service, lease, kind.as_str()).await?;
        let batch = PruneBatch {
            kind,
            retention: &service.policy.retention,
            now,
            after: after.as_deref(),
            limit: BATCH,
        };
        let pruned = service.store.prune(&batch).await?;
        rows += pruned.rows;
        after = pruned.next;
        if after.is_none() {
            return Ok(rows);
        }
        tokio::time::sleep(BATCH_PAUSE).await;
    }
}

/// Lowers buckets of the CA's limits in which more is booked than issued certificates and waiting
/// domains account for.
async fn compact_limits(service: &Service, lease: &PeriodicTaskLease) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        extend(service, lease, "limits").await?;
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

async fn extend(
    service: &Service,
    lease: &PeriodicTaskLease,
    progress: &str,
) -> Result<(), StoreError> {
    let until = service.now() + LEASE;
    service.store.periodic_extend(lease, progress, until).await
}
