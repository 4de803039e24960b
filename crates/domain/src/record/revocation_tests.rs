use std::sync::LazyLock;
use std::time::Duration;

use super::*;
use crate::limits::CaLimits;
use crate::limits::published::LETS_ENCRYPT;
use crate::phase::{DnsState, Next};
use crate::record::claim::superseded;
use crate::record::ledger::OrderLimits;
use crate::record::settle::settle;
use crate::record::test_record::{NOW, record};
use crate::{CertificateId, Event, Failure, Issuance, Phase, Status};
use uuid::Uuid;

static LIMITS: LazyLock<CaLimits> = LazyLock::new(|| CaLimits::published(LETS_ENCRYPT));
const HOUR: Duration = Duration::from_secs(3600);

fn wanted() -> Policy {
    Policy {
        revoke_ended: true,
        ..Policy::default()
    }
}

fn after(policy: &Policy, before: &DomainRecord, outcome: Outcome) -> RecordWrite {
    let context = SettleContext {
        policy,
        now: NOW,
        jitter: 1.0,
        took: Duration::ZERO,
        replica: "replica-1",
        limits: OrderLimits {
            limits: &LIMITS,
            directory_url: LETS_ENCRYPT,
        },
        caa_identity: None,
    };
    settle(before, outcome, Findings::default(), &context).unwrap()
}

fn undeployed() -> Outcome {
    Outcome::Moved {
        event: Event::Undeployed,
        kind: EventKind::Undeployed,
        detail: json!({}),
    }
}

fn refused() -> Outcome {
    Outcome::Revocation(RevocationStep::Refused {
        detail: "malformed".into(),
    })
}

fn revoked(left_below: Option<u64>) -> Outcome {
    Outcome::Revocation(RevocationStep::Done {
        revoked: Some("04d2".into()),
        of_another_ca: vec![],
        left_below,
    })
}

fn unavailable(then: Then) -> Outcome {
    let failure = Failure::AcmeCaUnavailable {
        detail: "no answer".into(),
    };
    Outcome::failed(failure, then)
}

fn gone() -> DomainRecord {
    after(&wanted(), &record(Phase::Leaving), undeployed()).record
}

fn live() -> Phase {
    Phase::Live {
        serving: CertificateId::from_uuid(Uuid::nil()),
        not_after: NOW + HOUR,
        dns: DnsState::Here,
        next: Next::At(NOW),
    }
}

#[test]
fn nothing_is_revoked_unless_the_operator_wants_it() {
    let gone = after(&Policy::default(), &record(Phase::Leaving), undeployed()).record;
    assert_eq!(gone.revocation, None);
    assert_eq!(
        gone.next_attempt_at,
        Some(NOW + Policy::default().quarantine)
    );
}

#[test]
fn a_removal_is_reported_and_its_quarantine_ends_as_without_a_revocation() {
    let write = after(&wanted(), &record(Phase::Leaving), undeployed());
    let plain = after(&Policy::default(), &record(Phase::Leaving), undeployed());
    assert_eq!(write.report, plain.report);
    assert_eq!(write.record.next_attempt_at, Some(NOW));
    assert_eq!(write.record.lane(), Some(crate::lane::Lane::Chronic));
    let done = after(&wanted(), &write.record, revoked(None));
    assert_eq!(done.event.unwrap().kind, EventKind::CertificateRevoked);
    assert_eq!(done.report, None);
    assert_eq!(done.record.revocation, None);
    assert_eq!(done.record.next_attempt_at, plain.record.next_attempt_at);
}

#[test]
fn a_claim_that_is_superseded_or_released_is_revoked_and_stays_failed_with_its_reason() {
    let winner = record(Phase::START);
    let write = superseded(&record(live()), &winner, &wanted(), NOW, "replica-1").unwrap();
    assert!(write.record.revocation.is_some());
    assert_eq!(write.report.unwrap().next_attempt_at, None);
    let outcomes = [
        refused(),
        Outcome::failed(Failure::Internal { detail: "x".into() }, Then::Retry),
        Outcome::Revocation(RevocationStep::TooEarly),
    ];
    for outcome in outcomes {
        let next = after(&wanted(), &write.record, outcome).record;
        assert_eq!(next.last_failure, write.record.last_failure);
        assert_eq!(next.phase, Phase::Failed);
        assert!(next.revocation.is_some() && next.next_attempt_at > Some(NOW));
    }
    let policy = wanted();
    let ended = record(Phase::Expired {
        certificate: CertificateId::from_uuid(Uuid::nil()),
        not_after: NOW - policy.release_after.unwrap(),
        dns: DnsState::MovedAway { since: NOW - HOUR },
        issuance: Issuance::AwaitingDns,
    });
    let cause = Box::new(Failure::DnsNxdomain {});
    let released = Outcome::failed(Failure::DnsMoved { cause }, Then::Retry);
    let released = after(&policy, &ended, released);
    assert!(released.record.revocation.is_some());
    let report = released.report.unwrap();
    assert_eq!(
        (report.status, report.next_attempt_at),
        (Status::Failed, None)
    );
}

#[test]
fn a_domain_that_may_be_tried_again_keeps_its_certificates() {
    let stopped = Outcome::failed(Failure::DnsNxdomain {}, Then::Stop);
    let failed = after(&wanted(), &record(Phase::START), stopped).record;
    assert_eq!(failed.phase, Phase::Failed);
    assert_eq!(failed.revocation, None);
}

#[test]
fn a_ca_that_always_refuses_is_asked_a_few_times_and_each_is_told() {
    let mut domain = gone();
    let mut kinds = vec![];
    while domain.revocation.is_some() {
        let write = after(&wanted(), &domain, refused());
        kinds.push(write.event.unwrap().kind);
        domain = write.record;
    }
    let (last, tries) = kinds.split_last().unwrap();
    assert_eq!(*last, EventKind::RevocationGivenUp);
    assert_eq!(tries, [EventKind::RevocationFailed; 7]);
    assert_eq!(domain.next_attempt_at, Some(NOW + wanted().quarantine));
    assert_eq!(domain.phase, Phase::Gone);
}

#[test]
fn after_each_certificate_the_next_is_due_at_once_and_the_revoked_ones_are_not_left() {
    let before = gone();
    let all = before.revocation.unwrap();
    assert!(all.is_left(7) && all.is_left(6));
    let write = after(&wanted(), &before, revoked(Some(7)));
    assert_eq!(write.event.unwrap().kind, EventKind::CertificateRevoked);
    let left = write.record.revocation.unwrap();
    assert!(!left.is_left(7) && left.is_left(6));
    assert_eq!(write.record.next_attempt_at, Some(NOW));
    let stored = serde_json::to_string(&left).unwrap();
    assert_eq!(serde_json::from_str::<Revocation>(&stored).unwrap(), left);
}

#[test]
fn an_unavailable_ca_is_asked_until_the_end_of_the_quarantine_and_no_try_is_counted() {
    let mut domain = gone();
    let before = domain.revocation;
    for _ in 0..100 {
        domain = after(&wanted(), &domain, unavailable(Then::Retry)).record;
        assert_eq!(domain.revocation, before);
        assert!(domain.next_attempt_at > Some(NOW));
    }
}

#[test]
fn no_wait_for_the_ca_passes_the_end_of_the_quarantine() {
    let quarantine = NOW + wanted().quarantine;
    let late = unavailable(Then::At(quarantine + HOUR));
    let waiting = after(&wanted(), &gone(), late).record;
    assert_eq!(waiting.next_attempt_at, Some(quarantine));
    assert!(!waiting.revocation.unwrap().is_over(NOW));
    assert!(waiting.revocation.unwrap().is_over(quarantine));
}

#[test]
fn a_certificate_is_revoked_only_while_it_is_valid_and_nobody_presents_or_serves_it() {
    let candidate = Candidate {
        not_after: NOW + HOUR,
        is_served: false,
        may_be_presented: false,
        is_of_our_ca: true,
    };
    assert_eq!(candidate.judge(NOW), Verdict::Revoke);
    assert_eq!(candidate.judge(NOW + HOUR), Verdict::Stays);
    let served = Candidate {
        is_served: true,
        ..candidate
    };
    assert_eq!(served.judge(NOW), Verdict::Stays);
    let presented = Candidate {
        may_be_presented: true,
        ..candidate
    };
    assert_eq!(presented.judge(NOW), Verdict::TooEarly);
    let of_another_ca = Candidate {
        is_of_our_ca: false,
        ..presented
    };
    assert_eq!(of_another_ca.judge(NOW), Verdict::OfAnotherCa);
}

#[test]
fn a_stored_revocation_is_read_back() {
    let stored = serde_json::to_string(&gone().revocation).unwrap();
    assert_eq!(
        serde_json::from_str::<Option<Revocation>>(&stored).unwrap(),
        gone().revocation
    );
    let bare: Revocation = serde_json::from_str("{}").unwrap();
    assert_eq!(bare.then(), None);
}
