//! Calls to every live edge at once. Steps wait for an edge that fails until its grace ends. After
//! that, work continues without it, and it is brought up to date when it returns.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::{Failure, OrderId, Timestamp};
use futures_util::future::join_all;

use super::context::StepContext;
use crate::crash_point::{self, Effect};
use crate::edges::fleet::problem;
use crate::edges::partition::{EdgePartition, Edges, bounded, live, partition_edges};
use crate::ports::Edge;
use crate::ports::edge::{EdgeDisposition, EdgeError};
use crate::ports::metrics::LocalParty;
use crate::ports::store::{StoreError, StoredChallenge};
use crate::service::Service;
use dps_domain::outcome::{Outcome, Then};

/// How long an edge that is left out is given to take a challenge.
const BEST_EFFORT: Duration = Duration::from_millis(500);

/// The result of a call to every live edge.
pub(super) struct Reach {
    /// The edges that did it.
    pub(super) done: Edges,
    /// The edges that were left out.
    pub(super) unreachable: Vec<String>,
    /// Why it is not done everywhere where it must be.
    pub(super) failed: Option<Unreached>,
}

impl Reach {
    /// The names of the edges that did it.
    pub(super) fn names(&self) -> Vec<&str> {
        self.done.iter().map(|edge| edge.name()).collect()
    }
}

/// An edge that is waited for did not do its part.
#[derive(Debug)]
pub(super) struct Unreached {
    error: EdgeError,
    /// When it is waited for no longer.
    until: Option<Timestamp>,
}

impl Unreached {
    /// The step is tried again, at the latest when the edge is waited for no longer.
    pub(super) fn into_outcome(self, context: &StepContext<'_>) -> Outcome {
        if self.error.disposition() == EdgeDisposition::Local {
            return context.local_fault(LocalParty::Edge, self.error.detail());
        }
        let then = self.then();
        Outcome::failed(self.error.into(), then)
    }

    /// The error.
    pub(super) const fn error(&self) -> &EdgeError {
        &self.error
    }

    /// The consequence.
    pub(super) fn then(&self) -> Then {
        self.until.map_or(Then::Retry, Then::RetryBy)
    }

    /// As the catalogue calls it.
    pub(super) fn into_failure(self) -> Failure {
        self.error.into()
    }
}

/// Runs `call` at every live edge at once, and notes who did not do it. While no edge is live, all
/// are tried. If one edge refuses what another accepts, this counts as that edge's fault: steps
/// wait for it no longer than its grace.
pub(super) async fn reach<F, Fut>(service: &Service, call: F) -> Result<Reach, StoreError>
where
    F: Fn(Arc<dyn Edge>) -> Fut,
    Fut: Future<Output = Result<(), EdgeError>>,
{
    let EdgePartition {
        called,
        unreachable,
    } = partition_edges(service).await?;
    let mut reach = Reach {
        done: vec![],
        unreachable,
        failed: None,
    };
    let calls = called
        .iter()
        .map(|edge| bounded(service, edge, call(Arc::clone(edge))));
    let results = join_all(calls).await;
    let one_did_it = results.iter().any(Result::is_ok);
    let (now, grace) = (service.now(), service.policy.unreachable_grace);
    // Stands if there is no edge at all: the step is tried again by the end of the grace.
    let mut last = Unreached {
        error: EdgeError::Unreachable {
            edge: "none".into(),
            detail: "no edge is configured or found".into(),
        },
        until: Some(now + grace),
    };
    for (edge, result) in called.into_iter().zip(results) {
        let Err(error) = result else {
            reach.done.push(edge);
            continue;
        };
        let is_this_edges = match error.disposition() {
            EdgeDisposition::Unreachable => true,
            EdgeDisposition::Refused => one_did_it,
            EdgeDisposition::Superseded | EdgeDisposition::Local => false,
        };
        if !is_this_edges {
            reach.failed = Some(Unreached { error, until: None });
            continue;
        }
        let (name, problem) = (edge.name(), problem(&error));
        let reachability = service
            .store
            .edge_mark_failed(name, now, grace, &problem)
            .await?;
        match reachability.unreachable_from(grace) {
            Some(until) if until > now => {
                let until = Some(until);
                reach.failed = Some(Unreached { error, until });
            }
            Some(_) | None => {
                reach.unreachable.push(name.to_owned());
                last.error = error;
            }
        }
    }
    if reach.done.is_empty() && reach.failed.is_none() {
        reach.failed = Some(last);
    }
    Ok(reach)
}

/// Publishes a token at every live edge, each proven to answer it. An edge that is left out may
/// still answer on port 80. So it is sent the request as well, and not waited for. Returns
/// how many edges were left out.
pub(super) async fn publish(
    service: &Service,
    token: &str,
    key_authorization: &str,
) -> Result<Result<usize, Unreached>, StoreError> {
    let publish =
        |edge: Arc<dyn Edge>| async move { edge.publish_challenge(token, key_authorization).await };
    let EdgePartition { unreachable, .. } = partition_edges(service).await?;
    let members = service.fleet.members();
    let unreachable = members
        .iter()
        .filter(|edge| unreachable.iter().any(|name| name == edge.name()));
    let best_effort = join_all(unreachable.cloned().map(publish));
    let (reach, _) = tokio::join!(
        reach(service, publish),
        tokio::time::timeout(BEST_EFFORT, best_effort)
    );
    let reach = reach?;
    Ok(match reach.failed {
        Some(unreached) => Err(unreached),
        None => Ok(reach.unreachable.len()),
    })
}

/// Withdraws a token at every live edge. An edge that does not answer forgets the challenge after
/// its time to live, and this counts as no failure.
pub(super) async fn withdraw(service: &Service, token: &str) {
    let edges = live(service).await;
    let calls = edges
        .iter()
        .map(|edge| bounded(service, edge, edge.withdraw_challenge(token)));
    for result in join_all(calls).await {
        if let Err(error) = result {
            tracing::debug!(%error, "challenge.withdraw_failed");
        }
    }
}

/// Withdraws the challenge of an order, if there is one, and forgets it.
pub(super) async fn withdraw_of(service: &Service, order: OrderId) -> Result<(), StoreError> {
    if let Some(challenge) = service.store.challenge(order).await? {
        crash_point::before(Effect::ChallengeWithdraw);
        withdraw_stored(service, &challenge).await;
        crash_point::after(Effect::ChallengeWithdraw);
    }
    Ok(())
}

/// Withdraws an order's challenge and forgets it.
pub(super) async fn withdraw_stored(service: &Service, challenge: &StoredChallenge) {
    withdraw(service, &challenge.token).await;
    if let Err(error) = service.store.challenge_delete(challenge.order_id).await {
        tracing::debug!(%error, "challenge.delete_failed");
    }
}
