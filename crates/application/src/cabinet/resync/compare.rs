//! Compares one domain with the Cabinet, and mends the difference.

use dps_domain::record::names::{Names, is_refusal_over};
use dps_domain::{DomainId, Status};

use super::progress::Progress;
use crate::cabinet::align;
use crate::cabinet::polling::IntakeError;
use crate::ports::cabinet::{CabinetDomain, CabinetFault};
use crate::ports::store::{DomainRecord, StoreError};
use crate::ports::sync::KnownRecord;
use crate::service::Service;

/// After so many calls in a row that failed for one domain each, it is not about the domains.
const FAILED_IN_A_ROW: u32 = 16;

/// Whether the domain is worth a call of its own. A page may be older than what we did
/// meanwhile.
pub(super) fn differs(known: Option<&KnownRecord>, domain: &CabinetDomain, names: &Names) -> bool {
    let Some(theirs) = domain.status else {
        return false;
    };
    let Some(known) = known else {
        return theirs != Status::Failed;
    };
    let record = &known.record;
    domain.version != record.cabinet_version
        || (theirs != record.phase.status() && !known.reports_wait)
        || names
            .target
            .as_ref()
            .is_some_and(|target| *target != record.cname_target)
        || names.hostname != record.hostname
        || is_refusal_over(record, names)
}

/// Reads one domain after its record, and mends the difference. Returns whether the
/// Cabinet knows it. A row or an answer that cannot be read is logged and keeps no
/// other from being compared.
pub(super) async fn compare_domain_caught(
    service: &Service,
    progress: &mut Progress,
    id: DomainId,
) -> Result<bool, IntakeError> {
    match compare_domain(service, id).await {
        Err(IntakeError::Store(error @ StoreError::Corrupt { .. })) => {
            tracing::error!(domain.id = %id, %error, "resync.row_unreadable");
            Ok(true)
        }
        Err(IntakeError::Cabinet(error))
            if error.fault == CabinetFault::Call && progress.failed_in_a_row < FAILED_IN_A_ROW =>
        {
            tracing::warn!(domain.id = %id, %error, "resync.domain_unreadable");
            progress.failed_in_a_row += 1;
            Ok(true)
        }
        other => {
            progress.failed_in_a_row = 0;
            other
        }
    }
}

async fn compare_domain(service: &Service, id: DomainId) -> Result<bool, IntakeError> {
    let before = service.store.known(&[id]).await?.pop();
    let Some(domain) = service.cabinet.domain(id).await? else {
        return Ok(false);
    };
    match before {
        // The waiting report will be sent, and settles older ones.
        Some(known) if known.reports_wait => {
            align::align_domain(service, &domain).await?;
        }
        Some(known) => {
            warn_if_irreconcilable(&known.record, &domain);
            align::mend(service, Some(known.record), &domain).await?;
        }
        None => align::mend(service, None, &domain).await?,
    }
    Ok(true)
}

fn warn_if_irreconcilable(record: &DomainRecord, domain: &CabinetDomain) {
    let ours = record.phase.status();
    if let Some(theirs) = domain.status
        && theirs != ours
        && !theirs.may_report(ours)
        && !matches!(theirs, Status::PendingDns | Status::PendingRemoval)
    {
        tracing::warn!(domain.id = %record.id, domain.hostname = %record.hostname, %ours, %theirs, "resync.disagrees");
    }
}
