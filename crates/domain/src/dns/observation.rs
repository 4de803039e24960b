//! The answers of resolvers: about the customer's name, and about our own target as a control.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::Hostname;

/// Number of addresses of one family that are kept for a name, more than any fleet of edges
/// publishes.
pub const MAX_ADDRESSES: usize = 64;

/// The answers of one resolver about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsObservation {
    /// The queried resolver.
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
    /// Time for which a cache may keep the answer (RFC 2308 §5 for a negative one); `None` if
    /// unknown.
    pub ttl: Option<Duration>,
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
            ttl: None,
        }
    }

    /// Each chain with its answer: one for both families, or one for each.
    pub(super) fn branches(&self) -> impl Iterator<Item = Branch<'_>> {
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
pub(super) struct Branch<'a> {
    pub(super) chain: &'a [String],
    pub(super) answer: &'a DnsAnswer,
    pub(super) more: usize,
}

impl<'a> Branch<'a> {
    pub(super) fn goes_through(&self, target: &Hostname) -> bool {
        self.chain.iter().any(|name| name == target.as_str())
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
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
    /// The resolver could not validate the answer with DNSSEC: the same query with checking
    /// disabled succeeds (RFC 4035 §4.7).
    Bogus,
    /// The resolver answered with another error, or refused.
    Refused,
    /// No answer in time.
    Timeout,
    /// Our own machine could not send the query: no descriptor, no memory, no route. It says
    /// nothing about the name or the resolver.
    Local {
        /// The system's reason.
        detail: String,
    },
}

impl DnsAnswer {
    /// Whether the answer says nothing about the name.
    pub(super) const fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Timeout | Self::ServFail | Self::Bogus | Self::Refused | Self::Local { .. }
        )
    }
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

    pub(super) fn local_fault(&self) -> Option<&String> {
        [&self.name.answer, &self.control.answer]
            .into_iter()
            .find_map(|answer| match answer {
                DnsAnswer::Local { detail } => Some(detail),
                _ => None,
            })
    }
}

fn addresses(answer: &DnsAnswer) -> impl Iterator<Item = IpAddr> + use<'_> {
    let found = match answer {
        DnsAnswer::Addresses(found) => Some(found),
        DnsAnswer::NoData
        | DnsAnswer::NxDomain
        | DnsAnswer::Loop
        | DnsAnswer::ServFail
        | DnsAnswer::Bogus
        | DnsAnswer::Refused
        | DnsAnswer::Timeout
        | DnsAnswer::Local { .. } => None,
    };
    found.into_iter().flatten().copied()
}
