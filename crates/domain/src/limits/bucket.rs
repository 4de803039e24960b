//! One token bucket, by the generic cell rate algorithm.

use std::time::Duration;

use crate::Timestamp;

/// The largest difference between the clocks of replicas. A clock that is further ahead is wrong.
const CLOCKS_APART: Duration = Duration::from_secs(600);

/// A limit of a CA: `burst` at once, and `count` more per `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Tokens of a full bucket.
    pub burst: u32,
    /// Tokens that return in a period.
    pub count: u32,
    /// Length of the period.
    pub period: Duration,
    /// Longest time between the debit here and the request's arrival at the CA.
    pub margin: Duration,
}

impl Limit {
    /// No limit. Such a bucket never becomes empty, but can be blocked.
    pub const NONE: Self = Self {
        burst: 0,
        count: 0,
        period: Duration::ZERO,
        margin: Duration::ZERO,
    };

    /// `count` per `period`, all of them at once if nothing was used before.
    pub const fn per(count: u32, period: Duration) -> Self {
        Self::bursting(count, count, period)
    }

    /// `count` per `period` in the long run, `burst` at once.
    pub const fn bursting(burst: u32, count: u32, period: Duration) -> Self {
        Self {
            burst,
            count,
            period,
            margin: Duration::ZERO,
        }
    }

    /// The same limit for requests that take up to `margin` to reach the CA.
    #[must_use]
    pub const fn with_margin(self, margin: Duration) -> Self {
        Self { margin, ..self }
    }

    /// A limit of which only the emission interval is known, which is enough to give a token back.
    pub const fn of_interval(interval: Duration) -> Self {
        Self::bursting(1, 1, interval)
    }

    /// Whether nothing is counted.
    pub const fn is_none(&self) -> bool {
        self.burst == 0 || self.count == 0
    }

    /// The emission interval, in which one token returns. It is rounded up, so that we are never
    /// faster than the CA.
    pub fn interval(&self) -> Duration {
        if self.is_none() {
            return Duration::ZERO;
        }
        let micros = self.period.as_micros().div_ceil(u128::from(self.count));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn burst_offset(&self) -> Duration {
        self.interval().saturating_mul(self.burst)
    }
}

/// The rest of a limit for one subject. The default is a full bucket.
///
/// The CA sees a request up to [`Limit::margin`] after it was debited here, and the one after it
/// may be quicker. So each is booked as if it came late and judged as if it came early. This does
/// not matter while no more is spent than fits into a full bucket, since a CA accepts a whole burst
/// in any order. Therefore `spent` is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Time at which it is full again: the theoretical arrival time of the algorithm. If it is in
    /// the past, the bucket is full.
    pub full_at: Timestamp,
    /// Tokens spent since it was full.
    pub spent: u32,
    /// Time before which the CA allows nothing.
    pub blocked_until: Timestamp,
}

impl Bucket {
    fn settled(self, now: Timestamp) -> Self {
        if self.full_at <= now {
            Self {
                blocked_until: self.blocked_until,
                ..Self::default()
            }
        } else {
            self
        }
    }

    /// Returns the bucket without the effect of a replica with a wrong clock. At `now`, by the time
    /// that all replicas share, the `spent` tokens must return within their own time. The CA's own
    /// wait is kept, however long it is. In a bucket smaller than its margin, reserved tokens lie a
    /// margin apart, so the two cases cannot be distinguished.
    #[must_use]
    pub fn believed(self, limit: &Limit, now: Timestamp) -> Self {
        let interval = limit.interval();
        let in_burst = interval.saturating_mul(limit.burst.saturating_sub(1));
        if limit.is_none() || limit.margin > in_burst {
            return self;
        }
        let from = (now + CLOCKS_APART).max(self.blocked_until);
        let latest = from + limit.margin + interval.saturating_mul(self.spent);
        Self {
            full_at: self.full_at.min(latest),
            ..self
        }
    }

    /// Returns the bucket without tokens that neither held tokens nor a full burst account for.
    /// `last_held` is the latest moment for which a token is held. So tokens that were booked for
    /// forgotten domains delay no domain longer than a used-up burst does.
    #[must_use]
    pub fn compacted(self, limit: &Limit, now: Timestamp, last_held: Option<Timestamp>) -> Self {
        if limit.is_none() {
            return self;
        }
        let from = (now + CLOCKS_APART).max(self.blocked_until);
        let from = last_held.map_or(from, |held| from.max(held));
        let latest = from + limit.margin + limit.burst_offset();
        Self {
            full_at: self.full_at.min(latest),
            ..self
        }
    }

    /// Number of tokens that can be spent at this moment.
    pub fn tokens(self, limit: &Limit, now: Timestamp) -> u32 {
        if self.blocked_until > now {
            return 0;
        }
        if limit.is_none() {
            return u32::MAX;
        }
        let bucket = self.settled(now);
        let booked = bucket.full_at.max(now + limit.margin).since(now);
        let left = limit.burst_offset().saturating_sub(booked).as_micros();
        let by_time = left / limit.interval().as_micros().max(1);
        let by_burst = limit.burst.saturating_sub(bucket.spent);
        u32::try_from(by_time).unwrap_or(u32::MAX).max(by_burst)
    }

    /// The time at which the `n`-th token can be spent; `now` if it is available. It is exact for
    /// an `n` of 1, and otherwise an estimate.
    pub fn token_at(self, limit: &Limit, now: Timestamp, n: u32) -> Timestamp {
        if self.tokens(limit, now) >= n {
            return now;
        }
        if limit.is_none() {
            return self.blocked_until;
        }
        let (interval, margin) = (limit.interval(), limit.margin);
        let in_burst = interval.saturating_mul(limit.burst.saturating_sub(1));
        // With a margin longer than the burst, no token is certain before the bucket is full.
        let one = if margin <= in_burst {
            self.full_at - in_burst
        } else {
            self.full_at
        };
        one.max(now).max(self.blocked_until) + interval.saturating_mul(n.saturating_sub(1))
    }

    /// Takes `n` tokens, or returns the time at which one is available.
    pub fn spend(self, limit: &Limit, now: Timestamp, n: u32) -> Result<Self, Timestamp> {
        if self.tokens(limit, now) < n {
            return Err(self.token_at(limit, now, 1));
        }
        Ok(self.count(limit, now, n))
    }

    /// Books a token that the CA counted, even if the bucket had none.
    #[must_use]
    pub fn count(self, limit: &Limit, at: Timestamp, n: u32) -> Self {
        if limit.is_none() {
            return self;
        }
        let bucket = self.settled(at);
        Self {
            full_at: bucket.full_at.max(at + limit.margin) + limit.interval().saturating_mul(n),
            spent: bucket.spent.saturating_add(n),
            ..bucket
        }
    }

    /// Takes the next future token, and returns its time.
    #[must_use]
    pub fn reserve(self, limit: &Limit, now: Timestamp) -> (Self, Timestamp) {
        let slot = self.token_at(limit, now, 1);
        (self.count(limit, slot, 1), slot)
    }

    /// Gives back `n` tokens that the CA never counted.
    #[must_use]
    pub fn refund(self, limit: &Limit, now: Timestamp, n: u32) -> Self {
        let bucket = self.settled(now);
        if bucket.full_at <= now || limit.is_none() {
            return bucket;
        }
        let refunded = Self {
            full_at: bucket.full_at - limit.interval().saturating_mul(n),
            spent: bucket.spent.saturating_sub(n),
            ..bucket
        };
        refunded.settled(now)
    }

    /// Blocks the bucket until `until`, as the CA requested; one token is available then.
    #[must_use]
    pub fn block(self, limit: &Limit, until: Timestamp) -> Self {
        let in_burst = limit
            .interval()
            .saturating_mul(limit.burst.saturating_sub(1));
        Self {
            full_at: self.full_at.max(until + in_burst),
            spent: self.spent.max(limit.burst),
            blocked_until: self.blocked_until.max(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const SECOND: Duration = Duration::from_secs(1);
    /// Five at once, one back every 10 s, requests up to 2 s on their way.
    const LIMIT: Limit = Limit::per(5, Duration::from_secs(50)).with_margin(Duration::from_secs(2));

    fn emptied() -> Bucket {
        Bucket::default().spend(&LIMIT, START, 5).unwrap()
    }

    #[test]
    fn a_full_bucket_gives_its_whole_burst_at_once_and_then_one_token_per_interval() {
        assert_eq!(Bucket::default().tokens(&LIMIT, START), 5);
        let next = START + 12 * SECOND;
        assert_eq!(
            emptied().spend(&LIMIT, START, 1),
            Err(next),
            "one interval and the margin"
        );
        let then = emptied().spend(&LIMIT, next, 1).unwrap();
        assert_eq!(then.spend(&LIMIT, next, 1), Err(next + 10 * SECOND));
    }

    #[test]
    fn what_is_left_unused_for_long_fills_the_bucket_and_no_more() {
        let later = START + 1_000 * SECOND;
        assert_eq!(emptied().tokens(&LIMIT, later), 5);
        assert_eq!(emptied().tokens(&LIMIT, START + 32 * SECOND), 3);
    }

    #[test]
    fn a_refund_brings_back_what_was_spent_and_never_more_than_full() {
        let refunded = emptied().refund(&LIMIT, START, 2);
        assert_eq!(refunded.tokens(&LIMIT, START), 2);
        let over = refunded.refund(&LIMIT, START, 100);
        assert_eq!(over.tokens(&LIMIT, START), 5);
    }

    #[test]
    fn each_reservation_gets_a_slot_of_its_own() {
        let (bucket, first) = emptied().reserve(&LIMIT, START);
        let (_, second) = bucket.reserve(&LIMIT, START);
        assert_eq!((first, second), (START + 12 * SECOND, START + 22 * SECOND));
        let (_, at_once) = Bucket::default().reserve(&LIMIT, START);
        assert_eq!(at_once, START);
    }

    #[test]
    fn a_blocked_bucket_gives_nothing_until_the_cas_moment_and_then_one_at_a_time() {
        let until = START + 3_600 * SECOND;
        let blocked = Bucket::default().block(&LIMIT, until);
        assert_eq!(blocked.spend(&LIMIT, START, 1), Err(until));
        assert_eq!(blocked.tokens(&LIMIT, until), 1);
        assert_eq!(
            blocked.block(&LIMIT, START),
            blocked,
            "an earlier word does not shorten it"
        );
    }

    #[test]
    fn without_a_limit_nothing_is_counted_but_a_block_holds() {
        let bucket = Bucket::default().spend(&Limit::NONE, START, 1_000).unwrap();
        assert_eq!(bucket, Bucket::default());
        let until = START + SECOND;
        let blocked = bucket.block(&Limit::NONE, until);
        assert_eq!(blocked.spend(&Limit::NONE, START, 1), Err(until));
        assert!(blocked.spend(&Limit::NONE, until, 1_000).is_ok());
    }

    #[test]
    fn counting_what_happened_anyway_can_leave_a_debt() {
        let indebted = emptied().count(&LIMIT, START, 1);
        assert_eq!(indebted.token_at(&LIMIT, START, 1), START + 22 * SECOND);
    }

    #[test]
    fn what_a_clock_a_day_ahead_booked_holds_nobody_for_a_day() {
        let tomorrow = START + 24 * 3_600 * SECOND;
        let booked = Bucket::default().spend(&LIMIT, tomorrow, 5).unwrap();
        assert!(booked.token_at(&LIMIT, START, 1) > tomorrow);
        let believed = booked.believed(&LIMIT, START);
        assert_eq!(believed.token_at(&LIMIT, START, 1), START + 612 * SECOND);
        assert_eq!(believed.believed(&LIMIT, START), believed);
        let lone = Limit::per(1, SECOND).with_margin(3 * SECOND);
        assert_eq!(booked.believed(&lone, START), booked);
    }

    #[test]
    fn whatever_right_clocks_book_reserve_and_block_is_believed() {
        let mut bucket = Bucket::default();
        for round in 0u32..400 {
            let now = START + SECOND * round;
            bucket = match round % 7 {
                0 if round % 70 == 0 => bucket.block(&LIMIT, now + 500 * SECOND),
                1 | 2 => bucket.count(&LIMIT, now, 2),
                3 => bucket.refund(&LIMIT, now, 1),
                _ => bucket.reserve(&LIMIT, now).0,
            };
            assert_eq!(bucket.believed(&LIMIT, now), bucket, "round {round}");
        }
    }

    #[test]
    fn an_estimate_of_a_later_token_adds_an_interval_for_each_before_it() {
        assert_eq!(emptied().token_at(&LIMIT, START, 4), START + 42 * SECOND);
    }
}
