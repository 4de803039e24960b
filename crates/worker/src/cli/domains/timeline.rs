//! A domain's history for people: one line per event, its evidence below it.

use std::fmt::Write as _;

use dps_admin_api::HistoryLine;
use dps_domain::text::shown;
use serde_json::Value;

use crate::cli::output::{self, OutputError};

/// Prints the events in the given order.
pub(super) fn print(events: &[HistoryLine]) -> Result<(), OutputError> {
    output::write(format_args!("{}", text(events)))
}

fn text(events: &[HistoryLine]) -> String {
    let mut text = String::new();
    let mut day = String::new();
    for event in events {
        let at = event.at.to_string();
        let (date, time) = at.split_once('T').unwrap_or((&at, ""));
        if date != day {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "    {date}");
            date.clone_into(&mut day);
        }
        let took = event.duration_ms.map(took).unwrap_or_default();
        let line = format!(
            "      {:<13} {:<24} {:<18} {took:>8}  {}",
            clock(time),
            event.kind,
            event.phase,
            event.replica
        );
        let _ = writeln!(text, "{}", line.trim_end());
        for (name, value) in event.detail.as_object().into_iter().flatten() {
            match value {
                Value::Array(items) if items.iter().any(Value::is_object) => {
                    let _ = writeln!(text, "          {name}:");
                    for item in items {
                        let _ = writeln!(text, "            {}", words(item));
                    }
                }
                value if says_nothing(value) => {}
                value => {
                    let _ = writeln!(text, "          {name}: {}", words(value));
                }
            }
        }
    }
    text
}

/// Hours to milliseconds.
fn clock(time: &str) -> String {
    let time = time.trim_end_matches('Z');
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    format!("{seconds}.{fraction:0<3.3}")
}

fn took(millis: u64) -> String {
    if millis < 10_000 {
        format!("{millis} ms")
    } else {
        format!("{} s", millis / 1_000)
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A value without JSON's quotes and braces. Control characters, which strangers may have put
/// there, cannot reach the terminal.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text, usize::MAX),
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let shown = fields.iter().filter(|(_, value)| !says_nothing(value));
            let shown = shown.map(|(name, value)| format!("{name} {}", words(value)));
            shown.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use dps_domain::{EventKind, FailureCode, Timestamp};
    use serde_json::json;

    use super::*;

    #[test]
    fn each_event_is_a_line_with_its_evidence_below_and_each_day_is_named_once() {
        let event = |micros, kind, detail, duration_ms| HistoryLine {
            at: Timestamp::from_unix_micros(micros),
            kind,
            phase: "awaitingDns".into(),
            detail,
            duration_ms,
            replica: "dps-1".into(),
        };
        let seen = json!({ "answers": [
            { "resolver": "8.8.8.8:53", "chain": ["edge.example"], "answer": ["192.0.2.1", "192.0.2.2"] },
            { "resolver": "1.1.1.1:53", "chain": [], "answer": "does\u{1b}[2Jnot exist" },
        ] });
        let events = [
            event(
                1_800_000_000_123_456,
                EventKind::DomainTakenIn,
                json!({ "cabinetStatus": "PendingDns" }),
                None,
            ),
            event(
                1_800_000_001_000_000,
                EventKind::Failed(FailureCode::DnsNxdomain),
                seen,
                Some(43),
            ),
            event(
                1_800_090_000_000_000,
                EventKind::RetryByOperator,
                json!({}),
                None,
            ),
        ];
        let expected = "    2027-01-15\n      \
            08:00:00.123  domain.taken_in          awaitingDns                  dps-1\n          \
            cabinetStatus: PendingDns\n      \
            08:00:01.000  dns_nxdomain             awaitingDns           43 ms  dps-1\n          \
            answers:\n            \
            answer 192.0.2.1, 192.0.2.2; chain edge.example; resolver 8.8.8.8:53\n            \
            answer does[2Jnot exist; resolver 1.1.1.1:53\n    2027-01-16\n      \
            09:00:00.000  retry.by_operator        awaitingDns                  dps-1\n";
        assert_eq!(text(&events), expected);
    }
}
