//! A live domain's renewal moment has come.

use dps_domain::{Event, EventKind};

use super::context::moved;
use dps_domain::outcome::Outcome;

/// Begins with the preflight, which looks at DNS itself: a domain that left us is never ordered
/// for.
pub(super) fn begin_renewal() -> Outcome {
    moved(Event::RenewalDue, EventKind::RenewalDue)
}
