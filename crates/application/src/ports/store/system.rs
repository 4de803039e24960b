//! The replicas, the periodic tasks and the database, for operators.

use async_trait::async_trait;
use dps_domain::Timestamp;

use super::error::StoreError;

/// A process that works on the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name, as in the histories of domains.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// Its parts: `workers`, and `admin` if it serves the admin API.
    pub roles: Vec<String>,
    /// When it started.
    pub started_at: Timestamp,
    /// Its last sign of life.
    pub seen_at: Timestamp,
}

/// A periodic task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodicTaskState {
    /// Its name.
    pub name: String,
    /// When it is due; absent while it is under way and not due again.
    pub due_at: Option<Timestamp>,
    /// The end of the lease of the replica that works at it; `None` if none does.
    pub leased_until: Option<Timestamp>,
    /// When it was last released; `None` if it never was.
    pub ran_at: Option<Timestamp>,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseState {
    /// Its kind: `SQLite` or `PostgreSQL`.
    pub kind: &'static str,
    /// The newest migration that was applied.
    pub migration: i64,
}

/// The replicas, the periodic tasks and the database.
#[async_trait]
pub trait SystemStore: Send + Sync {
    /// Notes a sign of life of a replica. Forgets replicas that gave none since `forget_before`.
    async fn replica_put(
        &self,
        replica: &Replica,
        forget_before: Timestamp,
    ) -> Result<(), StoreError>;

    /// Up to `limit` replicas, by name.
    async fn replicas(&self, limit: u32) -> Result<Vec<Replica>, StoreError>;

    /// Up to `limit` periodic tasks, by name.
    async fn periodic_tasks(&self, limit: u32) -> Result<Vec<PeriodicTaskState>, StoreError>;

    /// The database.
    async fn database_state(&self) -> Result<DatabaseState, StoreError>;
}
