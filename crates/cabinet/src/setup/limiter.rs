//! How often the page of a domain is served.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dps_domain::{DomainId, Timestamp};

/// Time after which another visit is served. The page itself asks every four seconds.
const INTERVAL: Duration = Duration::from_secs(1);
/// How far visits may be ahead of that pace.
const BURST: Duration = Duration::from_secs(60);
/// Domains that are remembered at once.
const MAX_DOMAINS: usize = 20_000;

/// Bounds the visits of each domain. Only visits with a right signature are counted, so strangers
/// cannot fill it.
#[derive(Debug, Default)]
pub(super) struct VisitLimiter {
    /// The time up to which each domain has used its visits.
    used_until: Mutex<HashMap<DomainId, Timestamp>>,
}

impl VisitLimiter {
    /// Counts a visit; the error is the time until the next one is served.
    pub(super) fn admit(&self, id: DomainId, now: Timestamp) -> Result<(), Duration> {
        let mut domains = self
            .used_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if domains.len() >= MAX_DOMAINS {
            domains.retain(|_, used| *used > now);
        }
        if domains.len() >= MAX_DOMAINS {
            // All of them are being visited. Forgetting serves some too often; refusing would lock
            // out everybody else.
            domains.clear();
        }
        let used = domains.entry(id).or_insert(now);
        // A clock that went back must not lock anybody out.
        *used = (*used).clamp(now, now + BURST);
        let next = *used + INTERVAL;
        if next > now + BURST {
            return Err(next.since(now + BURST));
        }
        *used = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn id(number: u128) -> DomainId {
        DomainId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn a_domain_has_a_burst_and_then_a_pace_and_no_other_is_affected() {
        let limiter = VisitLimiter::default();
        let served = (0..100).filter(|_| limiter.admit(id(1), NOW).is_ok());
        assert_eq!(served.count(), 60);
        assert_eq!(limiter.admit(id(1), NOW), Err(INTERVAL));
        assert!(limiter.admit(id(2), NOW).is_ok());
        assert!(limiter.admit(id(1), NOW + INTERVAL).is_ok());
        let earlier = NOW - Duration::from_secs(9_000);
        assert!(
            limiter.admit(id(1), earlier).is_err(),
            "its burst is used up"
        );
        assert!(limiter.admit(id(1), earlier + INTERVAL).is_ok());
    }

    #[test]
    fn any_number_of_domains_takes_bounded_room() {
        let limiter = VisitLimiter::default();
        for number in 0..30_000 {
            assert!(limiter.admit(id(number), NOW).is_ok());
        }
        assert!(limiter.used_until.lock().unwrap().len() <= MAX_DOMAINS);
    }
}
