//! Periodic tasks, each of which one replica works at.

use std::time::Duration;

use async_trait::async_trait;
use dps_domain::{LeaseToken, Timestamp};

use super::error::StoreError;

/// Work that comes round by itself, in the hands of one replica.
#[derive(Debug, Clone)]
pub struct PeriodicTaskLease {
    /// Which.
    pub name: String,
    /// Proof of the lease.
    pub token: LeaseToken,
    /// How far it had come when its last lease ended; `None` at its beginning.
    pub progress: Option<String>,
}

/// The name of the task that compares an edge with what it should hold.
pub fn comparison_task(edge: &str) -> String {
    format!("edge.compare {edge}")
}

/// Periodic tasks, each of which one replica works at.
#[async_trait]
pub trait PeriodicTaskStore: Send + Sync {
    /// Acquires a task that is due and not leased. An unknown task becomes due at
    /// `first_due`.
    async fn periodic_acquire(
        &self,
        name: &str,
        now: Timestamp,
        ttl: Duration,
        first_due: Timestamp,
    ) -> Result<Option<PeriodicTaskLease>, StoreError>;

    /// Remembers how far the task has come, and keeps it until the given moment. `LeaseLost` if
    /// another replica acquired it.
    async fn periodic_extend(
        &self,
        lease: &PeriodicTaskLease,
        progress: &str,
        until: Timestamp,
    ) -> Result<(), StoreError>;

    /// Releases the task, due at `due_at`, or earlier if it was made due meanwhile; without
    /// `progress` it begins anew then. `LeaseLost` if another replica acquired it.
    async fn periodic_release(
        &self,
        lease: &PeriodicTaskLease,
        progress: Option<&str>,
        due_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Makes a task due at the given moment, if it is not due earlier. A task that is under way now
    /// is due again then.
    async fn periodic_make_due(&self, name: &str, at: Timestamp) -> Result<(), StoreError>;
}
