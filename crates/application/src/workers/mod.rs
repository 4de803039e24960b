//! The workers: one lease loop per pool of permits, the intake from the Cabinet and the reporter to it, two that look after the edges,
//! one that asks the CA when to renew, and housekeeping.

mod brake;
mod circuit;
mod count;
mod housekeeping;
mod intake;
mod lane;
mod names;
mod pace;
mod pool;
mod reconcile;
mod renewal_info;
mod reporter;
mod resync;
mod wakes;
mod watch;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::service::Service;

pub use brake::{approve as approve_removals, removals};
pub use housekeeping::{compact_limits, prune};
pub use intake::{Intake, IntakeError, take};
pub use lane::tick;
pub use reconcile::{CompareError, compare};
pub use renewal_info::poll_renewal_info;
pub use reporter::{Delivered, Reporter};
pub use resync::resync;
pub use watch::Watch;

/// Runs all workers until `shutdown`, then drains: leased steps are finished and their outcomes recorded.
pub async fn run(service: Service, shutdown: CancellationToken) {
    let service = Arc::new(service);
    let drained = CancellationToken::new();
    let announcer = tokio::spawn(wakes::announce(service.waker.clone(), drained.clone()));
    let mut workers = JoinSet::new();
    for pool in service.policy.pools() {
        workers.spawn(pool::run(Arc::clone(&service), pool, shutdown.clone()));
    }
    workers.spawn(intake::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(resync::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(watch::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(reconcile::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(renewal_info::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(housekeeping::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(wakes::listen(
        service.waker.clone(),
        Arc::clone(&service.randomness),
        shutdown.clone(),
    ));
    workers.spawn(reporter::run(Arc::clone(&service), shutdown));
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "worker.died");
        }
    }
    drained.cancel();
    if let Err(error) = announcer.await {
        tracing::error!(%error, "worker.died");
    }
}
