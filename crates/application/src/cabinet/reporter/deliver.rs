//! Delivery of one report, and the reaction to the Cabinet's answer.

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

/// Tries of a report that is accepted without a recognisable effect.
const UNCLEAR_TRIES: u32 = 8;
/// Pause before a report that was not delivered is tried again.
pub(super) const BACKOFF: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(300),
};

/// Error that keeps a report in the outbox.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    #[error(transparent)]
    Cabinet(#[from] CabinetError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sends the report and acts on the answer.
pub(super) async fn deliver_one(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    let mut answer = send(service, lease, &lease.report).await?;
    if let ReportAnswer::ContentRefused { detail } = &answer {
        // The status matters more than the rest: send it alone, once.
        tracing::error!(domain.id = %lease.domain_id, status = %lease.report.status, detail, "report.shortened");
        let bare = StatusReport {
            failure: None,
            message: None,
            ..lease.report.clone()
        };
        answer = send(service, lease, &bare).await?;
    }
    match answer {
        ReportAnswer::Accepted {
            version,
            keeps_proof,
        } => {
            if let Some(is_kept) = keeps_proof {
                note_proof(service, lease, is_kept);
            }
            match version {
                Some(version) => accepted(service, lease, version).await,
                None => perhaps_accepted(service, lease).await,
            }
        }
        ReportAnswer::VersionMoved => reconcile(service, lease).await,
        ReportAnswer::Gone => gone(service, lease).await,
        ReportAnswer::IllegalMove { detail } | ReportAnswer::ContentRefused { detail } => {
            refused(service, lease, &detail).await
        }
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

/// Notes for the readiness whether the Cabinet kept the TXT record of the report. Without it, the
/// customer reads the record in the message alone.
fn note_proof(service: &Service, lease: &OutboxLease, is_kept: bool) {
    if service.cabinet_health.note_proof(is_kept) && !is_kept {
        tracing::warn!(domain.id = %lease.domain_id, "report.proof_dropped");
    }
}

async fn accepted(service: &Service, lease: &OutboxLease, version: u64) -> Result<(), Undelivered> {
    crash_point::before(Effect::ReportSettle);
    service.store.outbox_finish(lease, Some(version)).await?;
    crash_point::after(Effect::ReportSettle);
    Ok(())
}

/// Handles a success without a version, which may come from a proxy instead of the Cabinet. Reads
/// the domain to see whether the report had an effect, and the version.
async fn perhaps_accepted(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    match service.cabinet.domain(lease.domain_id).await? {
        Some(domain) if domain.status == Some(lease.report.status) => {
            accepted(service, lease, domain.version).await
        }
        Some(_) if lease.attempt < UNCLEAR_TRIES => Err(Undelivered::Cabinet(CabinetError {
            fault: CabinetFault::Call,
            detail: "it accepted a report without a version, and does not show the reported status"
                .into(),
            retry_after: None,
        })),
        Some(_) => {
            refused(
                service,
                lease,
                "it was accepted several times without effect",
            )
            .await
        }
        None => gone(service, lease).await,
    }
}

/// Drops a report whose status the Cabinet does not allow: a retry would be refused too. The next
/// resync reports a status that is allowed.
async fn refused(service: &Service, lease: &OutboxLease, detail: &str) -> Result<(), Undelivered> {
    service.metrics.cabinet(CabinetEvent::ReportRefused);
    tracing::error!(domain.id = %lease.domain_id, status = %lease.report.status, detail, "report.refused");
    Ok(service.store.outbox_finish(lease, None).await?)
}

/// Handles a version conflict: the customer's change decides whether the report still holds.
async fn reconcile(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    service.metrics.cabinet(CabinetEvent::VersionConflict);
    // One or two conflicts are changes by the customer; more are a fault of the Cabinet.
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
            // Align before the version is stored: intake recognises the change by its version.
            align::align_domain(service, &domain).await?;
            // Pause between the tries if the Cabinet keeps reporting conflicts.
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

/// True if the customer's removal or retry makes the report untrue.
fn overtaken(lease: &OutboxLease, domain: &CabinetDomain) -> bool {
    match domain.status {
        Some(Status::PendingRemoval | Status::Removed) => lease.report.status != Status::Removed,
        Some(Status::PendingDns) => lease.report.status == Status::Failed,
        Some(Status::PendingHttpProbe | Status::Issuing | Status::Active | Status::Failed)
        | None => false,
    }
}

/// Drops the reports of a domain that the Cabinet does not know. The domain stays served: only an
/// explicit removal takes a site down, not a 404 that a fault may have caused.
async fn gone(service: &Service, lease: &OutboxLease) -> Result<(), Undelivered> {
    tracing::warn!(domain.id = %lease.domain_id, status = %lease.report.status, "report.domain_gone");
    Ok(service.store.outbox_drop(lease.domain_id).await?)
}
