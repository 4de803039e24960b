//! A domain that was served and is seen elsewhere: an unconfirmed move, a move, end and release.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn elsewhere() -> Failure {
    Failure::DnsMoved {
        cause: Box::new(Failure::DnsNxdomain {}),
    }
}

fn live_with(next: Next) -> Phase {
    Phase::Live {
        serving: CertificateId::from_uuid(Uuid::nil()),
        not_after: NOW + 20 * DAY,
        dns: DnsState::Here,
        next,
    }
}

fn expired(dns: DnsState, ended: Duration) -> DomainRecord {
    record(Phase::Expired {
        certificate: CertificateId::from_uuid(Uuid::nil()),
        not_after: NOW - ended,
        dns,
        issuance: Issuance::AwaitingDns,
    })
}

/// The record after one more failed step at `now`.
fn after(before: &DomainRecord, failure: Failure, now: Timestamp) -> RecordWrite {
    let policy = Policy::default();
    let outcome = failed(failure, Then::Retry);
    settle(
        before,
        outcome,
        Findings::default(),
        &context(&policy, now, 1.0),
    )
    .unwrap()
}

#[test]
fn a_recheck_reports_what_it_found_and_the_move_once_that_is_certain() {
    let mut domain = record(live_with(Next::At(NOW + 10 * DAY)));
    for (minutes, observations) in [(0, 1), (30, 2)] {
        let now = NOW + Duration::from_secs(60 * minutes);
        let write = after(&domain, elsewhere(), now);
        let report = write.report.unwrap();
        assert_eq!(report.failure, Some(Failure::DnsNxdomain {}));
        assert_eq!(report.status, Status::Active);
        domain = write.record;
        let seen = DnsState::SeenElsewhere {
            since: NOW,
            observations,
        };
        assert_eq!(domain.phase.dns(), Some(seen));
        assert!(!domain.phase.is_moved_away());
        let due = domain.next_attempt_at.unwrap();
        assert_eq!(due, now + HOUR / 6, "it is checked again soon");
    }
    let write = after(&domain, elsewhere(), NOW + HOUR);
    assert_eq!(write.record.phase.moved_away_since(), Some(NOW));
    let report = write.report.unwrap();
    assert_eq!(report.failure, Some(elsewhere()));
    assert_eq!(report.status, Status::Active);
}

#[test]
fn a_renewal_under_way_goes_back_to_the_dns_check_before_a_move_is_certain() {
    let before = record(live_with(Next::Now(Issuance::AwaitingHttpProbe)));
    let outcome = failed(elsewhere(), Then::RecheckDns);
    let write = settled(&before, outcome);
    assert_eq!(write.report.unwrap().failure, Some(Failure::DnsNxdomain {}));
    let issuance = write.record.phase.issuance();
    assert_eq!(issuance, Some(&Issuance::AwaitingDns));
    assert!(!write.record.phase.is_moved_away());
}

#[test]
fn neither_faults_of_ours_nor_silent_servers_are_observations() {
    let one = after(&record(live_with(Next::At(NOW + DAY))), elsewhere(), NOW).record;
    let later = NOW + 2 * HOUR;
    for failure in [
        Failure::Internal {
            detail: "no descriptors".into(),
        },
        Failure::DnsTimeout {
            resolvers: vec![],
            resolver_outage: true,
            txt_name: String::new(),
        },
        Failure::DnsServfail {
            resolvers: vec![],
            seen_by: vec![],
            txt_name: String::new(),
        },
    ] {
        let same = after(&one, failure.clone(), later).record;
        assert_eq!(same.phase, one.phase, "{failure:?}");
    }
    let here = settled(&one, Outcome::Confirmed { until: later });
    assert_eq!(here.record.phase.dns(), Some(DnsState::Here));
    assert_eq!(here.report.unwrap().failure, None);
}

#[test]
fn an_unconfirmed_move_releases_no_name_and_a_dead_zone_does_in_the_end() {
    let unconfirmed = DnsState::SeenElsewhere {
        since: NOW,
        observations: 1,
    };
    let late = 40 * DAY;
    let kept = after(&expired(unconfirmed, late), elsewhere(), NOW).record;
    assert_eq!(kept.phase.name(), "expired");
    let dead = || Failure::DnsServfail {
        resolvers: vec![],
        seen_by: vec![],
        txt_name: String::new(),
    };
    let kept = after(&expired(DnsState::Here, 29 * DAY), dead(), NOW).record;
    assert_eq!(kept.phase.name(), "expired");
    let write = after(&expired(DnsState::Here, late), dead(), NOW);
    assert_eq!(write.record.phase, Phase::Failed);
    let failure = write.report.unwrap().failure.unwrap();
    assert_eq!(failure.code(), FailureCode::DnsMoved);
    assert_eq!(write.record.name_hold(), crate::record::NameHold::None);
}

#[test]
fn a_name_is_never_released_if_the_operator_says_so() {
    let policy = Policy {
        release_after: None,
        ..Policy::default()
    };
    let moved = DnsState::MovedAway {
        since: NOW - 900 * DAY,
    };
    let before = expired(moved, 800 * DAY);
    let outcome = failed(elsewhere(), Then::Retry);
    let context = context(&policy, NOW, 1.0);
    let after = settle(&before, outcome, Findings::default(), &context).unwrap();
    assert_eq!(after.record.phase, before.phase);
    assert!(after.record.next_attempt_at.is_some());
}
