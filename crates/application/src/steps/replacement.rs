//! The certificate that an order replaces, by the CA's name for it (RFC 9773 §5).

use std::sync::Arc;

use dps_domain::with_causes;

use super::context::StepContext;

/// The predecessor that an order names to the CA.
pub(super) struct Replacement {
    /// Its name (RFC 9773 §5).
    pub(super) ari_id: Arc<str>,
    /// Whether the order is free of the CA's limits: it comes inside the window that the CA
    /// suggested. A CA that holds the certificate for replaced already knows better, and says so.
    pub(super) exempt: bool,
}

/// Returns the predecessor of an order for this domain. Returns `None` for a first certificate, for
/// one that has no name at our CA, and for one that cannot be read. Nothing about a predecessor may
/// stop a renewal.
pub(super) async fn replacement(context: &StepContext<'_>) -> Option<Replacement> {
    let (service, record) = (context.service, context.record);
    let serving = record.phase.serving()?;
    let poll = service.store.poll(record.id).await.unwrap_or_else(|error| {
        tracing::error!(
            domain.id = %record.id, certificate.id = %serving, error = %with_causes(&error), "replacement.unreadable"
        );
        None
    })?;
    let ours = poll.certificate_id == serving && *poll.directory_url == *service.ca.directory_url();
    let ari_id = poll.ari_id.filter(|_| ours)?;
    let exempt = poll.renewal_info.exempts(service.now());
    Some(Replacement { ari_id, exempt })
}
