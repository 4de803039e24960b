//! From the walks for A and AAAA to one observation.

use std::net::SocketAddr;
use std::time::Duration;

use dps_domain::dns::{DnsAnswer, DnsObservation, Lookup};

use super::chain::Outcome;

/// Combines both families. Addresses of either count, even if the other lookup failed, since a CA
/// continues with one family. With different chains, the families stay apart. Without addresses, a
/// local fault leaves the name unknown. A loop or a missing name is true of the name, even if
/// the other lookup failed (RFC 8020 §2). "No data" counts only if both families say so, because
/// the family that failed might have an address.
pub(super) fn combine(resolver: SocketAddr, v4: Outcome, v6: Outcome) -> DnsObservation {
    let is_zone = v4.is_zone || v6.is_zone;
    let ttl = v4.ttl.max(v6.ttl);
    let (first, second) = match (v4.answer, v6.answer) {
        (DnsAnswer::Addresses(first), DnsAnswer::Addresses(second)) if v4.chain == v6.chain => {
            let both = Lookup {
                answer: DnsAnswer::Addresses(first.union(&second).copied().collect()),
                chain: v4.chain,
                more: v4.more + v6.more,
            };
            (both, None)
        }
        (first @ DnsAnswer::Addresses(_), second @ DnsAnswer::Addresses(_)) => {
            let of = |chain, answer, more| Lookup {
                chain,
                answer,
                more,
            };
            (
                of(v4.chain, first, v4.more),
                Some(of(v6.chain, second, v6.more)),
            )
        }
        (first, second) => {
            let (chain, answer, more) = if rank(&second, &first) < rank(&first, &second) {
                (v6.chain, second, v6.more)
            } else {
                (v4.chain, first, v4.more)
            };
            (
                Lookup {
                    chain,
                    answer,
                    more,
                },
                None,
            )
        }
    };
    DnsObservation {
        more: first.more,
        ipv6: second,
        is_zone,
        ttl: ttl.map(|seconds| Duration::from_secs(seconds.into())),
        ..DnsObservation::new(resolver, first.chain, first.answer)
    }
}

/// The place of an answer beside that of the other family: the lower one counts.
const fn rank(answer: &DnsAnswer, other: &DnsAnswer) -> u8 {
    match answer {
        DnsAnswer::Addresses(_) => 0,
        DnsAnswer::Local { .. } => 1,
        DnsAnswer::Loop => 2,
        // A server that denies the name for one family only: the name is there.
        DnsAnswer::NxDomain if matches!(other, DnsAnswer::NoData) => 9,
        DnsAnswer::NxDomain => 3,
        DnsAnswer::Bogus => 4,
        DnsAnswer::ServFail => 5,
        DnsAnswer::Refused => 6,
        DnsAnswer::Timeout => 7,
        DnsAnswer::NoData => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DnsAnswer::{Addresses, Loop, NoData, NxDomain, Refused, ServFail, Timeout};

    const RESOLVER: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 53);

    fn ended(answer: DnsAnswer) -> Outcome {
        Outcome {
            chain: vec![],
            answer,
            more: 0,
            is_zone: false,
            ttl: None,
        }
    }

    fn combined(one: DnsAnswer, other: DnsAnswer) -> DnsAnswer {
        combine(RESOLVER, ended(one), ended(other)).answer
    }

    #[test]
    fn the_table_of_two_families_is_symmetric_and_as_documented() {
        let some = || Addresses(std::iter::once("192.0.2.1".parse().unwrap()).collect());
        let local = || DnsAnswer::Local {
            detail: "too many open files".into(),
        };
        for (one, other, expected) in [
            (some(), Timeout, some()),
            (some(), ServFail, some()),
            (some(), NoData, some()),
            (Loop, ServFail, Loop),
            (NxDomain, NxDomain, NxDomain),
            (NxDomain, Timeout, NxDomain),
            (NxDomain, NoData, NoData),
            (NoData, NoData, NoData),
            (NoData, Timeout, Timeout),
            (NoData, ServFail, ServFail),
            (NoData, Refused, Refused),
            (Timeout, ServFail, ServFail),
            (some(), local(), some()),
            (NxDomain, local(), local()),
            (NoData, local(), local()),
            (Timeout, local(), local()),
        ] {
            assert_eq!(combined(one.clone(), other.clone()), expected);
            assert_eq!(combined(other, one), expected);
        }
    }

    #[test]
    fn families_with_different_chains_stay_apart() {
        let of = |chain: &[&str], address: &str| Outcome {
            chain: chain.iter().map(|name| (*name).to_owned()).collect(),
            ..ended(Addresses(
                std::iter::once(address.parse().unwrap()).collect(),
            ))
        };
        let same = combine(
            RESOLVER,
            of(&["a.example"], "192.0.2.1"),
            of(&["a.example"], "2001:db8::1"),
        );
        assert_eq!(same.ipv6, None);
        let apart = combine(
            RESOLVER,
            of(&["a.example"], "192.0.2.1"),
            of(&[], "2001:db8::1"),
        );
        assert_eq!(apart.chain, ["a.example"]);
        assert_eq!(apart.ipv6.unwrap().chain, Vec::<String>::new());
    }
}
