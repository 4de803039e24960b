//! Jobs: one action of an operator on many domains.

use async_trait::async_trait;
use dps_domain::action::OperatorAction;
use dps_domain::job::{Job, JobProgress, JobState};
use dps_domain::{JobId, Timestamp};

use super::error::StoreError;

/// The jobs of operators.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Stores a job under a new identifier, and records the action. Returns the identifier.
    async fn job_insert(&self, job: &Job, action: &OperatorAction) -> Result<JobId, StoreError>;

    /// One job.
    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError>;

    /// Up to `limit` jobs before the given one, the newest first.
    async fn jobs(&self, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError>;

    /// Claims the job that is due longest, until the given moment: it is due then.
    async fn job_claim(&self, now: Timestamp, until: Timestamp) -> Result<Option<Job>, StoreError>;

    /// Writes the progress of a job that was claimed, and returns its state. A job that was
    /// cancelled meanwhile stays so. Writes nothing and returns `None` if the claim ended.
    async fn job_advance(
        &self,
        claimed: &Job,
        progress: &JobProgress,
    ) -> Result<Option<JobState>, StoreError>;

    /// Cancels a job that runs, and records the action. Returns whether it ran.
    async fn job_cancel(&self, id: JobId, action: &OperatorAction) -> Result<bool, StoreError>;
}
