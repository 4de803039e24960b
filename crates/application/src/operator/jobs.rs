//! Jobs: one action of an operator on many domains. The workers do them (`engine/jobs.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_domain::fleet::{DomainFilter, FilterParts};
use dps_domain::job::{DomainAction, Job, JobProgress, JobState, forecast};
use dps_domain::limits::Limit;
use dps_domain::record::operator::{Requester, Via};
use dps_domain::{JobId, Status, Timestamp};

use super::OperatorError;
use super::fleet::{self, Counted};
use super::revoke::revocable;
use crate::ports::CertificateStore;
use crate::ports::store::{DomainRecord, StoreError};

/// Domains that a preview shows.
const SAMPLE: u32 = 10;

/// The request for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// The action on each domain.
    pub action: DomainAction,
    /// The domains.
    pub filter: DomainFilter,
    /// Domains in an hour at most; `None` without a bound.
    pub pace: Option<u32>,
    /// Domains at most; `None` without a bound.
    pub most: Option<u64>,
}

/// The effect that a job would have.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// The domains of the filter by status, without the job's own bound.
    pub statuses: BTreeMap<Status, u64>,
    /// The domains that it visits.
    pub domains: u64,
    /// The first of them.
    pub sample: Vec<DomainRecord>,
    /// Serials of the certificates that a job to revoke would revoke, by the hostnames of the
    /// sample.
    pub certificates: BTreeMap<String, String>,
    /// The time that it takes at least.
    pub takes: Duration,
}

/// Counts the domains of a job. `orders` is the CA's limit of orders.
pub async fn preview(
    store: &dyn CertificateStore,
    now: Timestamp,
    request: &JobRequest,
    orders: Limit,
) -> Result<Preview, StoreError> {
    let counted = fleet::count(store, &request.filter, now, false).await?;
    let domains = bounded(request, &counted);
    let mut statuses = BTreeMap::new();
    for count in &counted.states {
        *statuses.entry(count.state.status).or_default() += count.domains;
    }
    let sample = SAMPLE.min(u32::try_from(domains).unwrap_or(SAMPLE));
    let page = fleet::list(store, &request.filter, now, None, sample).await?;
    let mut certificates = BTreeMap::new();
    if let Some(reason) = request.action.revocation() {
        for listed in &page.domains {
            let found = revocable(store, &listed.record, now).await?;
            if let Some(certificate) = found.filter(|one| one.takes(reason, now)) {
                certificates.insert(listed.record.hostname.to_string(), certificate.serial);
            }
        }
    }
    Ok(Preview {
        certificates,
        statuses,
        domains,
        sample: page
            .domains
            .into_iter()
            .map(|listed| listed.record)
            .collect(),
        takes: forecast(request.action, domains, request.pace, orders),
    })
}

fn bounded(request: &JobRequest, counted: &Counted) -> u64 {
    let all = counted.total();
    request.most.map_or(all, |most| all.min(most))
}

/// Begins a job on as many domains as the operator confirmed: no more are visited than that, and
/// none if there are more.
pub async fn begin(
    store: &dyn CertificateStore,
    by: Requester<'_>,
    now: Timestamp,
    request: &JobRequest,
    confirmed: u64,
) -> Result<Job, OperatorError> {
    let counted = fleet::count(store, &request.filter, now, false).await?;
    let domains = bounded(request, &counted);
    if domains > confirmed {
        return Err(OperatorError::MoreThanConfirmed { confirmed, domains });
    }
    let parts = FilterParts::from(&request.filter).to_string();
    let (kind, scope) = (ActionKind::JobBegin, ActionScope::Filter);
    let action = OperatorAction::new(by, now, kind, scope, &parts).of_many(domains);
    let action = action.changing("", request.action.as_str());
    let mut job = Job {
        // The store gives it its own.
        id: JobId::new(now, [0; 10]),
        action: request.action,
        filter: request.filter.clone(),
        who: action.who.clone(),
        role: match by.via {
            Via::CommandLine => String::new(),
            Via::AdminApi { role } => role.to_owned(),
        },
        reason: action.reason.clone(),
        pace: request.pace,
        most: Some(request.most.unwrap_or(confirmed).min(confirmed)),
        expected: domains,
        created_at: now,
        progress: JobProgress {
            state: JobState::Running,
            place: None,
            acted: 0,
            refused: 0,
            due_at: now,
            written_at: now,
            ended_at: None,
        },
    };
    job.id = store.job_insert(&job, &action).await?;
    let (id, action, filter) = (job.id, job.action.as_str(), &parts);
    tracing::info!(job.id = %id, action, %filter, domains, by = by.who, "job.begun");
    Ok(job)
}

/// Cancels a job that runs. Its effects stay.
pub async fn cancel(
    store: &dyn CertificateStore,
    by: Requester<'_>,
    now: Timestamp,
    id: JobId,
) -> Result<Job, OperatorError> {
    let unknown = || OperatorError::UnknownJob(id);
    let job = store.job(id).await?.ok_or_else(unknown)?;
    let parts = FilterParts::from(&job.filter).to_string();
    let (kind, scope) = (ActionKind::JobCancel, ActionScope::Filter);
    let action = OperatorAction::new(by, now, kind, scope, &parts);
    let action = action.changing(job.action.as_str(), "cancelled");
    if !store.job_cancel(id, &action).await? {
        return Err(OperatorError::JobEnded(id));
    }
    tracing::info!(job.id = %id, by = by.who, "job.cancelled");
    store.job(id).await?.ok_or_else(unknown)
}
