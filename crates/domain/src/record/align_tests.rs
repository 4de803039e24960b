use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::lane::Lane;
use crate::phase::Next;
use crate::{CertificateId, DnsState, DomainId, Failure, Issuance, OrderId};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn change(
    context: &AlignContext<'_>,
    record: &DomainRecord,
    domain: &CabinetDomain,
    names: &Names,
) -> Option<RecordWrite> {
    super::change(context, record, domain, names).unwrap()
}

fn context(policy: &Policy) -> AlignContext<'_> {
    AlignContext {
        policy,
        replica: "replica-1",
        now: NOW,
        occasion: Occasion::News,
        last_retry: None,
        is_contested: false,
    }
}

fn sent(status: Status, version: u64) -> CabinetDomain {
    CabinetDomain {
        id: DomainId::from_uuid(Uuid::from_u128(1)),
        tenant_id: "acme".into(),
        canonical_host: "shop.example.com".into(),
        cname_target: "edge.platform.net".into(),
        status: Some(status),
        version,
    }
}

fn names(sent: &CabinetDomain) -> Names {
    Names::of(sent, &Policy::default().names)
}

fn record(phase: Phase) -> DomainRecord {
    let sent = sent(Status::PendingDns, 3);
    let mut record = arrival(&context(&Policy::default()), &sent, &names(&sent))
        .unwrap()
        .record;
    record.phase = phase;
    record.next_attempt_at = None;
    record
}

fn changed(phase: Phase, status: Status, version: u64) -> Option<RecordWrite> {
    let sent = sent(status, version);
    change(
        &context(&Policy::default()),
        &record(phase),
        &sent,
        &names(&sent),
    )
}

#[test]
fn a_new_domain_is_due_at_once_and_a_claimed_name_fails() {
    let sent = sent(Status::PendingDns, 1);
    let taken = |refusal| {
        let names = Names {
            refusal,
            ..names(&sent)
        };
        arrival(&context(&Policy::default()), &sent, &names).unwrap()
    };
    assert_eq!(taken(None).record.next_attempt_at, Some(NOW));
    let refused = taken(Some(Failure::NameAlreadyClaimed { proven: false }));
    assert_eq!(refused.record.phase, Phase::Failed);
    assert_eq!(
        refused.report.unwrap().failure,
        Some(Failure::NameAlreadyClaimed { proven: false })
    );
}

#[test]
fn a_retry_starts_a_failed_domain_over_but_only_once_per_version() {
    let retried = changed(Phase::Failed, Status::PendingDns, 4)
        .unwrap()
        .record;
    assert_eq!(
        (retried.phase, retried.next_attempt_at),
        (Phase::START, Some(NOW))
    );
    assert!(changed(Phase::Failed, Status::PendingDns, 3).is_none());
}

#[test]
fn a_retry_is_checked_with_the_new_domains_and_leads_back_to_where_the_name_was() {
    let mut waiting = record(Phase::START);
    waiting.attempt = 9;
    waiting.last_failure = Some(Failure::DnsNxdomain {});
    waiting.pending_since = NOW - Duration::from_secs(6 * 24 * 3600);
    assert_eq!(waiting.lane(), Some(Lane::Chronic));
    let sent = sent(Status::PendingDns, 4);
    let retried = change(&context(&Policy::default()), &waiting, &sent, &names(&sent));
    let mut retried = retried.unwrap().record;
    assert_eq!(retried.lane(), Some(Lane::Verification));
    assert_eq!(retried.next_attempt_at, Some(NOW));
    assert_eq!(
        retried.pending_since, waiting.pending_since,
        "it gives up in time"
    );
    retried.attempt += 1;
    retried.last_failure = Some(Failure::DnsNxdomain {});
    assert_eq!(retried.lane(), Some(Lane::Chronic), "as before");
}

#[test]
fn a_name_that_comes_back_under_another_id_keeps_its_failed_validations() {
    let mut predecessor = record(Phase::Gone);
    predecessor.failed_validations = 3;
    predecessor.order_gate = OrderGate::Until(NOW + Duration::from_secs(3_600));
    let sent = sent(Status::PendingDns, 1);
    let new = || arrival(&context(&Policy::default()), &sent, &names(&sent)).unwrap();
    let again = after_predecessor(new(), Some(&predecessor)).record;
    assert_eq!(
        (again.failed_validations, again.order_gate),
        (3, predecessor.order_gate)
    );
    predecessor.order_gate = OrderGate::PausedByCa;
    let paused = after_predecessor(new(), Some(&predecessor)).record;
    assert_eq!(paused.order_gate, OrderGate::Open);
    assert_eq!(after_predecessor(new(), None).record.failed_validations, 0);
}

#[test]
fn a_retry_never_discards_an_order_or_a_certificate() {
    let order = OrderId::from_uuid(Uuid::from_u128(7));
    let serving = CertificateId::from_uuid(Uuid::from_u128(8));
    for phase in [
        Phase::Onboarding(Issuance::Validating { order }),
        Phase::Live {
            serving,
            not_after: NOW,
            dns: DnsState::Here,
            next: Next::At(NOW),
        },
    ] {
        let repeated = changed(phase.clone(), Status::PendingDns, 4).unwrap();
        assert_eq!(repeated.record.phase, phase);
        assert_eq!(repeated.report.unwrap().status, phase.status());
    }
}

#[test]
fn what_is_passed_over_would_change_nothing() {
    let order = OrderId::from_uuid(Uuid::from_u128(7));
    let live = Phase::Live {
        serving: CertificateId::from_uuid(Uuid::from_u128(8)),
        not_after: NOW,
        dns: DnsState::Here,
        next: Next::At(NOW),
    };
    let ordered = Phase::Onboarding(Issuance::Validating { order });
    for phase in [
        Phase::START,
        ordered,
        live,
        Phase::Failed,
        Phase::Leaving,
        Phase::Gone,
    ] {
        for status in Status::ALL {
            for version in [2, 3, 4] {
                let (mut sent, record) = (sent(status, version), record(phase.clone()));
                sent.cname_target = "other.platform.net".into();
                sent.canonical_host = "other.example.com".into();
                let known = is_known(&record, &sent);
                assert_eq!(known, version < 4 && status != Status::PendingRemoval);
                let change = change(&context(&Policy::default()), &record, &sent, &names(&sent));
                assert!(!known || change.is_none(), "{phase:?} {status:?} {version}");
            }
        }
    }
}

/// A domain of which the Cabinet says something else.
fn altered(phase: Phase, alter: impl Fn(&mut CabinetDomain)) -> Option<RecordWrite> {
    let mut sent = sent(Status::PendingDns, 4);
    alter(&mut sent);
    change(
        &context(&Policy::default()),
        &record(phase),
        &sent,
        &names(&sent),
    )
}

fn live() -> Phase {
    Phase::Live {
        serving: CertificateId::from_uuid(Uuid::from_u128(8)),
        not_after: NOW,
        dns: DnsState::Here,
        next: Next::At(NOW),
    }
}

#[test]
fn another_name_of_a_known_domain_is_a_new_issuance_and_the_old_one_is_taken_down() {
    for phase in [
        Phase::START,
        Phase::Onboarding(Issuance::Ordering),
        live(),
        Phase::Failed,
    ] {
        let changed = altered(phase.clone(), |sent| {
            sent.canonical_host = "new.example.com".into();
        });
        let after = changed.unwrap();
        assert_eq!(after.record.phase, Phase::START, "{phase:?}");
        assert_eq!(after.record.hostname.as_str(), "new.example.com");
        assert_eq!(after.report.unwrap().status, Status::PendingDns);
        let old = take_down_of(&context(&Policy::default()), &record(phase.clone()));
        assert_eq!(old.is_none(), phase == Phase::Failed, "{phase:?}");
        if let Some(old) = old {
            assert_eq!(
                (&old.record.phase, old.report.is_none()),
                (&Phase::Leaving, true)
            );
            assert_eq!(old.record.hostname.as_str(), "shop.example.com");
            assert!(old.record.id.is_take_down());
        }
    }
    let unusable = |phase| altered(phase, |sent| sent.canonical_host = "*".into()).unwrap();
    for phase in [Phase::START, Phase::Onboarding(Issuance::Ordering), live()] {
        let refused = unusable(phase.clone());
        assert_eq!(refused.record.phase.status(), phase.status());
        assert_eq!(refused.record.hostname.as_str(), "shop.example.com");
        let failure = refused.report.unwrap().failure;
        assert!(
            matches!(failure, Some(Failure::NameInvalid { .. })),
            "{failure:?}"
        );
    }
    assert_eq!(unusable(Phase::Failed).record.phase, Phase::Failed);
    let removed = altered(live(), |sent| {
        sent.canonical_host = "new.example.com".into();
        sent.status = Some(Status::PendingRemoval);
    });
    assert_eq!(
        removed.unwrap().record.hostname.as_str(),
        "shop.example.com"
    );
}

#[test]
fn a_target_that_cannot_be_used_is_reported_and_changes_nothing_that_is_served() {
    let refused = altered(live(), |sent| sent.cname_target = "no target".into()).unwrap();
    assert_eq!(refused.record.phase, live());
    assert_eq!(refused.record.cname_target.as_str(), "edge.platform.net");
    let report = refused.report.unwrap();
    assert_eq!(report.status, Status::Active);
    assert!(matches!(
        report.failure,
        Some(Failure::TargetNotAllowed { .. })
    ));
    assert!(report.message.unwrap().contains("\"no target\""));
}

#[test]
fn a_refusal_hides_no_worse_failure_and_is_reported_again_only_for_a_new_version() {
    let sent = |version, host: &str| CabinetDomain {
        canonical_host: host.into(),
        ..sent(Status::Active, version)
    };
    let policy = Policy::default();
    let context = AlignContext {
        occasion: Occasion::Resync,
        ..context(&policy)
    };
    let changed =
        |record: &DomainRecord, sent: &CabinetDomain| change(&context, record, sent, &names(sent));
    let mut record = record(live());
    let refused = changed(&record, &sent(3, "*")).unwrap();
    assert!(refused.report.is_some(), "although the version is the same");
    assert!(
        changed(&refused.record, &sent(3, "*")).is_none(),
        "it was reported"
    );
    assert!(
        changed(&refused.record, &sent(4, "*")).is_some(),
        "it is new"
    );
    let mended = changed(&refused.record, &sent(3, "shop.example.com")).unwrap();
    assert_eq!(mended.record.last_failure, None);
    assert_eq!(mended.report.unwrap().failure, None);

    let moved = Failure::DnsMoved {
        cause: Box::new(Failure::DnsNxdomain {}),
    };
    record.last_failure = Some(moved.clone());
    assert!(changed(&record, &sent(3, "*")).is_none());
    let news = changed(&record, &sent(4, "*")).unwrap();
    assert_eq!(news.record.last_failure, Some(moved), "its pauses go by it");
    let failure = news.report.unwrap().failure;
    assert!(
        matches!(failure, Some(Failure::NameInvalid { .. })),
        "{failure:?}"
    );
}

#[test]
fn a_removed_domain_that_the_cabinet_wants_again_comes_back() {
    let back = changed(Phase::Gone, Status::PendingDns, 4).unwrap();
    assert_eq!(
        (back.record.phase, back.record.next_attempt_at),
        (Phase::START, Some(NOW))
    );
    assert!(
        changed(Phase::Gone, Status::PendingDns, 3).is_none(),
        "old news"
    );
    assert!(changed(Phase::Gone, Status::Removed, 9).is_none());
}

#[test]
fn a_retry_too_soon_after_the_last_is_answered_by_the_same_run() {
    let policy = Policy::default();
    let after = |phase: &Phase, ago: u64| {
        let mut before = record(phase.clone());
        before.attempt = 7;
        before.next_attempt_at = Some(NOW + Duration::from_secs(600));
        before.pending_since = NOW - Duration::from_secs(86_400);
        before.last_failure = Some(Failure::DnsNxdomain {});
        let sent = sent(Status::PendingDns, 4);
        let context = AlignContext {
            last_retry: Some(NOW - Duration::from_secs(ago)),
            ..context(&policy)
        };
        let completion = change(&context, &before, &sent, &names(&sent)).unwrap();
        (before, completion)
    };
    let order = OrderId::from_uuid(Uuid::from_u128(7));
    for phase in [
        Phase::START,
        Phase::Onboarding(Issuance::Validating { order }),
        live(),
        Phase::Failed,
    ] {
        let (before, completion) = after(&phase, 19);
        assert_eq!(
            completion.event.unwrap().kind,
            EventKind::RetryTooSoon,
            "{phase:?}"
        );
        let unchanged = DomainRecord {
            cabinet_version: 4,
            updated_at: NOW,
            ..before
        };
        assert_eq!(completion.record, unchanged, "{phase:?}");
        let report = completion.report.expect("a report of the present status");
        assert_eq!(report.status, phase.status());
        let (_, completion) = after(&phase, 20);
        assert_eq!(
            completion.event.unwrap().kind,
            EventKind::RetryRequested,
            "{phase:?}"
        );
        assert_eq!(completion.record.next_attempt_at, Some(NOW), "{phase:?}");
    }
}

#[test]
fn a_retry_does_not_lift_the_pause_after_failed_validations() {
    let mut before = record(Phase::Failed);
    before.failed_validations = 3;
    before.order_gate = OrderGate::Until(NOW + Duration::from_secs(3600));
    let sent = sent(Status::PendingDns, 4);
    let after = change(&context(&Policy::default()), &before, &sent, &names(&sent))
        .unwrap()
        .record;
    assert_eq!(after.failed_validations, 3);
    assert_eq!(after.order_gate, before.order_gate);
}

#[test]
fn a_removal_is_taken_from_any_phase_and_only_once() {
    for phase in [Phase::START, Phase::Failed] {
        let leaving = changed(phase, Status::PendingRemoval, 4).unwrap().record;
        assert_eq!(
            (leaving.phase, leaving.next_attempt_at),
            (Phase::Leaving, Some(NOW))
        );
    }
    assert!(changed(Phase::Leaving, Status::PendingRemoval, 9).is_none());
}

#[test]
fn a_status_that_we_reported_ourselves_changes_nothing() {
    assert!(changed(Phase::START, Status::PendingDns, 3).is_none());
    assert!(changed(Phase::Onboarding(Issuance::Ordering), Status::Issuing, 9).is_none());
}
