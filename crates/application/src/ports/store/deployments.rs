//! The certificates that every edge should hold, and those that each was seen to present.

use async_trait::async_trait;
use dps_domain::inventory::Entry;
use dps_domain::{CertificateId, DomainId, Hostname, Timestamp};

use super::error::StoreError;
use super::orders::StoredChallenge;

/// A certificate that every edge should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Whose it is.
    pub domain_id: DomainId,
    /// Which.
    pub certificate_id: CertificateId,
    /// The expected entry of the edge's inventory.
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

/// The certificates that every edge should hold, and those that each was seen to present.
#[async_trait]
pub trait DeploymentStore: Send + Sync {
    /// The number of certificates that the edge was last seen to present.
    async fn edge_presents(&self, name: &str) -> Result<u64, StoreError>;

    /// The certificates that are served and valid at `now`, in the order of their hostnames, after
    /// the given one.
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

    /// The certificate that each edge was seen to present for a domain, by edge.
    async fn deployments(&self, domain: DomainId) -> Result<Vec<Deployment>, StoreError>;
}
