//! The work records and their history.

use async_trait::async_trait;
use dps_domain::{DomainId, Hostname, LeaseToken};

use super::error::StoreError;

pub use dps_domain::record::{DomainEvent, DomainRecord, NameHold, RecordWrite};

/// The tenants whose records of a hostname are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimants<'a> {
    /// Every tenant.
    All,
    /// This tenant.
    Tenant(&'a str),
    /// Every tenant but this one.
    Others(&'a str),
}

/// The work records and their history.
#[async_trait]
pub trait RecordStore: Send + Sync {
    /// Inserts a record unless its id is there already; returns whether it was inserted. Every
    /// write puts the record into its [`lane`](DomainRecord::lane).
    async fn domain_insert(&self, write: RecordWrite) -> Result<bool, StoreError>;

    /// As [`Self::domain_insert`] for many, in one transaction where the store can: answers for
    /// each whether it was inserted.
    async fn domains_insert(&self, writes: Vec<RecordWrite>) -> Result<Vec<bool>, StoreError> {
        let mut inserted = Vec::with_capacity(writes.len());
        for write in writes {
            inserted.push(self.domain_insert(write).await?);
        }
        Ok(inserted)
    }

    /// One record.
    async fn domain(&self, id: DomainId) -> Result<Option<DomainRecord>, StoreError>;

    /// Up to `limit` records of a hostname: those that hold it most firmly first, by
    /// [`DomainRecord::name_hold`], and the newest of equals first.
    async fn domains_by_hostname(
        &self,
        hostname: &Hostname,
        whose: Claimants<'_>,
        limit: u32,
    ) -> Result<Vec<DomainRecord>, StoreError>;

    /// The first of [`Self::domains_by_hostname`].
    async fn domain_by_hostname(
        &self,
        hostname: &Hostname,
    ) -> Result<Option<DomainRecord>, StoreError> {
        let records = self
            .domains_by_hostname(hostname, Claimants::All, 1)
            .await?;
        Ok(records.into_iter().next())
    }

    /// Writes a record from outside a lease (intake, operator, renewal information), if it was not
    /// written since it was read (`revision`). Returns whether it was written. The write ends a
    /// running lease, so that its holder finds it lost. Exception: a step that [changes something
    /// at the CA](dps_domain::Issuance::is_at_ca) keeps its lease while phase and target stay. No
    /// other step may take up its order then. Records the operator's action that the write is.
    async fn domain_update(&self, write: RecordWrite) -> Result<bool, StoreError>;

    /// Forgets a record that the caller holds, with everything of its own: orders, certificates,
    /// history. `LeaseLost` if the token is stale.
    async fn domain_forget(&self, id: DomainId, token: LeaseToken) -> Result<(), StoreError>;

    /// The newest events of a domain, newest first.
    async fn events(&self, id: DomainId, limit: u32) -> Result<Vec<DomainEvent>, StoreError>;
}
