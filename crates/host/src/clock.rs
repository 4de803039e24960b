//! The one place that reads the system clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970-01-01T00:00:00Z; negative when the machine's clock stands before that.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the system clock; everybody else is given a Clock"
)]
pub fn now_unix_micros() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_microseconds_of_this_age_and_does_not_run_backwards() {
        let first = now_unix_micros();
        let second = now_unix_micros();
        let start_of_2024 = 1_704_067_200_000_000;
        let start_of_2200 = 7_258_118_400_000_000;
        assert!((start_of_2024..start_of_2200).contains(&first), "{first}");
        assert!(second >= first);
    }
}
