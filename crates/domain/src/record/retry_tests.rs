//! A requested retry means "look now", in every state, and takes nothing away.

use std::time::Duration;

use uuid::Uuid;

use super::align::{AlignContext, Occasion, change};
use super::names::{CabinetDomain, Names};
use super::operator::{self, Refused};
use super::test_record::{NOW, record};
use super::{DomainRecord, RecordWrite};
use crate::action::ActionKind;
use crate::ownership::{Basis, ProofValue};
use crate::phase::{DnsState, Next};
use crate::policy::Policy;
use crate::{
    CertificateId, EventKind, Failure, Issuance, OrderGate, OrderId, Ownership, Phase, Status,
    Timestamp,
};

const LATER: Timestamp = Timestamp::from_unix_seconds(1_800_100_000);
const EARLIER: Timestamp = Timestamp::from_unix_seconds(1_799_000_000);

/// Every state of a run.
fn runs() -> Vec<Issuance> {
    let order = OrderId::from_uuid(Uuid::from_u128(7));
    let certificate = CertificateId::from_uuid(Uuid::from_u128(8));
    vec![
        Issuance::AwaitingDns,
        Issuance::AwaitingHttpProbe,
        Issuance::Ordering,
        Issuance::Queued,
        Issuance::Validating { order },
        Issuance::Finalizing { order },
        Issuance::Deploying { certificate },
    ]
}

/// Every phase of a domain that was served, with every state of its DNS.
fn served() -> Vec<Phase> {
    let certificate = CertificateId::from_uuid(Uuid::from_u128(9));
    let states = [
        DnsState::Here,
        DnsState::SeenElsewhere {
            since: EARLIER,
            observations: 2,
        },
        DnsState::MovedAway { since: EARLIER },
    ];
    let of = |dns| {
        let live = move |next| Phase::Live {
            serving: certificate,
            not_after: LATER,
            dns,
            next,
        };
        let expired = move |issuance| Phase::Expired {
            certificate,
            not_after: EARLIER,
            dns,
            issuance,
        };
        let renewing = runs().into_iter().map(Next::Now).map(live);
        let ended = runs().into_iter().map(expired);
        std::iter::once(live(Next::At(LATER)))
            .chain(renewing)
            .chain(ended)
    };
    states.into_iter().flat_map(of).collect()
}

/// A record that waits for long, with a pause before its next order.
fn waiting(phase: Phase) -> DomainRecord {
    DomainRecord {
        next_attempt_at: Some(LATER),
        attempt: 9,
        failed_validations: 2,
        lost_orders: 3,
        order_gate: OrderGate::Until(LATER),
        last_failure: Some(Failure::DnsNxdomain {}),
        ..record(phase)
    }
}

/// The record after the customer requested a retry in the Cabinet.
fn by_customer(before: &DomainRecord) -> RecordWrite {
    let policy = Policy::default();
    let domain = CabinetDomain {
        id: before.id,
        tenant_id: before.tenant_id.clone(),
        canonical_host: before.hostname.as_str().into(),
        cname_target: before.cname_target.as_str().into(),
        status: Some(Status::PendingDns),
        version: before.cabinet_version + 1,
    };
    let context = AlignContext {
        policy: &policy,
        replica: "replica-1",
        now: NOW,
        occasion: Occasion::News,
        last_retry: Some(NOW - Duration::from_secs(60)),
        is_contested: false,
    };
    let names = Names::of(&domain, &policy.names);
    change(&context, before, &domain, &names).unwrap().unwrap()
}

fn by_operator(before: &DomainRecord) -> RecordWrite {
    operator::retry(before, NOW, "dps", None).unwrap()
}

/// Whether nothing that was learnt or begun is lost, and the next step is due now.
fn assert_only_sooner(before: &DomainRecord, write: &RecordWrite) {
    let after = write.record();
    assert_eq!(after.next_attempt_at, Some(NOW), "{before:?}");
    assert_eq!(after.failed_validations, before.failed_validations);
    assert_eq!(after.lost_orders, before.lost_orders);
    assert_eq!(after.order_gate, before.order_gate, "{before:?}");
    assert_eq!(
        after.phase.moved_away_since(),
        before.phase.moved_away_since()
    );
    assert!(write.event.is_some(), "the history says so");
}

#[test]
fn a_domain_that_was_served_is_checked_now_and_keeps_its_run_and_what_is_known_of_its_dns() {
    for phase in served() {
        let before = waiting(phase);
        for write in [by_customer(&before), by_operator(&before)] {
            assert_only_sooner(&before, &write);
            assert_eq!(write.record().phase, before.phase);
            assert_eq!(write.record().last_failure, before.last_failure);
        }
        let report = by_customer(&before).report;
        assert_eq!(report.unwrap().status, before.phase.status());
    }
}

#[test]
fn a_new_domain_is_checked_now_and_keeps_an_order_that_is_under_way() {
    for issuance in runs() {
        let before = waiting(Phase::Onboarding(issuance.clone()));
        for write in [by_customer(&before), by_operator(&before)] {
            assert_only_sooner(&before, &write);
            if issuance.is_at_ca() {
                assert_eq!(write.record().phase, before.phase);
            }
        }
    }
}

#[test]
fn a_failed_domain_starts_over_and_one_that_leaves_is_taken_down_now() {
    let failed = waiting(Phase::Failed);
    for write in [by_customer(&failed), by_operator(&failed)] {
        assert_only_sooner(&failed, &write);
        assert_eq!(write.record().phase, Phase::START);
    }
    let leaving = waiting(Phase::Leaving);
    let write = by_operator(&leaving);
    assert_only_sooner(&leaving, &write);
    assert_eq!(write.record().phase, Phase::Leaving);
    let gone = operator::retry(&waiting(Phase::Gone), NOW, "dps", None);
    assert!(matches!(gone, Err(Refused::NotWaiting(_))));
}

#[test]
fn a_retry_lifts_a_pause_of_the_ca_in_every_state_and_no_other() {
    let onboarding = runs().into_iter().map(Phase::Onboarding);
    for phase in onboarding.chain(served()) {
        let mut before = waiting(phase);
        before.order_gate = OrderGate::PausedByCa;
        for write in [by_customer(&before), by_operator(&before)] {
            assert_eq!(write.record().order_gate, OrderGate::Open, "{before:?}");
        }
        let kind = by_customer(&before).event.unwrap().kind;
        assert_eq!(kind, EventKind::RetryRequested);
    }
}

#[test]
fn a_retry_of_a_failed_claim_forgets_its_proof_and_keeps_the_value_that_is_required() {
    let held = Ownership::Held {
        basis: Basis::Txt,
        since: EARLIER,
        value: None,
    };
    let required = Ownership::Required {
        value: ProofValue::new([7; 16]),
        since: EARLIER,
    };
    for (before, by_operator) in [
        (held, Ownership::Open),
        (required.clone(), required),
        (Ownership::Open, Ownership::Open),
    ] {
        let failed = DomainRecord {
            ownership: before,
            ..record(Phase::Failed)
        };
        let retried = operator::retry(&failed, NOW, "operator", None).unwrap();
        assert_eq!(retried.record().ownership, by_operator);
    }
}

#[test]
fn a_recheck_is_of_a_live_domain_at_rest_and_changes_nothing_but_its_time() {
    let live = |next| {
        waiting(Phase::Live {
            serving: CertificateId::from_uuid(Uuid::nil()),
            not_after: LATER,
            dns: DnsState::Here,
            next,
        })
    };
    let before = live(Next::At(LATER));
    let write = operator::recheck(&before, NOW, "ada", None).unwrap();
    let expected = DomainRecord {
        next_attempt_at: Some(NOW),
        updated_at: NOW,
        ..before.clone()
    };
    assert_eq!(*write.record(), expected);
    let action = write.action.unwrap();
    assert_eq!(
        (action.kind, action.who.as_str()),
        (ActionKind::DomainRecheck, "ada")
    );
    assert_eq!(write.event.unwrap().kind, EventKind::RecheckRequested);
    let renewing = operator::recheck(&live(Next::Now(Issuance::Ordering)), NOW, "ada", None);
    assert!(matches!(renewing, Err(Refused::NotWaiting(_))));
    let new = operator::recheck(&waiting(Phase::START), NOW, "ada", None);
    assert_eq!(new.unwrap_err(), Refused::NotLive);
}

#[test]
fn an_operator_requests_a_check_no_sooner_than_a_customer() {
    let live = Phase::Live {
        serving: CertificateId::from_uuid(Uuid::nil()),
        not_after: LATER,
        dns: DnsState::Here,
        next: Next::At(LATER),
    };
    let (live, failed) = (waiting(live), waiting(Phase::Failed));
    for (seconds, is_refused) in [(0, true), (19, true), (20, false)] {
        let last = NOW - Duration::from_secs(seconds);
        let again_at = last + Duration::from_secs(20);
        for asked in [
            operator::retry(&live, NOW, "ada", Some(last)),
            operator::retry(&failed, NOW, "ada", Some(last)),
            operator::recheck(&live, NOW, "ada", Some(last)),
        ] {
            let refused = is_refused.then_some(Refused::TooSoon(again_at));
            assert_eq!(asked.err(), refused, "{seconds}");
        }
    }
}

#[test]
fn an_operators_retry_of_a_new_or_failed_domain_keeps_a_few_attempts_as_the_customers() {
    for (phase, kept) in [(Phase::Failed, 2), (Phase::START, 2), (Phase::Leaving, 0)] {
        let before = waiting(phase);
        assert_eq!(by_operator(&before).record().attempt, kept, "{before:?}");
        if kept > 0 {
            assert_eq!(by_customer(&before).record().attempt, kept);
        }
    }
}

#[test]
fn an_operators_retry_of_a_claim_that_lost_its_name_starts_over() {
    let mut lost = waiting(Phase::Failed);
    lost.last_failure = Some(Failure::NameAlreadyClaimed { proven: true });
    assert_eq!(by_operator(&lost).record().phase, Phase::START);
}
