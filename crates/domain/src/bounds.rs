//! Bounds on what strangers say before it is stored or logged.
//!
//! DNS answers, HTTP headers and a CA's problem documents end in a record's failure, in its history
//! and in reports to the Cabinet. Whatever their authors send, each of these stays small.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Failure;
use crate::record::{DomainEvent, StatusReport};

/// The longest line of history, in bytes: kind, phase, replica and detail together.
pub const MAX_LINE: usize = 4096;
/// The longest word or name in a line of history, in bytes.
const MAX_WORD: usize = 128;
/// The longest detail of a line of history, in bytes of JSON.
const MAX_DETAIL: usize = MAX_LINE - 3 * MAX_WORD;
/// The longest failure, in bytes of JSON.
const MAX_FAILURE: usize = 2048;
/// The longest sentence for a customer, in bytes.
const MAX_MESSAGE: usize = 2048;
/// Entries of each list and bytes of each text that are kept: the first pair that fits is used.
const PASSES: [(usize, usize); 4] = [(16, 512), (8, 256), (4, 128), (2, 64)];

/// The beginning of a text, at most `max` bytes. A text that was cut ends in `…`.
pub fn text(text: &str, max: usize) -> Cow<'_, str> {
    const MARK: &str = "…";
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(max.saturating_sub(MARK.len()));
    Cow::Owned(format!("{}{MARK}", &text[..end]))
}

/// The failure, small enough to be stored with every record. Long lists and texts are cut.
pub fn failure(failure: &Failure) -> Cow<'_, Failure> {
    if fits(failure, MAX_FAILURE) {
        return Cow::Borrowed(failure);
    }
    Cow::Owned(
        shortened(failure, MAX_FAILURE).unwrap_or_else(|| Failure::Internal {
            detail: format!("the details of {} are too long to be kept", failure.code()),
        }),
    )
}

/// The report, small enough for the outbox.
pub fn report(report: &StatusReport) -> Cow<'_, StatusReport> {
    let cause = report.failure.as_ref().map(failure);
    let message = report
        .message
        .as_deref()
        .map(|message| text(message, MAX_MESSAGE));
    match (cause, message) {
        (None | Some(Cow::Borrowed(_)), None | Some(Cow::Borrowed(_))) => Cow::Borrowed(report),
        (cause, message) => Cow::Owned(StatusReport {
            failure: cause.map(Cow::into_owned),
            message: message.map(Cow::into_owned),
            ..report.clone()
        }),
    }
}

/// The line of history, at most [`MAX_LINE`] bytes. A detail that was cut says so under `cut`.
pub fn event(event: &DomainEvent) -> Cow<'_, DomainEvent> {
    let words = [&event.phase, &event.replica].map(|word| text(word, MAX_WORD));
    let detail = detail(&event.detail, MAX_DETAIL);
    if matches!(detail, Cow::Borrowed(_))
        && words.iter().all(|word| matches!(word, Cow::Borrowed(_)))
    {
        return Cow::Borrowed(event);
    }
    let [phase, replica] = words.map(Cow::into_owned);
    Cow::Owned(DomainEvent {
        at: event.at,
        kind: event.kind,
        phase,
        detail: detail.into_owned(),
        duration: event.duration,
        replica,
    })
}

/// The detail of a line of history within `max` bytes of JSON. What was cut says so under `cut`.
pub fn detail(value: &Value, max: usize) -> Cow<'_, Value> {
    if fits(value, max) {
        return Cow::Borrowed(value);
    }
    for pass in PASSES {
        let mut value = value.clone();
        shorten(&mut value, pass);
        let marked = match value {
            Value::Object(mut fields) => {
                fields.insert("cut".to_owned(), Value::Bool(true));
                Value::Object(fields)
            }
            other => json!({ "cut": true, "value": other }),
        };
        if fits(&marked, max) {
            return Cow::Owned(marked);
        }
    }
    Cow::Owned(json!({ "cut": true }))
}

/// The value with shorter lists and texts, by way of JSON, in which all kinds of failures have one
/// form.
fn shortened<T: Serialize + DeserializeOwned>(value: &T, max: usize) -> Option<T> {
    let whole = serde_json::to_value(value).ok()?;
    PASSES.into_iter().find_map(|pass| {
        let mut value = whole.clone();
        shorten(&mut value, pass);
        let small = fits(&value, max).then_some(value)?;
        serde_json::from_value(small).ok()
    })
}

fn shorten(value: &mut Value, pass: (usize, usize)) {
    match value {
        Value::String(long) if long.len() > pass.1 => *long = text(long, pass.1).into_owned(),
        Value::Array(entries) => {
            entries.truncate(pass.0);
            for entry in entries {
                shorten(entry, pass);
            }
        }
        Value::Object(fields) => {
            for field in fields.values_mut() {
                shorten(field, pass);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether the JSON text of a value is at most so long.
pub fn fits<T: Serialize + ?Sized>(value: &T, max: usize) -> bool {
    serde_json::to_writer(Room(max), value).is_ok()
}

/// Takes so many bytes, and forgets them.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::{EventKind, FailureCode, Status, Timestamp};

    fn addresses(count: u32) -> Vec<IpAddr> {
        (0..count).map(|n| Ipv4Addr::from_bits(n).into()).collect()
    }

    fn length<T: Serialize>(value: &T) -> usize {
        serde_json::to_string(value).unwrap().len()
    }

    /// Failures with texts and lists that strangers can make as long as they like.
    fn long_ones() -> Vec<Failure> {
        let name = || "a".repeat(250);
        let moved = Failure::DnsWrongTarget {
            chain: (0..4_000).map(|_| name()).collect(),
            addresses: addresses(4_000),
            more: 0,
        };
        vec![
            Failure::DnsNoCname {
                addresses: addresses(6_300),
                more: 0,
                is_zone: false,
            },
            Failure::DnsStrayAddress {
                stray: addresses(6_300),
                more: 0,
            },
            Failure::DnsCnameLoop {
                chain: (0..500).map(|_| name()).collect(),
            },
            Failure::DnsMoved {
                cause: Box::new(moved),
            },
            Failure::HttpRedirect {
                address: Ipv4Addr::LOCALHOST.into(),
                status: 301,
                location: Some("é".repeat(50_000)),
            },
            Failure::HttpWrongResponder {
                address: Ipv4Addr::LOCALHOST.into(),
                server: Some("\u{1}".repeat(50_000)),
            },
            Failure::AcmeValidationFailed {
                sub_cause: "x".repeat(50_000),
                detail: "\"".repeat(50_000),
                reached_by_us: false,
            },
            Failure::AcmePaused {
                unpause_url: Some("https://ca.example/".repeat(9_000)),
                detail: "y".repeat(50_000),
            },
        ]
    }

    #[test]
    fn a_failure_stays_small_and_keeps_its_code_however_much_a_stranger_sends() {
        for long in long_ones() {
            let short = failure(&long);
            assert!(length(&*short) <= MAX_FAILURE, "{}", length(&*short));
            assert_eq!(short.code(), long.code());
        }
        let small = Failure::DnsNoCname {
            addresses: addresses(3),
            more: 0,
            is_zone: false,
        };
        assert!(matches!(failure(&small), Cow::Borrowed(_)));
    }

    #[test]
    fn a_line_of_history_is_valid_json_of_four_kilobytes_at_most_and_says_that_it_was_cut() {
        for long in long_ones() {
            let line = DomainEvent {
                at: Timestamp::EPOCH,
                kind: EventKind::Failed(FailureCode::AcmeRejectedIdentifier),
                phase: "p".repeat(5_000),
                detail: json!({ "failure": long, "notes": [long, long] }),
                duration: None,
                replica: "r".repeat(5_000),
            };
            let short = event(&line);
            let whole = short.kind.to_string().len()
                + short.phase.len()
                + short.replica.len()
                + length(&short.detail);
            assert!(whole <= MAX_LINE, "{whole}");
            assert_eq!(short.detail["cut"], true);
        }
        assert_eq!(*detail(&json!({ "a": 1 }), 100), json!({ "a": 1 }));
        let wide: serde_json::Map<_, _> = (0..9_000).map(|n| (n.to_string(), json!(n))).collect();
        assert_eq!(*detail(&Value::Object(wide), 100), json!({ "cut": true }));
    }

    #[test]
    fn a_report_is_bounded_in_its_failure_and_its_sentence() {
        for long in long_ones() {
            let code = long.code();
            let long_report = StatusReport {
                status: Status::PendingDns,
                failure: Some(long),
                message: Some("ü".repeat(90_000)),
                next_attempt_at: None,
                certificate_not_after: None,
                proof: None,
            };
            let short = report(&long_report);
            assert!(length(&*short) <= MAX_FAILURE + MAX_MESSAGE + 200);
            assert_eq!(short.failure.as_ref().map(Failure::code), Some(code));
            assert!(short.message.as_ref().unwrap().ends_with('…'));
        }
    }
}
