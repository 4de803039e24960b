//! The CAA records of a name and of every name above it (RFC 8659 §3).

use dps_domain::caa::{CaaAnswer, CaaLookup, CaaRecord};
use futures_util::future::join_all;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::Instant;

use super::chain::{follow, text};
use super::query::{Answer, Upstream};

/// Asks for the CAA records of `host` and of each name above it, the top-level domain included, all
/// at once.
pub(super) async fn look_up(upstream: &Upstream, host: &Name, deadline: Instant) -> Vec<CaaLookup> {
    let labels = usize::from(host.num_labels());
    let names = (1..=labels).rev().map(|labels| host.trim_to(labels));
    join_all(names.map(|name| one(upstream, name, deadline))).await
}

/// Asks for the CAA records of one name.
pub(super) async fn one(upstream: &Upstream, name: Name, deadline: Instant) -> CaaLookup {
    let (chain, found) = follow(upstream, &name, RecordType::CAA, deadline, at_the_end).await;
    CaaLookup {
        name: text(&name),
        ttl: chain.ttl(),
        chain: chain.hops,
        answer: found.unwrap_or_else(CaaAnswer::Failed),
    }
}

/// The records of the end of the chain; `None` if that name needs a query.
pub(super) fn at_the_end(end: &Name, answer: &Answer, stuck: bool) -> Option<CaaAnswer> {
    let of_end = answer
        .records
        .iter()
        .filter(|record| record.name.to_lowercase() == *end);
    let records: Vec<CaaRecord> = of_end
        .filter_map(|record| match &record.data {
            RData::CAA(caa) => Some(CaaRecord::new(caa.flags(), &caa.tag, &caa.value)),
            _ => None,
        })
        .collect();
    if !records.is_empty() {
        Some(CaaAnswer::Records(records))
    } else if answer.name_missing || answer.conclusive || stuck {
        Some(CaaAnswer::None)
    } else {
        None
    }
}
