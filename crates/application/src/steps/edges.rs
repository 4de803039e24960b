//! What is done at every live edge at once. One that does not do its part is waited for until its grace is over; after that, work goes on
//! without it, and it is caught up when it returns.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::{Failure, Timestamp};
use futures_util::future::join_all;

use super::{Outcome, StepContext, Then};
use crate::ports::Edge;
use crate::ports::edge::EdgeError;
use crate::ports::store::{StoreError, StoredChallenge};
use crate::service::Service;

/// How long an edge that is left out is given to take a challenge.
const COURTESY: Duration = Duration::from_millis(500);

type Edges = Vec<Arc<dyn Edge>>;

/// What came of a call to every live edge.
pub(super) struct Reach {
    /// The edges that did it.
    pub(super) done: Edges,
    /// The edges that were left out.
    pub(super) absent: Vec<String>,
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
    pub(super) fn settle(self, context: &StepContext<'_>) -> Outcome {
        let then = self.then();
        context.failed(self.error.into(), then)
    }

    /// What went wrong.
    pub(super) const fn error(&self) -> &EdgeError {
        &self.error
    }

    /// What follows.
    pub(super) fn then(&self) -> Then {
        self.until.map_or(Then::Retry, Then::RetryBy)
    }

    /// As the catalogue calls it.
    pub(super) fn into_failure(self) -> Failure {
        self.error.into()
    }
}

/// Runs `call` at every live edge at once, and notes who could not be reached. While no edge is live, all are tried.
pub(super) async fn reach<F, Fut>(service: &Service, call: F) -> Result<Reach, StoreError>
where
    F: Fn(Arc<dyn Edge>) -> Fut,
    Fut: Future<Output = Result<(), EdgeError>>,
{
    let (now, grace) = (service.now(), service.policy.unreachable_grace);
    let (asked, left_out) = live(service).await?;
    let mut reach = Reach {
        done: vec![],
        absent: left_out.iter().map(|edge| edge.name().to_owned()).collect(),
        failed: None,
    };
    let mut last_error = EdgeError::Unreachable {
        edge: "none".into(),
        detail: "no edge is configured or found".into(),
    };
    let results = join_all(asked.iter().map(|edge| call(Arc::clone(edge)))).await;
    for (edge, result) in asked.into_iter().zip(results) {
        match result {
            Ok(()) => reach.done.push(edge),
            Err(error @ EdgeError::Unreachable { .. }) => {
                let (name, problem) = (edge.name(), error.to_string());
                let reachability = service.store.edge_failed(name, now, grace, &problem).await?;
                match reachability.absent_from(grace) {
                    Some(until) if until > now => {
                        reach.failed = Some(Unreached {
                            error,
                            until: Some(until),
                        });
                    }
                    Some(_) | None => {
                        reach.absent.push(name.to_owned());
                        last_error = error;
                    }
                }
            }
            Err(error) => reach.failed = Some(Unreached { error, until: None }),
        }
    }
    if reach.done.is_empty() && reach.failed.is_none() {
        reach.failed = Some(Unreached {
            error: last_error,
            until: None,
        });
    }
    Ok(reach)
}

/// The edges that are asked, and those that are left out.
async fn live(service: &Service) -> Result<(Edges, Edges), StoreError> {
    let (now, grace) = (service.now(), service.policy.unreachable_grace);
    let known = service.store.edges().await?;
    let is_live = |edge: &Arc<dyn Edge>| {
        let known = known.iter().find(|known| known.name == edge.name());
        known.is_none_or(|known| known.reachability.is_live(now, grace))
    };
    let (live, absent): (Edges, Edges) = service.fleet.members().iter().cloned().partition(is_live);
    Ok(if live.is_empty() {
        (absent, live)
    } else {
        (live, absent)
    })
}

/// Publishes a token at every live edge, each proven to answer it. An edge that is left out may answer on port 80 all the same, so it is told
/// as well, and not waited for. Answers how many edges were left out.
pub(super) async fn publish(
    service: &Service,
    token: &str,
    key_authorization: &str,
) -> Result<Result<usize, Unreached>, StoreError> {
    let publish = |edge: Arc<dyn Edge>| async move { edge.publish_challenge(token, key_authorization).await };
    let (_, left_out) = live(service).await?;
    let courtesy = join_all(left_out.into_iter().map(publish));
    let (reach, _) = tokio::join!(reach(service, publish), tokio::time::timeout(COURTESY, courtesy));
    let reach = reach?;
    Ok(match reach.failed {
        Some(unreached) => Err(unreached),
        None => Ok(reach.absent.len()),
    })
}

/// Withdraws a token at every live edge. One that does not answer forgets it by its own time to live, and nothing is held against it.
pub(super) async fn withdraw(service: &Service, token: &str) {
    let Ok((live, _)) = live(service).await else {
        return;
    };
    for result in join_all(live.iter().map(|edge| edge.withdraw_challenge(token))).await {
        if let Err(error) = result {
            tracing::debug!(%error, "challenge.withdraw_failed");
        }
    }
}

/// Withdraws an order's challenge and forgets it.
pub(super) async fn withdraw_stored(service: &Service, challenge: &StoredChallenge) {
    withdraw(service, &challenge.token).await;
    if let Err(error) = service.store.challenge_delete(challenge.order_id).await {
        tracing::debug!(%error, "challenge.delete_failed");
    }
}
