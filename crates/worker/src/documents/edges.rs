//! The edges, and what an operator does with one.

use std::time::Duration;

use dps_admin_api::{Approved, ComparisonDue, Edge};
use dps_application::operator::{self, OperatorError};
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet::KnownEdge;
use dps_application::ports::store::StoreError;
use dps_domain::Timestamp;
use dps_domain::record::operator::Requester;

use crate::config::HAProxyAgent;

/// A service notes each hour which edges are in the fleet; one that was not noted for so long is
/// not.
const NOTED_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// Whether an edge has no part in the fleet any more: the configuration does not name it, and the
/// DNS does not either.
pub fn has_left(edge: &KnownEdge, configured: &HAProxyAgent, now: Timestamp) -> bool {
    if is_configured(&edge.name, configured) {
        return false;
    }
    // Without any URL this is `dps standalone`, whose agent is its own.
    let may_be_unnamed = configured.discovery.name.is_some() || configured.urls().is_empty();
    !may_be_unnamed || now.since(edge.listed_at) > NOTED_WITHIN
}

/// Whether the configuration names an edge.
fn is_configured(name: &str, configured: &HAProxyAgent) -> bool {
    let mut urls = configured.urls().into_iter();
    urls.any(|url| url.as_str().trim_end_matches('/') == name)
}

/// The state of an edge, in a word.
pub fn state_of(edge: &KnownEdge, configured: &HAProxyAgent, now: Timestamp) -> &'static str {
    if has_left(edge, configured, now) {
        return "no longer configured";
    }
    if edge.approved_at.is_none() {
        return "waits for approval";
    }
    let reachability = edge.reachability;
    match (
        reachability.unreachable_since,
        reachability.answered_again_at,
    ) {
        (None, _) => "answers",
        (Some(_), Some(_)) => "on probation",
        (Some(_), None) => "silent",
    }
}

/// Every edge as programs read it.
pub async fn all(
    store: &dyn CertificateStore,
    configured: &HAProxyAgent,
    now: Timestamp,
) -> Result<Vec<Edge>, StoreError> {
    let mut edges = Vec::new();
    for edge in store.edges().await? {
        let presents = store.edge_presents(&edge.name).await?;
        let state = state_of(&edge, configured, now);
        edges.push(wire(edge, presents, state));
    }
    Ok(edges)
}

/// Every edge with its state in a word. Unlike [`all`], it counts no certificate.
pub async fn states(
    store: &dyn CertificateStore,
    configured: &HAProxyAgent,
    now: Timestamp,
) -> Result<Vec<(KnownEdge, &'static str)>, StoreError> {
    let edges = store.edges().await?.into_iter();
    let state = |edge: &KnownEdge| state_of(edge, configured, now);
    Ok(edges
        .map(|edge| {
            let state = state(&edge);
            (edge, state)
        })
        .collect())
}

fn wire(edge: KnownEdge, presents: u64, state: &str) -> Edge {
    let compared = edge.compared;
    Edge {
        name: edge.name,
        state: state.to_owned(),
        approved_at: edge.approved_at,
        unreachable_since: edge.reachability.unreachable_since,
        answered_again_at: edge.reachability.answered_again_at,
        problem: edge.problem,
        presents,
        certificates: compared.map(|compared| compared.certificates),
        refused: compared.map(|compared| compared.refused),
        unknown: compared.map(|compared| compared.unknown),
        compared_at: compared.map(|compared| compared.at),
        first_seen_at: edge.first_seen_at,
        listed_at: edge.listed_at,
    }
}

/// The request about an edge cannot be granted.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// No edge has the name.
    #[error("the edge {0} is not known; `dps edges` lists the edges")]
    Unknown(String),
    /// It waits for approval or has left.
    #[error(
        "the edge {0} is not part of the fleet: it waits for approval, or is no longer configured"
    )]
    NotInFleet(String),
    /// The store.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

impl From<StoreError> for EdgeError {
    fn from(error: StoreError) -> Self {
        Self::Operator(error.into())
    }
}

/// Approves an edge that was found by DNS. One that takes part stays as it is.
pub async fn approve(
    store: &dyn CertificateStore,
    configured: &HAProxyAgent,
    (by, now): (Requester<'_>, Timestamp),
    url: &str,
) -> Result<Approved, EdgeError> {
    let name = url.trim_end_matches('/').to_owned();
    let known = store.edges().await?;
    let known = known.into_iter().find(|edge| edge.name == name);
    let approved_at = known.and_then(|edge| edge.approved_at);
    let is_new = approved_at.is_none() && !is_configured(&name, configured);
    if is_new && !operator::edges::approve(store, by, now, &name).await? {
        return Err(EdgeError::Unknown(name));
    }
    Ok(Approved {
        approved_at: approved_at.or(is_new.then_some(now)),
        is_new,
        name,
    })
}

/// Makes the comparison of an edge with what it should hold due now.
pub async fn compare(
    store: &dyn CertificateStore,
    configured: &HAProxyAgent,
    (by, now): (Requester<'_>, Timestamp),
    url: &str,
) -> Result<ComparisonDue, EdgeError> {
    let name = url.trim_end_matches('/').to_owned();
    let known = store.edges().await?;
    let Some(edge) = known.into_iter().find(|edge| edge.name == name) else {
        return Err(EdgeError::Unknown(name));
    };
    if edge.approved_at.is_none() || has_left(&edge, configured, now) {
        return Err(EdgeError::NotInFleet(name));
    }
    operator::edges::compare(store, by, now, &name).await?;
    Ok(ComparisonDue {
        due_at: now,
        compared_at: edge.compared.map(|compared| compared.at),
        name,
    })
}

#[cfg(test)]
mod tests {
    use dps_domain::reachability::Reachability;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn known(name: &str) -> KnownEdge {
        KnownEdge {
            name: name.to_owned(),
            reachability: Reachability::default(),
            problem: None,
            first_seen_at: NOW,
            listed_at: NOW,
            approved_at: Some(NOW),
            compared: None,
        }
    }

    #[test]
    fn an_edge_that_is_no_longer_configured_is_distinguished_from_one_that_waits_or_answers() {
        let mut configured = HAProxyAgent {
            base_urls: vec!["https://edge1.internal:9403".parse().unwrap()],
            ..HAProxyAgent::default()
        };
        let word = |edge: &KnownEdge, configured: &HAProxyAgent| state_of(edge, configured, NOW);
        assert_eq!(
            word(&known("https://edge1.internal:9403"), &configured),
            "answers"
        );
        let mut other = known("https://edge2.internal:9403");
        other.reachability = Reachability::default()
            .failed(NOW, NOTED_WITHIN)
            .answered(NOW, NOTED_WITHIN);
        assert_eq!(word(&other, &configured), "no longer configured");
        configured.discovery.name = Some("_agent._tcp.edges.internal".to_owned());
        assert_eq!(word(&other, &configured), "on probation");
        other.approved_at = None;
        assert_eq!(word(&other, &configured), "waits for approval");
        other.listed_at = NOW - 2 * NOTED_WITHIN;
        assert_eq!(word(&other, &configured), "no longer configured");
    }
}
