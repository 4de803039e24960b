//! Take the certificate of a live domain off every edge: it has ended, and nothing has replaced it.

use dps_domain::{CertificateId, Event, EventKind};

use super::context::{StepContext, moved};
use super::fault::Fault;
use super::undeploy;
use crate::ports::store::comparison_task;
use dps_domain::outcome::Outcome;

/// Returns [`Event::CertificateEnded`] regardless of the edges' answers, since the domain is no
/// longer `Active`. An edge that is not reached now removes the certificate in its next comparison.
pub(super) async fn expire(
    context: &StepContext<'_>,
    serving: CertificateId,
) -> Result<Outcome, Fault> {
    let service = context.service;
    let generation = match service.store.certificate(serving).await? {
        Some(stored) => stored.generation,
        None => 0,
    };
    let reach = undeploy::take_down(context, generation).await?;
    let done = reach.names();
    for edge in service.fleet.members().iter().map(|edge| edge.name()) {
        if !done.contains(&edge) {
            service
                .store
                .periodic_make_due(&comparison_task(edge), service.now())
                .await?;
        }
    }
    Ok(moved(Event::CertificateEnded, EventKind::CertificateEnded))
}
