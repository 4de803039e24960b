//! When the other side wants to be asked again (RFC 9110 §10.2.3).

use std::time::Duration;

use dps_domain::Timestamp;
use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// The date form that every server has sent since RFC 1123 (RFC 9110 §5.6.7).
const IMF_FIXDATE: &[BorrowedFormatItem<'static>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// The moment named by `Retry-After`, as seconds from `now` or as a date. A date is read against
/// the answer's own `Date`, so that a difference between the clocks does not matter. Never in the
/// past; `None` when absent or unreadable. It may lie years ahead: whoever uses it bounds it by its
/// purpose.
pub(super) fn read(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let sent_at = headers
            .get(DATE)
            .and_then(|value| date(value.to_str().ok()?))
            .unwrap_or(now);
        date(text)?.since(sent_at)
    };
    Some(now + wait)
}

fn date(text: &str) -> Option<Timestamp> {
    let parsed = PrimitiveDateTime::parse(text.trim(), IMF_FIXDATE).ok()?;
    Some(Timestamp::from(parsed.assume_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_784_111_777); // 2026-07-15T10:36:17Z

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn seconds_count_from_now() {
        let at = read(&headers(&[(RETRY_AFTER, " 120 ")]), NOW);
        assert_eq!(at, Some(NOW + Duration::from_secs(120)));
    }

    #[test]
    fn a_date_is_read_against_the_answers_own_date_whatever_our_clock_says() {
        let answer = headers(&[
            (RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT"),
            (DATE, "Fri, 31 Dec 1999 23:50:00 GMT"),
        ]);
        assert_eq!(read(&answer, NOW), Some(NOW + Duration::from_secs(599)));
    }

    #[test]
    fn a_date_without_the_answers_date_is_absolute_and_never_in_the_past() {
        let ahead = headers(&[(RETRY_AFTER, "Wed, 15 Jul 2026 10:36:47 GMT")]);
        assert_eq!(read(&ahead, NOW), Some(NOW + Duration::from_secs(30)));
        let past = headers(&[(RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT")]);
        assert_eq!(read(&past, NOW), Some(NOW));
    }

    #[test]
    fn nonsense_is_no_wish_and_an_eternity_is_a_moment_that_a_purpose_can_bound() {
        assert_eq!(read(&headers(&[(RETRY_AFTER, "soon")]), NOW), None);
        assert_eq!(read(&headers(&[]), NOW), None);
        let eternity = headers(&[(RETRY_AFTER, "18446744073709551615")]);
        assert!(read(&eternity, NOW).is_some_and(|at| at > NOW));
    }
}
