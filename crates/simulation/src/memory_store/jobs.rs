//! Jobs: one action of an operator on many domains.

use async_trait::async_trait;
use dps_application::ports::store::{JobStore, StoreError};
use dps_domain::action::OperatorAction;
use dps_domain::job::{Job, JobProgress, JobState};
use dps_domain::{JobId, Timestamp};

use super::{MemoryStore, State};

impl State {
    /// Forgets jobs that began before the given time, at most `limit`.
    pub(super) fn prune_jobs(&mut self, before: Timestamp, limit: usize) -> u64 {
        let first = JobId::new(before, [0; 10]);
        let old: Vec<JobId> = (self.jobs.range(..first))
            .filter(|(_, job)| job.progress.state != JobState::Running)
            .map(|(id, _)| *id)
            .take(limit)
            .collect();
        for id in &old {
            self.jobs.remove(id);
        }
        old.len() as u64
    }
}

fn is_running(job: &Job) -> bool {
    job.progress.state == JobState::Running
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn job_insert(&self, job: &Job, action: &OperatorAction) -> Result<JobId, StoreError> {
        let mut state = self.state();
        let id = JobId::new(job.created_at, state.draw());
        state.jobs.insert(id, Job { id, ..job.clone() });
        state.record(action);
        Ok(id)
    }

    async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        Ok(self.state().jobs.get(&id).cloned())
    }

    async fn jobs(&self, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError> {
        let state = self.state();
        let newest = state.jobs.values().rev();
        let newest = newest.filter(|job| before.is_none_or(|before| job.id < before));
        Ok(newest.take(limit as usize).cloned().collect())
    }

    async fn job_claim(&self, now: Timestamp, until: Timestamp) -> Result<Option<Job>, StoreError> {
        let mut state = self.state();
        let due = state.jobs.values_mut();
        let due = due.filter(|job| is_running(job) && job.progress.due_at <= now);
        Ok(due.min_by_key(|job| job.progress.due_at).map(|job| {
            job.progress.due_at = until;
            job.clone()
        }))
    }

    async fn job_advance(
        &self,
        claimed: &Job,
        progress: &JobProgress,
    ) -> Result<Option<JobState>, StoreError> {
        let mut state = self.state();
        let is_claimed = |job: &&mut Job| job.progress.due_at == claimed.progress.due_at;
        let job = state.jobs.get_mut(&claimed.id).filter(is_claimed);
        Ok(job.map(|job| {
            let before = job.progress.clone();
            job.progress = progress.clone();
            if before.state != JobState::Running {
                (job.progress.state, job.progress.ended_at) = (before.state, before.ended_at);
            }
            job.progress.state
        }))
    }

    async fn job_cancel(&self, id: JobId, action: &OperatorAction) -> Result<bool, StoreError> {
        let mut state = self.state();
        let job = state.jobs.get_mut(&id).filter(|job| is_running(job));
        let Some(job) = job else { return Ok(false) };
        job.progress.state = JobState::Cancelled;
        job.progress.ended_at = Some(action.at);
        state.record(action);
        Ok(true)
    }
}
