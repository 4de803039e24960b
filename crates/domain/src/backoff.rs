//! Growing delays with jitter.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Exponential back-off: doubles from `initial` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The delay after the first attempt.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
}

impl Backoff {
    /// The delay after the `attempt`-th attempt, counted from 1. It is 75 % to 100 % of the step,
    /// by `jitter` in `0.0..1.0`.
    pub fn delay(&self, attempt: u32, jitter: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let step = self.initial.saturating_mul(1 << doublings).min(self.max);
        spread(step, SHORTENED, jitter)
    }
}

/// The shares of [`spread`] for the interval of periodic work.
pub const AROUND: RangeInclusive<f64> = 0.9..=1.1;
/// The shares of [`spread`] for a wait that has a latest end.
pub const SHORTENED: RangeInclusive<f64> = 0.75..=1.0;

/// Places a wait between two shares of it, by `jitter` in `0.0..1.0`. Waits that began together end
/// apart.
pub fn spread(wait: Duration, shares: RangeInclusive<f64>, jitter: f64) -> Duration {
    let (least, most) = shares.into_inner();
    wait.mul_f64(least + (most - least) * jitter.clamp(0.0, 1.0))
}

/// The share of a wait within which those who waited for the same moment begin after it.
const LATE_SHARE: f64 = 0.1;
/// The longest time within which they begin.
const LATEST: Duration = Duration::from_secs(60);

/// A moment a little after `at`, by `jitter` in `0.0..1.0`. Domains that wait for the same moment
/// begin apart.
pub fn soon_after(at: Timestamp, now: Timestamp, jitter: f64) -> Timestamp {
    let longest = at.since(now).mul_f64(LATE_SHARE).min(LATEST);
    at + spread(longest, 0.0..=1.0, jitter)
}

/// The pause before the next order after the `failures`-th failed validation, counted from 1: 10
/// min, 100 min, then a day. The CA's integration guide advises this. It stays below the CA's limit
/// of five failed validations an hour, and below its pause after many.
pub fn backoff_after_failed_validation(failures: u32, jitter: f64) -> Duration {
    let minutes = match failures {
        0 | 1 => 10,
        2 => 100,
        _ => 24 * 60,
    };
    spread(Duration::from_secs(minutes * 60), 1.0..=1.1, jitter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: Backoff = Backoff {
        initial: Duration::from_secs(30),
        max: Duration::from_secs(3600),
    };

    #[test]
    fn doubles_up_to_the_maximum() {
        let whole = |attempt| POLICY.delay(attempt, 1.0).as_secs();
        assert_eq!(
            [
                whole(1),
                whole(2),
                whole(3),
                whole(7),
                whole(8),
                whole(4_000_000)
            ],
            [30, 60, 120, 1920, 3600, 3600]
        );
    }

    #[test]
    fn a_wait_is_spread_around_below_or_above_it() {
        let wait = Duration::from_secs(100);
        let ends = |shares: RangeInclusive<f64>| {
            [0.0, 0.5, 1.0, 7.0].map(|jitter| spread(wait, shares.clone(), jitter).as_secs())
        };
        assert_eq!(ends(AROUND), [90, 100, 110, 110]);
        assert_eq!(ends(SHORTENED), [75, 87, 100, 100]);
        assert_eq!(ends(1.0..=1.5), [100, 125, 150, 150]);
    }

    proptest! {
        #[test]
        fn stays_within_bounds(attempt in 1u32.., jitter in 0.0f64..1.0) {
            let delay = POLICY.delay(attempt, jitter);
            prop_assert!(delay >= POLICY.initial.mul_f64(0.75) && delay <= POLICY.max);
        }
    }
}
