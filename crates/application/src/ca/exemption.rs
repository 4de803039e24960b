//! The certificate that an order replaces (RFC 9773 §5), and the limits that the CA does not count
//! for the order.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::failure::NOTHING_SENT;
use dps_domain::limits::{Exemption, LimitKind};
use dps_domain::phase::Phase;
use dps_domain::record::ledger::OrderLimits;
use dps_domain::{CertificateId, Failure, Timestamp, with_causes};

use crate::ports::CertificateStore;
use crate::ports::store::{DomainRecord, StoreError};

/// An order for the same name as a certificate younger than this is a renewal to the CA.
const RENEWAL_MEMORY: Duration = Duration::from_secs(120 * 24 * 60 * 60);

/// The predecessor that an order names to the CA.
pub(crate) struct Replacement {
    /// Its name (RFC 9773 §5).
    pub(crate) ari_id: Arc<str>,
    /// Whether the order is free of the CA's limits: it comes inside the window that the CA
    /// suggested. A CA that holds the certificate for replaced already knows better, and says so.
    pub(crate) exempt: bool,
}

/// A limit of the CA is used up, and nothing was sent.
pub(crate) fn used_up(kind: LimitKind, until: Timestamp) -> Failure {
    Failure::AcmeRateLimited {
        until: Some(until),
        detail: format!("nothing is left of the CA's limit {kind} for now; {NOTHING_SENT}"),
    }
}

/// Returns the predecessor of an order for this domain. Returns `None` for a first certificate, for
/// one that has no name at the CA of `directory_url`, and for one that cannot be read. Nothing
/// about a predecessor may stop a renewal.
pub(crate) async fn replacement(
    store: &dyn CertificateStore,
    record: &DomainRecord,
    directory_url: &str,
    now: Timestamp,
) -> Option<Replacement> {
    let serving = record.phase.serving()?;
    let poll = store.poll(record.id).await.unwrap_or_else(|error| {
        tracing::error!(
            domain.id = %record.id, certificate.id = %serving, error = %with_causes(&error), "replacement.unreadable"
        );
        None
    })?;
    let ours = poll.certificate_id == serving && *poll.directory_url == *directory_url;
    let ari_id = poll.ari_id.filter(|_| ours)?;
    let exempt = poll.renewal_info.exempts(now);
    Some(Replacement { ari_id, exempt })
}

/// Returns the limits that the CA does not count for an order. `replaces` says that it names its
/// predecessor within the CA's window.
pub(crate) async fn exemption(
    store: &dyn CertificateStore,
    record: &DomainRecord,
    ca: OrderLimits<'_>,
    replaces: bool,
    now: Timestamp,
) -> Result<Exemption, StoreError> {
    if replaces {
        return Ok(Exemption::Replaces);
    }
    let (Phase::Live { serving: last, .. }
    | Phase::Expired {
        certificate: last, ..
    }) = record.phase
    else {
        return Ok(Exemption::None);
    };
    // Without limits it does not matter.
    if !ca.limits.is_empty() && issued_lately(store, last, ca.directory_url, now).await? {
        return Ok(Exemption::SameNames);
    }
    Ok(Exemption::None)
}

async fn issued_lately(
    store: &dyn CertificateStore,
    serving: CertificateId,
    directory_url: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(stored) = store.certificate(serving).await? else {
        return Ok(false);
    };
    let certificate = stored.certificate;
    if now.since(certificate.created_at) >= RENEWAL_MEMORY {
        return Ok(false);
    }
    let order = store.order(certificate.order_id).await?;
    Ok(order.is_some_and(|order| order.directory_url == directory_url))
}
