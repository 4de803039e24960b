//! Whether a CDN stands in front of a name, by headers of its responses.

use std::net::IpAddr;

use dps_domain::cdn::{MAX_PROBED, addresses_to_probe, named_by_headers};
use dps_domain::dns::DnsVerdict;
use dps_domain::policy::ProbeMode;
use tokio::time::timeout_at;

use super::Observer;
use super::path::Fetch;
use crate::resolvers::DnsBudget;

/// The verdict, with the CDN in front of a name whose addresses are not ours. A few of them are
/// asked within the budget, under the rules of the HTTP probe. Without an answer, nothing changes.
pub(crate) async fn with_cdn(
    observer: &Observer<'_>,
    verdict: DnsVerdict,
    budget: DnsBudget,
) -> DnsVerdict {
    let service = observer.service;
    let DnsVerdict::NotReady(failure) = verdict else {
        return verdict;
    };
    if service.policy.probe.mode == ProbeMode::Off {
        return DnsVerdict::NotReady(failure);
    }
    let is_allowed = |address: &&IpAddr| service.probe.forbids(**address).is_none();
    let addresses = addresses_to_probe(&failure).iter().filter(is_allowed);
    let addresses: Vec<IpAddr> = addresses.take(MAX_PROBED).copied().collect();
    if addresses.is_empty() {
        return DnsVerdict::NotReady(failure);
    }
    let fetch = Fetch::new(service);
    let seen = timeout_at(budget.deadline(), fetch.from(observer, &addresses)).await;
    let seen = seen.unwrap_or_default();
    observer.evidence.probes(&seen);
    DnsVerdict::NotReady(named_by_headers(failure, &seen))
}
