//! From the walks for A and AAAA to one observation.

use dps_domain::dns::DnsAnswer;

use super::walk::Outcome;

/// Combines both families. Addresses of either count, even when the other lookup failed, since a CA goes on with what it got.
/// Without addresses: a loop or a missing name is a fact about the name, whatever the other lookup met (RFC 8020 §2); "no data"
/// is believed only when both families say so, because the family that failed might have an address.
pub(super) fn combine(v4: Outcome, v6: Outcome) -> Outcome {
    use DnsAnswer::{Addresses, Loop, NoData, NxDomain, Refused, ServFail, Timeout};
    match (&v4.answer, &v6.answer) {
        (Addresses(first), Addresses(second)) => Outcome {
            answer: Addresses(first.union(second).copied().collect()),
            chain: v4.chain,
        },
        (Addresses(_), _) => v4,
        (_, Addresses(_)) => v6,
        (Loop, _) => v4,
        (_, Loop) => v6,
        // A server that denies the name for one family only: the name is there.
        (NxDomain, NoData) => v6,
        (NoData, NxDomain) => v4,
        (NxDomain, _) => v4,
        (_, NxDomain) => v6,
        (ServFail, _) => v4,
        (_, ServFail) => v6,
        (Refused, _) => v4,
        (_, Refused) => v6,
        (Timeout, _) => v4,
        (_, Timeout) => v6,
        (NoData, NoData) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DnsAnswer::{Addresses, Loop, NoData, NxDomain, Refused, ServFail, Timeout};

    fn ended(answer: DnsAnswer) -> Outcome {
        Outcome {
            chain: vec![],
            answer,
        }
    }

    #[test]
    fn the_table_of_two_families_is_symmetric_and_as_documented() {
        let some = || Addresses(std::iter::once("192.0.2.1".parse().unwrap()).collect());
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
        ] {
            assert_eq!(combine(ended(one.clone()), ended(other.clone())).answer, expected);
            assert_eq!(combine(ended(other), ended(one)).answer, expected);
        }
    }
}
