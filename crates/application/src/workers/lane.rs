//! The lease loop of one lane: lease as many due records as there are free permits, step each, record the outcome.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::decide::{Action, next_action};
use dps_domain::phase::{Issuance, Lane, Phase};
use dps_domain::{Failure, LeaseToken, with_causes};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::crash_point::{self, Effect};
use crate::ports::store::{Completion, DomainRecord, Lease, StoreError};
use crate::service::Service;
use crate::settle::{Facts, settle};
use crate::steps::{self, Evidence, Outcome, Then};
use crate::wake::Bell;

/// How soon work that another process made due is seen, whatever the lane's interval.
const GLANCE: Duration = Duration::from_secs(2);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// Runs the lane until `shutdown`, then waits for the steps under way.
pub(super) async fn run(service: Arc<Service>, lane: Lane, shutdown: CancellationToken) {
    let permits = Arc::new(Semaphore::new(service.policy.lane(lane).concurrency.max(1)));
    let mut steps = JoinSet::new();
    while !shutdown.is_cancelled() {
        while steps.try_join_next().is_some() {}
        let pause = match acquire(&service, lane, (&permits, &mut steps), &shutdown).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(lane = lane.as_str(), error = %with_causes(&error), "store.failed");
                STORE_PAUSE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = service.wakers.rung(Bell::Lane(lane)) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    while steps.join_next().await.is_some() {}
}

/// Leases what is due and starts a step for each. Answers how long to wait when nothing wakes the lane before.
async fn acquire(
    service: &Arc<Service>,
    lane: Lane,
    (permits, steps): (&Arc<Semaphore>, &mut JoinSet<()>),
    shutdown: &CancellationToken,
) -> Result<Duration, StoreError> {
    let free = permits.available_permits();
    let interval = service.policy.lane(lane).interval;
    if free == 0 {
        // The end of any step wakes the lane.
        return Ok(interval);
    }
    let (leases, deadline) = lease(service, lane, free).await?;
    let full = leases.len() == free;
    for lease in leases {
        let permit = Arc::clone(permits).acquire_owned().await;
        let (service, shutdown) = (Arc::clone(service), shutdown.clone());
        steps.spawn(async move {
            if shutdown.is_cancelled() {
                give_back(&service, lane, lease).await;
            } else {
                run_step(&service, lane, lease, deadline).await;
            }
            drop(permit);
            service.wakers.ring(Bell::Lane(lane));
        });
    }
    if full {
        return Ok(interval);
    }
    let due = service.store.next_due(lane).await?;
    let until_due = due.map_or(interval, |due| due.since(service.now()));
    Ok(until_due.min(interval).min(GLANCE))
}

/// Leases up to `limit` due records, and says when their steps must be over. That is counted from before the store was asked, whose
/// own count begins later, and on the clock that never jumps.
async fn lease(service: &Service, lane: Lane, limit: usize) -> Result<(Vec<Lease>, Instant), StoreError> {
    let policy = &service.policy;
    let deadline = Instant::now() + policy.lease.saturating_sub(policy.skew_allowance);
    let leases = service
        .store
        .acquire_due(lane, service.now(), policy.lease, limit)
        .await?;
    Ok((leases, deadline))
}

/// Leaves what was leased but not begun to the other replicas, at once.
async fn give_back(service: &Service, lane: Lane, lease: Lease) {
    let id = lease.record.id;
    match service.store.release(id, lease.token).await {
        Ok(()) => service.wakers.wake_all(Bell::Lane(lane)),
        Err(StoreError::LeaseLost) => tracing::info!(domain.id = %id, "lease.lost"),
        Err(error) => {
            tracing::warn!(domain.id = %id, error = %with_causes(&error), "lease.not_given_back");
        }
    }
}

/// Leases and steps what is due in a lane now, one after the other; answers how many. For tests and tools that advance time themselves.
pub async fn tick(service: &Service, lane: Lane) -> Result<usize, StoreError> {
    let concurrency = service.policy.lane(lane).concurrency.max(1);
    let (leases, deadline) = lease(service, lane, concurrency).await?;
    let count = leases.len();
    for lease in leases {
        run_step(service, lane, lease, deadline).await;
    }
    Ok(count)
}

async fn run_step(service: &Service, lane: Lane, lease: Lease, deadline: Instant) {
    let started = Instant::now();
    let record = lease.record;
    if next_action(&record.phase, service.now()) == Action::Forget {
        return forget(service, &record, lease.token).await;
    }
    let evidence = Evidence::default();
    let step = steps::step(service, &record, deadline, &evidence);
    let outcome = tokio::time::timeout_at(deadline, step)
        .await
        .unwrap_or_else(|_| Outcome::Failed {
            failure: Failure::Internal {
                detail: "the step took longer than its lease".into(),
            },
            then: Then::Retry,
            message: "Something on our side takes longer than it should. You need do nothing.".into(),
        });
    count(service, lane, &record.phase, &outcome);
    let now = service.now();
    let facts = Facts {
        policy: &service.policy,
        now,
        jitter: service.randomness.unit(),
        took: started.elapsed(),
        replica: &service.replica,
        evidence: &evidence.into_notes(),
    };
    let completion = match settle(&record, outcome, &facts) {
        Ok(completion) => completion,
        Err(error) => {
            tracing::error!(domain.id = %record.id, domain.hostname = %record.hostname, %error, "step.illegal");
            let parked = Outcome::Failed {
                failure: Failure::Internal {
                    detail: error.to_string(),
                },
                then: Then::Retry,
                message: "Something on our side delays this domain. You need do nothing.".into(),
            };
            match settle(&record, parked, &facts) {
                Ok(completion) => completion,
                Err(_) => return,
            }
        }
    };
    let wakes = Wakes::of(&completion, now);
    crash_point::before(Effect::OutcomeSave);
    match service.store.complete(lease.token, completion.clone()).await {
        Ok(()) => {
            crash_point::after(Effect::OutcomeSave);
            log(&completion, lane);
            wakes.ring(service);
        }
        Err(StoreError::LeaseLost) => tracing::info!(domain.id = %record.id, "lease.lost"),
        Err(error) => {
            tracing::error!(domain.id = %record.id, error = %with_causes(&error), "step.not_recorded");
        }
    }
}

/// The quarantine is over.
async fn forget(service: &Service, record: &DomainRecord, token: LeaseToken) {
    match service.store.domain_forget(record.id, token).await {
        Ok(()) => {
            tracing::info!(domain.id = %record.id, domain.hostname = %record.hostname, "domain.forgotten");
        }
        Err(StoreError::LeaseLost) => {
            tracing::info!(domain.id = %record.id, "lease.lost");
        }
        Err(error) => {
            tracing::error!(domain.id = %record.id, error = %with_causes(&error), "domain.not_forgotten");
        }
    }
}

/// Which bells to ring once a completion is recorded.
pub(super) struct Wakes {
    lane: Option<Lane>,
    reporter: bool,
}

impl Wakes {
    pub(super) fn of(completion: &Completion, now: dps_domain::Timestamp) -> Self {
        let record = &completion.record;
        let due_now = record.next_attempt_at.is_some_and(|at| at <= now);
        Self {
            lane: record.phase.lane().filter(|_| due_now),
            reporter: completion.report.is_some(),
        }
    }

    pub(super) fn ring(&self, service: &Service) {
        if let Some(lane) = self.lane {
            service.wakers.wake_all(Bell::Lane(lane));
        }
        if self.reporter {
            service.wakers.wake_all(Bell::Reporter);
        }
    }
}

/// The counters of results: an issuance ends well at the edge, or fails at the CA or the edge.
fn count(service: &Service, lane: Lane, phase: &Phase, outcome: &Outcome) {
    let deploying = matches!(phase.issuance(), Some(Issuance::Deploying { .. }));
    let success = match outcome {
        Outcome::Moved { .. } if deploying => true,
        Outcome::Failed { .. } => false,
        Outcome::Moved { .. } | Outcome::Confirmed { .. } | Outcome::Waiting { .. } => return,
    };
    match lane {
        Lane::Issuance => service.metrics.acme_issuance(success),
        Lane::Renewal => service.metrics.renewal(success),
        Lane::Verification | Lane::HttpProbe | Lane::Recheck | Lane::Removal => {}
    }
}

fn log(completion: &Completion, lane: Lane) {
    let Some(event) = &completion.event else { return };
    let record = &completion.record;
    let took_ms = event
        .duration
        .map_or(0, |took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let due = record.next_attempt_at.map(|at| at.to_string());
    if let Some(failure) = &record.last_failure {
        let code = failure.code();
        tracing::warn!(
            domain.id = %record.id, domain.hostname = %record.hostname, phase = event.phase, lane = lane.as_str(),
            %code, detail = %event.detail, attempt = record.attempt, next_attempt_at = due, took_ms, "{}", event.kind
        );
    } else {
        tracing::info!(
            domain.id = %record.id, domain.hostname = %record.hostname, phase = event.phase, lane = lane.as_str(),
            detail = %event.detail, attempt = record.attempt, next_attempt_at = due, took_ms, "{}", event.kind
        );
    }
}
