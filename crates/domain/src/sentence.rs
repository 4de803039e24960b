//! The one sentence about what went wrong: in reports to the Cabinet and on the command line.

use std::net::IpAddr;

use serde_json::Value;

use crate::Failure;
use crate::failure::WantedRecords;
use crate::policy::Policy;
use crate::record::{DomainEvent, DomainRecord};

/// The evidence under which a look at DNS keeps the addresses that it told the customer to enter.
pub const EDGE_ADDRESSES: &str = "edgeAddresses";
/// The evidence under which a step keeps the CA's name for CAA records that it told the customer.
pub const CAA_IDENTITY: &str = "caaIdentity";

/// The customer's sentence about `failure`. `edge_addresses` are what a name without CNAME needs,
/// and `caa_identity` is what a CAA record must name; `None` if the CA does not say.
pub fn sentence(
    failure: &Failure,
    record: &DomainRecord,
    edge_addresses: &[IpAddr],
    caa_identity: Option<&str>,
) -> String {
    failure.message(&WantedRecords {
        hostname: &record.hostname,
        cname_target: &record.cname_target,
        edge_addresses,
        caa_identity,
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
    let mut edge_addresses = policy.edge_hosts();
    if edge_addresses.is_empty() {
        edge_addresses = events.iter().find_map(noted_addresses).unwrap_or_default();
    }
    let caa_identity = events
        .iter()
        .find_map(|event| event.detail.get(CAA_IDENTITY)?.as_str());
    Some(sentence(failure, record, &edge_addresses, caa_identity))
}

fn noted_addresses(event: &DomainEvent) -> Option<Vec<IpAddr>> {
    let noted = event.detail.get(EDGE_ADDRESSES)?;
    let addresses: Vec<IpAddr> = serde_json::from_value(Value::clone(noted)).ok()?;
    (!addresses.is_empty()).then_some(addresses)
}
