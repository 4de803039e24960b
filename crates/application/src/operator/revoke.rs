//! An operator's request to revoke the certificate of a domain.

use dps_domain::record::operator::{self, Refused, Requester, Revocable};
use dps_domain::record::{DomainRecord, RecordWrite};
use dps_domain::revocation::RevocationReason;
use dps_domain::{Phase, Timestamp};

use super::{Found, OperatorError, Reads, Target, explain, find, write};
use crate::ports::CertificateStore;
use crate::ports::store::StoreError;

/// Requests the revocation of the certificate that a domain serves, or served last.
pub async fn revoke<'a>(
    store: &dyn CertificateStore,
    by: impl Into<Requester<'a>>,
    now: Timestamp,
    target: impl Into<Target<'a>>,
    reason: RevocationReason,
) -> Result<DomainRecord, OperatorError> {
    let by = by.into();
    let revoke = |found: &Found| found.revoke(now, by, reason);
    write(store, now, target.into(), Reads::Certificate, revoke).await
}

/// The certificate that would be revoked, and its domain.
pub async fn preview<'a>(
    store: &dyn CertificateStore,
    now: Timestamp,
    target: impl Into<Target<'a>>,
    reason: RevocationReason,
) -> Result<(DomainRecord, Revocable), OperatorError> {
    let found = find(store, now, target.into(), Reads::Certificate).await?;
    // The preview refuses the same as the request.
    let refuse = |refused| explain(refused, &found.record, now);
    found
        .revoke(now, "preview".into(), reason)
        .map_err(refuse)?;
    let none = || explain(NONE, &found.record, now);
    let certificate = found.revocable.clone().ok_or_else(none)?;
    Ok((found.record, certificate))
}

const NONE: Refused = Refused::NotRevocable("it has no valid certificate that was deployed");

/// The certificate that a request to revoke is about: the one that is served. Without one, it is
/// the newest of a domain that ended.
pub async fn revocable(
    store: &dyn CertificateStore,
    record: &DomainRecord,
    now: Timestamp,
) -> Result<Option<Revocable>, StoreError> {
    let stored = match (&record.phase, record.phase.serving()) {
        (_, Some(serving)) => store.certificate(serving).await?,
        (Phase::Failed | Phase::Leaving | Phase::Gone, None) => {
            let newest = store.certificates_valid(record.id, now, 1).await?;
            newest.into_iter().next()
        }
        (Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. }, None) => None,
    };
    let Some(stored) = stored else {
        return Ok(None);
    };
    let certificate = stored.certificate;
    Ok(Some(Revocable {
        requested: store.revocation(certificate.id).await?,
        id: certificate.id,
        serial: certificate.details.serial,
        not_after: certificate.details.not_after,
    }))
}

impl Found {
    /// Requests the revocation of the certificate.
    pub(crate) fn revoke(
        &self,
        now: Timestamp,
        by: Requester<'_>,
        reason: RevocationReason,
    ) -> Result<RecordWrite, Refused> {
        let certificate = self.revocable.as_ref().ok_or(NONE)?;
        operator::revoke(&self.record, certificate, reason, now, by)
    }
}
