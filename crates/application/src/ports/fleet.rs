//! What the CertificateStore keeps of the edges: which there are, how they have been answering, what each should hold and was seen to hold.

use std::time::Duration;

use async_trait::async_trait;
use dps_domain::inventory::Entry;
use dps_domain::reachability::Reachability;
use dps_domain::{CertificateId, DomainId, Hostname, Timestamp};

use super::store::{StoreError, StoredChallenge};

/// An edge as all replicas know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownEdge {
    /// Its name: the agent's base URL.
    pub name: String,
    /// How it has been answering.
    pub reachability: Reachability,
    /// What went wrong last; `None` while all is well.
    pub problem: Option<String>,
    /// When it was first in the fleet.
    pub first_seen_at: Timestamp,
    /// When it was last noted to be in the fleet, which is noted now and then.
    pub listed_at: Timestamp,
    /// When it was approved; `None` for one that was found and waits for an operator.
    pub approved_at: Option<Timestamp>,
    /// What the last comparison found.
    pub compared: Option<Comparison>,
}

/// What a comparison of an edge with what it should hold left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// When it ended.
    pub at: Timestamp,
    /// Certificates that the edge should hold.
    pub certificates: u64,
    /// Of these, those that it would not take.
    pub behind: u64,
    /// Certificates that it holds and that we know nothing of.
    pub unknown: u64,
}

/// A certificate that every edge should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Whose it is.
    pub domain_id: DomainId,
    /// Which.
    pub certificate_id: CertificateId,
    /// What the edge's inventory should say of it.
    pub entry: Entry,
}

/// A certificate that an edge presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployed {
    /// Whose it is.
    pub domain_id: DomainId,
    /// Which.
    pub certificate_id: CertificateId,
    /// Its place among the certificates of its hostname.
    pub generation: u64,
}

/// A certificate that an edge was seen to present, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The edge.
    pub edge: String,
    /// Which certificate.
    pub certificate_id: CertificateId,
    /// Its place among the certificates of its hostname.
    pub generation: u64,
    /// When it was seen.
    pub deployed_at: Timestamp,
}

/// The name of the task that compares an edge with what it should hold.
pub fn comparison_task(edge: &str) -> String {
    format!("edge.compare {edge}")
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

    /// Approves an edge that is known; returns whether it is known.
    async fn edge_approve(&self, name: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// The number of certificates that the edge was last seen to present.
    async fn edge_presents(&self, name: &str) -> Result<u64, StoreError>;

    /// An edge did not do what it was asked; answers how it stands now. One that is not known yet is noted.
    async fn edge_mark_failed(
        &self,
        name: &str,
        now: Timestamp,
        grace: Duration,
        problem: &str,
    ) -> Result<Reachability, StoreError>;

    /// An edge says that it is well; answers how it stands now.
    async fn edge_mark_answered(
        &self,
        name: &str,
        now: Timestamp,
        grace: Duration,
    ) -> Result<Reachability, StoreError>;

    /// An edge was compared with what it should hold.
    async fn edge_store_comparison(&self, name: &str, comparison: &Comparison) -> Result<(), StoreError>;

    /// Forgets an edge that left the fleet, with up to `limit` of what it was seen to hold; answers how many. Once there were fewer, it is
    /// forgotten itself, with its [task](comparison_task).
    async fn edge_forget(&self, name: &str, limit: u32) -> Result<u64, StoreError>;

    /// The certificates that are served and valid at `now`, in the order of their hostnames, after the given one.
    async fn desired(
        &self,
        after: Option<&Hostname>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Desired>, StoreError>;

    /// Up to `limit` challenges that are published just now.
    async fn challenges(&self, limit: u32) -> Result<Vec<StoredChallenge>, StoreError>;

    /// Records that an edge presents these certificates.
    async fn edge_store_deployed(
        &self,
        edge: &str,
        deployed: &[Deployed],
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Forgets that an edge serves a domain.
    async fn edge_forget_deployed(&self, domain: DomainId, edge: &str) -> Result<(), StoreError>;

    /// What each edge was seen to present for a domain, by edge.
    async fn deployments(&self, domain: DomainId) -> Result<Vec<Deployment>, StoreError>;
}
