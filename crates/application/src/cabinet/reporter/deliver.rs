//! Delivers one report, and acts on the Cabinet's answer to it.

use std::time::Duration;

use dps_domain::Status;
use dps_domain::backoff::Backoff;

use crate::cabinet::align;
use crate::crash_point::{self, Effect};
use crate::ports::CabinetEvent;
use crate::ports::cabinet::{
    CabinetDomain, CabinetError, CabinetFault, ReportAnswer, StatusReport,
};
use crate::ports::store::{OutboxLease, StoreError};
use crate::service::Service;

/// A report whose acceptance stays unknown is sent this many times.
const UNCLEAR_TRIES: u32 = 8;
/// The pause before a report that was not delivered is tried again.
pub(super) const BACKOFF: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(300),
};

/// Why a report is still there.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    #[error(transparent)]
    Cabinet(#[from] CabinetError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sends the report, and settles it as the answer demands.
pub(super) async fn deliver_one(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    match send(service, lease, &lease.report).await? {
        ReportAnswer::Accepted {
            version: Some(version),
        } => accepted(service, lease, version).await,
        ReportAnswer::Accepted { version: None } => perhaps_accepted(service, lease).await,
        ReportAnswer::VersionMoved => reconcile(service, lease).await,
        ReportAnswer::Gone => gone(service, lease).await,
        ReportAnswer::IllegalMove { detail } => refused(service, lease, &detail).await,
        ReportAnswer::ContentRefused { detail } => send_status_alone(service, lease, &detail).await,
    }
}

async fn send(
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
    service.store.outbox_finish(lease, Some(version)).await?;
    crash_point::after(Effect::ReportSettle);
    Ok(())
}

/// The response is a success without a version, of the Cabinet or of another server in its place.
/// The domain itself shows which, and has the version.
async fn perhaps_accepted(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    match service.cabinet.domain(lease.domain_id).await? {
        Some(domain) if domain.status == Some(lease.report.status) => {
            accepted(service, lease, domain.version).await
        }
        Some(_) if lease.attempt < UNCLEAR_TRIES => Err(Undelivered::Cabinet(CabinetError {
            fault: CabinetFault::Call,
            detail: "it took a report, returned no version, and does not say what was reported"
                .into(),
            retry_after: None,
        })),
        Some(_) => {
            refused(
                service,
                lease,
                "it was taken again and again without effect",
            )
            .await
        }
        None => gone(service, lease).await,
    }
}

/// The Cabinet's own state does not allow the move, and a retry does not change that. The report is
/// dropped, and the next resync reports what is allowed.
async fn refused(service: &Service, lease: &OutboxLease, detail: &str) -> Result<(), Undelivered> {
    service.metrics.cabinet(CabinetEvent::ReportRefused);
    tracing::error!(domain.id = %lease.domain_id, status = %lease.report.status, detail, "report.refused");
    Ok(service.store.outbox_finish(lease, None).await?)
}

/// Something that the report says beside the status cannot be taken. The status matters more: it is
/// sent alone, once.
async fn send_status_alone(
    service: &Service,
    lease: &OutboxLease,
    detail: &str,
) -> Result<(), Undelivered> {
    tracing::error!(domain.id = %lease.domain_id, status = %lease.report.status, detail, "report.shortened");
    let bare = StatusReport {
        failure: None,
        message: None,
        ..lease.report.clone()
    };
    match send(service, lease, &bare).await? {
        ReportAnswer::Accepted {
            version: Some(version),
        } => accepted(service, lease, version).await,
        ReportAnswer::Accepted { version: None } => perhaps_accepted(service, lease).await,
        ReportAnswer::VersionMoved => reconcile(service, lease).await,
        ReportAnswer::Gone => gone(service, lease).await,
        ReportAnswer::IllegalMove { detail } | ReportAnswer::ContentRefused { detail } => {
            refused(service, lease, &detail).await
        }
    }
}

/// The customer did something meanwhile: what they did decides whether the report still holds.
async fn reconcile(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    service.metrics.cabinet(CabinetEvent::VersionConflict);
    // Once or twice is a customer who did something; the same again and again is a fault over
    // there.
    if lease.attempt > 2 && lease.attempt.is_power_of_two() {
        tracing::error!(domain.id = %lease.domain_id, attempt = lease.attempt, "report.always_conflicts");
    }
    match service.cabinet.domain(lease.domain_id).await? {
        Some(domain) if overtaken(lease, &domain) => {
            service.store.outbox_finish(lease, None).await?;
            align::align_domain(service, &domain).await?;
            Ok(())
        }
        Some(domain) => {
            // The customer's change is taken in before its version, by which intake recognises the
            // change.
            align::align_domain(service, &domain).await?;
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
        Some(Status::PendingHttpProbe | Status::Issuing | Status::Active | Status::Failed)
        | None => false,
    }
}

/// The Cabinet does not know the domain any more. The domain stays served. Only an explicit removal
/// by the Cabinet takes a site down, not a 404 that a fault may have caused.
async fn gone(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    tracing::warn!(domain.id = %lease.domain_id, status = %lease.report.status, "report.domain_gone");
    Ok(service.store.outbox_drop(lease.domain_id).await?)
}
