//! The TXT record that proves a claim.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Ownership;
use crate::Hostname;
use crate::dns::DnsAnswer;

/// The label of the TXT record, before the hostname.
const LABEL: &str = "_dps-challenge";
/// The beginning of every value, so that other TXT records, such as those of a wildcard, are told
/// apart.
const PREFIX: &str = "dps-verify=";
/// Values read of one answer.
pub(crate) const MAX_VALUES: usize = 32;
/// Characters shown of a value.
const SHOWN: usize = 4;

/// The name of the TXT record that proves a claim of `hostname`.
pub fn txt_name(hostname: &Hostname) -> String {
    format!("{LABEL}.{hostname}")
}

/// The value of a TXT record that proves one claim: 128 random bits. It is bound to the tenant and
/// the hostname of the record that keeps it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProofValue(Box<str>);

impl ProofValue {
    /// The value of these random bits.
    pub fn new(random: [u8; 16]) -> Self {
        let bits = u128::from_be_bytes(random);
        Self(format!("{PREFIX}{bits:032x}").into())
    }

    /// The whole value, for the customer.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a value of a TXT record is this one. Digests are compared, so the time taken tells
    /// nothing about the value.
    fn equals(&self, value: &str) -> bool {
        Sha256::digest(self.0.as_bytes()) == Sha256::digest(normalized(value).as_bytes())
    }
}

/// Shows the beginning of the value alone.
impl fmt::Debug for ProofValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.strip_prefix(PREFIX).unwrap_or_default();
        let shown: String = bits.chars().take(SHOWN).collect();
        write!(f, "{PREFIX}{shown}…")
    }
}

/// A value without the quotes and spaces that are easily pasted with it.
fn normalized(value: &str) -> String {
    value.trim().trim_matches('"').trim().to_ascii_lowercase()
}

/// The answer to a query for TXT records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxtAnswer {
    /// The values, each of one record; empty if there is none.
    Values(Vec<String>),
    /// The query failed.
    Failed(DnsAnswer),
}

/// The answer of one resolver about the TXT records of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxtObservation {
    /// The queried resolver.
    pub resolver: SocketAddr,
    /// Its answer.
    pub answer: TxtAnswer,
    /// Time for which a cache may keep the answer; `None` if unknown.
    pub ttl: Option<Duration>,
}

impl TxtObservation {
    /// The values that prove some claim.
    fn values(&self) -> impl Iterator<Item = &str> {
        let values = match &self.answer {
            TxtAnswer::Values(values) => values.as_slice(),
            TxtAnswer::Failed(_) => &[],
        };
        let of_a_claim = |value: &&String| normalized(value).starts_with(PREFIX);
        let values = values.iter().filter(of_a_claim).map(String::as_str);
        values.take(MAX_VALUES)
    }

    /// The number of values that prove some claim.
    pub fn count(&self) -> usize {
        self.values().count()
    }
}

/// Whether at least one query was answered, so that the published values are known.
pub fn is_answered(seen: &[TxtObservation]) -> bool {
    let mut answers = seen.iter().map(|observation| &observation.answer);
    answers.any(|answer| matches!(answer, TxtAnswer::Values(_)))
}

/// Whether a resolver sees the value that the claim requires. One is enough: nobody but the owner
/// of the name can publish it, and others may still have an older answer.
pub fn is_published(claim: &Ownership, seen: &[TxtObservation]) -> bool {
    let Some(required) = claim.required() else {
        return false;
    };
    seen.iter()
        .flat_map(TxtObservation::values)
        .any(|value| required.equals(value))
}

/// Whether a resolver sees a value of a claim that is none of these. It shows that the owner of the
/// name meant another tenant, even one that is forgotten here.
pub fn is_foreign(claims: &[&Ownership], seen: &[TxtObservation]) -> bool {
    let is_ours = |value: &str| {
        let mut known = claims.iter().filter_map(|claim| claim.value());
        known.any(|known| known.equals(value))
    };
    let mut values = seen.iter().flat_map(TxtObservation::values);
    values.any(|value| !is_ours(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn seen(values: &[&str]) -> Vec<TxtObservation> {
        vec![TxtObservation {
            resolver: ([127, 0, 0, 1], 53).into(),
            answer: TxtAnswer::Values(values.iter().map(|value| (*value).to_owned()).collect()),
            ttl: None,
        }]
    }

    fn required(bits: u8) -> Ownership {
        Ownership::Required {
            value: ProofValue::new([bits; 16]),
            since: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_value_is_found_among_others_and_as_people_paste_it() {
        let claim = required(0xab);
        let value = "dps-verify=abababababababababababababababab";
        assert_eq!(claim.required().unwrap().as_str(), value);
        for values in [
            vec!["v=spf1 -all", value],
            vec!["  \"dps-verify=ABABABABABABABABABABABABABABABAB\" "],
        ] {
            assert!(is_published(&claim, &seen(&values)), "{values:?}");
            assert!(!is_foreign(&[&claim], &seen(&values)));
        }
        for values in [vec![], vec!["dps-verify="], vec!["v=spf1 -all"]] {
            assert!(!is_published(&claim, &seen(&values)), "{values:?}");
        }
        assert!(!is_published(&Ownership::Open, &seen(&[value])));
    }

    #[test]
    fn a_value_of_another_claim_is_foreign_and_a_wildcards_text_is_not() {
        let theirs = required(7).required().unwrap().as_str().to_owned();
        let (ours, open) = (required(8), Ownership::Open);
        for (claim, values, foreign) in [
            (&ours, vec![theirs.as_str()], true),
            (&open, vec![theirs.as_str()], true),
            (&open, vec!["v=spf1 include:mail.example -all"], false),
            (&open, vec![], false),
        ] {
            assert_eq!(is_foreign(&[claim], &seen(&values)), foreign, "{values:?}");
        }
    }

    #[test]
    fn a_value_is_never_shown_whole() {
        let shown = format!("{:?}", required(0x1f));
        assert!(shown.contains("dps-verify=1f1f…"), "{shown}");
        assert!(!shown.contains("1f1f1f"), "{shown}");
    }
}
