//! Runs a leased step and the consecutive ones of the same lane: decides what its outcome means,
//! writes it, and sends wake signals.

use std::panic::AssertUnwindSafe;

use dps_domain::decide::{Action, next_action};
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, Change, Entry, Limit, LimitKind};
use dps_domain::outcome::{Outcome, Then};
use dps_domain::record::settle::settle;
use dps_domain::{Failure, LeaseToken, Timestamp, with_causes};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Level};

use super::count::{Ended, count};
use super::step_log::{log_level, log_recorded};
use crate::crash_point::{self, Effect};
use crate::ports::WakeSignal;
use crate::ports::store::{DomainRecord, Lease, RecordWrite, StoreError, WriteResult};
use crate::retry::{retry_all_while_unavailable, retry_while_unavailable};
use crate::service::Service;
use crate::spans;
use crate::steps::{self, Evidence};
use crate::wake::Wakes;

/// The most consecutive steps of one record under one permit. A whole renewal has six.
const MAX_STEPS: usize = 8;

/// Returns the deadline of steps whose lease is requested next, on the monotonic clock. Call it
/// before the request: the store starts the lease later, so the lease ends after the deadline.
fn lease_deadline(service: &Service) -> Instant {
    let policy = &service.policy;
    Instant::now() + policy.lease.saturating_sub(policy.skew_allowance)
}

/// Leases up to `limit` due records; returns them with the deadline of their steps.
pub(crate) async fn lease(
    service: &Service,
    lane: Lane,
    limit: usize,
) -> Result<(Vec<Lease>, Instant), StoreError> {
    let policy = &service.policy;
    let deadline = lease_deadline(service);
    let (store, now) = (&service.store, service.now());
    let leases = if lane == Lane::OrderQueue {
        let (orders, tokens) = orders(service);
        store
            .acquire_queued((&orders, &tokens), now, policy.lease, limit)
            .await?
    } else {
        store.acquire_due(lane, now, policy.lease, limit).await?
    };
    Ok((leases, deadline))
}

/// The bucket of the account's orders, which gates the queue of first issues.
fn orders(service: &Service) -> (BucketKey, Limit) {
    let kind = LimitKind::NewOrders;
    let key = BucketKey::of_account(kind, service.ca.directory_url());
    (key, service.limits.get(kind))
}

/// Returns when the lane's next record can be leased. In `OrderQueue` this also needs a token of
/// the account's orders.
pub(crate) async fn next_due(
    service: &Service,
    lane: Lane,
) -> Result<Option<Timestamp>, StoreError> {
    let due = service.store.next_due(lane).await?;
    match due {
        Some(due) if lane == Lane::OrderQueue => {
            let (orders, limit) = orders(service);
            let bucket = service.store.ledger_bucket(&orders).await?;
            Ok(Some(due.max(bucket.token_at(&limit, service.now(), 1))))
        }
        due => Ok(due),
    }
}

/// Releases a lease whose step was not started, so that another replica can take the record at
/// once.
pub(crate) async fn release_unused(service: &Service, lane: Lane, lease: Lease) {
    let id = lease.record.id;
    match service.store.release(id, lease.token).await {
        Ok(()) => {
            if lane == Lane::OrderQueue {
                refund_order_token(service).await;
            }
            service.waker.notify_all(WakeSignal::Lane(lane));
        }
        Err(StoreError::LeaseLost) => tracing::info!(domain.id = %id, "lease.lost"),
        Err(error) => {
            tracing::warn!(domain.id = %id, error = %with_causes(&error), "lease.release_failed");
        }
    }
}

/// Refunds the token that was taken for a record of the queue.
async fn refund_order_token(service: &Service) {
    let (key, limit) = orders(service);
    let change = Change::Refund;
    let entry = Entry { key, limit, change };
    if let Err(error) = service.store.ledger_apply(&[entry], service.now()).await {
        tracing::warn!(error = %with_causes(&error), "order_token.refund_failed");
    }
}

/// Leases and steps what is due in a lane now, one after the other; returns how many. No step is
/// followed by another under the same permit. For tests and tools that advance time themselves.
pub async fn tick(service: &Service, lane: Lane) -> Result<usize, StoreError> {
    let concurrency = service.policy.lane(lane).concurrency.max(1);
    let (leases, deadline) = lease(service, lane, concurrency).await?;
    let count = leases.len();
    for lease in leases {
        step_all(service, lane, vec![(lease, ())], deadline).await;
    }
    Ok(count)
}

/// Runs leased steps concurrently. Steps that end together are written in one transaction. The
/// others are not polled meanwhile, so none of them may use the store. A step's permit is dropped
/// when its outcome is written. A step that panics keeps its lease until it ends; the others are
/// not affected.
pub(crate) async fn step_all<Permit>(
    service: &Service,
    lane: Lane,
    leases: Vec<(Lease, Permit)>,
    deadline: Instant,
) {
    let together = leases.len();
    let mut steps = leases
        .into_iter()
        .map(|(lease, permit)| async move {
            (
                make_step_caught(service, lane, lease, deadline).await,
                permit,
            )
        })
        .collect::<FuturesUnordered<_>>()
        .ready_chunks(together.max(1));
    while let Some(ended) = steps.next().await {
        let (done, permits): (Vec<_>, Vec<Permit>) = ended.into_iter().unzip();
        store_outcomes(
            service,
            lane,
            deadline,
            done.into_iter().flatten().collect(),
        )
        .await;
        drop(permits);
    }
}

/// Runs a leased step, then the record's next steps for as long as they are due in the same lane.
/// Each outcome is written before the next step begins, which has its own lease and deadline.
pub(crate) async fn run_consecutive_steps(
    service: &Service,
    lane: Lane,
    mut lease: Lease,
    mut deadline: Instant,
    shutdown: &CancellationToken,
) {
    for step in 1..=MAX_STEPS {
        let before = lease.record.phase.clone();
        let Some(done) = make_step_caught(service, lane, lease, deadline).await else {
            return;
        };
        let after = done.write.record();
        let is_due = after.next_attempt_at.is_some_and(|at| at <= service.now());
        let moves_on = is_due && after.phase != before && after.lane() == Some(lane);
        if !moves_on || step == MAX_STEPS || shutdown.is_cancelled() {
            return store_outcomes(service, lane, deadline, vec![done]).await;
        }
        let Some(next) = record_and_extend(service, lane, deadline, &done).await else {
            return;
        };
        (lease, deadline) = next;
        // The shutdown began during the write.
        if shutdown.is_cancelled() {
            return release_unused(service, lane, lease).await;
        }
    }
}

/// A step that has ended and is not written yet.
struct FinishedStep {
    token: LeaseToken,
    write: RecordWrite,
    log_level: Level,
}

async fn make_step_caught(
    service: &Service,
    lane: Lane,
    lease: Lease,
    deadline: Instant,
) -> Option<FinishedStep> {
    let id = lease.record.id;
    let span = tracing::info_span!(
        "step", domain.id = %id, domain.hostname = %lease.record.hostname, attempt = lease.record.attempt
    );
    let step = AssertUnwindSafe(make_step(service, lane, lease, deadline)).catch_unwind();
    step.instrument(span).await.unwrap_or_else(|_| {
        tracing::error!(domain.id = %id, "step.panicked");
        None
    })
}

/// Runs a leased step; returns the write that follows, if any.
async fn make_step(
    service: &Service,
    lane: Lane,
    lease: Lease,
    deadline: Instant,
) -> Option<FinishedStep> {
    let started = Instant::now();
    let record = lease.record;
    let action = next_action(&record.phase, record.revocation.as_ref(), service.now());
    let span = spans::of_step(lane, &action, &record);
    if action == Action::Forget {
        forget(service, &record, lease.token).instrument(span).await;
        return None;
    }
    let evidence = Evidence::default();
    let step = steps::step(service, &record, lease.token, deadline, &evidence);
    let outcome = tokio::time::timeout_at(deadline, step.instrument(span.clone()))
        .await
        .unwrap_or_else(|_| fault_of_ours("the step took longer than its lease".into()));
    spans::record_outcome(&span, &outcome);
    drop(span);
    let took = started.elapsed();
    let ended = Ended {
        record: &record,
        lane,
        action,
        outcome: &outcome,
        evidence: &evidence,
        took,
    };
    count(service, &ended);
    let findings = evidence.into_findings();
    let jitter = service.randomness.unit();
    let context = service.settle_context(took, jitter);
    let write = settle(&record, outcome, findings.clone(), &context)
        .or_else(|error| {
            tracing::error!(domain.id = %record.id, domain.hostname = %record.hostname, %error, "step.illegal");
            settle(&record, fault_of_ours(error.to_string()), findings, &context)
        })
        .ok()?;
    Some(FinishedStep {
        token: lease.token,
        log_level: log_level(&record, &write),
        write,
    })
}

fn fault_of_ours(detail: String) -> Outcome {
    Outcome::Failed {
        failure: Failure::Internal { detail },
        then: Then::Retry,
    }
}

/// Writes the outcomes of steps and sends wake signals for work that is due now.
async fn store_outcomes(service: &Service, lane: Lane, deadline: Instant, done: Vec<FinishedStep>) {
    if done.is_empty() {
        return;
    }
    let (done, levels): (Vec<_>, Vec<_>) = done
        .into_iter()
        .map(|step| ((step.token, step.write), step.log_level))
        .unzip();
    let now = service.now();
    crash_point::before(Effect::OutcomeSave);
    let recorded =
        retry_all_while_unavailable(deadline, &done, |some| service.store.complete_all(some)).await;
    if recorded
        .iter()
        .any(|result| matches!(result, Ok(WriteResult::Written)))
    {
        crash_point::after(Effect::OutcomeSave);
    }
    for (((_, write), level), recorded) in done.iter().zip(levels).zip(recorded) {
        let recorded = recorded.and_then(WriteResult::into_result);
        // If the first write was committed but its response was lost, the retry finds the lease
        // gone. So a lost lease sends the signals too: one too many costs a query.
        let may_be_stored = matches!(recorded, Ok(()) | Err(StoreError::LeaseLost));
        log_recorded(write, lane, level, recorded);
        if may_be_stored {
            Wakes::of(write, now).notify(&service.waker);
        }
    }
}

/// Writes the outcome of a step and keeps the record for the next one; returns its lease and
/// deadline.
async fn record_and_extend(
    service: &Service,
    lane: Lane,
    recorded_by: Instant,
    done: &FinishedStep,
) -> Option<(Lease, Instant)> {
    let (token, write) = (&done.token, &done.write);
    let next = token.next(service.now(), service.randomness.id_bytes());
    let ttl = service.policy.lease;
    crash_point::before(Effect::OutcomeSave);
    let leased = retry_while_unavailable(recorded_by, || async {
        // Each try begins a new lease.
        let deadline = lease_deadline(service);
        let lease = service.store.complete_and_extend(*token, write, next, ttl);
        Ok((lease.await?, deadline))
    })
    .await;
    if leased.is_ok() {
        crash_point::after(Effect::OutcomeSave);
    }
    let leased = log_recorded(write, lane, done.log_level, leased)?;
    Wakes::of_report(write).notify(&service.waker);
    Some(leased)
}

/// Forgets a removed domain whose quarantine is over.
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
