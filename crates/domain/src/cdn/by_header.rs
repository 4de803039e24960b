//! CDNs that publish no networks: named by the headers of their responses.

use std::net::IpAddr;

use crate::Failure;
use crate::probe::{ProbeAnswer, ProbeObservation};

/// The addresses of a name that are asked for headers.
pub const MAX_PROBED: usize = 2;

/// The addresses whose responses may name a CDN: those of a name without a record that points at
/// us. A CNAME chain that leads elsewhere is named instead, whatever stands in front of its end.
pub fn addresses_to_probe(failure: &Failure) -> &[IpAddr] {
    match failure {
        Failure::DnsNoCname { addresses, .. } => addresses,
        Failure::DnsWrongTarget {
            chain, addresses, ..
        } if chain.is_empty() => addresses,
        _ => &[],
    }
}

/// The failure, with the CDN that every address that answered names.
#[must_use]
pub fn named_by_headers(failure: Failure, seen: &[ProbeObservation]) -> Failure {
    let answered = seen.iter().filter(|seen| {
        !matches!(
            seen.answer,
            ProbeAnswer::Refused
                | ProbeAnswer::Timeout
                | ProbeAnswer::Unroutable
                | ProbeAnswer::Local { .. }
                | ProbeAnswer::Forbidden { .. }
        )
    });
    let names: Option<Vec<&str>> = answered
        .map(|seen| match &seen.answer {
            ProbeAnswer::Cdn { name, .. } => Some(*name),
            _ => None,
        })
        .collect();
    let Some(name) = names.and_then(|names| names.first().copied()) else {
        return failure;
    };
    match failure {
        Failure::DnsNoCname {
            addresses, more, ..
        }
        | Failure::DnsWrongTarget {
            addresses, more, ..
        } => Failure::CdnInFront {
            cdn: name.to_owned(),
            addresses,
            more,
            answer: None,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Vec<IpAddr> {
        vec!["8.8.8.8".parse().unwrap(), "8.8.4.4".parse().unwrap()]
    }

    fn no_cname() -> Failure {
        Failure::DnsNoCname {
            addresses: addresses(),
            more: 1,
            is_zone: false,
        }
    }

    fn wrong_target(chain: &[&str]) -> Failure {
        Failure::DnsWrongTarget {
            chain: chain.iter().map(|name| (*name).to_owned()).collect(),
            addresses: addresses(),
            more: 1,
        }
    }

    fn seen(answers: &[ProbeAnswer]) -> Vec<ProbeObservation> {
        let seen = |(address, answer): (IpAddr, &ProbeAnswer)| ProbeObservation {
            address,
            answer: answer.clone(),
        };
        addresses().into_iter().zip(answers).map(seen).collect()
    }

    fn akamai() -> ProbeAnswer {
        ProbeAnswer::Cdn {
            name: "Akamai",
            answer: "status 400".into(),
        }
    }

    #[test]
    fn a_cdn_that_all_addresses_name_is_the_failure() {
        let expected = Failure::CdnInFront {
            cdn: "Akamai".into(),
            addresses: addresses(),
            more: 1,
            answer: None,
        };
        for failure in [no_cname(), wrong_target(&[])] {
            assert_eq!(addresses_to_probe(&failure), addresses());
            for answers in [
                [akamai(), akamai()],
                [ProbeAnswer::Timeout, akamai()],
                [akamai(), ProbeAnswer::Refused],
            ] {
                let named = named_by_headers(failure.clone(), &seen(&answers));
                assert_eq!(named, expected, "{answers:?}");
            }
        }
    }

    #[test]
    fn any_other_answer_leaves_the_failure_as_it_is() {
        let local = || ProbeAnswer::Local {
            detail: "EMFILE".into(),
        };
        for answers in [
            vec![],
            vec![akamai(), ProbeAnswer::Status(404)],
            vec![akamai(), ProbeAnswer::Ours],
            vec![local(), ProbeAnswer::Timeout],
        ] {
            let named = named_by_headers(no_cname(), &seen(&answers));
            assert_eq!(named, no_cname(), "{answers:?}");
        }
    }

    #[test]
    fn no_address_is_asked_behind_a_chain_or_for_another_failure() {
        let chained = wrong_target(&["shops.host.example"]);
        assert!(addresses_to_probe(&chained).is_empty());
        assert!(addresses_to_probe(&Failure::DnsNxdomain {}).is_empty());
    }
}
