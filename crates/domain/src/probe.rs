//! The HTTP probe as a policy: one verdict from the answers of all addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::Failure;

/// The answer of one published address on the challenge path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeObservation {
    /// The address connected to.
    pub address: IpAddr,
    /// The answer of the address.
    pub answer: ProbeAnswer,
}

/// An answer to the probe's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// Our own key authorization, with status 200.
    Ours,
    /// Status 200 with another body, or an answer that is not HTTP; `server` is the `Server` header
    /// if there was one.
    WrongBody {
        /// The `Server` header, shortened.
        server: Option<String>,
    },
    /// A redirect, which is not followed.
    Redirect {
        /// The status code.
        status: u16,
        /// The `Location` header, shortened.
        location: Option<String>,
    },
    /// Another status.
    Status(u16),
    /// The connection was refused, reset, or had no route.
    Refused,
    /// No complete answer in time.
    Timeout,
    /// Our own machine has no route to this kind of address, such as IPv6: it says nothing about
    /// the customer.
    Unroutable,
    /// Our own machine could not connect: no descriptor, no memory, no port. It says nothing about
    /// the address.
    Local {
        /// The system's reason.
        detail: String,
    },
    /// A CDN answered in place of our HAProxy, as a header of its response says.
    Cdn {
        /// The name of the CDN.
        name: &'static str,
        /// A description of its answer.
        answer: String,
    },
    /// The address is not one we connect to.
    Forbidden {
        /// The kind of address.
        kind: &'static str,
    },
}

/// The answer that says most about an address, of those that several places got from it. An edge
/// that cannot reach its own address does not outweigh one that can.
pub fn best_answer(answers: Vec<ProbeAnswer>) -> Option<ProbeAnswer> {
    answers.into_iter().min_by_key(|answer| match answer {
        ProbeAnswer::Ours => 0,
        ProbeAnswer::WrongBody { .. }
        | ProbeAnswer::Redirect { .. }
        | ProbeAnswer::Status(_)
        | ProbeAnswer::Cdn { .. } => 1,
        ProbeAnswer::Forbidden { .. } => 2,
        ProbeAnswer::Refused => 3,
        ProbeAnswer::Timeout => 4,
        ProbeAnswer::Unroutable => 5,
        ProbeAnswer::Local { .. } => 6,
    })
}

/// Returns `Ok` if at least one address answered, and every address that we can reach answered as
/// ours. Otherwise it returns the first failure, IPv6 before IPv4, since a CA tries IPv6 first.
/// `edges` are the addresses that are known to be ours: if one of them does not answer, that is our
/// fault. `unreachable` is the number of unreachable edges. As many of our addresses may fail to
/// answer, or answer as an HAProxy without its agent does, if another one answers.
pub fn verdict(
    observations: &[ProbeObservation],
    edges: &BTreeSet<IpAddr>,
    unreachable: usize,
) -> Result<(), Failure> {
    if observations.is_empty() {
        return Err(Failure::DnsNoCname {
            addresses: vec![],
            more: 0,
            is_zone: false,
        });
    }
    let mut ordered: Vec<&ProbeObservation> = observations
        .iter()
        .filter(|seen| seen.answer != ProbeAnswer::Unroutable)
        .collect();
    if ordered.is_empty() {
        return Err(Failure::Internal {
            detail: "our own machine has no route to any of the name's addresses".into(),
        });
    }
    ordered.sort_by_key(|seen| (seen.address.is_ipv4(), seen.address));
    let is_out_of_order = |seen: &&ProbeObservation| {
        edges.contains(&seen.address)
            && matches!(
                seen.answer,
                ProbeAnswer::Refused | ProbeAnswer::Timeout | ProbeAnswer::Status(404 | 500..)
            )
    };
    let one_answers = ordered.iter().any(|seen| seen.answer == ProbeAnswer::Ours);
    // An edge may have an address of each family.
    let out_of_order = |is_ipv4: bool| {
        let of_family = ordered
            .iter()
            .filter(|seen| seen.address.is_ipv4() == is_ipv4);
        of_family.copied().filter(is_out_of_order).count()
    };
    if one_answers && out_of_order(true).max(out_of_order(false)) <= unreachable {
        ordered.retain(|seen| !is_out_of_order(seen));
    }
    ordered
        .into_iter()
        .try_for_each(|seen| judge(seen, edges.contains(&seen.address)))
}

/// Returns the local fault if our own machine could not send a request to one of the addresses, or
/// had a route to none. The other answers then prove nothing, since every address must be ours.
pub fn local_fault(observations: &[ProbeObservation]) -> Option<&str> {
    let is_unroutable = |seen: &ProbeObservation| seen.answer == ProbeAnswer::Unroutable;
    if !observations.is_empty() && observations.iter().all(is_unroutable) {
        return Some("no route to any of the name's addresses");
    }
    observations.iter().find_map(|seen| match &seen.answer {
        ProbeAnswer::Local { detail } => Some(detail.as_str()),
        _ => None,
    })
}

/// Whether no address let a request of ours in. Such answers tell nothing apart from the place of
/// the service if none of our own edges lets one in either.
pub fn is_unanswered(observations: &[ProbeObservation], edges: &BTreeSet<IpAddr>) -> bool {
    !observations.is_empty()
        && observations.iter().all(|seen| match seen.answer {
            ProbeAnswer::Refused | ProbeAnswer::Timeout | ProbeAnswer::Unroutable => true,
            // Our own DNS leads us to an address inside: the CA may be led to another one.
            ProbeAnswer::Forbidden { .. } => edges.contains(&seen.address),
            ProbeAnswer::Ours
            | ProbeAnswer::WrongBody { .. }
            | ProbeAnswer::Redirect { .. }
            | ProbeAnswer::Status(_)
            | ProbeAnswer::Cdn { .. }
            | ProbeAnswer::Local { .. } => false,
        })
}

fn judge(seen: &ProbeObservation, is_edge: bool) -> Result<(), Failure> {
    let address = seen.address;
    Err(match &seen.answer {
        ProbeAnswer::Ours => return Ok(()),
        ProbeAnswer::WrongBody { server } => Failure::HttpWrongResponder {
            address,
            server: server.clone(),
        },
        ProbeAnswer::Redirect { status, location } => Failure::HttpRedirect {
            address,
            status: *status,
            location: location.clone(),
        },
        // A CDN at our own target is the platform's.
        ProbeAnswer::Cdn { name, answer } if is_edge => unreachable(
            address,
            &format!("is {name}, which answers the challenge path with {answer}"),
        ),
        ProbeAnswer::Cdn { name, answer } => Failure::CdnInFront {
            cdn: (*name).to_owned(),
            addresses: vec![address],
            more: 0,
            answer: Some(answer.clone()),
        },
        // The token was published, so our HAProxy does not reach its agent.
        ProbeAnswer::Status(status @ (404 | 500..)) if is_edge => unreachable(
            address,
            &format!("answers the challenge path with status {status} on port 80"),
        ),
        ProbeAnswer::Status(status) => Failure::HttpStatus {
            address,
            status: *status,
        },
        ProbeAnswer::Refused if is_edge => unreachable(address, "refuses connections on port 80"),
        ProbeAnswer::Timeout if is_edge => {
            unreachable(address, "does not answer on port 80 in time")
        }
        ProbeAnswer::Refused => Failure::HttpRefused { address },
        ProbeAnswer::Timeout => Failure::HttpTimeout { address },
        ProbeAnswer::Unroutable => Failure::Internal {
            detail: format!("our own machine has no route to {address}"),
        },
        ProbeAnswer::Local { detail } => Failure::Internal {
            detail: format!("our own machine could not connect to {address}: {detail}"),
        },
        ProbeAnswer::Forbidden { kind } if is_edge => Failure::Internal {
            detail: format!(
                "our own target leads to {address}, a {kind} address, which is not connected to; give it public addresses, or set \
                 Workers:HttpProbe:AllowPrivateAddresses"
            ),
        },
        ProbeAnswer::Forbidden { kind } => Failure::HttpAddressForbidden {
            address,
            kind: (*kind).to_owned(),
        },
    })
}

fn unreachable(address: IpAddr, detail: &str) -> Failure {
    Failure::EdgeUnreachable {
        edge: address.to_string(),
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureCode;

    fn verdict(observations: &[ProbeObservation]) -> Result<(), Failure> {
        super::verdict(observations, &BTreeSet::new(), 0)
    }

    fn seen(address: &str, answer: ProbeAnswer) -> ProbeObservation {
        ProbeObservation {
            address: address.parse().unwrap(),
            answer,
        }
    }

    #[test]
    fn one_wrong_ipv6_address_is_enough_because_the_ca_never_falls_back() {
        let verdict = verdict(&[
            seen("198.51.100.1", ProbeAnswer::Timeout),
            seen("2606:4700::1", ProbeAnswer::Status(404)),
        ]);
        assert_eq!(verdict.unwrap_err().code(), FailureCode::HttpStatus);
    }

    #[test]
    fn a_machine_of_ours_without_ipv6_blames_nobody() {
        let v6 = || seen("2606:4700::1", ProbeAnswer::Unroutable);
        assert!(verdict(&[v6(), seen("8.8.8.8", ProbeAnswer::Ours)]).is_ok());
        assert!(!verdict(&[v6()]).unwrap_err().counts_against_domain());
        assert!(
            local_fault(&[v6()]).is_some(),
            "it is shown to the operator"
        );
        assert_eq!(
            local_fault(&[v6(), seen("8.8.8.8", ProbeAnswer::Refused)]),
            None
        );
        assert_eq!(local_fault(&[]), None);
    }

    #[test]
    fn every_address_must_be_ours() {
        assert!(
            verdict(&[
                seen("8.8.8.8", ProbeAnswer::Ours),
                seen("8.8.4.4", ProbeAnswer::Ours)
            ])
            .is_ok()
        );
        assert!(
            verdict(&[
                seen("8.8.8.8", ProbeAnswer::Ours),
                seen("8.8.4.4", ProbeAnswer::Refused)
            ])
            .is_err()
        );
        assert!(verdict(&[]).is_err());
    }

    #[test]
    fn an_edge_of_ours_that_does_not_answer_the_challenge_is_our_fault_and_a_stranger_on_it_is_not()
    {
        let edges = BTreeSet::from(["8.8.8.8".parse().unwrap()]);
        let code = |answer| {
            super::verdict(&[seen("8.8.8.8", answer)], &edges, 0)
                .unwrap_err()
                .code()
        };
        assert_eq!(code(ProbeAnswer::Refused), FailureCode::EdgeUnreachable);
        assert_eq!(code(ProbeAnswer::Timeout), FailureCode::EdgeUnreachable);
        assert_eq!(code(ProbeAnswer::Status(404)), FailureCode::EdgeUnreachable);
        assert_eq!(code(ProbeAnswer::Status(503)), FailureCode::EdgeUnreachable);
        assert_eq!(code(ProbeAnswer::Status(403)), FailureCode::HttpStatus);
        let wrong = ProbeAnswer::WrongBody { server: None };
        assert_eq!(code(wrong), FailureCode::HttpWrongResponder);
        let cdn = || ProbeAnswer::Cdn {
            name: "Cloudflare",
            answer: "status 403".into(),
        };
        assert_eq!(code(cdn()), FailureCode::EdgeUnreachable);
        let customers = verdict(&[seen("8.8.4.4", cdn())]).unwrap_err();
        assert_eq!(customers.code(), FailureCode::CdnInFront);
    }

    #[test]
    fn the_place_that_sees_most_decides() {
        let local = ProbeAnswer::Local {
            detail: String::new(),
        };
        let best = |answers: &[ProbeAnswer]| best_answer(answers.to_vec());
        let ours = best(&[ProbeAnswer::Timeout, ProbeAnswer::Ours, local.clone()]);
        assert_eq!(ours, Some(ProbeAnswer::Ours));
        let answered = best(&[
            local.clone(),
            ProbeAnswer::Refused,
            ProbeAnswer::Status(404),
        ]);
        assert_eq!(answered, Some(ProbeAnswer::Status(404)));
        assert_eq!(best(std::slice::from_ref(&local)), Some(local.clone()));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn only_addresses_that_let_nothing_in_are_unanswered() {
        let edges = BTreeSet::from(["10.0.0.1".parse().unwrap()]);
        let unanswered = |observations: &[ProbeObservation]| is_unanswered(observations, &edges);
        let forbidden = |address| seen(address, ProbeAnswer::Forbidden { kind: "private" });
        let refused = || seen("8.8.8.8", ProbeAnswer::Refused);
        assert!(unanswered(&[
            refused(),
            seen("8.8.4.4", ProbeAnswer::Timeout)
        ]));
        assert!(unanswered(&[forbidden("10.0.0.1")]), "split DNS");
        assert!(!unanswered(&[forbidden("10.0.0.2")]), "the customer's");
        assert!(!unanswered(&[]));
        for answer in [
            ProbeAnswer::Ours,
            ProbeAnswer::Status(503),
            ProbeAnswer::WrongBody { server: None },
        ] {
            assert!(!unanswered(&[refused(), seen("8.8.4.4", answer)]));
        }
    }

    #[test]
    fn a_private_address_of_our_own_target_is_the_operators_and_one_of_the_name_the_customers() {
        let private = || seen("10.0.0.1", ProbeAnswer::Forbidden { kind: "private" });
        let edges = BTreeSet::from(["10.0.0.1".parse().unwrap()]);
        let ours = super::verdict(&[private()], &edges, 0).unwrap_err();
        assert_eq!(ours.code(), FailureCode::Internal);
        assert!(!ours.counts_against_domain());
        assert_eq!(
            verdict(&[private()]).unwrap_err().code(),
            FailureCode::HttpAddressForbidden
        );
    }

    #[test]
    fn a_fault_of_our_own_machine_at_one_address_leaves_the_others_unjudged() {
        let local = ProbeAnswer::Local {
            detail: "too many open files".into(),
        };
        let observations = [
            seen("8.8.8.8", ProbeAnswer::Refused),
            seen("8.8.4.4", local),
        ];
        assert_eq!(local_fault(&observations), Some("too many open files"));
        assert_eq!(local_fault(&observations[..1]), None);
        assert!(
            !verdict(&observations[1..])
                .unwrap_err()
                .counts_against_domain()
        );
    }

    #[test]
    fn as_many_addresses_of_ours_that_are_out_of_order_are_excused_as_edges_are_unreachable_while_one_answers()
     {
        let edges: BTreeSet<IpAddr> = ["8.8.8.8", "8.8.4.4", "1.1.1.1"]
            .map(|ip| ip.parse().unwrap())
            .into();
        let verdict = |observations: &[ProbeObservation], unreachable| {
            super::verdict(observations, &edges, unreachable).map_err(|failure| failure.code())
        };
        let answers = || seen("8.8.8.8", ProbeAnswer::Ours);
        let one = [answers(), seen("8.8.4.4", ProbeAnswer::Timeout)];
        let two = [
            answers(),
            seen("8.8.4.4", ProbeAnswer::Refused),
            seen("1.1.1.1", ProbeAnswer::Timeout),
        ];
        let unreachable = Err(FailureCode::EdgeUnreachable);
        assert_eq!(verdict(&one, 1), Ok(()));
        assert_eq!(verdict(&one, 0), unreachable);
        assert_eq!(verdict(&two, 1), unreachable);
        assert_eq!(verdict(&two, 2), Ok(()));
        let edges: BTreeSet<IpAddr> = ["8.8.8.8", "8.8.4.4", "2606:4700::2"]
            .map(|ip| ip.parse().unwrap())
            .into();
        let of_both_families = [
            answers(),
            seen("8.8.4.4", ProbeAnswer::Timeout),
            seen("2606:4700::2", ProbeAnswer::Timeout),
        ];
        assert!(
            super::verdict(&of_both_families, &edges, 1).is_ok(),
            "one dead edge has two addresses"
        );
        let without_agent = [answers(), seen("8.8.4.4", ProbeAnswer::Status(503))];
        assert_eq!(verdict(&without_agent, 1), Ok(()));
        assert_eq!(verdict(&without_agent, 0), unreachable);
        assert_eq!(verdict(&two[1..], 2), unreachable, "no address answers");
        let stranger = [answers(), seen("9.9.9.9", ProbeAnswer::Timeout)];
        assert_eq!(
            verdict(&stranger, 1),
            Err(FailureCode::HttpTimeout),
            "a stranger's address is not excused"
        );
        let wrong = [
            answers(),
            seen("8.8.4.4", ProbeAnswer::WrongBody { server: None }),
        ];
        assert_eq!(
            verdict(&wrong, 1),
            Err(FailureCode::HttpWrongResponder),
            "another server answers there"
        );
    }
}
