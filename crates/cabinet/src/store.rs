//! Where domains are kept: one contract, two databases.

mod backend;
mod connect;
mod row;

use std::path::PathBuf;

use async_trait::async_trait;
use dps_cabinet_api::CustomDomain;
use dps_database::OpenError;
use dps_domain::{DomainId, Status, Timestamp};

use crate::refusal::Refusal;
use crate::rules::{Decision, Quota, Record};

pub(crate) use connect::open;

/// Keeps domains. Each call is one statement or one transaction.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// Adds a domain unless its name is held, its tenant holds `max_per_tenant` already (0 for any
    /// number), or the tenant's creations reached the quota.
    async fn insert(
        &self,
        domain: CustomDomain,
        max_per_tenant: u32,
        creations: Quota,
    ) -> Result<Inserted, StoreError>;

    /// One domain.
    async fn find(&self, id: DomainId) -> Result<Option<Record>, StoreError>;

    /// Up to `limit` domains after a position, in order of creation.
    async fn list(
        &self,
        filter: &Filter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError>;

    /// Up to `limit` domains whose last change by the customer side is after a position, in order
    /// of that change.
    async fn changes(&self, after: i64, limit: u32) -> Result<Vec<Record>, StoreError>;

    /// The last position given away.
    async fn last_position(&self) -> Result<i64, StoreError>;

    /// Reads a domain, decides, and writes, with nobody else between.
    async fn update(
        &self,
        id: DomainId,
        change: Change,
        decide: Decide,
    ) -> Result<Update, StoreError>;

    /// Deletes up to `limit` rows of one kind that are older than `before`; returns their number.
    async fn prune(&self, kind: Prunable, before: Timestamp, limit: u32)
    -> Result<u64, StoreError>;

    /// Closes every connection, waiting for those in use.
    async fn close(&self);
}

/// Decides on the record as it stands in the transaction.
pub(crate) type Decide = Box<dyn FnOnce(&Record) -> Decision + Send>;

/// The kind of change that an update makes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// A report of the service: does not move the domain in the feed.
    Report,
    /// A removal by the customer side: moves the domain in the feed.
    Removal,
    /// A retry by the customer side: moves the domain in the feed, counts against its tenant.
    Retry(Quota),
}

/// A kind of row that is deleted after a time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Prunable {
    /// Removed domains, by the time of their last report.
    RemovedDomains,
    /// Counted retries.
    Retries,
}

/// What became of an insertion.
#[derive(Debug)]
pub(crate) enum Inserted {
    /// It is there now.
    New(Record),
    /// The name is held by this domain, perhaps the same tenant's.
    Held(Record),
    /// The tenant holds as many as it may.
    TenantFull,
    /// The tenant created as many as it may for now.
    Refused(Refusal),
}

/// What became of an update.
#[derive(Debug)]
pub(crate) enum Update {
    /// No such domain.
    Missing,
    /// The decision was to refuse, or the tenant's quota is reached.
    Refused(Refusal),
    /// The decision was that nothing is to be done.
    Unchanged(Record),
    /// It is written.
    Changed(Record),
}

/// Which domains a list holds: those that match every given field.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) status: Option<Status>,
    pub(crate) tenant_id: Option<String>,
    pub(crate) canonical_host: Option<String>,
}

/// The database cannot be used or gave something that is no domain.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database's file cannot be made or opened.
    #[error("the database file {} cannot be opened", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The database does not answer, or does not let us in.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database does not answer, is busy, or refused a statement.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The tables cannot be brought up to date.
    #[error("the database cannot be migrated")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A stored row holds something that the Cabinet never writes.
    #[error("the row of domain {id} cannot be read: column {column}")]
    BadRow {
        /// The row's key.
        id: String,
        /// The column.
        column: &'static str,
    },
}

impl StoreError {
    /// Whether the same call may succeed in a moment.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => match error {
                sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
                // Deadlock and serialisation failure of PostgreSQL, its shutdown; busy of SQLite.
                sqlx::Error::Database(error) => matches!(
                    error.code().as_deref(),
                    Some("40P01" | "40001" | "57P01" | "57P03" | "53300" | "5" | "517")
                ),
                _ => false,
            },
            Self::File { .. } | Self::Open(_) | Self::Migration(_) | Self::BadRow { .. } => false,
        }
    }
}
