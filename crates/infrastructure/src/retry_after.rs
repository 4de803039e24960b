//! The time that the other side names for the next request (RFC 9110 §10.2.3).

use std::time::Duration;

use dps_domain::Timestamp;
use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// The date form that every server has sent since RFC 1123 (RFC 9110 §5.6.7).
const IMF_FIXDATE: &[BorrowedFormatItem<'static>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// Reads the wait of `Retry-After`, in seconds or as a date; `None` if it is absent or unreadable.
/// A date is compared with the response's own `Date`, so that a difference between the clocks does
/// not matter; `now` replaces a missing `Date`. The wait may be years, so callers bound it by its
/// purpose.
pub(crate) fn read(headers: &HeaderMap, now: Option<Timestamp>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let sent_at = headers
        .get(DATE)
        .and_then(|value| date(value.to_str().ok()?));
    Some(date(text)?.since(sent_at.or(now)?))
}

/// The moment of a date in HTTP's own form (RFC 9110 §5.6.7).
pub(crate) fn date(text: &str) -> Option<Timestamp> {
    let parsed = PrimitiveDateTime::parse(text.trim(), IMF_FIXDATE).ok()?;
    Some(Timestamp::from(parsed.assume_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dps_domain::Purpose;
    use http::HeaderName;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_784_111_777); // 2026-07-15T10:36:17Z

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        let wait = read(&headers(&[(RETRY_AFTER, " 120 ")]), None);
        assert_eq!(wait, Some(Duration::from_secs(120)));
    }

    #[test]
    fn a_date_is_read_against_the_answers_own_date_whatever_our_clock_says() {
        let answer = headers(&[
            (RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT"),
            (DATE, "Fri, 31 Dec 1999 23:50:00 GMT"),
        ]);
        assert_eq!(read(&answer, Some(NOW)), Some(Duration::from_secs(599)));
        assert_eq!(read(&answer, None), Some(Duration::from_secs(599)));
    }

    #[test]
    fn a_date_without_the_answers_date_is_read_by_our_clock_and_never_in_the_past() {
        let ahead = headers(&[(RETRY_AFTER, "Wed, 15 Jul 2026 10:36:47 GMT")]);
        assert_eq!(read(&ahead, Some(NOW)), Some(Duration::from_secs(30)));
        assert_eq!(read(&ahead, None), None);
        let past = headers(&[(RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT")]);
        assert_eq!(read(&past, Some(NOW)), Some(Duration::ZERO));
        let undated = headers(&[
            (RETRY_AFTER, "Wed, 15 Jul 2026 10:36:47 GMT"),
            (DATE, "unknown"),
        ]);
        assert_eq!(read(&undated, None), None);
    }

    #[test]
    fn nonsense_is_no_wait_and_an_eternity_is_one_that_a_purpose_can_bound() {
        assert_eq!(read(&headers(&[(RETRY_AFTER, "soon")]), Some(NOW)), None);
        assert_eq!(read(&headers(&[]), Some(NOW)), None);
        let eternity = read(
            &headers(&[(RETRY_AFTER, "18446744073709551615")]),
            Some(NOW),
        )
        .unwrap();
        assert!(NOW + eternity > NOW);
        assert_eq!(Purpose::Cabinet.bound(eternity), Duration::from_secs(300));
    }
}
