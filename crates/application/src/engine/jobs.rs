//! Works at the jobs of operators, a batch at a time.
//!
//! A batch is claimed for a time, so that one replica works at it. Its progress is written at its
//! end: after a crash in the middle, the next replica visits the same domains again. The line in a
//! domain's history shows it that the job acted there.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::job::{Batch, DomainAction, Job, JobState, Visit};
use dps_domain::pause::PauseScope;
use dps_domain::record::operator::Refused;
use dps_domain::record::{DomainRecord, RecordWrite};
use dps_domain::with_causes;
use tokio_util::sync::CancellationToken;

use crate::operator::{Found, OperatorError, Reads, pauses};
use crate::ports::fleet_view::ListRequest;
use crate::ports::store::StoreError;
use crate::service::Service;
use crate::wake::Wakes;

/// Time between two checks whether a job is due, while none is.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The same while a job is worked at.
const BUSY_INTERVAL: Duration = Duration::from_millis(500);
/// Time for which a batch is claimed. After a crash, the job waits as long.
const LEASE: Duration = Duration::from_secs(60);
/// Time after which a batch ends early, so that its progress is written under its claim.
const BATCH_TIME: Duration = Duration::from_secs(20);
/// Lines of a history in which the job is looked for. A retry that fails writes a few.
const LINES: u32 = 50;
/// Attempts to write a record that others write at the same time.
const TRIES: usize = 5;

/// Works at jobs until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut pause = CHECK_INTERVAL.mul_f64(service.randomness.unit());
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        // A batch is a second's work. It is finished, so that its progress is written.
        pause = match work_at_job(&service).await {
            Ok(true) => BUSY_INTERVAL,
            Ok(false) => CHECK_INTERVAL,
            Err(error) => {
                tracing::warn!(error = %with_causes(&error), "job.delayed");
                CHECK_INTERVAL
            }
        };
    }
}

/// Does the next batch of the job that is due longest. Returns whether there was one.
pub async fn work_at_job(service: &Service) -> Result<bool, StoreError> {
    let now = service.now();
    let Some(job) = service.store.job_claim(now, now + LEASE).await? else {
        return Ok(false);
    };
    let batch = do_batch(service, &job).await?;
    let progress = job.after(batch, service.now());
    let state = service.store.job_advance(&job, &progress).await?;
    if state == Some(JobState::Done) {
        let (acted, refused) = (progress.acted, progress.refused);
        tracing::info!(job.id = %job.id, action = job.action.as_str(), acted, refused, "job.ended");
    }
    Ok(true)
}

async fn do_batch(service: &Service, job: &Job) -> Result<Batch, StoreError> {
    let request = ListRequest {
        filter: &job.filter,
        // The filter's times are those of the preview.
        now: job.created_at,
        after: job.progress.place.clone(),
    };
    let page = service.store.fleet_list(&request, job.batch()).await?;
    let (order, began) = (job.filter.plan(job.created_at).order, service.now());
    let mut batch = Batch {
        acted: 0,
        refused: 0,
        next: page.next,
    };
    for listed in page.domains {
        let place = order.place_of(&listed.record);
        match visit(service, job, listed.record).await? {
            Acted::Yes => batch.acted += 1,
            Acted::Refused => batch.refused += 1,
            Acted::Before => {}
        }
        if service.now().since(began) > BATCH_TIME {
            batch.next = Some(place);
            break;
        }
    }
    Ok(batch)
}

/// Whether the job acted on a domain.
enum Acted {
    Yes,
    /// The domain's state does not allow it, a check was requested a moment ago, or others write it
    /// all the time.
    Refused,
    /// It did in an earlier batch, and counted it then.
    Before,
}

/// Acts on a domain, unless the job did before.
async fn visit(service: &Service, job: &Job, record: DomainRecord) -> Result<Acted, StoreError> {
    // Most domains of a job were not written since it began, and their histories are not read.
    if record.updated_at >= job.created_at {
        let history = service.store.events(record.id, LINES).await?;
        match job.visit(&history) {
            Visit::New => {}
            Visit::Uncounted => return Ok(Acted::Yes),
            Visit::Counted => return Ok(Acted::Before),
        }
    }
    act(service, job, record).await
}

async fn act(service: &Service, job: &Job, record: DomainRecord) -> Result<Acted, StoreError> {
    let (by, now) = (job.requester(), service.now());
    let store = service.store.as_ref();
    match job.action {
        DomainAction::Retry => {
            let require = service.policy.ownership.require;
            write(service, job, record, |found| found.retry(now, by, require)).await
        }
        DomainAction::Renew => write(service, job, record, |found| found.renew(now, by)).await,
        DomainAction::Recheck => write(service, job, record, |found| found.recheck(now, by)).await,
        DomainAction::RevokeUnspecified
        | DomainAction::RevokeCompromised
        | DomainAction::RevokeSuperseded
        | DomainAction::RevokeCeased => {
            let Some(reason) = job.action.revocation() else {
                return Ok(Acted::Refused);
            };
            let revoke = |found: &Found| found.revoke(now, by, reason);
            Box::pin(write(service, job, record, revoke)).await
        }
        DomainAction::Pause => {
            let scope = PauseScope::Domain(record.hostname);
            match pauses::pause(store, by, now, &scope).await {
                Ok(()) => Ok(Acted::Yes),
                Err(OperatorError::Store(error)) => Err(error),
                Err(_) => Ok(Acted::Refused),
            }
        }
        DomainAction::Resume => {
            let is_resumed = pauses::resume_record(store, by, now, &record).await?;
            Ok(if is_resumed {
                Acted::Yes
            } else {
                Acted::Refused
            })
        }
    }
}

/// Writes the record as `change` makes it. If another writes it first, both are in its history.
async fn write(
    service: &Service,
    job: &Job,
    mut record: DomainRecord,
    change: impl Fn(&Found) -> Result<RecordWrite, Refused>,
) -> Result<Acted, StoreError> {
    for _ in 0..TRIES {
        let id = record.id;
        let found = Found::of(service.store.as_ref(), record).await?;
        let reads = job
            .action
            .revocation()
            .map_or(Reads::Requests, |_| Reads::Certificate);
        let store = service.store.as_ref();
        // Boxed, so that jobs without revocations take little room.
        let found = Box::pin(found.reading(store, reads, service.now())).await?;
        let Ok(write) = change(&found) else {
            return Ok(Acted::Refused);
        };
        let write = job.part(write);
        let wakes = Wakes::of(&write, service.now());
        if service.store.domain_update(write).await? {
            wakes.notify(&service.waker);
            return Ok(Acted::Yes);
        }
        match service.store.domain(id).await? {
            Some(fresh) => record = fresh,
            None => return Ok(Acted::Refused),
        }
    }
    Ok(Acted::Refused)
}
