//! Delivers reports to the Cabinet, in order per domain. An unreachable Cabinet delays reports and
//! nothing else. A report without an answer delays no other.

mod deliver;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::with_causes;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::deliver::{BACKOFF, Undelivered, deliver_one};
use super::circuit::{Change, Circuit, Permit};
use crate::ports::WakeSignal;
use crate::ports::cabinet::{CabinetError, CabinetFault};
use crate::ports::metrics::LocalParty;
use crate::ports::store::{OutboxLease, StoreError};
use crate::service::Service;

/// Concurrent reports, without slow ones.
const AT_ONCE: usize = 16;
/// Time after which a report is slow and another takes its place.
const SLOW: Duration = Duration::from_secs(2);
/// Concurrent reports, slow ones included.
const AT_MOST: usize = 128;
/// Longest lease of a report, which a crash delays for that time. A step's may be longer; a report
/// waits for the Cabinet only.
const LEASE: Duration = Duration::from_secs(60);
/// Retry delay when the due reports are locked by another replica.
const SHORTEST: Duration = Duration::from_millis(10);
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// Delivers reports until `shutdown`, then finishes those under way.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut reporter = Reporter::default();
    while !shutdown.is_cancelled() {
        let begun = reporter.begin(&service).await;
        let pause = match begun {
            Ok(Delivered::Some(0)) => idle(&service).await,
            Ok(Delivered::Some(_)) => Duration::ZERO,
            Ok(Delivered::Held(wait)) => wait,
            Err(error) => store_failed(&error),
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            Some(tried) = reporter.under_way.join_next_with_id() => {
                if let Err(error) = reporter.note_result(&service, tried).await {
                    tokio::time::sleep(store_failed(&error)).await;
                }
            }
            () = service.waker.wait(WakeSignal::Reporter) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    if let Err(error) = reporter.finish(&service).await {
        store_failed(&error);
    }
}

/// Logs that the store failed; returns the pause before the next call.
fn store_failed(error: &StoreError) -> Duration {
    tracing::error!(error = %with_causes(error), "store.failed");
    STORE_PAUSE
}

async fn idle(service: &Service) -> Duration {
    let poll_interval = service.policy.poll_interval;
    match service.store.outbox_next_due().await {
        Ok(Some(due)) => due
            .since(service.now())
            .clamp(SHORTEST, poll_interval.max(SHORTEST)),
        Ok(None) | Err(_) => poll_interval,
    }
}

/// Delivers reports, and remembers whether the Cabinet is reachable.
#[derive(Debug, Default)]
pub struct Reporter {
    circuit: Circuit,
    // A task each: one that waits for the Cabinet must not hold a database connection that another
    // needs.
    under_way: JoinSet<Tried>,
    /// Start of each report under way.
    begun: HashMap<Id, Instant>,
    /// The report that shows whether an unreachable Cabinet is reachable again.
    probe: Option<Id>,
    /// Time of the last accepted report.
    answered_at: Option<Instant>,
    /// Time at which the Cabinet was found unreachable; `None` while it is reachable.
    unreachable_since: Option<Instant>,
}

/// A report that was tried.
struct Tried {
    lease: OutboxLease,
    result: Result<(), Undelivered>,
}

/// Result of [`Reporter::deliver`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// Number of reports that were tried.
    Some(usize),
    /// The Cabinet is unreachable, or enough is under way: the time until the next try.
    Held(Duration),
}

impl Reporter {
    /// Delivers the due reports concurrently, only the oldest of each domain. While the Cabinet is
    /// unreachable, delivers a single one. Returns when each has ended.
    pub async fn deliver(&mut self, service: &Service) -> Result<Delivered, StoreError> {
        let begun = self.begin(service).await?;
        self.finish(service).await?;
        Ok(begun)
    }

    async fn finish(&mut self, service: &Service) -> Result<(), StoreError> {
        while let Some(tried) = self.under_way.join_next_with_id().await {
            self.note_result(service, tried).await?;
        }
        Ok(())
    }

    /// Starts due reports, as many as there is room for.
    async fn begin(&mut self, service: &Service) -> Result<Delivered, StoreError> {
        let now = service.now();
        let limit = match self.circuit.permit(now) {
            Permit::All => match self.room(Instant::now()) {
                Ok(room) => room,
                Err(wait) => return Ok(Delivered::Held(wait)),
            },
            Permit::Probe if self.probe.is_some() => return Ok(Delivered::Held(SLOW)),
            Permit::Probe => 1,
            Permit::Wait(wait) => return Ok(Delivered::Held(wait)),
        };
        let policy = &service.policy;
        let term = policy.lease.min(LEASE);
        // The lease begins later, so it ends after the deadline.
        let began = Instant::now();
        let deadline = began + term.saturating_sub(policy.skew_allowance);
        let leases = service.store.outbox_acquire(now, term, limit).await?;
        let number = leases.len();
        for lease in leases {
            let service = service.clone();
            let task = self.under_way.spawn(async move {
                let delivery =
                    tokio::time::timeout_at(deadline, deliver_one(&service, &lease)).await;
                let result = delivery.unwrap_or_else(|_| Err(too_slow().into()));
                Tried { lease, result }
            });
            self.begun.insert(task.id(), began);
            if self.unreachable_since.is_some() {
                self.probe = Some(task.id());
            }
        }
        Ok(Delivered::Some(number))
    }

    /// Returns the number of reports that may be started; else the time to wait for room.
    fn room(&self, now: Instant) -> Result<usize, Duration> {
        let ages = self.begun.values().map(|begun| now.duration_since(*begun));
        let quick: Vec<Duration> = ages.filter(|age| *age < SLOW).collect();
        let places = AT_ONCE.saturating_sub(quick.len());
        match places.min(AT_MOST.saturating_sub(self.begun.len())) {
            0 => Err(quick
                .iter()
                .max()
                .map_or(SLOW, |oldest| SLOW.saturating_sub(*oldest))),
            room => Ok(room),
        }
    }

    /// Updates the breaker by a report that was tried, and delays one that was not delivered.
    async fn note_result(
        &mut self,
        service: &Service,
        tried: Result<(Id, Tried), JoinError>,
    ) -> Result<(), StoreError> {
        let task = tried.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let begun = self.begun.remove(&task);
        let was_probe = self.probe.take_if(|probe| *probe == task).is_some();
        let Tried { lease, result } = match tried {
            Ok((_, tried)) => tried,
            Err(error) => {
                // The report is leased again when its lease has ended.
                tracing::error!(%error, "report.panicked");
                return Ok(());
            }
        };
        match result {
            Ok(()) => {
                self.answered_at = Some(Instant::now());
                self.unreachable_since = None;
                service.cabinet_health.up(true);
                if let Change::Closed(after) = self.circuit.answered(service.now()) {
                    tracing::info!(after_seconds = after.as_secs(), "cabinet.recovered");
                }
                Ok(())
            }
            Err(Undelivered::Store(StoreError::LeaseLost)) => {
                tracing::info!(domain.id = %lease.domain_id, "report.lease_lost");
                Ok(())
            }
            Err(Undelivered::Store(error)) => Err(error),
            Err(Undelivered::Cabinet(error)) if error.fault == CabinetFault::Local => {
                service.local_fault(LocalParty::Cabinet, &error.detail);
                let pause = BACKOFF.delay(1, service.randomness.unit());
                put_off(service, &lease, pause).await
            }
            Err(Undelivered::Cabinet(error)) => {
                let says_something = match (begun, self.unreachable_since) {
                    // Started before the Cabinet was found unreachable: no new information.
                    (Some(begun), Some(since)) => was_probe || begun > since,
                    (Some(begun), None) => {
                        self.answered_at.is_none_or(|answered| answered <= begun)
                    }
                    (None, _) => false,
                };
                if says_something {
                    self.learn(service, &error);
                }
                self.put_off(service, &lease, &error).await
            }
        }
    }

    /// Counts a failed report; none was accepted since it was started.
    fn learn(&mut self, service: &Service, error: &CabinetError) {
        let is_unreachable = error.fault == CabinetFault::Away;
        let jitter = service.randomness.unit();
        let now = service.now();
        if self
            .circuit
            .failed(1, is_unreachable, now, error.retry_after, jitter)
            == Change::Opened
        {
            self.unreachable_since = Some(Instant::now());
            service.cabinet_health.up(false);
            tracing::warn!(%error, "cabinet.unreachable");
        }
    }

    /// Delays a failed report, so that the next probe uses another: a report that crashes the
    /// Cabinet delays only itself.
    async fn put_off(
        &mut self,
        service: &Service,
        lease: &OutboxLease,
        error: &CabinetError,
    ) -> Result<(), StoreError> {
        let pause = match self.circuit.permit(service.now()) {
            Permit::Wait(wait) if error.fault == CabinetFault::Away => wait,
            Permit::All | Permit::Probe | Permit::Wait(_) => {
                tracing::warn!(domain.id = %lease.domain_id, %error, attempt = lease.attempt, "report.delayed");
                let pause = BACKOFF.delay(lease.attempt, service.randomness.unit());
                error
                    .retry_after
                    .map_or(pause, |requested| requested.clamp(pause, BACKOFF.max))
            }
        };
        put_off(service, lease, pause).await
    }
}

/// Makes the report due again after the pause.
async fn put_off(
    service: &Service,
    lease: &OutboxLease,
    pause: Duration,
) -> Result<(), StoreError> {
    let until = service.now() + pause;
    match service.store.outbox_retry(lease, until, None).await {
        Err(StoreError::LeaseLost) => Ok(()),
        other => other,
    }
}

/// Returns the error of a report that took longer than its lease.
fn too_slow() -> CabinetError {
    CabinetError {
        fault: CabinetFault::Away,
        detail: "its answers take longer than the lease of a report".into(),
        retry_after: None,
    }
}
