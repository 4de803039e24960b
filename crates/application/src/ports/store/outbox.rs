//! The reports that wait for the Cabinet.

use std::time::Duration;

use async_trait::async_trait;
use dps_domain::{DomainId, LeaseToken, Timestamp};

use super::error::StoreError;
use crate::ports::cabinet::StatusReport;

/// A report that waits in the outbox, leased.
#[derive(Debug, Clone)]
pub struct OutboxLease {
    /// The row.
    pub id: i64,
    /// The domain.
    pub domain_id: DomainId,
    /// The Cabinet's version of the domain as we know it.
    pub cabinet_version: u64,
    /// The report to send.
    pub report: StatusReport,
    /// Tries so far, this one included.
    pub attempt: u32,
    /// Proof of the lease.
    pub token: LeaseToken,
}

/// The reports that wait for the Cabinet.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Leases due reports, only the oldest of each domain. Time is as for
    /// [`LeaseStore::acquire_due`](super::leases::LeaseStore::acquire_due).
    async fn outbox_acquire(
        &self,
        now: Timestamp,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<OutboxLease>, StoreError>;

    /// How many reports wait; counted up to `most`.
    async fn outbox_count(&self, most: u32) -> Result<u32, StoreError>;

    /// Since when the oldest report has been waiting.
    async fn outbox_oldest(&self) -> Result<Option<Timestamp>, StoreError>;

    /// When the next report can be acquired.
    async fn outbox_next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The report was taken (with the new version) or is to be dropped (`None`).
    async fn outbox_finish(
        &self,
        lease: &OutboxLease,
        version: Option<u64>,
    ) -> Result<(), StoreError>;

    /// The report is tried again later; `version` if the Cabinet's is known to have moved.
    async fn outbox_retry(
        &self,
        lease: &OutboxLease,
        at: Timestamp,
        version: Option<u64>,
    ) -> Result<(), StoreError>;

    /// Drops every report of a domain that is gone from the Cabinet.
    async fn outbox_drop(&self, domain: DomainId) -> Result<(), StoreError>;
}
