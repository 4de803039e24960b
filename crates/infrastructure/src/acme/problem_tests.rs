use std::time::Duration;

use bytes::Bytes;
use dps_domain::Timestamp;
use http::HeaderMap;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const UNTIL: Timestamp = Timestamp::from_unix_seconds(1_800_000_600);

fn answer(status: u16, body: &str, retry_after: Option<Timestamp>) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        retry_after,
        received_at: NOW,
    }
}

fn problem(status: u16, kind: &str, subject: Subject) -> CaError {
    let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"the words"}}"#);
    error_of(&answer(status, &body, None), subject)
}

/// Every type of RFC 8555 §6.7 and the later ones that CAs send, where they come.
#[test]
fn every_problem_type_has_its_error() {
    use Subject::{Account, Order, Proof, Validation};
    #[rustfmt::skip]
    let table = [
        (400, "accountDoesNotExist", Account, "account"),
        (403, "externalAccountRequired", Account, "account"),
        (403, "userActionRequired", Account, "account"),
        (400, "invalidContact", Account, "account"),
        (400, "unsupportedContact", Account, "account"),
        (403, "unauthorized", Account, "account"),
        (401, "unauthorized", Order, "account"),
        (403, "unauthorized", Proof, "validation"),
        (403, "caa", Proof, "validation"),
        (400, "caa", Validation, "validation"),
        (400, "dns", Validation, "validation"),
        (400, "connection", Validation, "validation"),
        (403, "unauthorized", Validation, "validation"),
        (403, "incorrectResponse", Validation, "validation"),
        (400, "tls", Validation, "validation"),
        (400, "malformed", Validation, "validation"),
        (500, "serverInternal", Validation, "unavailable"),
        (400, "rejectedIdentifier", Account, "rejected"),
        (400, "unsupportedIdentifier", Account, "rejected"),
        (429, "rateLimited", Account, "limited"),
        (403, "orderNotReady", Proof, "gone"),
        (404, "malformed", Order, "gone"),
        (404, "malformed", Account, "malformed"),
        (500, "serverInternal", Account, "unavailable"),
        (503, "malformed", Order, "unavailable"),
        (400, "badNonce", Order, "unavailable"),
        (400, "badCSR", Proof, "malformed"),
        (400, "badPublicKey", Account, "malformed"),
        (400, "badSignatureAlgorithm", Account, "malformed"),
        (400, "badRevocationReason", Account, "malformed"),
        (400, "alreadyRevoked", Account, "malformed"),
        (409, "alreadyReplaced", Account, "malformed"),
        (400, "invalidProfile", Account, "malformed"),
        (400, "malformed", Proof, "malformed"),
        (400, "compound", Account, "malformed"),
    ];
    for (status, kind, subject, expected) in table {
        let error = problem(status, kind, subject);
        let (actual, words) = match &error {
            CaError::Unavailable { detail, .. } => ("unavailable", detail),
            CaError::Local { detail } => ("local", detail),
            CaError::Paced { .. } | CaError::Unreachable { .. } => panic!("an answer came"),
            CaError::RateLimited { detail, .. } => ("limited", detail),
            CaError::Paused { detail, .. } => ("paused", detail),
            CaError::RejectedIdentifier { detail } => ("rejected", detail),
            CaError::Validation { detail, .. } => ("validation", detail),
            CaError::OrderGone { detail } => ("gone", detail),
            CaError::Account { detail } => ("account", detail),
            CaError::Malformed { detail, .. } => ("malformed", detail),
        };
        assert_eq!(actual, expected, "{status} {kind} in {subject:?}");
        assert_eq!(words, "the words");
    }
}

#[test]
fn a_limit_keeps_the_time_that_the_ca_named() {
    let body = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many new orders, retry after 2027-01-15 08:00:00 UTC: see https://ca.example/limits"}"#;
    let error = error_of(&answer(429, body, Some(UNTIL)), Subject::Account);
    assert!(
        matches!(error, CaError::RateLimited { until: Some(at), .. } if at == UNTIL),
        "{error}"
    );
    let timeless = error_of(&answer(429, body, None), Subject::Account);
    assert!(
        matches!(timeless, CaError::RateLimited { until: None, .. }),
        "{timeless}"
    );
}

#[test]
fn a_pause_is_distinguished_from_a_limit_and_keeps_its_link_whole() {
    let link = format!("https://ca.example/sfe/v1/unpause?jwt={}", "x".repeat(900));
    let body = format!(
        r#"{{"type":"urn:ietf:params:acme:error:rateLimited","detail":"Your account is temporarily prevented from requesting certificates for shop.example. Please visit: {link}"}}"#
    );
    let CaError::Paused {
        unpause_url,
        detail,
    } = error_of(&answer(429, &body, None), Subject::Account)
    else {
        panic!("not a pause");
    };
    assert_eq!(unpause_url, Some(link));
    assert!(detail.chars().count() <= MAX_DETAIL_CHARS + 1);
}

#[test]
fn subproblems_decide_where_the_problem_says_nothing_and_are_quoted() {
    let body = r#"{"type":"urn:ietf:params:acme:error:compound","detail":"Some names were rejected","subproblems":[
        {"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"forbidden by policy","identifier":{"type":"dns","value":"bank.example"}}]}"#;
    let error = error_of(&answer(403, body, None), Subject::Account);
    let expected = "Some names were rejected [bank.example: forbidden by policy]".to_owned();
    assert_eq!(error, CaError::RejectedIdentifier { detail: expected });
}

#[test]
fn an_answer_that_is_not_acme_is_an_outage_whose_page_is_not_repeated() {
    for (status, body) in [
        (502, "<html><h1>Bad Gateway</h1></html>"),
        (403, "<html>blocked</html>"),
        (404, "{}"),
        (500, ""),
    ] {
        let error = error_of(&answer(status, body, Some(UNTIL)), Subject::Order);
        let CaError::Unavailable {
            detail,
            retry_after,
        } = error
        else {
            panic!("{status}: {error}");
        };
        assert!(!detail.contains("html"), "{detail}");
        assert!(retry_after.is_some_and(|at| at == UNTIL));
    }
    let gone = error_of(&answer(404, "", None), Subject::Order);
    assert!(matches!(gone, CaError::OrderGone { .. }), "{gone}");
    let overload = error_of(&answer(429, "slow down", None), Subject::Order);
    assert!(
        matches!(
            overload,
            CaError::Unavailable {
                retry_after: None,
                ..
            }
        ),
        "no limit is named: {overload}"
    );
}

#[test]
fn hostile_words_become_one_short_line() {
    let line = tidy(&format!("first\nsecond\u{7}\t{}", "ü".repeat(5_000)));
    assert!(line.starts_with("first second ü"), "{line}");
    assert_eq!(line.chars().count(), MAX_DETAIL_CHARS + 1);
}

/// Times that other parties name are limited to what the purpose allows.
#[test]
fn no_wait_goes_beyond_what_an_outage_or_a_limit_can_be() {
    let years = Some(NOW + Duration::from_secs(10 * 365 * 86_400));
    for (status, body) in [
        (503, "<html>maintenance</html>"),
        (429, "<html>slow down</html>"),
        (429, r#"{"type":"about:blank","detail":"slow down"}"#),
        (
            500,
            r#"{"type":"urn:ietf:params:acme:error:serverInternal","detail":"oops"}"#,
        ),
    ] {
        for subject in [Subject::Account, Subject::Order, Subject::Proof] {
            let error = error_of(&answer(status, body, years), subject);
            let CaError::Unavailable {
                retry_after: Some(until),
                ..
            } = error
            else {
                panic!("{status} {body}: {error}");
            };
            assert_eq!(
                until.at(),
                NOW + Purpose::Outage.ceiling(),
                "{status} {body}"
            );
        }
    }
    let limit = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}"#;
    let error = error_of(&answer(429, limit, years), Subject::Account);
    let CaError::RateLimited {
        until: Some(until), ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(until.at(), NOW + Purpose::Limit.ceiling());
}

#[test]
fn a_type_is_one_short_word_whatever_the_ca_sends() {
    for kind in [
        "a\u{e9}".repeat(100_000),
        "\u{1b}[31mred\r\nInjected: yes".to_owned(),
        "x".repeat(70),
    ] {
        let body = serde_json::json!({ "type": kind, "detail": "words" }).to_string();
        let CaError::Malformed { kind, .. } = error_of(&answer(400, &body, None), Subject::Account)
        else {
            panic!("an unassigned type is our fault");
        };
        assert!(
            kind.chars().count() <= MAX_KIND_CHARS + 1,
            "{} bytes",
            kind.len()
        );
        assert!(!kind.contains(char::is_control), "{kind:?}");
    }
}
