//! The DNS check as a policy: what resolvers answered becomes one verdict.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::{Failure, Hostname};

/// What one resolver said about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsObservation {
    /// The resolver asked.
    pub resolver: SocketAddr,
    /// The CNAME targets in order (RFC 1034 §3.6.2), lower case, no dot at the end; empty when the name has no CNAME.
    pub chain: Vec<String>,
    /// What stands at the end of the chain.
    pub answer: DnsAnswer,
}

/// What stands at the end of a CNAME chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsAnswer {
    /// A and AAAA records; at least one.
    Addresses(BTreeSet<IpAddr>),
    /// The name exists without A and AAAA records (RFC 2308 §2.2).
    NoData,
    /// The name does not exist (RFC 2308 §2.1).
    NxDomain,
    /// The chain returns to itself or exceeds what resolvers follow.
    Loop,
    /// The resolver could not get an answer from the name's servers.
    ServFail,
    /// The resolver answered with another error, or refused.
    Refused,
    /// No answer in time.
    Timeout,
}

/// What the check is made against.
#[derive(Debug, Clone, Copy)]
pub struct DnsExpectation<'a> {
    /// The customer's hostname.
    pub hostname: &'a Hostname,
    /// Where its CNAME must point.
    pub cname_target: &'a Hostname,
    /// Addresses of our edges by configuration. The addresses of `cname_target` count as ours too.
    pub edge_addresses: &'a [IpNet],
}

/// What the check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsVerdict {
    /// Every resolver that works sees the name pointing at us; these are the addresses it leads to.
    PointsAtUs {
        /// All addresses seen, by any resolver.
        addresses: BTreeSet<IpAddr>,
        /// Those that our own target has: if they do not answer, the fault is ours.
        edges: BTreeSet<IpAddr>,
    },
    /// Not yet, or not any more.
    NotReady(Failure),
}

/// One resolver's view of the customer's name and, as a control, of our own target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverView {
    /// The customer's name.
    pub name: DnsObservation,
    /// `cname_target` at the same resolver: proves that the resolver works, and tells our own addresses.
    pub control: DnsObservation,
}

impl ResolverView {
    /// A resolver that cannot even resolve our own target is out of order, not evidence against a customer.
    fn is_out_of_order(&self) -> bool {
        let dead = |answer: &DnsAnswer| {
            matches!(
                answer,
                DnsAnswer::Timeout | DnsAnswer::ServFail | DnsAnswer::Refused
            )
        };
        dead(&self.name.answer) && dead(&self.control.answer)
    }
}

/// Combines all resolvers' views into one verdict.
pub fn verdict(expected: &DnsExpectation<'_>, views: &[ResolverView]) -> DnsVerdict {
    let working: Vec<&ResolverView> = views.iter().filter(|view| !view.is_out_of_order()).collect();
    if working.is_empty() {
        let resolvers = views.iter().map(|view| view.name.resolver).collect();
        return DnsVerdict::NotReady(Failure::DnsTimeout {
            resolvers,
            resolver_outage: true,
        });
    }
    let ours: BTreeSet<IpAddr> = working
        .iter()
        .flat_map(|view| addresses(&view.control.answer))
        .collect();
    let judged: Vec<(&ResolverView, Result<(), Failure>)> = working
        .iter()
        .map(|view| (*view, judge(expected, &ours, &view.name)))
        .collect();
    let answered: Vec<_> = judged
        .iter()
        .filter(|(_, result)| !matches!(result, Err(Failure::DnsTimeout { .. })))
        .collect();
    let considered = if answered.is_empty() {
        judged.iter().collect()
    } else {
        answered
    };
    let (good, bad): (Vec<_>, Vec<_>) = considered.into_iter().partition(|(_, result)| result.is_ok());
    let first_failure = bad.iter().find_map(|(_, result)| result.as_ref().err().cloned());
    match first_failure {
        None => DnsVerdict::PointsAtUs {
            edges: ours
                .iter()
                .copied()
                .chain(
                    good.iter()
                        .flat_map(|(view, _)| led_to_by_target(expected, &view.name)),
                )
                .collect(),
            addresses: good
                .iter()
                .flat_map(|(view, _)| addresses(&view.name.answer))
                .collect(),
        },
        Some(failure) if good.is_empty() => DnsVerdict::NotReady(failure),
        Some(_) => DnsVerdict::NotReady(Failure::DnsPropagating {
            seen_by: good.iter().map(|(view, _)| view.name.resolver).collect(),
            missing_at: bad.iter().map(|(view, _)| view.name.resolver).collect(),
        }),
    }
}

/// The addresses that a customer's instruction can name: the single addresses of the configuration, or without any those of the target.
pub fn instruction_addresses(configured: &[IpNet], views: &[ResolverView]) -> Vec<IpAddr> {
    let single = |net: &IpNet| net.prefix_len() == net.max_prefix_len();
    let configured: BTreeSet<IpAddr> = configured
        .iter()
        .filter(|net| single(net))
        .map(IpNet::addr)
        .collect();
    if configured.is_empty() {
        views
            .iter()
            .flat_map(|view| addresses(&view.control.answer))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    } else {
        configured.into_iter().collect()
    }
}

/// The addresses of a name whose chain goes through our target: the target's own, whatever it answers elsewhere.
fn led_to_by_target<'a>(
    expected: &DnsExpectation<'_>,
    seen: &'a DnsObservation,
) -> impl Iterator<Item = IpAddr> + use<'a> {
    let through_target = seen
        .chain
        .iter()
        .any(|name| name == expected.cname_target.as_str());
    through_target
        .then(|| addresses(&seen.answer))
        .into_iter()
        .flatten()
}

fn addresses(answer: &DnsAnswer) -> impl Iterator<Item = IpAddr> {
    let found = match answer {
        DnsAnswer::Addresses(found) => Some(found),
        DnsAnswer::NoData
        | DnsAnswer::NxDomain
        | DnsAnswer::Loop
        | DnsAnswer::ServFail
        | DnsAnswer::Refused
        | DnsAnswer::Timeout => None,
    };
    found.into_iter().flatten().copied()
}

fn judge(
    expected: &DnsExpectation<'_>,
    ours: &BTreeSet<IpAddr>,
    seen: &DnsObservation,
) -> Result<(), Failure> {
    let resolvers = || vec![seen.resolver];
    let through_target = seen
        .chain
        .iter()
        .any(|name| name == expected.cname_target.as_str());
    match &seen.answer {
        DnsAnswer::Timeout => Err(Failure::DnsTimeout {
            resolvers: resolvers(),
            resolver_outage: false,
        }),
        DnsAnswer::ServFail | DnsAnswer::Refused => Err(Failure::DnsServfail {
            resolvers: resolvers(),
        }),
        DnsAnswer::Loop => Err(Failure::DnsCnameLoop {
            chain: seen.chain.clone(),
        }),
        DnsAnswer::NxDomain | DnsAnswer::NoData if through_target => Err(Failure::Internal {
            detail: format!("the target {} has no address", expected.cname_target),
        }),
        DnsAnswer::NxDomain if seen.chain.is_empty() => Err(Failure::DnsNxdomain {}),
        DnsAnswer::NoData if seen.chain.is_empty() => Err(Failure::DnsNoCname { addresses: vec![] }),
        DnsAnswer::NxDomain | DnsAnswer::NoData => Err(Failure::DnsWrongTarget {
            chain: seen.chain.clone(),
            addresses: vec![],
        }),
        DnsAnswer::Addresses(_) if through_target => Ok(()),
        DnsAnswer::Addresses(found) => judge_addresses(expected, ours, &seen.chain, found),
    }
}

fn judge_addresses(
    expected: &DnsExpectation<'_>,
    ours: &BTreeSet<IpAddr>,
    chain: &[String],
    found: &BTreeSet<IpAddr>,
) -> Result<(), Failure> {
    let is_ours =
        |ip: &&IpAddr| ours.contains(*ip) || expected.edge_addresses.iter().any(|net| net.contains(*ip));
    let (good, stray): (Vec<&IpAddr>, Vec<&IpAddr>) = found.iter().partition(is_ours);
    let all = || found.iter().copied().collect();
    match (good.is_empty(), stray.is_empty()) {
        (_, true) => Ok(()),
        (false, false) => Err(Failure::DnsStrayAddress {
            stray: stray.into_iter().copied().collect(),
        }),
        (true, false) if chain.is_empty() && !expected.hostname.is_apex() => {
            Err(Failure::DnsNoCname { addresses: all() })
        }
        (true, false) => Err(Failure::DnsWrongTarget {
            chain: chain.to_vec(),
            addresses: all(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureCode;

    const TARGET: &str = "edge.platform.net";

    fn resolver(n: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, n], 53))
    }

    fn at(addresses: &[&str]) -> DnsAnswer {
        DnsAnswer::Addresses(addresses.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    fn view(n: u8, chain: &[&str], answer: DnsAnswer) -> ResolverView {
        let chain = chain.iter().map(|name| (*name).to_owned()).collect();
        ResolverView {
            name: DnsObservation {
                resolver: resolver(n),
                chain,
                answer,
            },
            control: DnsObservation {
                resolver: resolver(n),
                chain: vec![],
                answer: at(&["198.51.100.1"]),
            },
        }
    }

    fn code(host: &str, views: &[ResolverView]) -> Option<FailureCode> {
        let (hostname, target) = (Hostname::parse(host).unwrap(), Hostname::parse(TARGET).unwrap());
        let nets = ["203.0.113.0/28".parse().unwrap()];
        let expected = DnsExpectation {
            hostname: &hostname,
            cname_target: &target,
            edge_addresses: &nets,
        };
        match verdict(&expected, views) {
            DnsVerdict::PointsAtUs { .. } => None,
            DnsVerdict::NotReady(failure) => Some(failure.code()),
        }
    }

    #[test]
    fn one_resolver_tells_each_fault_apart() {
        let shop = "shop.example.com";
        for (host, chain, answer, expected) in [
            (shop, vec![TARGET], at(&["198.51.100.1"]), None),
            (
                shop,
                vec!["x.example.org", TARGET, "lb.platform.net"],
                at(&["198.51.100.9"]),
                None,
            ),
            (shop, vec![], at(&["203.0.113.3"]), None),
            ("example.com", vec![], at(&["203.0.113.3", "198.51.100.1"]), None),
            (
                "example.com",
                vec![],
                at(&["203.0.113.3", "8.8.8.8"]),
                Some(FailureCode::DnsStrayAddress),
            ),
            (
                "example.com",
                vec![],
                at(&["8.8.8.8"]),
                Some(FailureCode::DnsWrongTarget),
            ),
            (shop, vec![], at(&["8.8.8.8"]), Some(FailureCode::DnsNoCname)),
            (shop, vec![], DnsAnswer::NoData, Some(FailureCode::DnsNoCname)),
            (shop, vec![], DnsAnswer::NxDomain, Some(FailureCode::DnsNxdomain)),
            (
                shop,
                vec!["old.example.org"],
                DnsAnswer::NxDomain,
                Some(FailureCode::DnsWrongTarget),
            ),
            (
                shop,
                vec!["old.example.org"],
                at(&["8.8.8.8"]),
                Some(FailureCode::DnsWrongTarget),
            ),
            (shop, vec!["www.example.com"], at(&["203.0.113.3"]), None),
            (
                shop,
                vec!["a.example.com", shop],
                DnsAnswer::Loop,
                Some(FailureCode::DnsCnameLoop),
            ),
            (shop, vec![], DnsAnswer::ServFail, Some(FailureCode::DnsServfail)),
            (shop, vec![], DnsAnswer::Timeout, Some(FailureCode::DnsTimeout)),
            (
                shop,
                vec![TARGET],
                DnsAnswer::NxDomain,
                Some(FailureCode::Internal),
            ),
        ] {
            assert_eq!(
                code(host, &[view(1, &chain, answer.clone())]),
                expected,
                "{host} {chain:?} {answer:?}"
            );
        }
    }

    #[test]
    fn resolvers_that_disagree_mean_that_the_change_is_on_its_way() {
        let views = [
            view(1, &[TARGET], at(&["198.51.100.1"])),
            view(2, &[], DnsAnswer::NxDomain),
        ];
        assert_eq!(
            code("shop.example.com", &views),
            Some(FailureCode::DnsPropagating)
        );
    }

    #[test]
    fn a_resolver_that_is_down_does_not_hold_up_a_domain_that_others_see() {
        let mut dead = view(2, &[], DnsAnswer::Timeout);
        dead.control.answer = DnsAnswer::Timeout;
        assert_eq!(
            code(
                "shop.example.com",
                &[view(1, &[TARGET], at(&["198.51.100.1"])), dead]
            ),
            None
        );
    }

    #[test]
    fn all_resolvers_down_is_our_outage_not_the_customers() {
        let mut dead = view(1, &[], DnsAnswer::ServFail);
        dead.control.answer = DnsAnswer::Timeout;
        let (hostname, target) = (
            Hostname::parse("a.example.com").unwrap(),
            Hostname::parse(TARGET).unwrap(),
        );
        let expected = DnsExpectation {
            hostname: &hostname,
            cname_target: &target,
            edge_addresses: &[],
        };
        let DnsVerdict::NotReady(failure) = verdict(&expected, &[dead]) else {
            panic!("ready")
        };
        assert!(!failure.counts_against_domain());
    }
}
