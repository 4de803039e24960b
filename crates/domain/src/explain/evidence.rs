//! The newest observations of DNS, of the HTTP probe and of the CA in a domain's history.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::DomainEvent;
use crate::{EventKind, Failure, Timestamp};

/// The kind of a DNS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SeenAt {
    /// A recursive resolver of the configuration.
    Resolver,
    /// An authoritative server of the zone.
    Authoritative,
}

impl SeenAt {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolver => "resolver",
            Self::Authoritative => "authoritative",
        }
    }
}

/// An answer of a DNS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its address.
    pub server: String,
    /// Its kind.
    pub kind: SeenAt,
    /// The CNAME targets in order.
    pub chain: Vec<String>,
    /// The addresses at the end of the chain, or the answer in words.
    pub answer: String,
}

/// The newest observations in a history. A time is `None` if nothing was observed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// When the DNS servers answered.
    pub dns_at: Option<Timestamp>,
    /// The answers of the DNS servers.
    pub dns: Vec<Answer>,
    /// When the addresses answered to the HTTP probe.
    pub probes_at: Option<Timestamp>,
    /// Each address, with its answer in words.
    pub probes: Vec<(String, String)>,
    /// When the CA said its words.
    pub ca_at: Option<Timestamp>,
    /// The words of the CA.
    pub ca_words: Option<String>,
}

/// Reads the observations from the lines of a history, the newest first.
pub fn evidence(events: &[DomainEvent]) -> Evidence {
    let mut found = Evidence::default();
    for event in events {
        let detail = &event.detail;
        if found.dns.is_empty() {
            found.dns = servers(&detail["answers"], "resolver", SeenAt::Resolver);
            let of_zone = servers(&detail["authoritative"], "server", SeenAt::Authoritative);
            found.dns.extend(of_zone);
            found.dns_at = (!found.dns.is_empty()).then_some(event.at);
        }
        if found.probes.is_empty() {
            found.probes = probes(&detail["probes"]);
            found.probes_at = (!found.probes.is_empty()).then_some(event.at);
        }
        if found.ca_words.is_none() && matches!(event.kind, EventKind::Failed(_)) {
            let failure: Option<Failure> = serde_json::from_value(detail.clone()).ok();
            let words = failure.as_ref().and_then(Failure::ca_words);
            found.ca_words = words.map(str::to_owned);
            found.ca_at = found.ca_words.is_some().then_some(event.at);
        }
    }
    found
}

/// The answers of servers. A list that was cut has its beginning in `value`.
fn servers(list: &Value, name: &str, kind: SeenAt) -> Vec<Answer> {
    let entries = list.as_array().or_else(|| list["value"].as_array());
    let answer = |entry: &Value| {
        let chain = entry["chain"].as_array().map(Vec::as_slice);
        let chain = chain.unwrap_or_default().iter();
        Some(Answer {
            server: entry[name].as_str()?.to_owned(),
            kind,
            chain: chain.map(words).collect(),
            answer: words(&entry["answer"]),
        })
    };
    entries.into_iter().flatten().filter_map(answer).collect()
}

fn probes(list: &Value) -> Vec<(String, String)> {
    let probe = |entry: &Value| {
        let address = entry["address"].as_str()?.to_owned();
        Some((address, words(&entry["answer"])))
    };
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(probe).collect()
}

/// A stored answer as a person reads it.
fn words(answer: &Value) -> String {
    match answer {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(words).collect();
            values.join(", ")
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{name} {}", words(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            fields.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::FailureCode;

    fn event(second: i64, kind: EventKind, detail: Value) -> DomainEvent {
        DomainEvent {
            at: Timestamp::from_unix_seconds(second),
            kind,
            phase: "awaitingDns".to_owned(),
            detail,
            duration: None,
            replica: String::new(),
        }
    }

    #[test]
    fn the_newest_observation_of_each_kind_is_taken_and_no_other() {
        let refused = Failure::AcmeRejectedIdentifier {
            detail: "policy forbids it".into(),
        };
        let events = [
            event(4, EventKind::RetryRequested, json!({})),
            event(
                3,
                EventKind::Failed(FailureCode::DnsNxdomain),
                json!({
                    "code": "DNS_NXDOMAIN",
                    "answers": [{ "resolver": "192.0.2.53:53", "chain": ["a.test"],
                                  "answer": ["192.0.2.1", "192.0.2.2"] }],
                    "authoritative": { "cut": true, "value": [
                        { "server": "192.0.2.54:53", "chain": [], "answer": "does not exist" }] },
                }),
            ),
            event(
                2,
                EventKind::Failed(FailureCode::AcmeRejectedIdentifier),
                serde_json::to_value(&refused).unwrap(),
            ),
            event(
                1,
                EventKind::HttpReady,
                json!({ "answers": [{ "resolver": "192.0.2.55:53", "answer": "loop" }],
                        "probes": [{ "address": "192.0.2.1", "answer": { "status": 404 } }] }),
            ),
        ];
        let found = evidence(&events);
        assert_eq!(found.dns_at, Some(Timestamp::from_unix_seconds(3)));
        let servers: Vec<&str> = found.dns.iter().map(|seen| seen.server.as_str()).collect();
        assert_eq!(servers, ["192.0.2.53:53", "192.0.2.54:53"]);
        assert_eq!(found.dns[0].answer, "192.0.2.1, 192.0.2.2");
        assert_eq!(found.dns[1].kind, SeenAt::Authoritative);
        assert_eq!(
            found.probes,
            [("192.0.2.1".to_owned(), "status 404".to_owned())]
        );
        assert_eq!(found.ca_words.as_deref(), Some("policy forbids it"));
        assert_eq!(found.ca_at, Some(Timestamp::from_unix_seconds(2)));
    }

    #[test]
    fn a_limit_that_our_own_ledger_applies_is_no_word_of_the_ca() {
        let waits = Failure::AcmeRateLimited {
            until: None,
            detail: format!("used up; {}", crate::failure::NOTHING_SENT),
        };
        let kind = EventKind::Failed(FailureCode::AcmeRateLimited);
        let event = event(1, kind, serde_json::to_value(&waits).unwrap());
        assert_eq!(evidence(&[event]), Evidence::default());
    }
}
