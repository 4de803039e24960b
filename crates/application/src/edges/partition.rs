//! Which edges a call goes to, and how long an edge may take.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::edges::fleet;
use crate::ports::Edge;
use crate::ports::edge::EdgeError;
use crate::ports::store::StoreError;
use crate::service::Service;

/// Some edges.
pub(crate) type Edges = Vec<Arc<dyn Edge>>;

/// A call, for a quarter of the time that a step has: one that hangs must be noted before the step
/// is over.
pub(crate) async fn bounded<T>(
    service: &Service,
    edge: &Arc<dyn Edge>,
    call: impl Future<Output = Result<T, EdgeError>>,
) -> Result<T, EdgeError> {
    let bound = service
        .policy
        .lease
        .saturating_sub(service.policy.skew_allowance)
        / 4;
    let result = tokio::time::timeout(bound, call).await;
    result.unwrap_or_else(|_| {
        Err(EdgeError::Unreachable {
            edge: edge.name().to_owned(),
            detail: format!("no answer within {} s", bound.as_secs()),
        })
    })
}

/// The live edges; none while the store cannot be read.
pub(crate) async fn live(service: &Service) -> Edges {
    match partition_edges(service).await {
        Ok(EdgePartition { called, .. }) => called,
        Err(_) => Vec::new(),
    }
}

/// Whether every live edge says that its HAProxy works.
pub(crate) async fn all_work(service: &Service) -> bool {
    let edges = live(service).await;
    let checks = edges
        .iter()
        .map(|edge| bounded(service, edge, edge.check()));
    !edges.is_empty() && join_all(checks).await.iter().all(Result::is_ok)
}

/// Whether an edge of the fleet is unreachable, so that it may present anything.
pub(crate) async fn one_is_unreachable(service: &Service) -> Result<bool, StoreError> {
    let (now, grace) = (service.now(), service.policy.unreachable_grace);
    let known = service.store.edges().await?;
    let mut of_fleet = known.iter().filter(|edge| {
        edge.approved_at.is_some() && now.since(edge.listed_at) < fleet::FORGOTTEN_AFTER
    });
    Ok(of_fleet.any(|edge| !edge.reachability.is_live(now, grace)))
}

/// The edges of a step's calls.
pub(crate) struct EdgePartition {
    pub(crate) called: Edges,
    /// Edges that are unreachable, or that this process does not know (any more) and another one
    /// does, by name.
    pub(crate) unreachable: Vec<String>,
}

pub(crate) async fn partition_edges(service: &Service) -> Result<EdgePartition, StoreError> {
    let (now, grace) = (service.now(), service.policy.unreachable_grace);
    let known = service.store.edges().await?;
    let members = service.fleet.members();
    let is_live = |edge: &Arc<dyn Edge>| {
        let known = known.iter().find(|known| known.name == edge.name());
        known.is_none_or(|known| known.reachability.is_live(now, grace))
    };
    let (mut called, mut unreachable): (Edges, Edges) = members.iter().cloned().partition(is_live);
    if called.is_empty() {
        std::mem::swap(&mut called, &mut unreachable);
    }
    let mut unreachable: Vec<String> = unreachable
        .iter()
        .map(|edge| edge.name().to_owned())
        .collect();
    for known in known {
        let is_member = members.iter().any(|edge| edge.name() == known.name);
        // An edge without approval is not a member of the fleet.
        if !is_member
            && known.approved_at.is_some()
            && now.since(known.listed_at) < fleet::FORGOTTEN_AFTER
        {
            unreachable.push(known.name);
        }
    }
    Ok(EdgePartition {
        called,
        unreachable,
    })
}
