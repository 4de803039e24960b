#[path = "settle_move_tests.rs"]
mod moving;

use std::sync::LazyLock;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::lane::Lane;
use crate::limits::CaLimits;
use crate::limits::published::LETS_ENCRYPT;
use crate::outcome::Then;
use crate::phase::Next;
use crate::record::renewal::apply_renewal_info;
use crate::record::test_record::{NOW, record};
use crate::renewal::info::{RenewalPlan, SuggestedWindow};
use crate::{CertificateId, DnsState, OrderId, Status};

static LIMITS: LazyLock<CaLimits> = LazyLock::new(|| CaLimits::published(LETS_ENCRYPT));
const HOUR: Duration = Duration::from_secs(3600);

fn with_context<T>(settle: impl FnOnce(&SettleContext<'_>) -> T) -> T {
    settle(&context(&Policy::default(), NOW, 1.0))
}

fn context(policy: &Policy, now: Timestamp, jitter: f64) -> SettleContext<'_> {
    SettleContext {
        policy,
        now,
        jitter,
        took: Duration::ZERO,
        replica: "replica-1",
        limits: OrderLimits {
            limits: &LIMITS,
            directory_url: LETS_ENCRYPT,
        },
        caa_identity: Some("ca.example".into()),
    }
}

fn settled(before: &DomainRecord, outcome: Outcome) -> RecordWrite {
    with_context(|context| settle(before, outcome, Findings::default(), context)).unwrap()
}

fn failed(failure: Failure, then: Then) -> Outcome {
    Outcome::Failed { failure, then }
}

fn validating() -> Phase {
    Phase::Onboarding(Issuance::Validating {
        order: OrderId::from_uuid(Uuid::from_u128(2)),
    })
}

fn live() -> Phase {
    let serving = CertificateId::from_uuid(Uuid::from_u128(3));
    Phase::Live {
        serving,
        not_after: NOW + HOUR,
        dns: DnsState::Here,
        next: Next::Now(Issuance::AwaitingDns),
    }
}

#[test]
fn a_customer_who_edits_dns_for_days_stays_pending_and_reads_the_time_of_the_next_check() {
    let (before, failure) = (record(Phase::START), Failure::DnsNxdomain {});
    let done = settled(&before, failed(failure.clone(), Then::Retry));
    let report = done.report.unwrap();
    assert_eq!(report.status, Status::PendingDns);
    assert_eq!(report.next_attempt_at, Some(NOW + Duration::from_secs(30)));
    assert_eq!(done.record.next_attempt_at, report.next_attempt_at);
    assert_eq!(
        report.message,
        Some(sentence(&failure, &before, &Instruction::default()))
    );
}

#[test]
fn after_the_give_up_time_a_fault_of_the_customer_fails_the_domain_and_a_fault_of_ours_does_not() {
    let mut old = record(Phase::START);
    old.pending_since = NOW - Duration::from_secs(8 * 24 * 3600);
    assert_eq!(
        settled(&old, failed(Failure::DnsNxdomain {}, Then::Retry))
            .record
            .phase,
        Phase::Failed
    );
    for ours in [
        Failure::DnsTimeout {
            resolvers: vec![],
            resolver_outage: true,
            txt_name: String::new(),
        },
        Failure::EdgeUnreachable {
            edge: "e".into(),
            detail: String::new(),
        },
        Failure::AcmeCaUnavailable {
            detail: String::new(),
        },
        Failure::Internal {
            detail: String::new(),
        },
    ] {
        let done = settled(&old, failed(ours, Then::Retry));
        assert_eq!(done.record.phase, Phase::START);
        assert!(done.record.next_attempt_at.is_some());
    }
}

#[test]
fn a_long_wait_for_others_takes_none_of_the_customers_time() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let policy = Policy::default();
    let fail = |before: &DomainRecord, failure: &Failure, day: u32| {
        let now = NOW + day * DAY;
        let outcome = failed(failure.clone(), Then::At(now + DAY));
        let context = context(&policy, now, 1.0);
        settle(before, outcome, Findings::default(), &context)
            .unwrap()
            .record
    };
    let customers = Failure::DnsNxdomain {};
    for others in [
        Failure::IssuancePaused {},
        Failure::AcmeCaUnavailable {
            detail: String::new(),
        },
        Failure::EdgeUnreachable {
            edge: "e".into(),
            detail: String::new(),
        },
    ] {
        let mut waiting = record(Phase::Onboarding(Issuance::Ordering));
        for day in 0..=30 {
            waiting = fail(&waiting, &others, day);
        }
        let back = fail(&waiting, &customers, 31);
        assert_eq!(back.phase, waiting.phase, "{others:?}");
        assert_eq!(back.pending_since, NOW + 31 * DAY, "{others:?}");
        assert!(back.next_attempt_at.is_some(), "{others:?}");
        let in_time = fail(&back, &customers, 37);
        assert_eq!(in_time.phase, waiting.phase, "{others:?}");
        assert_eq!(fail(&in_time, &customers, 38).phase, Phase::Failed);
    }
}

#[test]
fn a_failed_validation_pauses_the_name_and_starts_from_dns_with_the_cas_words_kept() {
    let failure = Failure::AcmeValidationFailed {
        sub_cause: "dns".into(),
        detail: "no".into(),
        reached_by_us: false,
    };
    let done = settled(
        &record(validating()),
        failed(failure.clone(), Then::NewOrder { pause: true }),
    );
    assert_eq!(done.record.phase, Phase::START);
    assert_eq!(done.record.failed_validations, 1);
    let OrderGate::Until(end) = done.record.order_gate else {
        panic!("{:?}", done.record.order_gate);
    };
    assert!(end >= NOW + Duration::from_secs(600));
    assert_eq!(done.record.next_attempt_at, Some(end));
    let moved = Outcome::Moved {
        event: Event::DnsReady,
        kind: EventKind::DnsReady,
        detail: json!({}),
    };
    let after_dns = settled(&done.record, moved);
    assert_eq!(after_dns.record.last_failure, Some(failure));
}

#[test]
fn a_domain_that_the_ca_never_validates_gives_up_although_its_dns_is_right() {
    let mut stuck = record(Phase::START);
    stuck.failed_validations = 3;
    stuck.pending_since = NOW - Duration::from_secs(6 * 24 * 3600);
    let ready = Outcome::Moved {
        event: Event::DnsReady,
        kind: EventKind::DnsReady,
        detail: json!({}),
    };
    let mut again = settled(&stuck, ready).record;
    assert_eq!(again.pending_since, stuck.pending_since);
    again.phase = validating();
    again.pending_since = NOW - Duration::from_secs(8 * 24 * 3600);
    let failure = Failure::AcmeValidationFailed {
        sub_cause: "dns".into(),
        detail: "no".into(),
        reached_by_us: false,
    };
    let done = settled(&again, failed(failure, Then::NewOrder { pause: true }));
    assert_eq!(
        (done.record.phase, done.record.next_attempt_at),
        (Phase::Failed, None)
    );
}

#[test]
fn a_live_domain_stays_active_whatever_fails() {
    let moved_away = Failure::DnsMoved {
        cause: Box::new(Failure::DnsNxdomain {}),
    };
    for then in [Then::Retry, Then::Stop] {
        let mut before = record(live());
        before.pending_since = NOW - Duration::from_secs(30 * 24 * 3600);
        let done = settled(&before, failed(moved_away.clone(), then));
        let report = done.report.unwrap();
        assert_eq!(
            (report.status, report.certificate_not_after),
            (Status::Active, Some(NOW + HOUR))
        );
        assert!(done.record.next_attempt_at.is_some());
    }
}

#[test]
fn a_domain_that_moved_away_is_checked_ever_less_often_and_daily_once_its_certificate_ended() {
    let left = Failure::DnsMoved {
        cause: Box::new(Failure::DnsNxdomain {}),
    };
    let moved_away = |next, not_after| Phase::Live {
        serving: CertificateId::from_uuid(Uuid::nil()),
        not_after,
        dns: DnsState::Here,
        next,
    };
    let backoff_after = |last_failure: &Failure, phase: Phase, attempt| {
        let moved = Event::DnsMovedAway { at: NOW - HOUR };
        let is_known = matches!(last_failure, Failure::DnsMoved { .. });
        let mut before = record(if is_known {
            phase.apply(moved).unwrap()
        } else {
            phase
        });
        before.attempt = attempt;
        before.last_failure = Some(last_failure.clone());
        let done = settled(&before, failed(left.clone(), Then::Retry));
        done.record.next_attempt_at.unwrap().since(NOW)
    };
    let end = NOW + 48 * HOUR;
    let backoff = |next, attempt| backoff_after(&left, moved_away(next, end), attempt);
    let within = |backoff: Duration, most: Duration| backoff > most / 2 && backoff <= most;
    for next in [Next::At(NOW + 24 * HOUR), Next::Now(Issuance::AwaitingDns)] {
        assert!(within(backoff(next.clone(), 1), HOUR / 6), "{next:?}");
        assert!(within(backoff(next.clone(), 1_000), 6 * HOUR), "{next:?}");
    }
    let expired = moved_away(Next::Now(Issuance::AwaitingDns), NOW)
        .apply(Event::CertificateEnded)
        .unwrap();
    let ended = |attempt| backoff_after(&left, expired.clone(), attempt);
    assert!(within(ended(1), HOUR / 6));
    assert!(within(ended(1_000), 24 * HOUR));
    let outage = Failure::DnsTimeout {
        resolvers: vec![],
        resolver_outage: true,
        txt_name: String::new(),
    };
    let after_outage = backoff_after(&outage, expired.clone(), 1_000);
    assert!(within(after_outage, HOUR / 6), "{after_outage:?}");
}

#[test]
fn no_wait_of_a_live_domain_passes_the_end_of_its_certificate() {
    let end = NOW + HOUR;
    let phase = |next| Phase::Live {
        serving: CertificateId::from_uuid(Uuid::nil()),
        not_after: end,
        dns: DnsState::Here,
        next,
    };
    let later = NOW + 24 * HOUR;
    let outage = || Failure::AcmeCaUnavailable {
        detail: String::new(),
    };
    for outcome in [
        Outcome::Confirmed { until: later },
        Outcome::Waiting {
            until: later,
            kind: EventKind::CaWaiting,
        },
        failed(outage(), Then::At(later)),
        failed(outage(), Then::Stop),
    ] {
        for next in [Next::At(end), Next::Now(Issuance::AwaitingDns)] {
            let done = settled(&record(phase(next)), outcome.clone());
            let due = done.record.next_attempt_at.unwrap();
            assert!(due <= end, "{outcome:?}");
            assert_eq!(
                done.record.lane() == Some(Lane::Removal),
                due == end,
                "{outcome:?}"
            );
        }
    }
}

fn end_of(mut before: DomainRecord, last_failure: Option<Failure>) -> RecordWrite {
    before.last_failure = last_failure;
    let outcome = Outcome::Moved {
        event: Event::CertificateEnded,
        kind: EventKind::CertificateEnded,
        detail: json!({}),
    };
    settled(&before, outcome)
}

#[test]
fn a_domain_whose_certificate_ended_is_failed_for_the_reason_that_kept_it_from_being_renewed() {
    let ended = |failure| end_of(record(live()), failure);
    let outage = Failure::AcmeCaUnavailable {
        detail: String::new(),
    };
    for (before, code) in [
        (Some(outage), FailureCode::AcmeCaUnavailable),
        (None, FailureCode::Internal),
    ] {
        let done = ended(before);
        let report = done.report.unwrap();
        assert_eq!(report.status, Status::Failed);
        assert_eq!(report.failure.unwrap().code(), code);
        assert_eq!(
            report.certificate_not_after,
            Some(NOW + HOUR),
            "when it ended"
        );
        assert_eq!(done.record.next_attempt_at, Some(NOW), "it is tried on");
    }
}

#[test]
fn a_moved_away_domain_is_released_after_its_certificate_ended_and_an_outage_releases_none() {
    let left = Failure::DnsMoved {
        cause: Box::new(Failure::DnsNxdomain {}),
    };
    let ended_before = |days: u32| {
        let mut phase = live();
        if let Phase::Live { not_after, dns, .. } = &mut phase {
            *not_after = NOW - days * 24 * HOUR;
            *dns = DnsState::MovedAway { since: NOW - HOUR };
        }
        end_of(record(phase), Some(left.clone())).record
    };
    let checked = |days, failure| settled(&ended_before(days), failed(failure, Then::Retry)).record;
    let away = checked(29, left.clone());
    assert!(away.next_attempt_at.is_some());
    assert_eq!(away.phase.name(), "expired");
    let released = checked(30, left.clone());
    assert_eq!(
        (released.phase, released.next_attempt_at),
        (Phase::Failed, None)
    );
    assert_eq!(released.last_failure, Some(left.clone()));
    let outage = Failure::AcmeCaUnavailable {
        detail: String::new(),
    };
    assert_eq!(checked(300, outage).phase.name(), "expired");
}

#[test]
fn that_its_renewal_is_due_does_not_bring_a_domain_back_that_left() {
    let mut before = record(Phase::Live {
        serving: CertificateId::from_uuid(Uuid::nil()),
        not_after: NOW + 24 * HOUR,
        dns: DnsState::MovedAway { since: NOW - HOUR },
        next: Next::At(NOW),
    });
    before.attempt = 8;
    before.last_failure = Some(Failure::DnsMoved {
        cause: Box::new(Failure::DnsNxdomain {}),
    });
    let moved = |before: &DomainRecord, event| {
        let kind = EventKind::OrderPlaced;
        let detail = json!({});
        settled(
            before,
            Outcome::Moved {
                event,
                kind,
                detail,
            },
        )
    };
    let begun = moved(&before, Event::RenewalDue);
    assert_eq!(begun.record.last_failure, before.last_failure);
    assert_eq!(begun.record.attempt, 7, "the lease's own is no check");
    assert_eq!(begun.record.lane(), Some(Lane::Chronic));
    assert!(begun.report.is_none());
    let returned = moved(&begun.record, Event::HttpReady);
    assert_eq!(
        (returned.record.last_failure, returned.record.attempt),
        (None, 0)
    );
    assert!(returned.report.is_some(), "the recovery is reported");
}

#[test]
fn a_domain_that_moved_away_stays_so_through_faults_of_ours_and_returns_when_its_dns_does() {
    let moved = Failure::DnsMoved {
        cause: Box::new(Failure::DnsNxdomain {}),
    };
    let mut away = record(live().apply(Event::DnsMovedAway { at: NOW }).unwrap());
    away.last_failure = Some(moved.clone());
    let away = settled(&away, failed(moved.clone(), Then::Retry)).record;
    assert_eq!(away.phase.moved_away_since(), Some(NOW));
    let internal = Failure::Internal {
        detail: "the store is away".into(),
    };
    let mut faulty = settled(&away, failed(internal, Then::Retry)).record;
    assert_eq!(faulty.phase.moved_away_since(), Some(NOW));
    faulty.attempt = 3;
    let again = settled(&faulty, failed(moved, Then::Retry)).record;
    assert_eq!(again.attempt, 3, "it is no new move");
    let waiting = Outcome::Waiting {
        until: NOW + 24 * HOUR,
        kind: EventKind::RecheckInconclusive,
    };
    let waiting = settled(&away, waiting).record;
    assert_eq!(waiting.next_attempt_at, Some(NOW + HOUR / 2));
    let edge = Failure::EdgeUnreachable {
        edge: "e".into(),
        detail: String::new(),
    };
    let seen = settled(&away, failed(edge, Then::Retry)).record;
    assert!(
        !seen.phase.is_moved_away(),
        "the check before found it here"
    );
    let confirmed = settled(&away, Outcome::Confirmed { until: NOW + HOUR }).record;
    assert!(!confirmed.phase.is_moved_away());
}

#[test]
fn waiting_costs_no_attempt_and_is_reported_when_it_is_long() {
    let done = settled(
        &record(validating()),
        Outcome::Waiting {
            until: NOW + HOUR,
            kind: EventKind::CaWaiting,
        },
    );
    assert_eq!(
        (done.record.attempt, done.record.next_attempt_at),
        (0, Some(NOW + HOUR))
    );
    assert_eq!(done.report.unwrap().next_attempt_at, Some(NOW + HOUR));
    assert_eq!(done.event.unwrap().detail["until"], json!(NOW + HOUR));
    let ready = Outcome::Moved {
        event: Event::OrderReady,
        kind: EventKind::OrderReady,
        detail: json!({}),
    };
    let over = settled(&done.record, ready).report.unwrap();
    assert_eq!(over.next_attempt_at, None, "the wait is over");
    let moment = Outcome::Waiting {
        until: NOW + Duration::from_secs(3),
        kind: EventKind::CaWaiting,
    };
    assert!(settled(&record(validating()), moment).report.is_none());
}

/// Failures of a renewal, each with the longest wait that may go with it.
fn outages() -> Vec<(Failure, Then)> {
    let far = NOW + 400 * 24 * HOUR;
    let limited = || Failure::AcmeRateLimited {
        until: Some(far),
        detail: String::new(),
    };
    let ca = || Failure::AcmeCaUnavailable {
        detail: String::new(),
    };
    let edge = || Failure::EdgeUnreachable {
        edge: "e".into(),
        detail: String::new(),
    };
    let dns = Failure::DnsTimeout {
        resolvers: vec![],
        resolver_outage: true,
        txt_name: String::new(),
    };
    let internal = Failure::Internal {
        detail: String::new(),
    };
    let validation = Failure::AcmeValidationFailed {
        sub_cause: "connection".into(),
        detail: String::new(),
        reached_by_us: false,
    };
    let rejected = Failure::AcmeRejectedIdentifier {
        detail: String::new(),
    };
    vec![
        (ca(), Then::Retry),
        (ca(), Then::At(far)),
        (ca(), Then::NewOrder { pause: false }),
        (limited(), Then::At(far)),
        (edge(), Then::Retry),
        (edge(), Then::RetryBy(far)),
        (edge(), Then::NewOrder { pause: true }),
        (edge(), Then::NewOrderAt(far)),
        (dns, Then::Retry),
        (internal, Then::Retry),
        (validation, Then::NewOrder { pause: true }),
        (rejected, Then::Stop),
    ]
}

proptest! {
    /// However long an outage was, the next attempt follows within minutes or a tenth of what
    /// is left.
    #[test]
    fn no_wait_passes_the_time_in_which_a_certificate_can_be_replaced(
        minutes in 10u64..=400 * 24 * 60,
        left_share in 0.01f64..=0.6,
        outage_share in 0.0f64..=1.0,
        attempts in 1u32..40,
        jitter in 0.0f64..1.0,
    ) {
        let lifetime = Duration::from_secs(minutes * 60);
        let left = lifetime.mul_f64(left_share);
        let ends = NOW + left;
        let back = NOW + left.mul_f64(outage_share);
        let mut policy = Policy::default();
        policy.issuance.max_backoff = 6 * HOUR;
        for (failure, then) in outages() {
            let serving = CertificateId::from_uuid(Uuid::from_u128(3));
            let renewing = |issuance| Phase::Live { serving, not_after: ends, dns: DnsState::Here, next: Next::Now(issuance) };
            let mut renewal = record(renewing(Issuance::Ordering));
            (renewal.attempt, renewal.failed_validations) = (attempts, attempts);
            let mut now = NOW;
            while now < back {
                renewal.attempt += 1;
                let outcome = failed(failure.clone(), then);
                let context = context(&policy, now, jitter);
                renewal = settle(&renewal, outcome, Findings::default(), &context).unwrap().record;
                renewal.phase = renewing(Issuance::Ordering);
                now = renewal.order_gate.not_before(renewal.next_attempt_at.unwrap());
            }
            let (late, left) = (now.since(back), ends.since(back));
            let allowed = (left / 10).max(Duration::from_secs(5 * 60));
            prop_assert!(late <= allowed, "{failure:?} {then:?}: {late:?} late with {left:?} left");
            // Of a certificate of minutes, too, enough is left for an order.
            if left >= Duration::from_secs(120) {
                prop_assert!(now + Duration::from_secs(30) <= ends, "{failure:?} {then:?}: {left:?}");
            }
        }
    }
}

#[test]
fn only_a_human_lifts_a_pause_and_a_moved_away_domain_is_checked_before_its_certificate_ends() {
    let paused = Failure::AcmePaused {
        unpause_url: None,
        detail: String::new(),
    };
    let done = settled(&record(live()), failed(paused, Then::Stop));
    assert_eq!(done.record.order_gate, OrderGate::PausedByCa);
    // It leaves the edges then.
    let end = done.record.phase.certificate_not_after();
    assert_eq!(done.record.next_attempt_at, end);
    let moved_away = Failure::DnsMoved {
        cause: Box::new(Failure::DnsNxdomain {}),
    };
    let moved = Event::DnsMovedAway { at: NOW };
    let mut moved_record = record(live().apply(moved).unwrap());
    moved_record.attempt = 40;
    moved_record.last_failure = Some(moved_away.clone());
    let done = settled(&moved_record, failed(moved_away, Then::Retry));
    assert_eq!(done.record.next_attempt_at, Some(NOW + HOUR / 2));
}

#[test]
fn progress_clears_the_failure_and_reports_the_new_status_once() {
    let mut before = record(Phase::START);
    before.last_failure = Some(Failure::DnsNxdomain {});
    let ready = || Outcome::Moved {
        event: Event::DnsReady,
        kind: EventKind::DnsReady,
        detail: json!({}),
    };
    let done = settled(&before, ready());
    assert_eq!(done.record.last_failure, None);
    assert_eq!(done.report.unwrap().status, Status::PendingHttpProbe);
    let ordering = settled(
        &record(Phase::Onboarding(Issuance::Ordering)),
        Outcome::Moved {
            event: Event::OrderPlaced(OrderId::from_uuid(Uuid::nil())),
            kind: EventKind::OrderPlaced,
            detail: json!({}),
        },
    );
    assert!(ordering.report.is_none());
}

#[test]
fn a_renewal_that_reached_the_edge_reports_the_new_end_of_validity() {
    let serving = CertificateId::from_uuid(Uuid::from_u128(3));
    let next = Next::Now(Issuance::Deploying {
        certificate: CertificateId::from_uuid(Uuid::from_u128(4)),
    });
    let before = record(Phase::Live {
        serving,
        not_after: NOW,
        dns: DnsState::Here,
        next,
    });
    let event = Event::Deployed {
        renew_at: NOW + HOUR,
        not_before: NOW - 18 * HOUR,
        not_after: NOW + 2 * HOUR,
    };
    let done = settled(
        &before,
        Outcome::Moved {
            event,
            kind: EventKind::Deployed,
            detail: json!({}),
        },
    );
    assert_eq!(
        done.report.unwrap().certificate_not_after,
        Some(NOW + 2 * HOUR)
    );
    assert_eq!(
        done.record.urgent_from,
        Some(NOW + HOUR),
        "a tenth would be left by now"
    );
    assert_eq!(
        done.record.next_attempt_at,
        Some(NOW + HOUR),
        "the renewal is nearer than the next check"
    );
    let info = done.renewal_info.unwrap();
    assert!(info.poll_at > NOW, "the CA is asked soon, not at once");
    assert_eq!(done.record.lane(), Some(Lane::Urgent));
}

#[test]
fn a_certificate_that_the_ca_wants_replaced_is_renewed_now_and_before_others() {
    let mut before = record(Phase::Live {
        serving: CertificateId::from_uuid(Uuid::from_u128(3)),
        not_after: NOW + 90 * 24 * HOUR,
        dns: DnsState::Here,
        next: Next::At(NOW + 60 * 24 * HOUR),
    });
    before.next_attempt_at = Some(NOW + HOUR);
    before.last_failure = Some(Failure::DnsNxdomain {});
    let info = RenewalInfo {
        window: SuggestedWindow::new(NOW - 2 * HOUR, NOW - HOUR).ok(),
        explanation_url: None,
        answered_at: None,
        poll_at: NOW + 6 * HOUR,
        failures: 0,
    };
    let moved = |renew_at| {
        let plan = RenewalPlan {
            renew_at,
            urgent_from: renew_at,
        };
        with_context(|context| apply_renewal_info(&before, &info, plan, context)).unwrap()
    };
    let done = moved(NOW);
    assert_eq!(done.record.next_attempt_at, Some(NOW));
    assert_eq!(done.record.lane(), Some(Lane::Urgent));
    assert_eq!(done.event.unwrap().detail["urgent"], true);
    assert_eq!(done.record.last_failure, before.last_failure);
    assert!(done.report.is_none(), "nothing to report");
    assert_eq!(done.renewal_info.as_ref(), Some(&info));
    let later = moved(NOW + 2 * HOUR);
    assert_eq!(
        later.record.next_attempt_at,
        Some(NOW + HOUR),
        "its DNS check"
    );
}

#[test]
fn a_name_that_the_ca_refuses_stops_at_once() {
    let failure = Failure::AcmeRejectedIdentifier {
        detail: "no".into(),
    };
    let done = settled(
        &record(Phase::Onboarding(Issuance::Ordering)),
        failed(failure, Then::Stop),
    );
    assert_eq!(
        (done.record.phase, done.record.next_attempt_at),
        (Phase::Failed, None)
    );
}

#[test]
fn a_live_domain_that_waits_for_somebody_is_checked_in_the_renewals_own_pass() {
    let rejected = Failure::AcmeRejectedIdentifier {
        detail: "no".into(),
    };
    for hours in [1, 5] {
        let mut policy = Policy::default();
        policy.renewal.interval = Duration::from_secs(hours * 3600);
        let stopped = failed(rejected.clone(), Then::Stop);
        let before = record(Phase::Live {
            serving: CertificateId::from_uuid(Uuid::from_u128(3)),
            not_after: NOW + Duration::from_secs(90 * 24 * 3600),
            dns: DnsState::Here,
            next: Next::Now(Issuance::Ordering),
        });
        let context = context(&policy, NOW, 1.0);
        let done = settle(&before, stopped, Findings::default(), &context).unwrap();
        assert_eq!(
            done.record.next_attempt_at,
            Some(NOW + policy.renewal.interval)
        );
    }
}

#[test]
fn a_freeze_moves_a_renewal_and_is_no_progress() {
    let moved_away = DnsState::MovedAway { since: NOW };
    let serving = CertificateId::from_uuid(Uuid::from_u128(3));
    let later = NOW + HOUR * 40;
    for dns in [DnsState::Here, moved_away] {
        let before = DomainRecord {
            attempt: 3,
            last_failure: Some(Failure::DnsNxdomain {}),
            ..record(Phase::Live {
                serving,
                not_after: NOW + HOUR * 100,
                dns,
                next: Next::At(NOW),
            })
        };
        let outcome = Outcome::Moved {
            event: Event::RenewalMoved(later),
            kind: EventKind::RenewalFrozen,
            detail: json!({}),
        };
        let after = settled(&before, outcome).record;
        assert_eq!(after.last_failure, before.last_failure);
        assert_eq!(after.attempt, 2, "the step cost no attempt");
        assert_eq!(
            after.phase.moved_away_since(),
            before.phase.moved_away_since()
        );
        // A live domain is checked daily, and one that moved away goes on with its own checks.
        let due = if dns == DnsState::Here {
            NOW + HOUR * 24
        } else {
            NOW
        };
        assert_eq!(after.next_attempt_at, Some(due));
        assert!(matches!(after.phase, Phase::Live { next: Next::At(at), .. } if at == later));
    }
}
