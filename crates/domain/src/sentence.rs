//! The customer's sentence about a failure: in reports to the Cabinet and on the command line.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::Failure;
use crate::dns::DnsProvider;
use crate::failure::WantedRecords;
use crate::policy::Policy;
use crate::record::{DomainEvent, DomainRecord};

/// The field of a history line with the addresses that the instruction names for the customer to
/// enter.
const EDGE_ADDRESSES: &str = "edgeAddresses";
/// The field of a history line with the CA's name for CAA records in the customer's instruction.
const CAA_IDENTITY: &str = "caaIdentity";

/// The field of a history line with the name of the zone's DNS provider.
const DNS_PROVIDER: &str = "dnsProvider";

/// The words between a sentence and the name of the provider whose instructions it refers to.
const AT_PROVIDER: &str = " How to do this at ";

/// The data that an instruction to a customer needs besides the record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instruction {
    /// The addresses that a name without CNAME needs.
    pub edge_addresses: Vec<IpAddr>,
    /// The name that a CAA record must contain (RFC 8659 §4.2); `None` if the CA does not say.
    pub caa_identity: Option<String>,
    /// The DNS provider of the zone, if it is known.
    pub dns_provider: Option<&'static DnsProvider>,
}

impl Instruction {
    /// The instruction by the configuration; `observed` are addresses that a DNS check found.
    pub fn new(
        policy: &Policy,
        observed: Option<Vec<IpAddr>>,
        caa_identity: Option<String>,
    ) -> Self {
        Self {
            edge_addresses: observed.unwrap_or_else(|| policy.edge_hosts()),
            caa_identity,
            dns_provider: None,
        }
    }

    /// Adds to a history line the values that the configuration may not have later.
    pub fn note(&self, failure: &Failure, policy: &Policy, line: &mut Map<String, Value>) {
        if policy.edge_hosts().is_empty() && !self.edge_addresses.is_empty() {
            line.insert(EDGE_ADDRESSES.to_owned(), json!(self.edge_addresses));
        }
        if let (true, Some(identity)) = (failure.is_about_caa(), &self.caa_identity) {
            line.insert(CAA_IDENTITY.to_owned(), json!(identity));
        }
        if let Some(provider) = self.dns_provider {
            line.insert(DNS_PROVIDER.to_owned(), json!(provider.name));
        }
    }

    /// The instruction that was given with a record's last failure. `events` are the newest lines
    /// of the history, the newest first.
    fn noted(policy: &Policy, events: &[DomainEvent]) -> Self {
        let mut edge_addresses = policy.edge_hosts();
        if edge_addresses.is_empty() {
            edge_addresses = events.iter().find_map(noted_addresses).unwrap_or_default();
        }
        let caa_identity = events
            .iter()
            .find_map(|event| event.detail.get(CAA_IDENTITY)?.as_str());
        Self {
            edge_addresses,
            caa_identity: caa_identity.map(str::to_owned),
            dns_provider: events.iter().find_map(|event| {
                let name = event.detail.get(DNS_PROVIDER)?.as_str()?;
                DnsProvider::by_name(name)
            }),
        }
    }
}

/// The customer's sentence about `failure`.
pub fn sentence(failure: &Failure, record: &DomainRecord, instruction: &Instruction) -> String {
    let message = failure.message(&WantedRecords {
        hostname: &record.hostname,
        cname_target: &record.cname_target,
        edge_addresses: &instruction.edge_addresses,
        caa_identity: instruction.caa_identity.as_deref(),
        proof: record.ownership.required(),
    });
    match instruction.dns_provider {
        Some(provider) if failure.names_a_record() => with_provider(&message, provider),
        _ => message,
    }
}

/// A sentence with a reference to the instructions of a provider.
fn with_provider(message: &str, provider: &DnsProvider) -> String {
    format!(
        "{message}{AT_PROVIDER}{}: {}",
        provider.name, provider.instructions
    )
}

/// A sentence without the reference to the instructions of a provider, and that provider.
pub fn split_provider(sentence: &str) -> (&str, Option<&'static DnsProvider>) {
    let known = sentence
        .rsplit_once(AT_PROVIDER)
        .and_then(|(message, reference)| {
            let (name, address) = reference.split_once(": ")?;
            let provider = DnsProvider::by_name(name)?;
            (provider.instructions == address).then_some((message, provider))
        });
    known.map_or((sentence, None), |(message, provider)| {
        (message, Some(provider))
    })
}

/// The sentence about a record's last failure, as the customer read it; `None` without a failure.
/// `events` are the newest lines of the history, the newest first.
pub fn last_sentence(
    record: &DomainRecord,
    policy: &Policy,
    events: &[DomainEvent],
) -> Option<String> {
    let failure = record.last_failure.as_ref()?;
    let instruction = Instruction::noted(policy, events);
    Some(sentence(failure, record, &instruction))
}

fn noted_addresses(event: &DomainEvent) -> Option<Vec<IpAddr>> {
    let noted = event.detail.get(EDGE_ADDRESSES)?;
    let addresses: Vec<IpAddr> = serde_json::from_value(Value::clone(noted)).ok()?;
    (!addresses.is_empty()).then_some(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_off_only_where_it_is_one_of_ours() {
        let message = "shop.example.com does not exist in DNS. How to do this at home: see below";
        let gandi = DnsProvider::by_name("Gandi").unwrap();
        let whole = with_provider(message, gandi);
        assert_eq!(split_provider(&whole), (message, Some(gandi)));
        let forged = whole.replace("https://", "https://evil.example/");
        assert_eq!(split_provider(&forged), (forged.as_str(), None));
        assert_eq!(split_provider(message), (message, None));
    }
}
