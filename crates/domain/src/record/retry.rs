//! How often a check may be requested, by the customer or by an operator.

use std::time::Duration;

use super::{DomainRecord, NameHold};
use crate::ownership::RequireProof;
use crate::{EventKind, Timestamp};

/// The shortest time between two requests for a check of one domain. The run of the first also
/// serves a sooner one. The reference Cabinet refuses a retry that comes sooner than 30 seconds.
const MIN_INTERVAL: Duration = Duration::from_secs(20);
/// Attempts that a retry keeps. If it fails again, the next check is minutes away rather than
/// hours.
pub(super) const ATTEMPTS_KEPT: u32 = 2;

/// Whether a line of history is a request for a check that was granted.
pub const fn is_request(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::RetryRequested | EventKind::RetryByOperator | EventKind::RecheckRequested
    )
}

/// The moment from which a check may be requested again after the request at `last`; `None` if it
/// may be requested now.
pub(super) fn possible_at(last: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let last = last.filter(|last| *last <= now)?;
    Some(last + MIN_INTERVAL).filter(|again_at| *again_at > now)
}

/// Whether `holder`, the firmest record of a hostname, keeps it from another record of `tenant`.
/// Where proofs are asked for, the DNS check decides between tenants.
pub fn is_kept_by(holder: &DomainRecord, tenant: &str, require: RequireProof) -> bool {
    let hold = holder.name_hold();
    hold >= NameHold::Failed && (holder.tenant_id == tenant || require == RequireProof::Never)
}
