//! The time of a renewal: by the CA's window in [`info`], otherwise by the certificate's dates; in
//! [`freeze`], the windows that delay it.

pub mod freeze;
pub mod info;

use std::time::Duration;

use crate::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest wait before another attempt once the certificate has ended.
const AFTER_THE_END: Duration = Duration::from_secs(5 * 60);

/// The latest moment by which a renewal should begin, from the certificate's own dates.
///
/// For a lifetime under ten days, it is half of the lifetime. Otherwise it is the earlier of "a
/// third of the lifetime left" and "30 days before expiry". The 30 days count only in the second
/// half of the lifetime. Otherwise they would renew a 45-day certificate every 15 days, and a
/// 20-day certificate without end.
pub fn renewal_deadline(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let lifetime = not_after.since(not_before);
    if lifetime < 10 * DAY {
        return not_after - lifetime / 2;
    }
    let third_left = not_after - lifetime / 3;
    let thirty_days = not_after - 30 * DAY;
    if lifetime >= 60 * DAY {
        third_left.min(thirty_days)
    } else {
        third_left
    }
}

/// Returns the renewal moment to store, chosen by `random` in `0.0..1.0`. The window ends at
/// [`renewal_deadline`] and is a fiftieth of the lifetime long. This spreads certificates that were
/// issued together.
pub fn renewal_moment(not_before: Timestamp, not_after: Timestamp, random: f64) -> Timestamp {
    let window = not_after.since(not_before) / 50;
    renewal_deadline(not_before, not_after) - window.mul_f64(random.clamp(0.0, 1.0))
}

/// Returns the time from one certificate to the next, on average; at least a minute.
pub fn renewal_interval(lifetime: Duration) -> Duration {
    let begin = Timestamp::EPOCH;
    let renewal = renewal_moment(begin, begin + lifetime, 0.5).since(begin);
    renewal.max(Duration::from_secs(60))
}

/// The earliest moment of a renewal that the certificate's dates or the CA's window suggest: a
/// twentieth of the lifetime after `issued_at`.
///
/// `issued_at` is by our own clock. Neither a CA that backdates nor a clock that is ahead makes a
/// fresh certificate due at once.
pub fn earliest_renewal(
    issued_at: Timestamp,
    (not_before, not_after): (Timestamp, Timestamp),
) -> Timestamp {
    issued_at + not_after.since(not_before) / 20
}

/// The cause of a wait for a renewal under way, which bounds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCause {
    /// Anything that passes without the customer: an outage, a limit, an order in progress.
    Others,
    /// The customer's side: a failed validation, a name that the CA rejects.
    Customer,
    /// The name does not point at us any more.
    MovedAway,
}

/// The longest wait before the next attempt to replace a certificate that is served until
/// `not_after`; `None` without a bound.
///
/// It is a share of the remaining lifetime, so an attempt follows the end of an outage within a
/// tenth of it.
pub fn longest_wait(not_after: Timestamp, now: Timestamp, cause: WaitCause) -> Option<Duration> {
    let left = not_after.since(now);
    let (share, shortest) = match cause {
        WaitCause::Others => (left / 10, Duration::from_secs(30)),
        WaitCause::Customer => (left / 10, Duration::from_secs(60)),
        // Most domains that moved away do not return.
        WaitCause::MovedAway => (left / 2, Duration::from_secs(60)),
    };
    if !left.is_zero() {
        return Some(share.max(shortest));
    }
    // The site is down, so the next attempt must soon follow the end of an outage.
    (cause == WaitCause::Others).then_some(AFTER_THE_END)
}

/// The time from which a renewal is urgent: a tenth of the lifetime is left, but never before
/// `renew_at`.
pub fn urgent_from(not_before: Timestamp, not_after: Timestamp, renew_at: Timestamp) -> Timestamp {
    let tenth_left = not_after - not_after.since(not_before) / 10;
    tenth_left.max(renew_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn deadline_day(lifetime_days: u32) -> u64 {
        let start = Timestamp::from_unix_seconds(1_800_000_000);
        renewal_deadline(start, start + lifetime_days * DAY)
            .since(start)
            .as_secs()
            / 86_400
    }

    #[test]
    fn each_lifetime_in_use_has_its_deadline() {
        assert_eq!(deadline_day(90), 60);
        assert_eq!(deadline_day(64), 34);
        assert_eq!(deadline_day(45), 30);
        assert_eq!(deadline_day(200), 133);
        let start = Timestamp::from_unix_seconds(1_800_000_000);
        let hours = renewal_deadline(start, start + Duration::from_secs(160 * 3600))
            .since(start)
            .as_secs()
            / 3600;
        assert_eq!(hours, 80);
    }

    #[test]
    fn certificates_of_45_and_90_days_follow_each_other_after_less_than_30_and_60() {
        let hours = |lifetime| renewal_interval(lifetime * DAY).as_secs() / 3600;
        assert_eq!([45, 90].map(hours), [30 * 24 - 11, 60 * 24 - 22]);
        assert_eq!(renewal_interval(Duration::ZERO), Duration::from_secs(60));
    }

    #[test]
    fn a_renewal_is_urgent_in_the_last_tenth_of_the_lifetime_but_never_before_it_is_due() {
        let start = Timestamp::from_unix_seconds(1_800_000_000);
        let end = start + 90 * DAY;
        assert_eq!(urgent_from(start, end, start + 60 * DAY), start + 81 * DAY);
        assert_eq!(urgent_from(start, end, start + 85 * DAY), start + 85 * DAY);
    }

    #[test]
    fn a_wait_is_a_share_of_what_is_left_and_a_site_that_is_down_waits_minutes() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let wait = |left: u64, cause| {
            longest_wait(now + Duration::from_secs(left), now, cause).map(|wait| wait.as_secs())
        };
        assert_eq!(wait(36_000, WaitCause::Others), Some(3_600));
        assert_eq!(wait(100, WaitCause::Others), Some(30));
        assert_eq!(wait(100, WaitCause::Customer), Some(60));
        assert_eq!(wait(36_000, WaitCause::MovedAway), Some(18_000));
        assert_eq!(wait(0, WaitCause::Others), Some(300));
        assert_eq!(wait(0, WaitCause::Customer), None);
        assert_eq!(wait(0, WaitCause::MovedAway), None);
    }

    proptest! {
        #[test]
        fn a_fresh_certificate_is_never_due_at_once(hours in 1u64..50_000, random in 0.0f64..1.0) {
            let start = Timestamp::from_unix_seconds(1_800_000_000);
            let end = start + Duration::from_secs(hours * 3600);
            let moment = renewal_moment(start, end, random);
            let lived = moment.since(start).as_secs_f64() / end.since(start).as_secs_f64();
            prop_assert!((0.45..=0.9).contains(&lived), "{lived}");
            prop_assert!(moment < end);
        }
    }
}
