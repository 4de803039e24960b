//! Watches the edges: reads the directory of edges, checks the health of each, and brings one that
//! was unreachable up to date.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::reachability::Reachability;
use dps_domain::with_causes;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::edges::fleet;
use crate::outage::{Party, ended::ended};
use crate::ports::Edge;
use crate::ports::edge::{EdgeDisposition, EdgeError, EdgeHealth};
use crate::ports::fleet::KnownEdge;
use crate::ports::metrics::LocalParty;
use crate::ports::store::StoreError;
use crate::ports::store::comparison_task;
use crate::service::Service;

/// The longest time for the answer to a health check.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is noted that an edge is still in the fleet.
const LISTED_EVERY: Duration = Duration::from_secs(60 * 60);
/// Deployments forgotten in one transaction.
const BATCH: u32 = 500;
/// More challenges than can be under way at once.
const MAX_CHALLENGES: u32 = 2_000;
/// Challenges published at once at an edge that is back.
const AT_ONCE: usize = 16;

/// Watches the edges until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut watch = Watch::default();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            checked = watch.check_edges(&service) => if let Err(error) = checked {
                tracing::warn!(error = %with_causes(&error), "edges.check_failed");
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(service.policy.fleet.check_interval) => {}
        }
    }
}

/// The edges' state as this process remembers it. The truth about them is in the store.
#[derive(Debug, Default)]
pub struct Watch {
    /// The edges that were well at the last check, as they said.
    seen: BTreeMap<String, EdgeHealth>,
    find_at: Option<Instant>,
    /// The last logged problem of a directory, so that it is logged once.
    directory_problem: Option<String>,
    /// The edges that waited for approval at the last check, so that each is logged once.
    waiting: Arc<[String]>,
}

impl Watch {
    /// Reads the directory once, if that is due, and checks every edge.
    pub async fn check_edges(&mut self, service: &Service) -> Result<(), StoreError> {
        let known = service.store.edges().await?;
        if self.find_at.is_none_or(|at| at <= Instant::now()) {
            self.find_at = Some(Instant::now() + service.policy.fleet.find_interval);
            self.find(service, &known).await;
        }
        let members = service.fleet.members();
        list(service, &known, &members).await?;
        let mut checks = Vec::new();
        for edge in members.iter() {
            let known = known.iter().find(|known| known.name == edge.name());
            let reachability = known.map(|known| known.reachability).unwrap_or_default();
            let before = self.seen.get(edge.name()).copied();
            checks.push(check_edge(service, edge.as_ref(), reachability, before));
        }
        let mut seen = BTreeMap::new();
        for (edge, result) in members.iter().zip(join_all(checks).await) {
            match result {
                Ok(Some(health)) => {
                    seen.insert(edge.name().to_owned(), health);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(edge.name = edge.name(), error = %with_causes(&error), "edge.check_failed");
                }
            }
        }
        self.seen = seen;
        forget(service, &known, &members).await
    }

    async fn find(&mut self, service: &Service, known: &[KnownEdge]) {
        let since = service.now() - 2 * LISTED_EVERY;
        let found = service.fleet.find(known, since).await;
        let problem = found.err().map(|error| error.to_string());
        let waiting = service.fleet.waiting();
        for edge in waiting.iter().filter(|edge| !self.waiting.contains(edge)) {
            tracing::warn!(
                edge.name = edge,
                remedy = "approve it by `dps edges approve`, or allow it by \
                          HAProxyAgent:Discovery:AllowedSuffixes",
                "edge.awaits_approval"
            );
        }
        self.waiting = waiting;
        if let Some(problem) = problem
            .as_ref()
            .filter(|problem| Some(*problem) != self.directory_problem.as_ref())
        {
            tracing::error!(
                problem,
                edges = service.fleet.members().len(),
                "edges.not_found"
            );
        }
        self.directory_problem = problem;
    }
}

/// Asks an edge for its health; returns it if the edge is healthy and all follow-up work is done.
/// An edge may have lost certificates if it did not answer or its agent was restarted. The same
/// holds if this process has not seen it healthy before.
async fn check_edge(
    service: &Service,
    edge: &dyn Edge,
    reachability: Reachability,
    before: Option<EdgeHealth>,
) -> Result<Option<EdgeHealth>, StoreError> {
    let name = edge.name();
    let health = match within_timeout(name, edge.check()).await {
        Ok(health) => health,
        // Nothing was learned about the edge.
        Err(error) if error.disposition() == EdgeDisposition::Local => {
            service.local_fault(LocalParty::Edge, error.detail());
            return Ok(before);
        }
        Err(error) => {
            failed(service, name, reachability, &error).await?;
            return Ok(None);
        }
    };
    let is_known = before == Some(health);
    if is_known && reachability == Reachability::default() {
        return Ok(Some(health));
    }
    // First the challenges: the CA may fetch one from this edge as soon as it is believed to be
    // back.
    let republished = if is_known && !reachability.is_failing() {
        Ok(())
    } else {
        within_timeout(name, republish(service, edge)).await
    };
    if let Err(error) = republished {
        if error.disposition() == EdgeDisposition::Local {
            service.local_fault(LocalParty::Edge, error.detail());
            return Ok(None);
        }
        failed(service, name, reachability, &error).await?;
        return Ok(None);
    }
    let (now, grace) = (service.now(), service.policy.unreachable_grace);
    let stands = service.store.edge_mark_answered(name, now, grace).await?;
    if stands.is_failing() {
        // It is not believed yet.
        return Ok(None);
    }
    if !is_known || reachability.is_failing() {
        let task = comparison_task(name);
        service.store.periodic_make_due(&task, now).await?;
        if reachability.is_failing() {
            tracing::info!(edge.name = name, "edge.recovered");
        } else {
            // It is new, or its agent or HAProxy started.
            tracing::info!(edge.name = name, "edge.connected");
        }
        ended(service, Party::Edges);
    }
    Ok(Some(health))
}

/// Waits for an edge, within bounds.
async fn within_timeout<T>(
    name: &str,
    call: impl Future<Output = Result<T, EdgeError>>,
) -> Result<T, EdgeError> {
    let result = tokio::time::timeout(TIMEOUT, call).await;
    result.unwrap_or_else(|_| {
        Err(EdgeError::Unreachable {
            edge: name.to_owned(),
            detail: format!("it does not answer within {} s", TIMEOUT.as_secs()),
        })
    })
}

/// Publishes every challenge that is under way at an edge that may have forgotten them. A challenge
/// that it refuses does not exclude the edge.
async fn republish(service: &Service, edge: &dyn Edge) -> Result<(), EdgeError> {
    let challenges = match service.store.challenges(MAX_CHALLENGES).await {
        Ok(challenges) => challenges,
        Err(error) => {
            tracing::warn!(error = %with_causes(&error), "challenges.not_republished");
            return Ok(());
        }
    };
    let mut publish = Vec::new();
    for challenge in &challenges {
        publish.push(edge.publish_challenge(&challenge.token, &challenge.key_authorization));
    }
    let mut results = stream::iter(publish).buffer_unordered(AT_ONCE);
    while let Some(result) = results.next().await {
        match result {
            Err(error) if error.disposition().stops_all_calls() => return Err(error),
            Err(error) => {
                tracing::warn!(edge.name = edge.name(), %error, "challenge.not_republished");
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

async fn failed(
    service: &Service,
    name: &str,
    reachability: Reachability,
    error: &EdgeError,
) -> Result<(), StoreError> {
    if reachability.is_failing() {
        return Ok(());
    }
    let (now, grace) = (service.now(), service.policy.unreachable_grace);
    let problem = fleet::problem(error);
    let reachability = service
        .store
        .edge_mark_failed(name, now, grace, &problem)
        .await?;
    tracing::warn!(
        edge.name = name,
        problem,
        unreachable_from = reachability
            .unreachable_from(grace)
            .map(|at| at.to_string()),
        "edge.failing"
    );
    Ok(())
}

/// Notes who is in the fleet.
async fn list(
    service: &Service,
    known: &[KnownEdge],
    members: &[Arc<dyn Edge>],
) -> Result<(), StoreError> {
    let now = service.now();
    let mut names = Vec::new();
    for edge in members {
        let known = known.iter().find(|known| known.name == edge.name());
        let is_noted = |known: &KnownEdge| {
            known.approved_at.is_some() && now.since(known.listed_at) <= LISTED_EVERY
        };
        if !known.is_some_and(is_noted) {
            names.push(edge.name().to_owned());
        }
    }
    if !names.is_empty() {
        service.store.edges_put_listed(&names, now).await?;
    }
    let is_noted = |name: &String| {
        let known = known.iter().find(|known| known.name == *name);
        known.is_some_and(|known| now.since(known.listed_at) <= LISTED_EVERY)
    };
    let waiting = service.fleet.waiting();
    let found: Vec<String> = waiting
        .iter()
        .filter(|name| !is_noted(name))
        .cloned()
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    service.store.edges_put_found(&found, now).await
}

/// Forgets edges that left the fleet long ago, a batch at a time.
async fn forget(
    service: &Service,
    known: &[KnownEdge],
    members: &[Arc<dyn Edge>],
) -> Result<(), StoreError> {
    let now = service.now();
    for known in known {
        let is_member = members.iter().any(|edge| edge.name() == known.name);
        if !is_member && now.since(known.listed_at) > fleet::FORGOTTEN_AFTER {
            let forgotten = service.store.edge_forget(&known.name, BATCH).await?;
            if forgotten < u64::from(BATCH) {
                tracing::info!(edge.name = known.name, "edge.forgotten");
            }
        }
    }
    Ok(())
}
