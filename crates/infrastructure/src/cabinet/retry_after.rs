//! `Retry-After` (RFC 9110 §10.2.3) without a clock of our own.

use std::time::Duration;

use dps_domain::Purpose;
use http::{HeaderMap, HeaderName, header};
use time::PrimitiveDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

const IMF_FIXDATE: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// The wait the answer asks for: seconds, or a date that is read against the answer's own `Date`.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = text.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let (until, now) = (
            date(headers, &header::RETRY_AFTER)?,
            date(headers, &header::DATE)?,
        );
        Duration::try_from(until - now).unwrap_or_default()
    };
    Some(Purpose::Cabinet.bound(wait))
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<PrimitiveDateTime> {
    PrimitiveDateTime::parse(headers.get(name)?.to_str().ok()?.trim(), IMF_FIXDATE).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(retry: &str, date: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, retry.parse().unwrap());
        headers.insert(header::DATE, date.parse().unwrap());
        retry_after(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_become_a_bounded_wait() {
        let now = "Mon, 23 Nov 2026 21:00:00 GMT";
        assert_eq!(read("17", now), Some(17));
        assert_eq!(read("999999999", now), Some(300));
        assert_eq!(read("Mon, 23 Nov 2026 21:01:30 GMT", now), Some(90));
        assert_eq!(read("Mon, 23 Nov 2026 20:00:00 GMT", now), Some(0));
        assert_eq!(read("soon", now), None);
        assert_eq!(read("Mon, 23 Nov 2026 21:01:30 GMT", "unknown"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
