//! Compares the certificates of each edge with the desired ones, and deploys those that it lacks.
//!
//! Each edge has a periodic task of its own, which one replica at a time runs. It is due when the
//! edge is new, after it was unreachable, after its agent restarted, and at every
//! `Workers:EdgeReconcile:Interval`. If the digests are equal, the comparison ends. Otherwise both
//! lists are read in order of their hostnames, and missing certificates are sent in batches at a
//! bounded rate. An interrupted comparison starts again; certificates already sent are equal then.

mod comparison;
mod held;
mod removal;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::backoff::{AROUND, spread};
use dps_domain::policy::Policy;
use dps_domain::{Timestamp, with_causes};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use self::comparison::{LEASE, compare_now};
use crate::edges::fleet;
use crate::ports::Edge;
use crate::ports::edge::EdgeDisposition;
use crate::ports::fleet::{Comparison, KnownEdge};
use crate::ports::metrics::LocalParty;
use crate::ports::store::{StoreError, comparison_task};
use crate::service::Service;

pub use self::comparison::CompareError;

/// The delay before an interrupted comparison is repeated.
const FAULT_PAUSE: Duration = Duration::from_secs(30);
/// Compares every edge when that is due, until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<String, AbortHandle> = BTreeMap::new();
    while !shutdown.is_cancelled() {
        while tasks.try_join_next().is_some() {}
        running.retain(|_, task| !task.is_finished());
        for edge in service.fleet.members().iter() {
            if !running.contains_key(edge.name()) {
                let (service, edge, shutdown) =
                    (Arc::clone(&service), Arc::clone(edge), shutdown.clone());
                let name = edge.name().to_owned();
                let task = tasks.spawn(async move {
                    if let Err(error) = compare(&service, edge.as_ref(), &shutdown).await {
                        tracing::warn!(edge.name = edge.name(), error = %with_causes(&error), "edge.not_compared");
                    }
                });
                running.insert(name, task);
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(service.policy.fleet.check_interval) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Compares an edge and sends it the certificates that it lacks. Returns `None` if that is not due,
/// another replica does it, or the edge is unreachable.
pub async fn compare(
    service: &Service,
    edge: &dyn Edge,
    shutdown: &CancellationToken,
) -> Result<Option<Comparison>, CompareError> {
    let (store, now) = (&service.store, service.now());
    let known = store.edges().await?;
    let known = known.iter().find(|known| known.name == edge.name());
    if known.is_some_and(|known| known.reachability.is_failing()) {
        return Ok(None);
    }
    let task = comparison_task(edge.name());
    let Some(lease) = store.periodic_acquire(&task, now, LEASE, now).await? else {
        return Ok(None);
    };
    match compare_now(service, edge, &lease, shutdown).await {
        Ok((comparison, differed)) => {
            store
                .edge_store_comparison(edge.name(), &comparison)
                .await?;
            let policy = &service.policy;
            let has_settled =
                !differed && known.is_some_and(|known| is_settled(known, policy, now));
            let interval = spread(policy.fleet.interval, AROUND, service.randomness.unit());
            let pause = if has_settled {
                interval
            } else {
                policy.lease + policy.fleet.find_interval
            };
            store
                .periodic_release(&lease, None, service.now() + pause)
                .await?;
            Ok(Some(comparison))
        }
        Err(CompareError::Store(StoreError::LeaseLost)) => Ok(None),
        Err(CompareError::Stopped) => {
            store.periodic_release(&lease, None, service.now()).await?;
            Ok(None)
        }
        Err(error) => {
            if let CompareError::Edge(problem) = &error {
                match problem.disposition() {
                    EdgeDisposition::Local => {
                        service.local_fault(LocalParty::Edge, problem.detail());
                    }
                    EdgeDisposition::Unreachable => {
                        let (now, grace) = (service.now(), service.policy.unreachable_grace);
                        store
                            .edge_mark_failed(edge.name(), now, grace, &fleet::problem(problem))
                            .await?;
                    }
                    EdgeDisposition::Refused | EdgeDisposition::Superseded => {}
                }
            }
            store
                .periodic_release(&lease, None, service.now() + FAULT_PAUSE)
                .await?;
            Err(error)
        }
    }
}

/// Whether no running step leaves the edge out any more. Steps that began before it returned do,
/// and steps of replicas that do not know it yet. Until then one comparison follows another.
fn is_settled(known: &KnownEdge, policy: &Policy, now: Timestamp) -> bool {
    let is_new = now.since(known.first_seen_at) < policy.lease + 2 * policy.fleet.find_interval;
    !is_new && known.reachability.answered_again_at.is_none()
}
