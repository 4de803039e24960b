//! The deletion of rows that no step needs any more.

use async_trait::async_trait;
use dps_domain::Timestamp;
use dps_domain::retention::{Prunable, Retention};

use super::error::StoreError;

/// A batch of rows of one kind.
#[derive(Debug, Clone, Copy)]
pub struct PruneBatch<'a> {
    /// The kind.
    pub kind: Prunable,
    /// The operator's times.
    pub retention: &'a Retention,
    /// The present time.
    pub now: Timestamp,
    /// [`Pruned::next`] of the batch before; `None` for the first.
    pub after: Option<&'a str>,
    /// The largest number of rows that are read for deletion.
    pub limit: u32,
}

/// The result of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows that were deleted, or whose key was erased.
    pub rows: u64,
    /// The place at which the next batch begins; `None` if there is no further row.
    pub next: Option<String>,
}

/// The deletion of rows that no step needs any more. Several processes may do it at once.
#[async_trait]
pub trait PruneStore: Send + Sync {
    /// Deletes one batch of rows whose time is over, or erases their keys, in one short
    /// transaction. Rows that a record's phase names stay.
    async fn prune(&self, batch: &PruneBatch<'_>) -> Result<Pruned, StoreError>;
}
