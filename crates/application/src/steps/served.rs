//! The certificate that a live domain serves, as the CA knows it.

use dps_domain::{CertificateId, Phase, Timestamp, with_causes};

use super::StepContext;
use crate::ports::store::StoreError;

/// The certificate that is served.
pub(super) struct Served {
    /// Its name at our CA (RFC 9773 §4.1); `None` if it has none, or another CA issued it.
    pub(super) ari_id: Option<String>,
    /// From when to when it is valid.
    pub(super) validity: (Timestamp, Timestamp),
}

/// What the CA is told of the certificate that an order follows.
pub(super) struct Replacement {
    /// Its name (RFC 9773 §5).
    pub(super) ari_id: String,
    /// Whether the order is free of the CA's limits: it comes inside the window that the CA suggested. A CA that holds the certificate
    /// for replaced already knows better, and says so.
    pub(super) exempt: bool,
}

/// The certificate that the domain serves. `None` for a domain that is not live, and when it cannot be read: nothing about it may stop
/// a renewal.
pub(super) async fn served(context: &StepContext<'_>) -> Option<Served> {
    let Phase::Live { serving, .. } = context.record.phase else {
        return None;
    };
    match read(context, serving).await {
        Ok(served) => served,
        Err(error) => {
            tracing::error!(
                domain.id = %context.record.id, certificate.id = %serving,
                error = %with_causes(&error), "certificate.unreadable"
            );
            None
        }
    }
}

async fn read(context: &StepContext<'_>, id: CertificateId) -> Result<Option<Served>, StoreError> {
    let service = context.service;
    let subject = service.store.renewal_subject(id).await?;
    Ok(subject.map(|subject| {
        let ours = subject.directory_url == service.ca.directory_url();
        Served {
            ari_id: subject.ari_id.filter(|_| ours),
            validity: (subject.not_before, subject.not_after),
        }
    }))
}

/// What an order for this domain replaces; `None` for a first certificate.
pub(super) async fn replacement(context: &StepContext<'_>) -> Option<Replacement> {
    let ari_id = served(context).await?.ari_id?;
    let upkeep = context.record.upkeep.as_ref();
    let now = context.service.now();
    Some(Replacement {
        ari_id,
        exempt: upkeep.is_some_and(|upkeep| upkeep.advice.exempts(now)),
    })
}
