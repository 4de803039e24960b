//! The CertificateStore's state for the synchronisation with the Cabinet: cursors, the resync's
//! progress, and the presence of each domain in the Cabinet.

use async_trait::async_trait;
use dps_domain::{DomainId, Timestamp};

use super::store::{DomainRecord, StoreError};

/// A record beside what is to be known before it is compared with the Cabinet.
#[derive(Debug, Clone)]
pub struct KnownRecord {
    /// The record.
    pub record: DomainRecord,
    /// Whether a report of it waits for the Cabinet.
    pub reports_wait: bool,
}

/// Whether the Cabinet knows a domain that we have a record of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CabinetPresence {
    /// The domain.
    pub id: DomainId,
    /// Whether the present resync has seen it.
    pub seen: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

/// The part of the [`CertificateStore`](super::CertificateStore) that is about the Cabinet.
#[async_trait]
pub trait SyncStore: Send + Sync {
    /// A remembered position, such as that of the Cabinet's change feed.
    async fn cursor(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Moves a position on from the one that was read. Returns whether no other process moved it
    /// meanwhile: a slow replica cannot take it back.
    async fn cursor_advance(
        &self,
        name: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<bool, StoreError>;

    /// The records of these domains, as far as there are any that can be read.
    async fn known(&self, ids: &[DomainId]) -> Result<Vec<KnownRecord>, StoreError>;

    /// How many domains there are, those that are leaving or gone left out.
    async fn count_domains(&self) -> Result<u64, StoreError>;

    /// Notes that a resync saw these domains in the Cabinet. Those without a record are passed
    /// over.
    async fn cabinet_mark_seen(&self, run: i64, ids: &[DomainId]) -> Result<(), StoreError>;

    /// Our records in the order of their ids, those that are leaving or gone left out, with what
    /// the resync has seen.
    async fn cabinet_presences(
        &self,
        run: i64,
        after: Option<DomainId>,
        limit: u32,
    ) -> Result<Vec<CabinetPresence>, StoreError>;

    /// Notes that the Cabinet said to a resync that it does not know the domain; answers since when
    /// it has been saying so.
    async fn cabinet_mark_missing(
        &self,
        run: i64,
        id: DomainId,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError>;

    /// The domains in the order of their ids that were missing in this resync, and have been since
    /// before the given moment.
    async fn cabinet_missing_since(
        &self,
        run: i64,
        before: Timestamp,
        after: Option<DomainId>,
        limit: u32,
    ) -> Result<Vec<DomainId>, StoreError>;
}
