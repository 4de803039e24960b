//! The DNS check as a policy: one verdict from the answers of all resolvers.

mod authoritative;
mod expectation;
mod judge;
mod observation;
mod provider;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use self::authoritative::expiry;
use self::expectation::OurAddresses;
use self::judge::judge;
use crate::{Failure, Hostname, Timestamp};

pub use authoritative::{AuthoritativeView, MAX_NAME_SERVERS, MAX_SERVER_ADDRESSES, SkippedServer};
pub use expectation::{DnsExpectation, instruction_addresses};
pub use judge::{other_targets, stray_addresses};
pub use observation::{DnsAnswer, DnsObservation, Lookup, MAX_ADDRESSES, ResolverView};
pub use provider::DnsProvider;
pub(crate) use provider::entries;

/// The result of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsVerdict {
    /// Every working resolver sees the name pointing at us.
    PointsAtUs {
        /// All addresses seen, by any resolver.
        addresses: BTreeSet<IpAddr>,
        /// Addresses that our own target has; if they do not answer, the fault is ours.
        edges: BTreeSet<IpAddr>,
        /// Addresses beyond those kept, at the resolver that saw most.
        more: usize,
        /// Whether some of the addresses are those of a proxy that is not ours.
        is_proxied: bool,
    },
    /// The name does not point at us, or no longer does.
    NotReady(Failure),
    /// Our own machine could not send enough queries for a verdict. It says nothing about the
    /// customer.
    Local {
        /// The system's reason.
        detail: String,
    },
}

/// Combines all resolvers' views into one verdict.
pub fn verdict(
    expected: &DnsExpectation<'_>,
    views: &[ResolverView],
    now: Timestamp,
) -> DnsVerdict {
    let local_fault = || {
        views
            .iter()
            .find_map(ResolverView::local_fault)
            .map(|detail| DnsVerdict::Local {
                detail: detail.clone(),
            })
    };
    let working: Vec<&ResolverView> = views
        .iter()
        .filter(|view| !view.is_out_of_order())
        .collect();
    if working.is_empty() {
        return local_fault()
            .unwrap_or_else(|| DnsVerdict::NotReady(resolver_outage(expected, views)));
    }
    let known = OurAddresses::seen_by(expected, &working);
    let verdict = verdict_of_working(expected, &known, &working, now);
    match verdict {
        // A resolver that we could not query may have seen the name as it should be.
        DnsVerdict::NotReady(_) => local_fault().unwrap_or(verdict),
        DnsVerdict::PointsAtUs { .. } if known.addresses.is_empty() => {
            local_fault().unwrap_or(verdict)
        }
        DnsVerdict::PointsAtUs { .. } | DnsVerdict::Local { .. } => verdict,
    }
}

/// Returns the failure if no resolver resolves our own target. No answers are an outage of the
/// resolvers; errors from all of them are for the operator.
fn resolver_outage(expected: &DnsExpectation<'_>, views: &[ResolverView]) -> Failure {
    let is_unanswered = |view: &ResolverView| {
        view.name.answer == DnsAnswer::Timeout || view.control.answer == DnsAnswer::Timeout
    };
    if views.is_empty() || views.iter().any(is_unanswered) {
        return Failure::DnsTimeout {
            resolvers: views.iter().map(|view| view.name.resolver).collect(),
            resolver_outage: true,
            txt_name: String::new(),
        };
    }
    let refused = |view: &ResolverView| view.control.answer == DnsAnswer::Refused;
    let detail = if views.iter().all(refused) {
        "all resolvers of Dns:Resolvers refuse our questions; name resolvers that answer this machine"
            .to_owned()
    } else {
        format!(
            "no resolver of Dns:Resolvers can resolve the target {}; check its zone and the resolvers",
            expected.cname_target
        )
    };
    Failure::Internal { detail }
}

fn verdict_of_working(
    expected: &DnsExpectation<'_>,
    known: &OurAddresses<'_>,
    working: &[&ResolverView],
    now: Timestamp,
) -> DnsVerdict {
    let judged: Vec<(&ResolverView, Result<(), Failure>)> = working
        .iter()
        .map(|view| (*view, judge(expected, known, &view.name)))
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
    let (good, bad): (Vec<_>, Vec<_>) = considered
        .into_iter()
        .partition(|(_, result)| result.is_ok());
    let Some(first_failure) = bad.iter().find_map(|(_, result)| result.as_ref().err()) else {
        return points_at_us(expected, known, good.iter().map(|(view, _)| &view.name));
    };
    if good.is_empty() {
        return DnsVerdict::NotReady(first_failure.clone());
    }
    let resolvers = |views: &[&(&ResolverView, Result<(), Failure>)]| -> Vec<SocketAddr> {
        views.iter().map(|(view, _)| view.name.resolver).collect()
    };
    let bogus = bad.iter().find_map(|(_, result)| match result {
        Err(Failure::DnsDnssecBogus { name, .. }) => Some(name.clone()),
        _ => None,
    });
    if let Some(name) = bogus {
        // A CA validates, whatever resolvers without validation see.
        return DnsVerdict::NotReady(Failure::DnsDnssecBogus {
            resolvers: resolvers(&bad),
            seen_by: resolvers(&good),
            name,
        });
    }
    let is_servfail =
        |result: &Result<(), Failure>| matches!(result, Err(Failure::DnsServfail { .. }));
    if bad.iter().all(|(_, result)| is_servfail(result)) {
        // A zone that some resolvers cannot resolve, as with a broken signature, needs a repair.
        return DnsVerdict::NotReady(Failure::DnsServfail {
            resolvers: resolvers(&bad),
            seen_by: resolvers(&good),
            txt_name: String::new(),
        });
    }
    let missing: Vec<_> = bad
        .into_iter()
        .filter(|(_, result)| !is_servfail(result))
        .collect();
    DnsVerdict::NotReady(Failure::DnsPropagating {
        seen_by: resolvers(&good),
        missing_at: resolvers(&missing),
        until: expiry(missing.iter().map(|(view, _)| &view.name), now),
    })
}

/// Whether every resolver that sees addresses sees the name go through this target.
pub(crate) fn goes_through(target: &Hostname, views: &[ResolverView]) -> bool {
    let mut seen = views
        .iter()
        .flat_map(|view| view.name.branches())
        .filter(|branch| matches!(branch.answer, DnsAnswer::Addresses(_)))
        .peekable();
    seen.peek().is_some() && seen.all(|branch| branch.goes_through(target))
}

fn points_at_us<'a>(
    expected: &DnsExpectation<'_>,
    known: &OurAddresses<'_>,
    seen: impl Iterator<Item = &'a DnsObservation>,
) -> DnsVerdict {
    let (mut addresses, mut edges) = (BTreeSet::new(), known.addresses.clone());
    let mut most = 0;
    for name in seen {
        for branch in name.branches() {
            addresses.extend(branch.addresses());
            // The target's own addresses count, whatever it answers elsewhere. A family with
            // another chain has none of them.
            if branch.goes_through(expected.cname_target) {
                edges.extend(branch.addresses());
            }
        }
        most = most.max(name.branches().map(|branch| branch.more).sum());
    }
    let is_ours = |address: &IpAddr| edges.contains(address) || known.contain(*address);
    DnsVerdict::PointsAtUs {
        is_proxied: !addresses.iter().all(is_ours),
        addresses,
        edges,
        more: most,
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::judge::bounded_chain;
    use super::*;
    use crate::cdn::ProxyPolicy;
    use crate::{FailureCode, NameSuffix};

    const TARGET: &str = "edge.platform.net";
    const NO_PROXIES: ProxyPolicy = ProxyPolicy {
        accepted: false,
        networks: vec![],
    };

    fn resolver(n: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, n], 53))
    }

    fn at(addresses: &[&str]) -> DnsAnswer {
        DnsAnswer::Addresses(addresses.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    fn view(n: u8, chain: &[&str], answer: DnsAnswer) -> ResolverView {
        let chain = chain.iter().map(|name| (*name).to_owned()).collect();
        ResolverView {
            name: DnsObservation::new(resolver(n), chain, answer),
            control: DnsObservation::new(resolver(n), vec![], at(&["198.51.100.1"])),
        }
    }

    fn verdict_of(host: &str, nets: &[IpNet], views: &[ResolverView]) -> DnsVerdict {
        let (hostname, target) = (
            Hostname::parse(host).unwrap(),
            Hostname::parse(TARGET).unwrap(),
        );
        let expected = DnsExpectation {
            hostname: &hostname,
            cname_target: &target,
            edge_addresses: nets,
            proxies: &NO_PROXIES,
            unique_targets: &[],
        };
        verdict(&expected, views, Timestamp::EPOCH)
    }

    fn failure(host: &str, views: &[ResolverView]) -> Option<Failure> {
        let nets = ["203.0.113.0/28".parse().unwrap()];
        match verdict_of(host, &nets, views) {
            DnsVerdict::PointsAtUs { .. } => None,
            DnsVerdict::NotReady(failure) => Some(failure),
            DnsVerdict::Local { detail } => panic!("our own: {detail}"),
        }
    }

    fn code(host: &str, views: &[ResolverView]) -> Option<FailureCode> {
        failure(host, views).map(|failure| failure.code())
    }

    fn local() -> DnsAnswer {
        DnsAnswer::Local {
            detail: "too many open files".into(),
        }
    }

    #[test]
    fn a_chain_through_the_target_of_another_domain_is_no_chain_to_us() {
        let (hostname, own) = (
            Hostname::parse("shop.example.com").unwrap(),
            Hostname::parse("a1.t.platform.net").unwrap(),
        );
        let unique = [NameSuffix::parse("t.platform.net").unwrap()];
        let expected = DnsExpectation {
            hostname: &hostname,
            cname_target: &own,
            edge_addresses: &[],
            proxies: &NO_PROXIES,
            unique_targets: &unique,
        };
        let ours = at(&["198.51.100.1"]);
        for (chain, good) in [
            (vec!["a1.t.platform.net"], true),
            (vec!["a1.t.platform.net", "lb.t.platform.net"], true),
            (vec!["b2.t.platform.net"], false),
            (vec!["x.example.org", "b2.t.platform.net"], false),
            (vec!["t.platform.net"], true),
            (vec![], true),
        ] {
            let views = [view(1, &chain, ours.clone())];
            let verdict = verdict(&expected, &views, Timestamp::EPOCH);
            let code = match &verdict {
                DnsVerdict::NotReady(failure) => Some(failure.code()),
                DnsVerdict::PointsAtUs { .. } | DnsVerdict::Local { .. } => None,
            };
            let wanted = (!good).then_some(FailureCode::DnsWrongTarget);
            assert_eq!(code, wanted, "{chain:?}: {verdict:?}");
        }
    }

    #[test]
    fn one_resolver_distinguishes_each_fault() {
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
            (
                "example.com",
                vec![],
                at(&["203.0.113.3", "198.51.100.1"]),
                None,
            ),
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
            (
                shop,
                vec![],
                at(&["8.8.8.8"]),
                Some(FailureCode::DnsNoCname),
            ),
            (
                shop,
                vec![],
                DnsAnswer::NoData,
                Some(FailureCode::DnsNoCname),
            ),
            (
                shop,
                vec![],
                DnsAnswer::NxDomain,
                Some(FailureCode::DnsNxdomain),
            ),
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
            (
                shop,
                vec![],
                DnsAnswer::ServFail,
                Some(FailureCode::DnsServfail),
            ),
            (
                shop,
                vec![],
                DnsAnswer::Timeout,
                Some(FailureCode::DnsTimeout),
            ),
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
            proxies: &NO_PROXIES,
            unique_targets: &[],
        };
        let DnsVerdict::NotReady(failure) = verdict(&expected, &[dead], Timestamp::EPOCH) else {
            panic!("ready")
        };
        assert!(!failure.counts_against_domain());
    }

    #[test]
    fn bogus_signatures_are_named_whatever_resolvers_without_validation_see() {
        let failure = |views: &[ResolverView]| {
            let (hostname, target) = (
                Hostname::parse("shop.example.com").unwrap(),
                Hostname::parse(TARGET).unwrap(),
            );
            let expected = DnsExpectation {
                hostname: &hostname,
                cname_target: &target,
                edge_addresses: &[],
                proxies: &NO_PROXIES,
                unique_targets: &[],
            };
            match verdict(&expected, views, Timestamp::EPOCH) {
                DnsVerdict::NotReady(failure) => failure,
                other => panic!("{other:?}"),
            }
        };
        let bogus = |n, chain: &[&str]| view(n, chain, DnsAnswer::Bogus);
        let expected = |seen_by, name: &str| Failure::DnsDnssecBogus {
            resolvers: vec![resolver(2)],
            seen_by,
            name: name.to_owned(),
        };
        let good = view(1, &[TARGET], at(&["198.51.100.1"]));
        assert_eq!(failure(&[bogus(2, &[])]), expected(vec![], ""));
        let seen = failure(&[good, bogus(2, &[])]);
        assert_eq!(seen, expected(vec![resolver(1)], ""));
        assert!(seen.counts_against_domain() && seen.leaves_dns_open());
        let aliased = failure(&[bogus(2, &["shops.example.net"])]);
        assert_eq!(aliased, expected(vec![], "shops.example.net"));
        // The signatures of our own zone are ours.
        let ours = failure(&[bogus(2, &[TARGET])]);
        assert!(!ours.counts_against_domain(), "{ours:?}");
    }

    #[test]
    fn a_servfail_at_one_resolver_is_a_broken_zone_and_not_a_change_under_way() {
        let good = || view(1, &[TARGET], at(&["198.51.100.1"]));
        for answer in [DnsAnswer::ServFail, DnsAnswer::Refused] {
            let broken = || view(2, &[], answer.clone());
            let expected = Failure::DnsServfail {
                resolvers: vec![resolver(2)],
                seen_by: vec![resolver(1)],
                txt_name: String::new(),
            };
            assert_eq!(
                failure("shop.example.com", &[good(), broken()]),
                Some(expected)
            );
            let missing = view(3, &[], DnsAnswer::NxDomain);
            let propagating = Failure::DnsPropagating {
                seen_by: vec![resolver(1)],
                missing_at: vec![resolver(3)],
                until: None,
            };
            assert_eq!(
                failure("shop.example.com", &[good(), broken(), missing]),
                Some(propagating)
            );
        }
    }

    #[test]
    fn resolvers_that_refuse_every_query_are_not_reported_as_timeouts() {
        let mut refusing = view(1, &[], DnsAnswer::Refused);
        refusing.control.answer = DnsAnswer::Refused;
        let Some(failure) = failure("shop.example.com", &[refusing]) else {
            panic!("ready")
        };
        assert_eq!(failure.code(), FailureCode::Internal);
        assert!(!failure.counts_against_domain());
    }

    #[test]
    fn a_fault_of_our_own_machine_is_never_the_customers() {
        let shop = "shop.example.com";
        let nets: &[IpNet] = &["203.0.113.0/28".parse().unwrap()];
        let is_local = |views: &[ResolverView]| {
            matches!(verdict_of(shop, nets, views), DnsVerdict::Local { .. })
        };
        let missing = || view(1, &[], DnsAnswer::NxDomain);
        let unasked = || view(2, &[], local());
        assert!(is_local(&[unasked()]));
        assert!(is_local(&[missing(), unasked()]));
        let mut without_control = missing();
        without_control.control.answer = local();
        assert!(is_local(&[without_control]));
        let mut unknown = view(1, &[], at(&["203.0.113.3"]));
        unknown.control.answer = local();
        assert!(
            is_local(&[unknown]),
            "whose address it is decides who is to blame"
        );
        let good = view(1, &[TARGET], at(&["198.51.100.1"]));
        assert_eq!(
            code(shop, &[good, unasked()]),
            None,
            "what was seen is seen"
        );
    }

    #[test]
    fn a_name_is_not_blamed_for_other_addresses_than_ours_while_ours_are_unknown() {
        for answer in [DnsAnswer::Timeout, DnsAnswer::ServFail, DnsAnswer::NxDomain] {
            let mut blind = view(1, &[], at(&["8.8.8.8"]));
            blind.control.answer = answer;
            let DnsVerdict::NotReady(failure) = verdict_of("example.com", &[], &[blind]) else {
                panic!("ready")
            };
            assert_eq!(failure.code(), FailureCode::Internal);
        }
    }

    #[test]
    fn each_family_is_judged_by_its_own_chain() {
        let mut mixed = view(1, &[TARGET], at(&["198.51.100.1"]));
        mixed.name.ipv6 = Some(Lookup {
            chain: vec![],
            answer: at(&["2600:1901::1"]),
            more: 0,
        });
        assert_eq!(
            code("shop.example.com", std::slice::from_ref(&mixed)),
            Some(FailureCode::DnsNoCname)
        );
        let through = Lookup {
            chain: vec!["x.example.org".into(), TARGET.into()],
            answer: at(&["2600:1901::1"]),
            more: 0,
        };
        mixed.name.ipv6 = Some(through);
        let DnsVerdict::PointsAtUs { edges, .. } =
            verdict_of("shop.example.com", &[], &[mixed.clone()])
        else {
            panic!("not ready")
        };
        assert!(edges.contains(&"2600:1901::1".parse().unwrap()));
        // An address of the configuration is ours, but not known to be the target's.
        mixed.name.ipv6 = Some(Lookup {
            chain: vec![],
            answer: at(&["2600:1901::1"]),
            more: 0,
        });
        let nets = ["2600:1901::/32".parse().unwrap()];
        let DnsVerdict::PointsAtUs { edges, .. } = verdict_of("shop.example.com", &nets, &[mixed])
        else {
            panic!("not ready")
        };
        assert!(!edges.contains(&"2600:1901::1".parse().unwrap()));
    }

    #[test]
    fn a_name_behind_a_proxy_is_accepted_only_if_the_operator_says_so() {
        let verdict_for = |accepted, host: &str, answer: DnsAnswer| {
            let (hostname, target) = (
                Hostname::parse(host).unwrap(),
                Hostname::parse(TARGET).unwrap(),
            );
            let proxies = ProxyPolicy {
                accepted,
                networks: vec!["192.0.2.0/24".parse().unwrap()],
            };
            let expected = DnsExpectation {
                hostname: &hostname,
                cname_target: &target,
                edge_addresses: &[],
                proxies: &proxies,
                unique_targets: &[],
            };
            verdict(&expected, &[view(1, &[], answer)], Timestamp::EPOCH)
        };
        let cloudflare = || at(&["104.16.132.229", "2606:4700::6810:84e5"]);
        for host in ["shop.example.com", "example.com"] {
            let DnsVerdict::NotReady(failure) = verdict_for(false, host, cloudflare()) else {
                panic!("ready")
            };
            assert!(
                matches!(&failure, Failure::CdnInFront { cdn, .. } if cdn == "Cloudflare"),
                "{failure:?}"
            );
            let accepted = verdict_for(true, host, cloudflare());
            assert!(
                matches!(
                    accepted,
                    DnsVerdict::PointsAtUs {
                        is_proxied: true,
                        ..
                    }
                ),
                "{accepted:?}"
            );
        }
        let of_operator = verdict_for(true, "example.com", at(&["192.0.2.9", "198.51.100.1"]));
        assert!(matches!(
            of_operator,
            DnsVerdict::PointsAtUs {
                is_proxied: true,
                ..
            }
        ));
        let ours = verdict_for(true, "example.com", at(&["198.51.100.1"]));
        assert!(matches!(
            ours,
            DnsVerdict::PointsAtUs {
                is_proxied: false,
                ..
            }
        ));
        // Another address beside the proxy's is nobody's that is known.
        let mixed = verdict_for(true, "example.com", at(&["104.16.132.229", "8.8.8.8"]));
        assert!(
            matches!(&mixed, DnsVerdict::NotReady(Failure::DnsWrongTarget { .. })),
            "{mixed:?}"
        );
    }

    #[test]
    fn what_strangers_publish_is_named_in_part_and_counted() {
        let many: BTreeSet<IpAddr> = (0..64).map(|n| IpAddr::from([8, 8, 8, n])).collect();
        let mut seen = view(1, &[], DnsAnswer::Addresses(many));
        seen.name.more = 3936;
        let Some(Failure::DnsNoCname {
            addresses, more, ..
        }) = failure("shop.example.com", &[seen])
        else {
            panic!("another failure")
        };
        assert_eq!((addresses.len(), more), (4, 3996));
        let chain: Vec<String> = (0..10).map(|n| format!("n{n}.example")).collect();
        let short = bounded_chain(&chain);
        assert_eq!(short.len(), 9);
        assert_eq!(
            (short[3].as_str(), short[4].as_str(), short[5].as_str()),
            ("n3.example", "…", "n6.example")
        );
    }
}
