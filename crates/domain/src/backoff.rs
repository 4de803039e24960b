//! Growing delays with jitter.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Exponential back-off: doubles from `initial` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The delay after the first attempt.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
}

impl Backoff {
    /// The delay after the `attempt`-th attempt (counted from 1), between three quarters and the whole of the step, placed by
    /// `jitter` in `0.0..1.0`.
    pub fn delay(&self, attempt: u32, jitter: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let step = self.initial.saturating_mul(1 << doublings).min(self.max);
        step.mul_f64(0.75 + 0.25 * jitter.clamp(0.0, 1.0))
    }
}

/// How long a name rests after its `failures`-th failed validation (counted from 1) before another order may be placed:
/// 10 min, 100 min, then a day, as the CA's integration guide advises; so the CA's limit of five failed validations an hour and its
/// pause after many are never reached.
pub fn rest_after_failed_validation(failures: u32, jitter: f64) -> Duration {
    let minutes = match failures {
        0 | 1 => 10,
        2 => 100,
        _ => 24 * 60,
    };
    Duration::from_secs(minutes * 60).mul_f64(1.0 + 0.1 * jitter.clamp(0.0, 1.0))
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
            [whole(1), whole(2), whole(3), whole(7), whole(8), whole(4_000_000)],
            [30, 60, 120, 1920, 3600, 3600]
        );
    }

    proptest! {
        #[test]
        fn stays_within_bounds(attempt in 1u32.., jitter in 0.0f64..1.0) {
            let delay = POLICY.delay(attempt, jitter);
            prop_assert!(delay >= POLICY.initial.mul_f64(0.75) && delay <= POLICY.max);
        }
    }
}
