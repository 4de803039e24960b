//! Jobs: one action on many domains.

use dps_admin_api::{Job as Document, JobPreview, JobRequest as Request, Jobs};
use dps_application::operator::jobs::{JobRequest, Preview};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::StoreError;
use dps_domain::JobId;
use dps_domain::fleet::FilterParts;
use dps_domain::job::{Job, JobState};

use super::filter;

/// Greatest pace, in domains per hour.
pub const MAX_PACE: u32 = 1_000_000;

/// A page of jobs.
pub async fn page(
    store: &dyn CertificateStore,
    before: Option<JobId>,
    limit: u32,
) -> Result<Jobs, StoreError> {
    let found = store.jobs(before, limit).await?;
    let items: Vec<Document> = found.iter().map(wire).collect();
    let is_full = items.len() >= limit as usize;
    let next = items.last().map(|last| last.id.clone());
    Ok(Jobs {
        next: next.filter(|_| is_full),
        items,
    })
}

/// A preview as programs read it.
pub fn wire_preview(request: &JobRequest, preview: &Preview) -> JobPreview {
    let (sample, statuses) = (preview.sample.iter(), preview.statuses.iter());
    JobPreview {
        action: request.action.as_str().to_owned(),
        filter: FilterParts::from(&request.filter).to_string(),
        statuses: statuses
            .map(|(status, domains)| (status.as_str().to_owned(), *domains))
            .collect(),
        domains: preview.domains,
        sample: sample.map(|record| record.hostname.to_string()).collect(),
        certificates: preview.certificates.clone(),
        takes_seconds: preview.takes.as_secs(),
    }
}

/// The request for a job as the admin API reads it.
pub fn wire_request(request: &JobRequest, confirm: Option<u64>, reason: Option<&str>) -> Request {
    let revocation = request.action.revocation();
    let action = match revocation {
        Some(_) => "revoke",
        None => request.action.as_str(),
    };
    Request {
        action: action.to_owned(),
        revocation_reason: revocation.map(|reason| reason.as_str().to_owned()),
        filter: filter::wire(&request.filter),
        pace_per_hour: request.pace,
        limit: request.most,
        reason: reason.map(str::to_owned),
        confirm,
    }
}

/// A job as programs read it.
pub fn wire(job: &Job) -> Document {
    let progress = &job.progress;
    let runs = progress.state == JobState::Running;
    Document {
        id: job.id.to_string(),
        action: job.action.as_str().to_owned(),
        filter: FilterParts::from(&job.filter).to_string(),
        state: progress.state.as_str().to_owned(),
        who: job.who.clone(),
        reason: job.reason.clone(),
        pace_per_hour: job.pace,
        limit: job.most,
        expected: job.expected,
        acted: progress.acted,
        refused: progress.refused,
        created_at: job.created_at,
        due_at: Some(progress.due_at).filter(|_| runs),
        ended_at: progress.ended_at,
    }
}
