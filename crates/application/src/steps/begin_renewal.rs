//! A live domain's renewal moment has come.

use dps_domain::outcome::Outcome;
use dps_domain::ownership::RequireProof;
use dps_domain::renewal::freeze::PlannedRenewal;
use dps_domain::{Event, EventKind};
use serde_json::json;

use super::context::{StepContext, moved};
use super::fault::Fault;
use crate::ports::metrics::AcmeWait;

/// Begins with the HTTP probe, which checks DNS itself: a domain that moved away is never ordered
/// for.
pub(super) async fn begin_renewal(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let (service, record) = (context.service, context.record);
    if let Some(frozen) = frozen(context) {
        return Ok(frozen);
    }
    let policy = &service.policy.ownership;
    // The note of a target that is in use must not be pruned.
    if policy.require != RequireProof::Never && policy.is_unique(&record.cname_target) {
        let (target, tenant) = (&record.cname_target, &record.tenant_id);
        let noted = service.store.target_note(target, tenant, service.now());
        noted.await?;
    }
    Ok(moved(Event::RenewalDue, EventKind::RenewalDue))
}

/// Moves a renewal that can wait past the freeze in force; `None` without one.
fn frozen(context: &StepContext<'_>) -> Option<Outcome> {
    let (service, record) = (context.service, context.record);
    let renewal = PlannedRenewal::of(record)?;
    let frozen = service.policy.freeze.delays(renewal, service.now())?;
    service.metrics.acme_wait(AcmeWait::Frozen);
    let (window, begins_at) = (frozen.window, frozen.begins_at);
    Some(Outcome::Moved {
        event: Event::RenewalMoved(begins_at),
        kind: EventKind::RenewalFrozen,
        detail: json!({
            "renewAt": begins_at,
            "frozenUntil": window.until,
            "reason": window.reason,
        }),
    })
}
