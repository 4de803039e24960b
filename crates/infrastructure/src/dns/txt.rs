//! The TXT records that prove a claim.

use dps_domain::Hostname;
use dps_domain::dns::DnsAnswer;
use dps_domain::ownership::{TxtAnswer, TxtObservation, txt_name};
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::Instant;

use super::chain::follow;
use super::query::{Answer, Upstream};

/// Values read of one answer, and the longest one in bytes. Those of a claim are short; what else
/// stands at the name is passed over.
const MAX_VALUES: usize = 64;
const MAX_VALUE: usize = 255;

/// The owner of the TXT records that prove a claim of `host`; `None` if the name is too long to
/// have any.
pub(super) fn owner(host: &Hostname) -> Option<Name> {
    let mut name = Name::from_ascii(txt_name(host)).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// Asks for the TXT records of `name`, CNAME chains included.
pub(super) async fn look_up(upstream: &Upstream, name: &Name, deadline: Instant) -> TxtObservation {
    let (chain, found) = follow(upstream, name, RecordType::TXT, deadline, at_the_end).await;
    let answer = match found {
        Ok(values) => TxtAnswer::Values(values),
        Err(DnsAnswer::NxDomain) => TxtAnswer::Values(vec![]),
        Err(failed) => TxtAnswer::Failed(failed),
    };
    TxtObservation {
        resolver: upstream.address(),
        answer,
        ttl: chain.ttl(),
    }
}

/// The values at the end of the chain; `None` if that name needs a query.
pub(super) fn at_the_end(end: &Name, answer: &Answer, stuck: bool) -> Option<Vec<String>> {
    let of_end = answer
        .records
        .iter()
        .filter(|record| record.name.to_lowercase() == *end);
    let mut found = false;
    let mut values = Vec::new();
    for record in of_end {
        if let RData::TXT(txt) = &record.data {
            found = true;
            if values.len() < MAX_VALUES {
                values.extend(value(txt));
            }
        }
    }
    (found || answer.name_missing || answer.conclusive || stuck).then_some(values)
}

/// The character strings of a record in one text (RFC 7208 §3.3 joins them likewise); `None` if it
/// is longer than any value of ours.
fn value(txt: &TXT) -> Option<String> {
    let length: usize = txt.txt_data.iter().map(|part| part.len()).sum();
    if length > MAX_VALUE {
        return None;
    }
    let bytes: Vec<u8> = txt.txt_data.iter().flatten().copied().collect();
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Record;

    use super::*;

    fn txt(owner: &str, parts: &[&str]) -> Record {
        let parts = parts.iter().map(|part| (*part).to_owned()).collect();
        let name = Name::from_ascii(owner).unwrap();
        Record::from_rdata(name, 60, RData::TXT(TXT::new(parts)))
    }

    #[test]
    fn the_values_of_the_name_are_joined_and_bounded() {
        let end = Name::from_ascii("_dps-challenge.shop.example.").unwrap();
        let long = "x".repeat(200);
        let mut records = vec![
            txt("_dps-challenge.shop.example.", &["dps-", "verify=1"]),
            txt("_DPS-challenge.shop.example.", &[&long, &long]),
            txt("other.example.", &["dps-verify=2"]),
        ];
        let answer = Answer {
            records: records.clone(),
            ..Answer::default()
        };
        assert_eq!(
            at_the_end(&end, &answer, false),
            Some(vec!["dps-verify=1".to_owned()])
        );
        records.extend((0..500).map(|n| txt("_dps-challenge.shop.example.", &[&n.to_string()])));
        let answer = Answer {
            records,
            ..Answer::default()
        };
        assert_eq!(at_the_end(&end, &answer, false).unwrap().len(), MAX_VALUES);
        assert_eq!(at_the_end(&end, &Answer::default(), false), None);
    }
}
