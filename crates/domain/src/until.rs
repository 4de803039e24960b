//! Times that another party names, such as `Retry-After`, limited by their purpose.

use std::time::Duration;

use crate::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The purpose of a wait, which bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Between two polls of an order, an authorization or a certificate; a poll costs nothing.
    Poll,
    /// During an outage: no answer, a maintenance page, or a fault of the other party.
    Outage,
    /// While a limit of the CA is used up. The kind of the limit bounds it further.
    Limit,
    /// Between two polls of renewal information (RFC 9773 §4.3.2).
    RenewalInfo,
    /// Between two calls to the Cabinet.
    Cabinet,
}

impl Purpose {
    /// The longest wait for this purpose.
    pub const fn ceiling(self) -> Duration {
        match self {
            Self::Poll => Duration::from_secs(2 * 60),
            Self::Outage => HOUR,
            // No limit that a CA publishes has a longer period than a week.
            Self::Limit => Duration::from_secs(7 * DAY.as_secs()),
            Self::RenewalInfo => DAY,
            Self::Cabinet => Duration::from_secs(5 * MINUTE.as_secs()),
        }
    }

    /// Limits a wait to what the purpose allows.
    pub fn bound(self, wait: Duration) -> Duration {
        wait.min(self.ceiling())
    }
}

/// A moment that another party named. There is no way to make one beyond the ceiling of its
/// purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Until(Timestamp);

impl Until {
    /// The moment `at`, named at `now`.
    pub fn named(at: Timestamp, now: Timestamp, purpose: Purpose) -> Self {
        Self(now + purpose.bound(at.since(now)))
    }

    /// The moment no later than `longest` from `now`.
    #[must_use]
    pub fn within(self, longest: Duration, now: Timestamp) -> Self {
        Self(self.0.min(now + longest))
    }

    /// The moment.
    pub const fn at(self) -> Timestamp {
        self.0
    }
}

impl PartialEq<Timestamp> for Until {
    fn eq(&self, other: &Timestamp) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PURPOSES: [Purpose; 5] = [
        Purpose::Poll,
        Purpose::Outage,
        Purpose::Limit,
        Purpose::RenewalInfo,
        Purpose::Cabinet,
    ];

    proptest! {
        #[test]
        fn no_moment_is_in_the_past_or_beyond_its_ceiling(at in any::<i64>(), now in 0i64..4_000_000_000_000_000) {
            let (at, now) = (Timestamp::from_unix_micros(at), Timestamp::from_unix_micros(now));
            for purpose in PURPOSES {
                let until = Until::named(at, now, purpose);
                prop_assert!(until.at() >= now && until.at() <= now + purpose.ceiling());
                if at >= now && at <= now + purpose.ceiling() {
                    prop_assert_eq!(until.at(), at);
                }
                prop_assert!(until.within(MINUTE, now).at() <= now + MINUTE);
            }
        }
    }
}
