//! Forecasts when a bucket is empty, at the rate of the last day.

use std::collections::VecDeque;
use std::time::Duration;

use super::bucket::{Bucket, Limit};
use crate::Timestamp;

/// The longest time from which a rate is taken.
const WINDOW: Duration = Duration::from_secs(24 * 3_600);
/// The shortest time from which a rate is taken.
const SHORTEST: Duration = Duration::from_secs(10 * 60);

/// The tokens that were used of a bucket in the last day, by readings of it. The count is an
/// estimate: if the bucket became full between two readings, some use is not seen.
#[derive(Debug, Clone, Default)]
pub struct BucketUse {
    last: Option<Bucket>,
    used: u64,
    /// The count at some moments of the window, at least [`SHORTEST`] apart.
    readings: VecDeque<(Timestamp, u64)>,
}

impl BucketUse {
    /// Adds what a reading of the bucket shows.
    pub fn note(&mut self, bucket: Bucket, now: Timestamp) {
        if let Some(last) = self.last
            && last.full_at != bucket.full_at
        {
            // The count starts anew after the bucket was full. A returned token lowers it too.
            let began_anew = bucket.full_at > last.full_at;
            self.used += u64::from(match bucket.spent.checked_sub(last.spent) {
                Some(more) => more,
                None if began_anew => bucket.spent,
                None => 0,
            });
        }
        self.last = Some(bucket);
        let is_later = |(at, _): &(Timestamp, u64)| now.since(*at) >= SHORTEST;
        if self.readings.back().is_none_or(is_later) {
            self.readings.push_back((now, self.used));
        }
        // The first one stays until the second is old enough to take its place.
        while self.readings.len() > 1 && now.since(self.readings[1].0) >= WINDOW {
            self.readings.pop_front();
        }
    }

    /// Seconds until the bucket is empty, infinite if more returns than is used. `None` while too
    /// little is known.
    pub fn empty_in(&self, bucket: Bucket, limit: &Limit, now: Timestamp) -> Option<f64> {
        let tokens = bucket.tokens(limit, now);
        if tokens == 0 {
            return Some(0.0);
        }
        let (since, used_then) = self.readings.front()?;
        let time = now.since(*since);
        if time < SHORTEST {
            return None;
        }
        let used = u32::try_from(self.used - used_then).unwrap_or(u32::MAX);
        let per_second = f64::from(used) / time.as_secs_f64();
        let net = per_second - 1.0 / limit.interval().as_secs_f64();
        if limit.is_none() || net <= 0.0 {
            return Some(f64::INFINITY);
        }
        Some(f64::from(tokens) / net)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const LIMIT: Limit = Limit::per(300, Duration::from_secs(3 * 3_600));

    /// Uses `each` tokens every half an hour for so many hours, read every quarter of a minute.
    fn used(each: u32, hours: u64) -> (BucketUse, Bucket, Timestamp) {
        let (mut bucket, mut seen) = (Bucket::default(), BucketUse::default());
        let mut now = START;
        for reading in 0..hours * 240 {
            now = START + Duration::from_secs(reading * 15);
            if reading % 120 == 1 {
                bucket = bucket.spend(&LIMIT, now, each).unwrap();
            }
            seen.note(bucket, now);
        }
        (seen, bucket, now)
    }

    #[test]
    fn nothing_is_said_before_the_rate_is_known_unless_the_bucket_is_empty() {
        let (seen, bucket, now) = used(1, 0);
        assert_eq!(seen.empty_in(bucket, &LIMIT, now), None);
        let empty = bucket.spend(&LIMIT, START, 300).unwrap();
        assert_eq!(seen.empty_in(empty, &LIMIT, START), Some(0.0));
    }

    #[test]
    fn a_use_that_returns_in_time_never_empties_it() {
        // Fifty return in half an hour.
        let (seen, bucket, now) = used(40, 30);
        assert_eq!(seen.empty_in(bucket, &LIMIT, now), Some(f64::INFINITY));
        assert!(seen.readings.len() <= 146, "{}", seen.readings.len());
    }

    #[test]
    fn a_use_beyond_what_returns_empties_it_after_what_is_left() {
        // Sixty in half an hour, of which fifty return: 280 are left after an hour, ten go in each.
        let (seen, bucket, now) = used(60, 2);
        let left = f64::from(bucket.tokens(&LIMIT, now));
        let seconds = seen.empty_in(bucket, &LIMIT, now).unwrap();
        let expected = left / (10.0 / 1_800.0);
        assert!(
            (expected * 0.7..expected * 1.5).contains(&seconds),
            "{seconds} is far from {expected}"
        );
    }
}
