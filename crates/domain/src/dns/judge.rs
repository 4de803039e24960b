//! The judgement of one resolver's answers: the failure of a name that does not point at us.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::expectation::{DnsExpectation, OurAddresses};
use super::observation::{Branch, DnsAnswer, DnsObservation, ResolverView};
use crate::ownership::is_below_any;
use crate::{Failure, Hostname, NameSuffix};

/// Judges each family by its own chain; the first failure decides.
pub(super) fn judge(
    expected: &DnsExpectation<'_>,
    known: &OurAddresses<'_>,
    seen: &DnsObservation,
) -> Result<(), Failure> {
    seen.branches()
        .try_for_each(|branch| judge_branch(expected, known, seen, branch))
}

fn judge_branch(
    expected: &DnsExpectation<'_>,
    known: &OurAddresses<'_>,
    seen: &DnsObservation,
    branch: Branch<'_>,
) -> Result<(), Failure> {
    let resolvers = || vec![seen.resolver];
    let through_target = branch.goes_through(expected.cname_target);
    match branch.answer {
        DnsAnswer::Timeout => Err(Failure::DnsTimeout {
            resolvers: resolvers(),
            resolver_outage: false,
            txt_name: String::new(),
        }),
        DnsAnswer::Bogus if through_target => Err(Failure::Internal {
            detail: format!(
                "the DNSSEC signatures of the target {} are not valid",
                expected.cname_target
            ),
        }),
        DnsAnswer::Bogus => Err(Failure::DnsDnssecBogus {
            resolvers: resolvers(),
            seen_by: vec![],
            name: branch.chain.last().cloned().unwrap_or_default(),
        }),
        DnsAnswer::ServFail | DnsAnswer::Refused => Err(Failure::DnsServfail {
            resolvers: resolvers(),
            seen_by: vec![],
            txt_name: String::new(),
        }),
        // Not reached, since such a view is out of order.
        DnsAnswer::Local { detail } => Err(Failure::Internal {
            detail: detail.clone(),
        }),
        DnsAnswer::Loop => Err(Failure::DnsCnameLoop {
            chain: bounded_chain(branch.chain),
        }),
        DnsAnswer::NxDomain | DnsAnswer::NoData if through_target => Err(Failure::Internal {
            detail: format!("the target {} has no address", expected.cname_target),
        }),
        DnsAnswer::NxDomain if branch.chain.is_empty() => Err(Failure::DnsNxdomain {}),
        DnsAnswer::NoData if branch.chain.is_empty() => Err(Failure::DnsNoCname {
            addresses: vec![],
            more: 0,
            is_zone: seen.is_zone,
        }),
        DnsAnswer::NxDomain | DnsAnswer::NoData => Err(Failure::DnsWrongTarget {
            chain: bounded_chain(branch.chain),
            addresses: vec![],
            more: 0,
        }),
        DnsAnswer::Addresses(_) if through_target => Ok(()),
        DnsAnswer::Addresses(found) if is_through_another_target(expected, branch) => {
            let (addresses, more) = bounded_addresses(found, branch.more);
            Err(Failure::DnsWrongTarget {
                chain: bounded_chain(branch.chain),
                addresses,
                more,
            })
        }
        DnsAnswer::Addresses(found) => judge_addresses(expected, known, seen, branch, found),
    }
}

/// Names of chains that are compared with the targets of other domains.
const MAX_OTHER_TARGETS: usize = 8;

/// The names below these suffixes through which the name leads in the eyes of the resolvers; none
/// if it goes through its own target.
pub fn other_targets(
    own: &Hostname,
    unique_targets: &[NameSuffix],
    views: &[ResolverView],
) -> Vec<String> {
    let branches = views.iter().flat_map(|view| view.name.branches());
    let others = branches.filter(|branch| !branch.goes_through(own));
    let names = others.flat_map(|branch| branch.chain.iter());
    let names = names.filter(|name| is_below_any(unique_targets, name));
    let names: BTreeSet<String> = names.cloned().collect();
    names.into_iter().take(MAX_OTHER_TARGETS).collect()
}

/// Whether the name leads through the target of another domain, which may be another tenant's.
fn is_through_another_target(expected: &DnsExpectation<'_>, branch: Branch<'_>) -> bool {
    let mut chain = branch.chain.iter();
    chain.any(|name| is_below_any(expected.unique_targets, name))
}

fn judge_addresses(
    expected: &DnsExpectation<'_>,
    known: &OurAddresses<'_>,
    seen: &DnsObservation,
    branch: Branch<'_>,
    found: &BTreeSet<IpAddr>,
) -> Result<(), Failure> {
    let (good, stray): (BTreeSet<IpAddr>, BTreeSet<IpAddr>) =
        found.iter().partition(|address| known.contain(**address));
    if stray.is_empty() {
        return Ok(());
    }
    if known.is_incomplete {
        return Err(Failure::Internal {
            detail: format!(
                "the addresses of the target {} are not known: no resolver answers with any",
                expected.cname_target
            ),
        });
    }
    let proxy = |address: &IpAddr| expected.proxies.name_at(*address);
    let is_proxied = stray.iter().all(|address| proxy(address).is_some());
    // The HTTP probe asks each of the addresses.
    if is_proxied && expected.proxies.accepted {
        return Ok(());
    }
    if !good.is_empty() {
        return Err(stray_addresses(&stray, branch.more));
    }
    let (addresses, more) = bounded_addresses(found, branch.more);
    // A chain that leads elsewhere is named, whatever stands in front of its end.
    if is_proxied
        && branch.chain.is_empty()
        && let Some(cdn) = stray.first().and_then(proxy)
    {
        return Err(Failure::CdnInFront {
            cdn: cdn.to_owned(),
            addresses,
            more,
            answer: None,
        });
    }
    Err(if branch.chain.is_empty() && !expected.hostname.is_apex() {
        Failure::DnsNoCname {
            addresses,
            more,
            is_zone: seen.is_zone,
        }
    } else {
        Failure::DnsWrongTarget {
            chain: bounded_chain(branch.chain),
            addresses,
            more,
        }
    })
}

/// The failure of a name with these addresses beside ours, and `more` that were not kept.
pub fn stray_addresses(stray: &BTreeSet<IpAddr>, more: usize) -> Failure {
    let (stray, more) = bounded_addresses(stray, more);
    Failure::DnsStrayAddress { stray, more }
}

/// Addresses of a family that a failure names; the others are counted.
const MAX_NAMED: usize = 4;

/// A few addresses of each family, and the number of the others.
fn bounded_addresses(found: &BTreeSet<IpAddr>, more: usize) -> (Vec<IpAddr>, usize) {
    let of_family = |is_ipv4| {
        let family = found
            .iter()
            .copied()
            .filter(move |ip| ip.is_ipv4() == is_ipv4);
        family.take(MAX_NAMED)
    };
    let named: Vec<IpAddr> = of_family(true).chain(of_family(false)).collect();
    let more = more + found.len() - named.len();
    (named, more)
}

/// Names of a chain that a failure keeps at each of its ends.
const MAX_CHAIN_END: usize = 4;

/// The beginning and the end of a chain.
pub(super) fn bounded_chain(chain: &[String]) -> Vec<String> {
    if chain.len() <= 2 * MAX_CHAIN_END {
        return chain.to_vec();
    }
    let (begin, rest) = chain.split_at(MAX_CHAIN_END);
    let end = &rest[rest.len() - MAX_CHAIN_END..];
    let omitted = "…".to_owned();
    begin.iter().chain([&omitted]).chain(end).cloned().collect()
}
