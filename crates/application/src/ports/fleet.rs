//! The edges in the CertificateStore: their names, their reachability, and the result of their last
//! comparison.

use std::time::Duration;

use async_trait::async_trait;
use dps_domain::Timestamp;
use dps_domain::action::OperatorAction;
use dps_domain::reachability::Reachability;

use super::store::StoreError;

/// An edge as all replicas know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownEdge {
    /// Its name: the agent's base URL.
    pub name: String,
    /// How it has been answering.
    pub reachability: Reachability,
    /// The last problem; `None` while it answers.
    pub problem: Option<String>,
    /// When it was first in the fleet.
    pub first_seen_at: Timestamp,
    /// When it was last noted to be in the fleet, which is noted now and then.
    pub listed_at: Timestamp,
    /// When it was approved; `None` for one that was found and waits for an operator.
    pub approved_at: Option<Timestamp>,
    /// The result of the last comparison.
    pub compared: Option<Comparison>,
}

/// The result of a comparison of an edge with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// End of the comparison.
    pub at: Timestamp,
    /// Certificates that the edge should hold.
    pub certificates: u64,
    /// Of these, those that the edge refused, or with a key that cannot be read.
    pub refused: u64,
    /// Certificates that the edge holds and the store does not know.
    pub unknown: u64,
}

/// The part of the [`CertificateStore`](super::CertificateStore) that is about the edges.
#[async_trait]
pub trait FleetStore: Send + Sync {
    /// Every edge that is or was in the fleet, by name.
    async fn edges(&self) -> Result<Vec<KnownEdge>, StoreError>;

    /// Notes that these edges are in the fleet, and approves them: the configuration names them, or
    /// an operator did.
    async fn edges_put_listed(&self, names: &[String], now: Timestamp) -> Result<(), StoreError>;

    /// Notes that these edges were found, and approves none of them.
    async fn edges_put_found(&self, names: &[String], now: Timestamp) -> Result<(), StoreError>;

    /// Approves an edge that is known, and records the action; returns whether it is known.
    async fn edge_approve(&self, name: &str, action: &OperatorAction) -> Result<bool, StoreError>;

    /// Notes that an edge failed a call; returns its reachability. An unknown edge is added.
    async fn edge_mark_failed(
        &self,
        name: &str,
        now: Timestamp,
        grace: Duration,
        problem: &str,
    ) -> Result<Reachability, StoreError>;

    /// Notes that an edge reports itself healthy; returns its reachability.
    async fn edge_mark_answered(
        &self,
        name: &str,
        now: Timestamp,
        grace: Duration,
    ) -> Result<Reachability, StoreError>;

    /// An edge was compared with what it should hold.
    async fn edge_store_comparison(
        &self,
        name: &str,
        comparison: &Comparison,
    ) -> Result<(), StoreError>;

    /// Forgets an edge that left the fleet, with up to `limit` of what it was seen to hold; answers
    /// how many. Once there were fewer, it is forgotten itself, with its
    /// [task](super::store::comparison_task).
    async fn edge_forget(&self, name: &str, limit: u32) -> Result<u64, StoreError>;
}
