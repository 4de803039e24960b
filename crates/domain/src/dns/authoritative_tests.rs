//! Verdicts with the answers of authoritative servers.

use std::net::SocketAddr;

use super::*;
use crate::cdn::ProxyPolicy;
use crate::dns::verdict;
use crate::{FailureCode, Hostname};

const HOST: &str = "shop.example.com";
const TARGET: &str = "edge.platform.net";
const HOUR: Duration = Duration::from_secs(3600);

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

fn at(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 53))
}

fn addresses(text: &str) -> DnsAnswer {
    DnsAnswer::Addresses([text.parse().unwrap()].into())
}

fn seen(n: u8, chain: &[&str], answer: DnsAnswer, ttl: Option<Duration>) -> DnsObservation {
    let chain = chain.iter().map(|name| (*name).to_owned()).collect();
    DnsObservation {
        ttl,
        ..DnsObservation::new(at(n), chain, answer)
    }
}

fn good(n: u8) -> DnsObservation {
    seen(n, &[TARGET], addresses("198.51.100.1"), Some(HOUR))
}

fn missing(n: u8) -> DnsObservation {
    seen(n, &[], DnsAnswer::NxDomain, Some(HOUR))
}

fn view(name: DnsObservation) -> ResolverView {
    let control = DnsObservation::new(name.resolver, vec![], addresses("198.51.100.1"));
    ResolverView { name, control }
}

/// The verdicts of the recursive resolvers alone, and with the authoritative servers.
fn verdicts(recursive: &[DnsObservation], servers: &[DnsObservation]) -> (DnsVerdict, DnsVerdict) {
    let (hostname, target) = (
        Hostname::parse(HOST).unwrap(),
        Hostname::parse(TARGET).unwrap(),
    );
    let expected = DnsExpectation {
        hostname: &hostname,
        cname_target: &target,
        edge_addresses: &[],
        proxies: &ProxyPolicy::default(),
        unique_targets: &[],
    };
    let views: Vec<ResolverView> = recursive.iter().cloned().map(view).collect();
    let servers = AuthoritativeView {
        zone: "example.com".into(),
        answers: servers.to_vec(),
        ..AuthoritativeView::default()
    };
    let before = verdict(&expected, &views, now());
    let after = before
        .clone()
        .with_authoritative(&expected, &views, &servers, now());
    (before, after)
}

fn code(verdict: &DnsVerdict) -> Option<FailureCode> {
    match verdict {
        DnsVerdict::PointsAtUs { .. } => None,
        DnsVerdict::NotReady(failure) => Some(failure.code()),
        DnsVerdict::Local { detail } => panic!("our own: {detail}"),
    }
}

#[test]
fn the_source_confirms_a_name_that_resolvers_still_deny() {
    for recursive in [
        vec![missing(1), missing(2)],
        vec![good(1), missing(2)],
        vec![seen(1, &[], DnsAnswer::NoData, None)],
        vec![seen(1, &["old.example.org"], addresses("8.8.8.8"), None)],
        vec![seen(1, &[], addresses("8.8.8.8"), None)],
    ] {
        let (before, after) = verdicts(&recursive, &[good(7), good(8)]);
        assert!(before.may_be_outdated(), "{before:?}");
        assert_eq!(code(&after), None, "{recursive:?}");
        let DnsVerdict::PointsAtUs { edges, .. } = after else {
            panic!("{after:?}")
        };
        assert!(edges.contains(&"198.51.100.1".parse().unwrap()));
    }
}

#[test]
fn servers_without_an_answer_do_not_count() {
    for unanswered in [DnsAnswer::Timeout, DnsAnswer::Refused, DnsAnswer::ServFail] {
        let (before, after) = verdicts(&[missing(1)], &[seen(7, &[], unanswered.clone(), None)]);
        assert_eq!(before, after, "{unanswered:?}");
        let (_, after) = verdicts(&[missing(1)], &[seen(7, &[], unanswered, None), good(8)]);
        assert_eq!(code(&after), None);
    }
    let (before, after) = verdicts(&[missing(1)], &[]);
    assert_eq!(before, after);
}

#[test]
fn servers_that_disagree_mean_a_change_under_way_until_the_last_answer_expires() {
    let long = seen(8, &[], DnsAnswer::NxDomain, Some(2 * HOUR));
    let (_, after) = verdicts(&[missing(1)], &[good(7), long]);
    let expected = Failure::DnsPropagating {
        seen_by: vec![at(7)],
        missing_at: vec![at(8)],
        until: Some(now() + 2 * HOUR),
    };
    assert_eq!(after, DnsVerdict::NotReady(expected));
    // Without the servers, those resolvers count that do not see the change.
    let (before, _) = verdicts(&[good(1), missing(2)], &[]);
    let expected = Failure::DnsPropagating {
        seen_by: vec![at(1)],
        missing_at: vec![at(2)],
        until: Some(now() + HOUR),
    };
    assert_eq!(before, DnsVerdict::NotReady(expected));
}

#[test]
fn a_ttl_of_years_is_not_believed_and_a_missing_one_promises_nothing() {
    let until = |ttl| {
        let (before, _) = verdicts(&[good(1), seen(2, &[], DnsAnswer::NxDomain, ttl)], &[]);
        match before {
            DnsVerdict::NotReady(Failure::DnsPropagating { until, .. }) => until,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        until(Some(Duration::from_secs(u64::from(u32::MAX)))),
        Some(now() + MAX_TTL)
    );
    assert_eq!(until(None), None);
}

#[test]
fn what_the_source_says_of_a_wrong_name_prevails_over_what_resolvers_remember() {
    let elsewhere = || seen(7, &["old.example.org"], addresses("8.8.8.8"), None);
    let (_, after) = verdicts(&[missing(1)], &[elsewhere()]);
    assert_eq!(code(&after), Some(FailureCode::DnsWrongTarget));
    // The record was removed: nothing is on its way.
    let (before, after) = verdicts(&[good(1), missing(2)], &[missing(7), missing(8)]);
    assert_eq!(code(&before), Some(FailureCode::DnsPropagating));
    assert_eq!(code(&after), Some(FailureCode::DnsNxdomain));
}

#[test]
fn a_fault_of_our_own_machine_leaves_the_name_unjudged_unless_a_server_answered() {
    let local = || {
        let detail = "too many open files".into();
        seen(7, &[], DnsAnswer::Local { detail }, None)
    };
    let (_, after) = verdicts(&[missing(1)], &[local()]);
    assert!(matches!(after, DnsVerdict::Local { .. }), "{after:?}");
    let (_, after) = verdicts(&[missing(1)], &[local(), good(8)]);
    assert_eq!(code(&after), None);
    let (_, after) = verdicts(&[missing(1)], &[local(), missing(8)]);
    assert_eq!(code(&after), Some(FailureCode::DnsNxdomain));
}

#[test]
fn broken_zones_and_outages_are_not_taken_to_the_source() {
    for answer in [DnsAnswer::ServFail, DnsAnswer::Bogus, DnsAnswer::Timeout] {
        let (before, _) = verdicts(&[seen(1, &[], answer, None)], &[]);
        assert!(!before.may_be_outdated(), "{before:?}");
    }
    assert!(!verdicts(&[good(1)], &[]).0.may_be_outdated());
}
