//! When the CA suggests to renew (RFC 9773): polled without an account, apart from the calls of RFC
//! 8555 and their fate.

use std::borrow::Cow;
use std::time::Duration;

use dps_application::ports::ca::{CaDisposition, CaError, LostOrder, Refusal, RenewalInfoResponse};
use dps_domain::renewal::info::{SuggestedWindow, poll_again_at};
use dps_domain::{Purpose, Timestamp, Until};
use http::StatusCode;
use instant_acme::CertificateIdentifier;
use url::Url;

use super::call;
use super::exchange::{Answer, Exchange, observe};
use super::problem::{self, Subject};
use super::transport::Transport;

/// No window of sense reaches further into the future, or is wider.
const TEN_YEARS: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
/// Longer explanation URLs are dropped; a cut one would not work.
const MAX_URL_BYTES: usize = 2_048;
/// Longer identifiers are no certificate's: key identifier and serial number have 20 octets each as
/// a rule.
const MAX_IDENTIFIER_BYTES: usize = 256;

/// The suggestion for one certificate; `None` if the directory names no renewal information. A
/// failure here does not make the directory be fetched anew: there are as many of these calls as
/// certificates.
pub(super) async fn fetch(
    transport: &Transport,
    ari_id: &str,
) -> Result<Option<RenewalInfoResponse>, CaError> {
    let (directory, seen) = observe(transport.fetch_directory()).await;
    if directory.is_err() {
        return Err(unanswered(&seen));
    }
    let Some(resource) = transport.renewal_info_url() else {
        return Ok(None);
    };
    if identifier(ari_id).is_none() {
        return Err(CaError::Malformed {
            kind: "certificateIdentifier".to_owned(),
            detail: "the stored identifier is not one of RFC 9773".to_owned(),
        });
    }
    let url = format!("{}/{ari_id}", resource.trim_end_matches('/'));
    let (fetched, seen) = observe(transport.fetch(&url)).await;
    match fetched {
        Ok(answer) => read(&answer, transport.now()).map(Some),
        Err(_) => Err(unanswered(&seen)),
    }
}

fn unanswered(seen: &Exchange) -> CaError {
    let not_acme = |answer: &Answer| of_no_use(answer, "an answer that is no ACME directory", None);
    call::error_of(seen, Subject::Account, not_acme, || {
        "the CA's directory names an address that nothing can be sent to".to_owned()
    })
}

pub(super) fn read(answer: &Answer, now: Timestamp) -> Result<RenewalInfoResponse, CaError> {
    if answer.is_error() {
        return Err(problem::error_of(answer, Subject::Account));
    }
    // A useless response will be useless in a minute too (RFC 9773 §4.3.3).
    let later = Some(Until::named(
        poll_again_at(None, now),
        now,
        Purpose::RenewalInfo,
    ));
    if answer.status != StatusCode::OK {
        return Err(of_no_use(
            answer,
            "an answer that is no renewal information",
            later,
        ));
    }
    let Ok(info) = serde_json::from_slice::<instant_acme::RenewalInfo>(&answer.body) else {
        return Err(of_no_use(
            answer,
            "renewal information that cannot be read",
            later,
        ));
    };
    let start = Timestamp::from(info.suggested_window.start);
    let end = Timestamp::from(info.suggested_window.end);
    let Ok(window) = SuggestedWindow::new(start, end) else {
        let reason = "a renewal window that does not end after it starts";
        return Err(of_no_use(answer, reason, later));
    };
    if end.since(start) > TEN_YEARS || end.since(now) > TEN_YEARS {
        return Err(of_no_use(
            answer,
            "a renewal window that spans or lies ahead years",
            later,
        ));
    }
    Ok(RenewalInfoResponse {
        window,
        explanation_url: info.explanation_url.filter(|url| is_for_people(url)),
        poll_again_at: poll_again_at(answer.retry_after, now),
    })
}

fn of_no_use(answer: &Answer, what: &str, later: Option<Until>) -> CaError {
    CaError::Unavailable {
        detail: problem::not_acme(answer, what),
        retry_after: later,
    }
}

/// Whether a text is an address that a person's browser opens, and that a log line can hold.
fn is_for_people(text: &str) -> bool {
    text.len() <= MAX_URL_BYTES
        && !text.contains(|c: char| c.is_control() || c.is_whitespace())
        && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
}

/// A certificate's identifier (RFC 9773 §4.1) from its text; `None` if it is none.
pub(super) fn identifier(text: &str) -> Option<CertificateIdentifier<'_>> {
    let (authority, serial) = text.split_once('.')?;
    let is_base64url = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    (text.len() <= MAX_IDENTIFIER_BYTES && is_base64url(authority) && is_base64url(serial))
        .then_some(CertificateIdentifier {
            authority_key_identifier: Cow::Borrowed(authority),
            serial: Cow::Borrowed(serial),
        })
}

/// Whether an order may have been refused for its `replaces` alone. The error is then
/// `alreadyReplaced` or `conflict` (409), or the CA does not know the certificate (404). The
/// certificate may also be of another account (403) or have no common name (400). CAs differ in
/// their words, so every status that could mean it counts. An order that is wrong in itself is
/// refused again without `replaces`.
pub(super) fn may_refuse_replaces(error: &CaError) -> bool {
    match error.disposition() {
        CaDisposition::Refused(Refusal::Account | Refusal::Request)
        | CaDisposition::OrderLost(LostOrder::Gone) => true,
        CaDisposition::OrderLost(LostOrder::ValidationFailed | LostOrder::NameRejected)
        | CaDisposition::Local
        | CaDisposition::Paced { .. }
        | CaDisposition::Unavailable { .. }
        | CaDisposition::RateLimited { .. }
        | CaDisposition::NamePaused => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_two_words_of_base64url() {
        let good = identifier("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE").unwrap();
        assert_eq!(good.to_string(), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
        for bad in [
            "",
            ".",
            "a.",
            ".b",
            "a",
            "a.b.c",
            "a/../b.c",
            "a b.c",
            &format!("a.{}", "b".repeat(300)),
        ] {
            assert!(identifier(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_explanation_is_an_address_of_the_web_in_one_line() {
        assert!(is_for_people("https://ca.example/why?incident=7"));
        for bad in [
            "javascript:alert(1)",
            "/why",
            "https://ca.example/\nwhy",
            &format!("https://ca.example/{}", "x".repeat(3000)),
        ] {
            assert!(!is_for_people(bad), "{bad}");
        }
    }
}
