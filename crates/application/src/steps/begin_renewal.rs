//! A live domain's renewal moment has come.

use dps_domain::{Event, EventKind};

use super::context::moved;
use dps_domain::outcome::Outcome;

/// Begins with the HTTP probe, which checks DNS itself: a domain that moved away is never ordered
/// for.
pub(super) fn begin_renewal() -> Outcome {
    moved(Event::RenewalDue, EventKind::RenewalDue)
}
