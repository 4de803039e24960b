//! The DNS check as a policy: one verdict from the answers of all resolvers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::{Failure, Hostname};

/// Number of addresses of one family that are kept for a name, more than any fleet of edges
/// publishes.
pub const MAX_ADDRESSES: usize = 64;

/// The answers of one resolver about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsObservation {
    /// The resolver asked.
    pub resolver: SocketAddr,
    /// The CNAME targets in order (RFC 1034 §3.6.2), lower case, no dot at the end; empty when the
    /// name has no CNAME.
    pub chain: Vec<String>,
    /// The answer at the end of the chain.
    pub answer: DnsAnswer,
    /// Addresses at the end of the chain beyond those kept.
    pub more: usize,
    /// The look-up of IPv6 addresses, if its chain differs from that of IPv4. `chain` and `answer`
    /// are those of IPv4 then.
    pub ipv6: Option<Lookup>,
    /// The name is a zone of its own: a negative answer carried an SOA record of this name (RFC
    /// 2308 §3).
    pub is_zone: bool,
}

/// The look-up of one address family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// As in [`DnsObservation::chain`].
    pub chain: Vec<String>,
    /// As in [`DnsObservation::answer`].
    pub answer: DnsAnswer,
    /// As in [`DnsObservation::more`].
    pub more: usize,
}

impl DnsObservation {
    /// An observation with the same chain and answer for both families.
    pub const fn new(resolver: SocketAddr, chain: Vec<String>, answer: DnsAnswer) -> Self {
        Self {
            resolver,
            chain,
            answer,
            more: 0,
            ipv6: None,
            is_zone: false,
        }
    }

    /// Each chain with its answer: one for both families, or one for each.
    fn branches(&self) -> impl Iterator<Item = Branch<'_>> {
        let first = Branch {
            chain: &self.chain,
            answer: &self.answer,
            more: self.more,
        };
        let second = self.ipv6.as_ref().map(|lookup| Branch {
            chain: &lookup.chain,
            answer: &lookup.answer,
            more: lookup.more,
        });
        std::iter::once(first).chain(second)
    }
}

/// A chain and what stands at its end.
#[derive(Debug, Clone, Copy)]
struct Branch<'a> {
    chain: &'a [String],
    answer: &'a DnsAnswer,
    more: usize,
}

impl<'a> Branch<'a> {
    fn goes_through(&self, target: &Hostname) -> bool {
        self.chain.iter().any(|name| name == target.as_str())
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        addresses(self.answer)
    }
}

/// The answer at the end of a CNAME chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsAnswer {
    /// A and AAAA records; at least one, and at most [`MAX_ADDRESSES`] of a family.
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
    /// Our own machine could not ask: no descriptor, no memory, no route. It says nothing about the
    /// name or the resolver.
    Local {
        /// The system's reason.
        detail: String,
    },
}

impl DnsAnswer {
    /// Whether the answer says nothing about the name.
    const fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Timeout | Self::ServFail | Self::Refused | Self::Local { .. }
        )
    }
}

/// The expected records of a name.
#[derive(Debug, Clone, Copy)]
pub struct DnsExpectation<'a> {
    /// The customer's hostname.
    pub hostname: &'a Hostname,
    /// Target of its CNAME.
    pub cname_target: &'a Hostname,
    /// Addresses of our edges by configuration. The addresses of `cname_target` count as ours too.
    pub edge_addresses: &'a [IpNet],
}

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
    },
    /// The name does not point at us, or no longer does.
    NotReady(Failure),
    /// Our own machine could not ask enough for a verdict. It says nothing about the customer.
    Local {
        /// The system's reason.
        detail: String,
    },
}

/// One resolver's view of the customer's name and, as a control, of our own target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverView {
    /// The customer's name.
    pub name: DnsObservation,
    /// `cname_target` at the same resolver: shows that the resolver works, and gives our own
    /// addresses.
    pub control: DnsObservation,
}

impl ResolverView {
    /// Whether the resolver cannot resolve our own target, so that its answer is no evidence
    /// against a customer.
    pub fn is_out_of_order(&self) -> bool {
        matches!(self.name.answer, DnsAnswer::Local { .. })
            || (self.name.answer.is_failure() && self.control.answer.is_failure())
    }

    fn local_fault(&self) -> Option<&String> {
        [&self.name.answer, &self.control.answer]
            .into_iter()
            .find_map(|answer| match answer {
                DnsAnswer::Local { detail } => Some(detail),
                _ => None,
            })
    }
}

/// Combines all resolvers' views into one verdict.
pub fn verdict(expected: &DnsExpectation<'_>, views: &[ResolverView]) -> DnsVerdict {
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
    let verdict = verdict_of_working(expected, &known, &working);
    match verdict {
        // A resolver that we could not ask may have seen the name as it should be.
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
    let is_silent = |view: &ResolverView| {
        view.name.answer == DnsAnswer::Timeout || view.control.answer == DnsAnswer::Timeout
    };
    if views.is_empty() || views.iter().any(is_silent) {
        return Failure::DnsTimeout {
            resolvers: views.iter().map(|view| view.name.resolver).collect(),
            resolver_outage: true,
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

/// Our own addresses.
struct OurAddresses<'a> {
    /// Those of the target.
    addresses: BTreeSet<IpAddr>,
    /// Those of the configuration.
    networks: &'a [IpNet],
    /// Whether the target's addresses could not be looked up.
    is_incomplete: bool,
}

impl<'a> OurAddresses<'a> {
    fn seen_by(expected: &DnsExpectation<'a>, working: &[&ResolverView]) -> Self {
        let addresses: BTreeSet<IpAddr> = working
            .iter()
            .flat_map(|view| view.control.branches())
            .flat_map(|branch| branch.addresses())
            .collect();
        let failed = working.iter().any(|view| view.control.answer.is_failure());
        Self {
            is_incomplete: addresses.is_empty() && (failed || expected.edge_addresses.is_empty()),
            addresses,
            networks: expected.edge_addresses,
        }
    }

    fn contain(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
    }
}

fn verdict_of_working(
    expected: &DnsExpectation<'_>,
    known: &OurAddresses<'_>,
    working: &[&ResolverView],
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
    let is_servfail =
        |result: &Result<(), Failure>| matches!(result, Err(Failure::DnsServfail { .. }));
    if bad.iter().all(|(_, result)| is_servfail(result)) {
        // A zone that some resolvers cannot resolve, as with a broken signature, needs a repair.
        return DnsVerdict::NotReady(Failure::DnsServfail {
            resolvers: resolvers(&bad),
            seen_by: resolvers(&good),
        });
    }
    let missing: Vec<_> = bad
        .into_iter()
        .filter(|(_, result)| !is_servfail(result))
        .collect();
    DnsVerdict::NotReady(Failure::DnsPropagating {
        seen_by: resolvers(&good),
        missing_at: resolvers(&missing),
    })
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
    DnsVerdict::PointsAtUs {
        addresses,
        edges,
        more: most,
    }
}

/// Largest number of our target's addresses that an instruction names.
const MAX_INSTRUCTED: usize = 16;

/// The addresses that a customer's instruction can name: the single addresses of the configuration,
/// or those of the target without any.
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
            .flat_map(|view| view.control.branches())
            .flat_map(|branch| branch.addresses())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .take(MAX_INSTRUCTED)
            .collect()
    } else {
        configured.into_iter().collect()
    }
}

fn addresses(answer: &DnsAnswer) -> impl Iterator<Item = IpAddr> + use<'_> {
    let found = match answer {
        DnsAnswer::Addresses(found) => Some(found),
        DnsAnswer::NoData
        | DnsAnswer::NxDomain
        | DnsAnswer::Loop
        | DnsAnswer::ServFail
        | DnsAnswer::Refused
        | DnsAnswer::Timeout
        | DnsAnswer::Local { .. } => None,
    };
    found.into_iter().flatten().copied()
}

/// Judges each family by its own chain; the first failure decides.
fn judge(
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
        }),
        DnsAnswer::ServFail | DnsAnswer::Refused => Err(Failure::DnsServfail {
            resolvers: resolvers(),
            seen_by: vec![],
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
        DnsAnswer::Addresses(found) => judge_addresses(expected, known, seen, branch, found),
    }
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
    if !good.is_empty() {
        return Err(stray_addresses(&stray, branch.more));
    }
    let (addresses, more) = bounded_addresses(found, branch.more);
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
fn bounded_chain(chain: &[String]) -> Vec<String> {
    if chain.len() <= 2 * MAX_CHAIN_END {
        return chain.to_vec();
    }
    let (begin, rest) = chain.split_at(MAX_CHAIN_END);
    let end = &rest[rest.len() - MAX_CHAIN_END..];
    let omitted = "…".to_owned();
    begin.iter().chain([&omitted]).chain(end).cloned().collect()
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
        };
        verdict(&expected, views)
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
        };
        let DnsVerdict::NotReady(failure) = verdict(&expected, &[dead]) else {
            panic!("ready")
        };
        assert!(!failure.counts_against_domain());
    }

    #[test]
    fn a_servfail_at_one_resolver_is_a_broken_zone_and_not_a_change_under_way() {
        let good = || view(1, &[TARGET], at(&["198.51.100.1"]));
        for answer in [DnsAnswer::ServFail, DnsAnswer::Refused] {
            let broken = || view(2, &[], answer.clone());
            let expected = Failure::DnsServfail {
                resolvers: vec![resolver(2)],
                seen_by: vec![resolver(1)],
            };
            assert_eq!(
                failure("shop.example.com", &[good(), broken()]),
                Some(expected)
            );
            let missing = view(3, &[], DnsAnswer::NxDomain);
            let propagating = Failure::DnsPropagating {
                seen_by: vec![resolver(1)],
                missing_at: vec![resolver(3)],
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
