//! A live domain's renewal moment has come.

use dps_domain::Event;

use super::{Outcome, moved};

/// Begins with the DNS check: a domain that left us is never ordered for.
pub(super) fn begin_renewal() -> Outcome {
    moved(Event::RenewalDue, "renewal.due")
}
