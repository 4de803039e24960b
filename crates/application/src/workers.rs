//! The workers: one lease loop per pool of permits, intake and reporter for the Cabinet, and two
//! workers for the edges. Others poll `RenewalInfo`, prune rows and count the fleet.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ca::renewal_info;
use crate::cabinet::{feed, reporter, resync};
use crate::edges::{health, reconcile};
use crate::engine::{counting, jobs, pool, pruning, revocations, wake_relay};
use crate::service::Service;

pub use crate::ca::renewal_info::poll_renewal_info;
pub use crate::cabinet::align::align_domain;
pub use crate::cabinet::brake::{approve as approve_removals, removals};
pub use crate::cabinet::feed::Intake;
pub use crate::cabinet::polling::IntakeError;
pub use crate::cabinet::reporter::{Delivered, Reporter};
pub use crate::cabinet::resync::resync;
pub use crate::edges::health::Watch;
pub use crate::edges::reconcile::{CompareError, compare};
pub use crate::engine::counting::count_fleet;
pub use crate::engine::jobs::work_at_job;
pub use crate::engine::pruning::prune;
pub use crate::engine::revocations::work_at_revocation;
pub use crate::engine::run_step::tick;

/// Runs all workers until `shutdown`, then drains: leased steps are finished and their outcomes
/// recorded.
pub async fn run(service: Service, shutdown: CancellationToken) {
    let service = Arc::new(service);
    let drained = CancellationToken::new();
    let announcer = tokio::spawn(wake_relay::announce(service.waker.clone(), drained.clone()));
    let mut workers = JoinSet::new();
    for pool in service.policy.pools() {
        workers.spawn(pool::run(Arc::clone(&service), pool, shutdown.clone()));
    }
    workers.spawn(feed::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(resync::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(health::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(reconcile::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(renewal_info::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(pruning::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(jobs::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(revocations::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(counting::run(Arc::clone(&service), shutdown.clone()));
    workers.spawn(wake_relay::listen(
        service.waker.clone(),
        Arc::clone(&service.randomness),
        shutdown.clone(),
    ));
    workers.spawn(reporter::run(Arc::clone(&service), shutdown));
    while let Some(ended) = workers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "worker.panicked");
        }
    }
    drained.cancel();
    if let Err(error) = announcer.await {
        tracing::error!(%error, "worker.panicked");
    }
}
