//! The one place that reads the system clock.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Largest difference that counts as drift, which NTP corrects gradually, in microseconds.
const DRIFT: i64 = 2_000_000;
/// Time for which a jump of the machine's clock must last before it is followed, in microseconds.
const PROBATION: i64 = 10 * 60 * 1_000_000;

/// Microseconds since 1970-01-01T00:00:00Z; negative if the machine's clock shows an earlier time.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the system clock; everybody else is given a Clock"
)]
pub fn now_unix_micros() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
        }
    }
}

/// A clock that begins with the machine's and never jumps, whatever becomes of that one.
#[derive(Debug, Clone, Copy)]
pub struct SteadyClock {
    began: Instant,
    began_unix_micros: i64,
}

impl SteadyClock {
    /// Begins now.
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
            began_unix_micros: now_unix_micros(),
        }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn now_unix_micros(&self) -> i64 {
        let elapsed = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.began_unix_micros.saturating_add(elapsed)
    }
}

/// The machine's clock, whose jumps take effect only after ten minutes. A wrong hour or day that is
/// corrected by then has no effect.
#[derive(Debug)]
pub struct CarefulClock {
    steady: SteadyClock,
    belief: Mutex<Belief>,
}

/// By how much the machine's clock is ahead of the steady one, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Belief {
    ahead: i64,
    /// Another value, and since when it is seen.
    rumour: Option<(i64, i64)>,
}

/// The change of the clock's belief.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    None,
    Jumped,
    Believed,
}

impl CarefulClock {
    /// Begins with the machine's time.
    pub fn start() -> Self {
        Self {
            steady: SteadyClock::start(),
            belief: Mutex::default(),
        }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn now_unix_micros(&self) -> i64 {
        let (steady, machine) = (self.steady.now_unix_micros(), now_unix_micros());
        let (belief, news) = {
            let mut belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
            let news = belief.compare(steady, machine);
            (*belief, news)
        };
        let jump_ms = || (machine - steady - belief.ahead) / 1000;
        match news {
            News::None => {}
            News::Jumped => {
                tracing::error!(jump_ms = jump_ms(), "clock.jump_ignored");
            }
            News::Believed => tracing::warn!("clock.jump_accepted"),
        }
        steady + belief.ahead
    }
}

impl Belief {
    fn compare(&mut self, steady: i64, machine: i64) -> News {
        let near = |a: i64, b: i64| (a - b).abs() <= DRIFT;
        let seen = machine - steady;
        if near(seen, self.ahead) {
            *self = Self {
                ahead: seen,
                rumour: None,
            };
            return News::None;
        }
        match self.rumour {
            Some((ahead, since)) if near(seen, ahead) => {
                if steady - since < PROBATION {
                    return News::None;
                }
                *self = Self {
                    ahead: seen,
                    rumour: None,
                };
                News::Believed
            }
            _ => {
                self.rumour = Some((seen, steady));
                News::Jumped
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3600 * SECOND;

    #[test]
    fn the_clock_counts_microseconds_of_this_age_and_does_not_run_backwards() {
        let first = now_unix_micros();
        let second = now_unix_micros();
        let start_of_2024 = 1_704_067_200_000_000;
        let start_of_2200 = 7_258_118_400_000_000;
        assert!((start_of_2024..start_of_2200).contains(&first), "{first}");
        assert!(second >= first);
        for clock in [
            SteadyClock::start().now_unix_micros(),
            CarefulClock::start().now_unix_micros(),
        ] {
            assert!((clock - second).abs() < 60 * SECOND, "{clock}");
        }
    }

    #[test]
    fn a_drift_is_followed_at_once() {
        let mut belief = Belief::default();
        for second in 0..1000 {
            let steady = second * SECOND;
            assert_eq!(belief.compare(steady, steady + second * 1000), News::None);
        }
        assert_eq!(belief.ahead, 999_000);
    }

    #[test]
    fn a_jump_that_is_taken_back_is_never_seen() {
        for jump in [-HOUR, 24 * HOUR] {
            let mut belief = Belief::default();
            assert_eq!(belief.compare(0, jump), News::Jumped);
            assert_eq!(
                belief.compare(PROBATION - 1, PROBATION - 1 + jump),
                News::None
            );
            assert_eq!(belief.ahead, 0);
            assert_eq!(belief.compare(PROBATION, PROBATION), News::None);
            assert_eq!(belief, Belief::default());
        }
    }

    #[test]
    fn a_jump_that_stands_is_believed_after_a_while_and_a_second_one_begins_anew() {
        let mut belief = Belief::default();
        assert_eq!(belief.compare(0, HOUR), News::Jumped);
        assert_eq!(belief.compare(SECOND, SECOND - HOUR), News::Jumped);
        assert_eq!(belief.compare(PROBATION, PROBATION - HOUR), News::None);
        assert_eq!(
            belief.compare(PROBATION + SECOND, PROBATION + SECOND - HOUR),
            News::Believed
        );
        assert_eq!(belief.ahead, -HOUR);
    }
}
