//! Faults of our own machine: counted and logged for the operator, never to a customer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dps_domain::Timestamp;

use crate::ports::metrics::LocalParty;

/// The time between two log lines of one party.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// When faults were logged last, so that a famine does not fill the disk too.
#[derive(Debug, Default)]
pub struct LocalFaultLog(Mutex<[Option<Timestamp>; LocalParty::ALL.len()]>);

impl LocalFaultLog {
    /// Whether a fault at `now` is logged. At most one in ten seconds is, of each party.
    pub fn admits(&self, party: LocalParty, now: Timestamp) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut logged[party as usize];
        let is_recent = last.is_some_and(|at| at <= now && now.since(at) < LOGGED_EVERY);
        if !is_recent {
            *last = Some(now);
        }
        !is_recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_famine_is_logged_once_in_ten_seconds_for_each_party() {
        let (log, noon) = (
            LocalFaultLog::default(),
            Timestamp::from_unix_seconds(1_800_000_000),
        );
        assert!(log.admits(LocalParty::Dns, noon));
        assert!(!log.admits(LocalParty::Dns, noon + Duration::from_secs(9)));
        assert!(log.admits(LocalParty::Edge, noon));
        assert!(log.admits(LocalParty::Dns, noon + Duration::from_secs(10)));
        assert!(log.admits(LocalParty::Dns, noon), "the clock was set back");
    }
}
