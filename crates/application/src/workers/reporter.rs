//! Tells the Cabinet, in order per domain. A Cabinet that is down holds up reports, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::Status;
use dps_domain::backoff::Backoff;
use dps_domain::with_causes;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::intake;
use crate::crash_point::{self, Effect};
use crate::ports::cabinet::{CabinetDomain, CabinetError, ReportAnswer};
use crate::ports::store::{OutboxLease, StoreError};
use crate::service::Service;
use crate::wake::Bell;

const AT_ONCE: usize = 16;
const LEASE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_secs(2);
const BACKOFF: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(300),
};

/// Delivers reports until `shutdown`; those under way are finished.
pub(super) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let pause = match deliver(&service).await {
            Ok(0) => idle(&service).await,
            Ok(_) => Duration::ZERO,
            Err(error) => {
                tracing::error!(error = %with_causes(&error), "store.failed");
                GLANCE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = service.wakers.rung(Bell::Reporter) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn idle(service: &Service) -> Duration {
    match service.store.outbox_next_due().await {
        Ok(Some(due)) => due.since(service.now()).clamp(Duration::from_millis(10), GLANCE),
        Ok(None) | Err(_) => GLANCE,
    }
}

async fn deliver(service: &Service) -> Result<usize, StoreError> {
    let leases = service
        .store
        .outbox_acquire(service.now(), LEASE, AT_ONCE)
        .await?;
    let count = leases.len();
    for result in join_all(leases.iter().map(|lease| deliver_one(service, lease))).await {
        result?;
    }
    Ok(count)
}

async fn deliver_one(service: &Service, lease: &OutboxLease) -> Result<(), StoreError> {
    let id = lease.domain_id;
    crash_point::before(Effect::StatusReport);
    let answer = service
        .cabinet
        .report(id, lease.cabinet_version, &lease.report)
        .await;
    crash_point::after(Effect::StatusReport);
    match answer {
        Ok(ReportAnswer::Accepted { version }) => {
            crash_point::before(Effect::ReportSettle);
            service.store.outbox_done(lease, Some(version)).await?;
            crash_point::after(Effect::ReportSettle);
            Ok(())
        }
        Ok(ReportAnswer::VersionMoved) => reconcile(service, lease).await,
        Ok(ReportAnswer::Gone) => gone(service, lease).await,
        Ok(ReportAnswer::Illegal { detail }) => {
            tracing::error!(domain.id = %id, status = %lease.report.status, %detail, "report.refused");
            service.store.outbox_done(lease, None).await
        }
        Err(error) => retry(service, lease, &error).await,
    }
}

async fn retry(service: &Service, lease: &OutboxLease, error: &CabinetError) -> Result<(), StoreError> {
    let delay = BACKOFF.delay(lease.attempt, service.randomness.unit());
    let delay = error
        .retry_after
        .map_or(delay, |asked| asked.clamp(delay, BACKOFF.max));
    tracing::warn!(domain.id = %lease.domain_id, %error, attempt = lease.attempt, "report.delayed");
    service
        .store
        .outbox_retry(lease, service.now() + delay, None)
        .await
}

/// The customer did something meanwhile: what they did decides whether the report still holds.
async fn reconcile(service: &Service, lease: &OutboxLease) -> Result<(), StoreError> {
    match service.cabinet.domain(lease.domain_id).await {
        Ok(Some(domain)) if overtaken(lease, &domain) => {
            service.store.outbox_done(lease, None).await?;
            intake::take(service, &domain).await
        }
        Ok(Some(domain)) => {
            // What the customer changed is taken in before its version is, by which intake knows it for new.
            intake::take(service, &domain).await?;
            service
                .store
                .outbox_retry(lease, service.now(), Some(domain.version))
                .await
        }
        Ok(None) => gone(service, lease).await,
        Err(error) => retry(service, lease, &error).await,
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
async fn gone(service: &Service, lease: &OutboxLease) -> Result<(), StoreError> {
    tracing::warn!(domain.id = %lease.domain_id, status = %lease.report.status, "report.domain_gone");
    service.store.outbox_drop(lease.domain_id).await
}
