//! A live domain's renewal moment has come.

use dps_domain::outcome::Outcome;
use dps_domain::ownership::RequireProof;
use dps_domain::{Event, EventKind};

use super::context::{StepContext, moved};
use super::fault::Fault;

/// Begins with the HTTP probe, which checks DNS itself: a domain that moved away is never ordered
/// for.
pub(super) async fn begin_renewal(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let (service, record) = (context.service, context.record);
    let policy = &service.policy.ownership;
    // The note of a target that is in use must not be pruned.
    if policy.require != RequireProof::Never && policy.is_unique(&record.cname_target) {
        let (target, tenant) = (&record.cname_target, &record.tenant_id);
        let noted = service.store.target_note(target, tenant, service.now());
        noted.await?;
    }
    Ok(moved(Event::RenewalDue, EventKind::RenewalDue))
}
