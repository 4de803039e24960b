//! Knows how the edges are: looks into the directory of edges, asks each how it is, and has one that was away caught up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::reachability::Reachability;
use dps_domain::{Timestamp, with_causes};
use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ports::Edge;
use crate::ports::edge::{EdgeError, EdgeHealth};
use crate::ports::fleet::{KnownEdge, comparison_chore};
use crate::ports::store::StoreError;
use crate::service::Service;

/// An edge that takes longer than this to say how it is, is not well.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is noted that an edge is still in the fleet.
const LISTED_EVERY: Duration = Duration::from_secs(60 * 60);
/// An edge that left the fleet so long ago is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Deployments forgotten in one transaction.
const BATCH: u32 = 500;
/// More challenges than can be under way at once.
const MAX_CHALLENGES: u32 = 2_000;

/// Looks after the edges until `shutdown`.
pub(super) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut watch = Watch::default();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            looked = watch.look(&service) => if let Err(error) = looked {
                tracing::warn!(error = %with_causes(&error), "edges.not_looked_after");
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(service.policy.fleet.check_interval) => {}
        }
    }
}

/// What this process remembers of the edges. The truth about them is in the store.
#[derive(Debug, Default)]
pub struct Watch {
    /// When each agent was started, as it said last.
    started: BTreeMap<String, Timestamp>,
    find_at: Option<Instant>,
    /// What was last said about a directory that does not answer, so that it is said once.
    directory_problem: Option<String>,
}

impl Watch {
    /// Looks once at the directory, if that is due, and at every edge.
    pub async fn look(&mut self, service: &Service) -> Result<(), StoreError> {
        let known = service.store.edges().await?;
        if self.find_at.is_none_or(|at| at <= Instant::now()) {
            self.find_at = Some(Instant::now() + service.policy.fleet.find_interval);
            self.find(service, &known).await;
        }
        let members = service.fleet.members();
        list(service, &known, &members).await?;
        let checks = members.iter().map(|edge| async {
            let check = tokio::time::timeout(PATIENCE, edge.check()).await;
            check.unwrap_or_else(|_| {
                Err(EdgeError::Unreachable {
                    edge: edge.name().to_owned(),
                    detail: "it does not say how it is".into(),
                })
            })
        });
        for (edge, check) in members.iter().zip(join_all(checks).await) {
            let reachability = known
                .iter()
                .find(|known| known.name == edge.name())
                .map(|known| known.reachability)
                .unwrap_or_default();
            match check {
                Ok(health) => {
                    self.answered(service, edge.as_ref(), reachability, health)
                        .await?;
                }
                Err(error) => failed(service, edge.name(), reachability, &error).await?,
            }
        }
        forget(service, &known, &members).await
    }

    async fn find(&mut self, service: &Service, known: &[KnownEdge]) {
        let now = service.now();
        let recent = known
            .iter()
            .filter(|known| now.since(known.listed_at) < 2 * LISTED_EVERY);
        let names: Vec<&str> = recent.map(|known| known.name.as_str()).collect();
        let problem = service
            .fleet
            .find(&names)
            .await
            .err()
            .map(|error| error.to_string());
        if let Some(problem) = problem
            .as_ref()
            .filter(|problem| Some(*problem) != self.directory_problem.as_ref())
        {
            tracing::error!(problem, edges = service.fleet.members().len(), "edges.not_found");
        }
        self.directory_problem = problem;
    }

    /// The edge is well. One that was silent, or whose agent has begun anew, may have lost what it had.
    async fn answered(
        &mut self,
        service: &Service,
        edge: &dyn Edge,
        reachability: Reachability,
        health: EdgeHealth,
    ) -> Result<(), StoreError> {
        let name = edge.name();
        let before = match health.started_at {
            Some(at) => self.started.insert(name.to_owned(), at),
            None => None,
        };
        let has_begun_anew = before.is_some_and(|before| Some(before) != health.started_at);
        if !reachability.is_silent() && !has_begun_anew {
            return Ok(());
        }
        // First the challenges: the CA may ask this edge for one as soon as it is believed to be back.
        if let Err(error) = republish(service, edge).await? {
            return failed(service, name, reachability, &error).await;
        }
        let now = service.now();
        let was_silent = service.store.edge_answered(name, now).await?;
        service.store.chore_call(&comparison_chore(name), now).await?;
        tracing::info!(edge = name, was_silent, has_begun_anew, "edge.answers");
        Ok(())
    }
}

/// Publishes every challenge that is under way at an edge that may have forgotten them.
async fn republish(service: &Service, edge: &dyn Edge) -> Result<Result<(), EdgeError>, StoreError> {
    for challenge in service.store.challenges(MAX_CHALLENGES).await? {
        let published = edge.publish_challenge(&challenge.token, &challenge.key_authorization);
        if let Err(error) = published.await {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

async fn failed(
    service: &Service,
    name: &str,
    reachability: Reachability,
    error: &EdgeError,
) -> Result<(), StoreError> {
    if reachability.is_silent() {
        return Ok(());
    }
    let (now, grace) = (service.now(), service.policy.unreachable_grace);
    let problem = error.to_string();
    let reachability = service.store.edge_failed(name, now, grace, &problem).await?;
    tracing::warn!(
        edge = name,
        problem,
        absent_from = reachability.absent_from(grace).map(|at| at.to_string()),
        "edge.does_not_answer"
    );
    Ok(())
}

/// Notes who is in the fleet. An edge that is new, or was gone for a while, is compared at once.
async fn list(service: &Service, known: &[KnownEdge], members: &[Arc<dyn Edge>]) -> Result<(), StoreError> {
    let now = service.now();
    let mut names = Vec::new();
    for edge in members {
        let listed_at = known
            .iter()
            .find(|known| known.name == edge.name())
            .map(|known| known.listed_at);
        if listed_at.is_none_or(|at| now.since(at) > 2 * LISTED_EVERY) {
            service
                .store
                .chore_call(&comparison_chore(edge.name()), now)
                .await?;
        }
        if listed_at.is_none_or(|at| now.since(at) > LISTED_EVERY) {
            names.push(edge.name().to_owned());
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    service.store.edges_listed(&names, now).await
}

/// Forgets edges that left the fleet long ago, a batch at a time.
async fn forget(service: &Service, known: &[KnownEdge], members: &[Arc<dyn Edge>]) -> Result<(), StoreError> {
    let now = service.now();
    for known in known {
        let is_member = members.iter().any(|edge| edge.name() == known.name);
        if !is_member && now.since(known.listed_at) > FORGOTTEN_AFTER {
            let forgotten = service.store.edge_forget(&known.name, BATCH).await?;
            if forgotten < u64::from(BATCH) {
                tracing::info!(edge = known.name, "edge.forgotten");
            }
        }
    }
    Ok(())
}
