//! Tells the Cabinet, in order per domain. A Cabinet that is down holds up reports, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::backoff::Backoff;
use dps_domain::{Status, Timestamp, with_causes};
use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::circuit::{Change, Circuit, Permit};
use super::intake;
use crate::crash_point::{self, Effect};
use crate::ports::cabinet::{CabinetDomain, CabinetError, CabinetFault, ReportAnswer, StatusReport};
use crate::ports::store::{OutboxLease, StoreError};
use crate::service::Service;
use crate::wake::Bell;

const AT_ONCE: usize = 16;
/// The longest lease of a report; a crash delays it so long. A step's may be longer, but here only the Cabinet is waited for.
const LEASE: Duration = Duration::from_secs(60);
/// Between two looks at reports that are due and cannot be had.
const SHORTEST: Duration = Duration::from_millis(10);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);
const BACKOFF: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(300),
};

/// Delivers reports until `shutdown`; those under way are finished.
pub(super) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut reporter = Reporter::default();
    while !shutdown.is_cancelled() {
        let pause = match reporter.deliver(&service).await {
            Ok(Delivered::Some(0)) => idle(&service).await,
            Ok(Delivered::Some(_)) => Duration::ZERO,
            Ok(Delivered::Held(wait)) => wait,
            Err(error) => {
                tracing::error!(error = %with_causes(&error), "store.failed");
                STORE_PAUSE
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = service.wakers.rung(Bell::Reporter) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn idle(service: &Service) -> Duration {
    let glance = service.policy.glance;
    match service.store.outbox_next_due().await {
        Ok(Some(due)) => due.since(service.now()).clamp(SHORTEST, glance.max(SHORTEST)),
        Ok(None) | Err(_) => glance,
    }
}

/// Delivers reports, and remembers whether the Cabinet was there.
#[derive(Debug, Default)]
pub struct Reporter {
    circuit: Circuit,
}

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// So many reports were tried.
    Some(usize),
    /// The Cabinet is away; it is asked again after so long.
    Held(Duration),
}

impl Reporter {
    /// One round: reports that are due, only the oldest of each domain, all at once. While the Cabinet is away, one.
    pub async fn deliver(&mut self, service: &Service) -> Result<Delivered, StoreError> {
        let now = service.now();
        let limit = match self.circuit.permit(now) {
            Permit::All => AT_ONCE,
            Permit::Probe => 1,
            Permit::Wait(wait) => return Ok(Delivered::Held(wait)),
        };
        let policy = &service.policy;
        let term = policy.lease.min(LEASE);
        // Counted from before the store is asked, as for a step.
        let deadline = Instant::now() + term.saturating_sub(policy.skew_allowance);
        let leases = service.store.outbox_acquire(now, term, limit).await?;
        let deliveries = leases.iter().map(|lease| async move {
            let delivery = tokio::time::timeout_at(deadline, deliver_one(service, lease)).await;
            delivery.unwrap_or_else(|_| Err(too_slow().into()))
        });
        let tried = join_all(deliveries).await;
        let mut failures = Vec::new();
        let mut answered = false;
        for (lease, tried) in leases.iter().zip(tried) {
            match tried {
                Ok(()) => answered = true,
                Err(Undelivered::Cabinet(error)) => failures.push((lease, error)),
                Err(Undelivered::Store(StoreError::LeaseLost)) => {
                    tracing::info!(domain.id = %lease.domain_id, "report.lease_lost");
                }
                Err(Undelivered::Store(error)) => return Err(error),
            }
        }
        self.learn(service, answered, &failures);
        for (lease, error) in failures {
            self.put_off(service, lease, &error).await?;
        }
        Ok(Delivered::Some(leases.len()))
    }

    fn learn(&mut self, service: &Service, answered: bool, failures: &[(&OutboxLease, CabinetError)]) {
        let now = service.now();
        let Some((_, last)) = failures.last() else {
            if answered {
                self.answered(now);
            }
            return;
        };
        if answered {
            return self.answered(now);
        }
        let calls = u32::try_from(failures.len()).unwrap_or(u32::MAX);
        let away = failures
            .iter()
            .any(|(_, error)| error.fault == CabinetFault::Away);
        let asked = failures.iter().filter_map(|(_, error)| error.retry_after).max();
        let jitter = service.randomness.unit();
        if self.circuit.failed((calls, away), now, asked, jitter) == Change::WentAway {
            tracing::warn!(error = %last, "cabinet.away");
        }
    }

    fn answered(&mut self, now: Timestamp) {
        if let Change::CameBack(after) = self.circuit.answered(now) {
            tracing::info!(after_seconds = after.as_secs(), "cabinet.back");
        }
    }

    /// A report that failed waits, so that the next probe is made with another: one that the Cabinet dies of holds up itself alone.
    async fn put_off(
        &self,
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
                    .map_or(pause, |asked| asked.clamp(pause, BACKOFF.max))
            }
        };
        let put_off = service
            .store
            .outbox_retry(lease, service.now() + pause, None)
            .await;
        match put_off {
            Err(StoreError::LeaseLost) => Ok(()),
            other => other,
        }
    }
}

/// Why a report is still there.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error(transparent)]
    Cabinet(#[from] CabinetError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The Cabinet's answers took longer than the lease.
fn too_slow() -> CabinetError {
    CabinetError {
        fault: CabinetFault::Away,
        detail: "its answers take longer than the lease of a report".into(),
        retry_after: None,
    }
}

async fn deliver_one(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    match tell(service, lease, &lease.report).await? {
        ReportAnswer::Accepted { version } => accepted(service, lease, version).await,
        ReportAnswer::VersionMoved => reconcile(service, lease).await,
        ReportAnswer::Gone => gone(service, lease).await,
        ReportAnswer::IllegalMove { detail } => refused(service, lease, &detail).await,
        ReportAnswer::ContentRefused { detail } => tell_status_alone(service, lease, &detail).await,
    }
}

async fn tell(
    service: &Service,
    lease: &OutboxLease,
    report: &StatusReport,
) -> Result<ReportAnswer, CabinetError> {
    crash_point::before(Effect::StatusReport);
    let answer = service
        .cabinet
        .report(lease.domain_id, lease.cabinet_version, report)
        .await;
    crash_point::after(Effect::StatusReport);
    answer
}

async fn accepted(service: &Service, lease: &OutboxLease, version: u64) -> Result<(), Undelivered> {
    crash_point::before(Effect::ReportSettle);
    service.store.outbox_done(lease, Some(version)).await?;
    crash_point::after(Effect::ReportSettle);
    Ok(())
}

/// The Cabinet's own state does not allow the move, and will not by being told again: the report is dropped, and the next resync tells what
/// can be told.
async fn refused(service: &Service, lease: &OutboxLease, detail: &str) -> Result<(), Undelivered> {
    tracing::error!(domain.id = %lease.domain_id, status = %lease.report.status, detail, "report.refused");
    Ok(service.store.outbox_done(lease, None).await?)
}

/// Something that the report says beside the status cannot be taken. The status matters more: it is told alone, once.
async fn tell_status_alone(service: &Service, lease: &OutboxLease, detail: &str) -> Result<(), Undelivered> {
    tracing::error!(domain.id = %lease.domain_id, status = %lease.report.status, detail, "report.shortened");
    let bare = StatusReport {
        failure: None,
        message: None,
        ..lease.report.clone()
    };
    match tell(service, lease, &bare).await? {
        ReportAnswer::Accepted { version } => accepted(service, lease, version).await,
        ReportAnswer::VersionMoved => reconcile(service, lease).await,
        ReportAnswer::Gone => gone(service, lease).await,
        ReportAnswer::IllegalMove { detail } | ReportAnswer::ContentRefused { detail } => {
            refused(service, lease, &detail).await
        }
    }
}

/// The customer did something meanwhile: what they did decides whether the report still holds.
async fn reconcile(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    match service.cabinet.domain(lease.domain_id).await? {
        Some(domain) if overtaken(lease, &domain) => {
            service.store.outbox_done(lease, None).await?;
            Ok(intake::take(service, &domain).await?)
        }
        Some(domain) => {
            // What the customer changed is taken in before its version is, by which intake knows it for new.
            intake::take(service, &domain).await?;
            // A Cabinet that says so again and again is not asked without a pause.
            let pause = match lease.attempt {
                0..=2 => Duration::ZERO,
                attempt => BACKOFF.delay(attempt, service.randomness.unit()),
            };
            Ok(service
                .store
                .outbox_retry(lease, service.now() + pause, Some(domain.version))
                .await?)
        }
        None => gone(service, lease).await,
    }
}

/// Whether the customer's removal or retry makes the report untrue.
fn overtaken(lease: &OutboxLease, domain: &CabinetDomain) -> bool {
    match domain.status {
        Some(Status::PendingRemoval | Status::Removed) => lease.report.status != Status::Removed,
        Some(Status::PendingDns) => lease.report.status == Status::Failed,
        Some(Status::PendingHttpProbe | Status::Issuing | Status::Active | Status::Failed) | None => false,
    }
}

/// The Cabinet does not know the domain any more. What is served stays served: only a removal that the Cabinet asks for in so many
/// words takes a site down, not a 404 that a fault over there may have caused.
async fn gone(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    tracing::warn!(domain.id = %lease.domain_id, status = %lease.report.status, "report.domain_gone");
    Ok(service.store.outbox_drop(lease.domain_id).await?)
}
