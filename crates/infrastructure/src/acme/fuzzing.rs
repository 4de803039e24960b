//! An entrance for the fuzzer.

use bytes::Bytes;
use dps_domain::{Timestamp, with_causes};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use instant_acme::{AuthorizationState, OrderState};

use super::directory::DirectoryCache;
use super::exchange::{Answer, Exchange};
use super::problem::{self, Subject};
use super::{lenient, renewal_info, views};
use crate::retry_after;

/// Longest text of an error of the CA.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// An answer of the CA, read as each resource that it could be. The first line holds the status
/// and, after a space, the value of `Retry-After`; the body follows.
///
/// # Panics
/// If an error has no bound, or a response changes when it is normalized again.
pub fn read_answer(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (head, body) = data.split_at(end);
    let head = String::from_utf8_lossy(head);
    let (status, wait) = head.split_once(' ').unwrap_or((&head, ""));
    let status = status
        .parse()
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    let mut headers = HeaderMap::new();
    if let Ok(wait) = HeaderValue::from_str(wait) {
        headers.insert(RETRY_AFTER, wait);
    }
    let now = Timestamp::from_unix_seconds(1_800_000_000);
    let body = lenient::normalize(Bytes::copy_from_slice(body));
    assert_eq!(
        lenient::normalize(body.clone()),
        body,
        "normalized once and for all"
    );
    let answer = Answer {
        status: status.unwrap_or(StatusCode::OK),
        retry_after: retry_after::read(&headers, Some(now)).map(|wait| now + wait),
        headers,
        body,
        received_at: now,
    };
    for subject in [
        Subject::Account,
        Subject::Order,
        Subject::Proof,
        Subject::Validation,
    ] {
        let error = with_causes(&problem::error_of(&answer, subject));
        assert!(
            error.len() <= MAX_ERROR_BYTES,
            "an error of {} bytes",
            error.len()
        );
    }
    let _ = renewal_info::read(&answer, now);
    let directory = DirectoryCache::default();
    directory.keep(&answer.body, now);
    let _ = (
        directory.endpoint("https://ca.test/new-order", now),
        directory.caa_identities(),
    );
    if let Ok(state) = serde_json::from_slice::<AuthorizationState>(&answer.body) {
        let _ = views::authorization(&state, "thumbprint");
    }
    if let Ok(state) = serde_json::from_slice::<OrderState>(&answer.body) {
        let _ = views::order(&state, &Exchange::Answer(answer));
    }
}
