//! Where a domain stands, in words for the operator: pure functions of its record, its history and
//! the time.

mod evidence;

use std::iter;

use serde::{Deserialize, Serialize};

pub use self::evidence::{Answer, Evidence, SeenAt, evidence};
use crate::decide::{Action, next_action};
use crate::order_gate::HeldBack;
use crate::pause::Pause;
use crate::phase::{DnsState, Next, Phase};
use crate::record::DomainRecord;
use crate::record::report::queued_turn;
use crate::renewal::freeze::{Frozen, PlannedRenewal, RenewalFreeze};
use crate::{Actor, Failure, Issuance, Timestamp};

/// Who must act for a domain to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Responsible {
    /// The customer.
    Customer,
    /// The platform's operator.
    Operator,
    /// The CA, which is waited for.
    Ca,
    /// Nobody: it goes on by itself.
    Nobody,
}

impl Responsible {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Operator => "operator",
            Self::Ca => "ca",
            Self::Nobody => "nobody",
        }
    }
}

/// Returns who must act for a domain to go on. The pauses are those that cover it.
pub fn responsible(record: &DomainRecord, pauses: &[Pause], now: Timestamp) -> Responsible {
    let is_paused_by_ca = record.order_gate.holds_back(now) == Some(HeldBack::PausedByCa);
    if is_paused_by_ca || awaits_resumption(record, pauses, now) {
        return Responsible::Operator;
    }
    match &record.last_failure {
        // The pause has ended, so the order is tried again.
        Some(Failure::IssuancePaused {}) if pauses.is_empty() => Responsible::Nobody,
        Some(failure) => match failure.actor() {
            Actor::Customer => Responsible::Customer,
            Actor::Operator => Responsible::Operator,
            Actor::Nobody => match failure {
                Failure::AcmeRateLimited { .. } | Failure::AcmeCaUnavailable { .. } => {
                    Responsible::Ca
                }
                _ => Responsible::Nobody,
            },
        },
        // A retry has to be requested.
        None if record.phase == Phase::Failed => Responsible::Operator,
        None => Responsible::Nobody,
    }
}

/// Whether a pause holds back the next step of a domain.
fn awaits_resumption(record: &DomainRecord, pauses: &[Pause], now: Timestamp) -> bool {
    !pauses.is_empty() && next_step(record, now).action == Action::PlaceOrder
}

/// Returns the operator's remedy; `None` if nothing is to be done.
pub fn remedy(record: &DomainRecord, pauses: &[Pause], now: Timestamp) -> Option<String> {
    if awaits_resumption(record, pauses, now) {
        return Some(Failure::IssuancePaused {}.remedy());
    }
    match &record.last_failure {
        Some(Failure::IssuancePaused {}) if pauses.is_empty() => None,
        failure => failure.as_ref().map(Failure::remedy),
    }
}

/// The next step of the service for a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// The step.
    pub action: Action,
    /// When it is due; `None` if it waits for a request.
    pub at: Option<Timestamp>,
}

/// Returns the next step for a domain. A queued domain's is that of its probable turn.
pub fn next_step(record: &DomainRecord, now: Timestamp) -> NextStep {
    let at = queued_turn(record).or(record.next_attempt_at);
    let due = record.next_attempt_at.map_or(now, |due| due.max(now));
    NextStep {
        action: next_action(&record.phase, record.revocation.as_ref(), due),
        at,
    }
}

/// The step in words. The pauses are those that cover its domain.
pub const fn step_in_words(action: &Action, pauses: &[Pause]) -> &'static str {
    match action {
        Action::CheckDns => "check where the name points",
        Action::ProbeHttp => "fetch a token from every address of the name, on port 80",
        Action::PlaceOrder if !pauses.is_empty() => {
            "place an order at the CA, unless issuance is still paused"
        }
        Action::PlaceOrder => "check CAA records and place an order at the CA",
        Action::Validate(_) => "have the CA validate the challenge",
        Action::Finalize(_) => "have the CA issue the certificate",
        Action::Deploy(_) => "deploy the certificate at every edge",
        Action::BeginRenewal => "begin the renewal",
        Action::Recheck { .. } => "check that the name still points at us",
        Action::Expire(_) => "remove the ended certificate from every edge",
        Action::Undeploy => "remove the domain from every edge",
        Action::Revoke => "revoke the certificates of the ended domain",
        Action::Forget => "forget the domain after its quarantine",
        Action::Idle => "none before a retry is requested",
    }
}

/// Returns the delay of a domain's next renewal by a freeze; `None` without one. The window is in
/// force now, or will be when the renewal is due.
pub fn frozen<'a>(
    record: &DomainRecord,
    freeze: &'a RenewalFreeze,
    now: Timestamp,
) -> Option<Frozen<'a>> {
    let renewal = PlannedRenewal::of(record)?;
    let renew_at = renewal.renew_at;
    let delayed = freeze.delays(renewal, renew_at.max(now));
    // The step that met the window has moved the renewal already.
    delayed.or_else(|| {
        let window = freeze.at(now)?;
        let begins_at = renew_at;
        (renew_at > now).then_some(Frozen { window, begins_at })
    })
}

/// Where the domain stands, in a few sentences. The pauses are those that cover it.
pub fn summary(
    record: &DomainRecord,
    pauses: &[Pause],
    freeze: &RenewalFreeze,
    now: Timestamp,
) -> String {
    let delayed = frozen(record, freeze, now);
    let run = |issuance: &Issuance| match issuance {
        Issuance::AwaitingDns => "waits for its DNS to point at us",
        Issuance::AwaitingHttpProbe => "waits for our answer at every address on port 80",
        Issuance::Ordering => "is ready for an order at the CA",
        Issuance::Queued => "waits in the queue for the CA's limit of orders",
        Issuance::Validating { .. } => "has an order that the CA validates",
        Issuance::Finalizing { .. } => "has a validated order for which the CA issues",
        Issuance::Deploying { .. } => "has a new certificate that goes to the edges",
    };
    let sentence = match &record.phase {
        Phase::Onboarding(Issuance::Deploying { .. }) => {
            "Its first certificate goes to the edges.".to_owned()
        }
        Phase::Onboarding(issuance) => {
            format!("It has no certificate yet and {}.", run(issuance))
        }
        Phase::Live {
            not_after,
            next: Next::At(at),
            ..
        } if *at > now || delayed.is_some() => {
            let begins_at = delayed.map_or(*at, |delayed| delayed.begins_at);
            let (end, at) = (not_after.whole_second(), begins_at.whole_second());
            format!("It is served until {end}; its renewal begins at {at}.")
        }
        Phase::Live {
            not_after,
            next: Next::At(_),
            ..
        } => format!(
            "It is served until {}; its renewal is due.",
            not_after.whole_second()
        ),
        Phase::Live {
            not_after,
            next: Next::Now(issuance),
            ..
        } => format!(
            "It is served until {}; its renewal {}.",
            not_after.whole_second(),
            run(issuance)
        ),
        Phase::Expired {
            not_after,
            issuance,
            ..
        } => format!(
            "Its certificate ended at {} and no edge serves it; it {}.",
            not_after.whole_second(),
            run(issuance)
        ),
        Phase::Failed => "It has stopped without a certificate.".to_owned(),
        Phase::Leaving => "It is being removed from every edge.".to_owned(),
        Phase::Gone => "It was removed; the record stays for the quarantine.".to_owned(),
    };
    let sentence = match record.phase.dns() {
        Some(DnsState::MovedAway { since }) => {
            let since = since.whole_second();
            format!("{sentence} Its name has pointed elsewhere since {since}.")
        }
        Some(DnsState::SeenElsewhere { since, .. }) => {
            let since = since.whole_second();
            format!("{sentence} Its name was first seen elsewhere at {since}.")
        }
        Some(DnsState::Here) | None => sentence,
    };
    let sentence = match record.order_gate.holds_back(now) {
        Some(HeldBack::PausedByCa) => format!("{sentence} The CA paused the name."),
        Some(HeldBack::Until(until)) => {
            let until = until.whole_second();
            format!("{sentence} No order is placed before {until}.")
        }
        None => sentence,
    };
    // A removed domain has no next order.
    if matches!(record.phase, Phase::Leaving | Phase::Gone) {
        return sentence;
    }
    let held = pauses.iter().map(|pause| format!("{pause}."));
    let frozen = delayed.map(|delayed| format!("{}.", delayed.window));
    let sentences: Vec<String> = iter::once(sentence).chain(frozen).chain(held).collect();
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pause::PauseScope;
    use crate::record::test_record::record;
    use crate::renewal::freeze::FreezeWindow;
    use crate::{CertificateId, OrderGate};
    use uuid::Uuid;

    fn summary_unfrozen(record: &DomainRecord, pauses: &[Pause], now: Timestamp) -> String {
        summary(record, pauses, &RenewalFreeze::default(), now)
    }

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_failure_says_who_must_act_and_a_pause_of_the_ca_is_the_operators() {
        let mut record = record(Phase::START);
        assert_eq!(responsible(&record, &[], NOW), Responsible::Nobody);
        let of = |record: &DomainRecord| responsible(record, &[], NOW);
        record.last_failure = Some(Failure::DnsNxdomain {});
        assert_eq!(of(&record), Responsible::Customer);
        record.last_failure = Some(Failure::AcmeCaUnavailable {
            detail: String::new(),
        });
        assert_eq!(of(&record), Responsible::Ca);
        record.last_failure = Some(Failure::DnsPropagating {
            seen_by: vec![],
            missing_at: vec![],
            until: None,
        });
        assert_eq!(of(&record), Responsible::Nobody);
        record.order_gate = OrderGate::PausedByCa;
        assert_eq!(of(&record), Responsible::Operator);
        record.order_gate = OrderGate::Open;
        (record.phase, record.last_failure) = (Phase::Failed, None);
        assert_eq!(of(&record), Responsible::Operator);
    }

    #[test]
    fn the_next_step_is_that_of_the_moment_at_which_it_is_due() {
        let renew_at = NOW + Duration::from_secs(60);
        let mut record = record(Phase::Live {
            serving: CertificateId::from_uuid(Uuid::nil()),
            not_after: NOW + Duration::from_secs(3600),
            dns: DnsState::Here,
            next: Next::At(renew_at),
        });
        record.next_attempt_at = Some(NOW);
        assert_eq!(next_step(&record, NOW).action, Action::Recheck { renew_at });
        record.next_attempt_at = Some(renew_at);
        assert_eq!(next_step(&record, NOW).action, Action::BeginRenewal);
        assert_eq!(next_step(&record, NOW).at, Some(renew_at));
        let text = summary_unfrozen(&record, &[], NOW);
        assert!(text.contains("its renewal begins at"), "{text}");
        assert!(summary_unfrozen(&record, &[], renew_at).contains("is due"));
    }

    #[test]
    fn a_freeze_is_named_before_it_meets_the_renewal_and_after_it() {
        let hour = Duration::from_secs(3600);
        let (renew_at, until) = (NOW + hour * 2, NOW + hour * 4);
        let window = FreezeWindow {
            from: NOW,
            until,
            reason: Some("year's end".to_owned()),
        };
        let freeze = RenewalFreeze::new(vec![window]).unwrap();
        let live = |at| Phase::Live {
            serving: CertificateId::from_uuid(Uuid::nil()),
            not_after: NOW + hour * 100,
            dns: DnsState::Here,
            next: Next::At(at),
        };
        let mut record = record(live(renew_at));
        record.urgent_from = Some(NOW + hour * 90);
        // Two hours into the freeze: an hour after its end.
        let expected = "It is served until 2027-01-19T12:00:00Z; its renewal begins at \
                        2027-01-15T13:00:00Z. Renewals that can wait are frozen until \
                        2027-01-15T12:00:00Z (year's end).";
        assert_eq!(summary(&record, &[], &freeze, NOW), expected);
        record.phase = live(NOW + hour * 5);
        assert_eq!(summary(&record, &[], &freeze, NOW), expected);
        assert!(!summary(&record, &[], &freeze, until).contains("frozen"));
        record.urgent_from = Some(renew_at);
        record.phase = live(renew_at);
        assert!(!summary(&record, &[], &freeze, renew_at).contains("frozen"));
        record.phase = Phase::START;
        assert_eq!(frozen(&record, &freeze, NOW), None);
    }

    #[test]
    fn a_closed_gate_is_part_of_the_summary() {
        let mut record = record(Phase::Onboarding(Issuance::Ordering));
        let until = NOW + Duration::from_micros(60_000_001);
        record.order_gate = OrderGate::Until(until);
        assert_eq!(
            summary_unfrozen(&record, &[], NOW),
            "It has no certificate yet and is ready for an order at the CA. No order is placed \
             before 2027-01-15T08:01:00Z."
        );
        assert!(!summary_unfrozen(&record, &[], until).contains("before"));
    }

    #[test]
    fn a_pause_holds_back_an_order_and_its_end_is_noticed_before_the_order_is_tried() {
        let pause = Pause {
            scope: PauseScope::Tenant("acme".to_owned()),
            since: NOW,
            who: "ada@desk".to_owned(),
            reason: Some("the CA errs".to_owned()),
        };
        let (none, pauses): (&[Pause], &[Pause]) = (&[], &[pause]);
        let mut record = record(Phase::Onboarding(Issuance::Ordering));
        assert_eq!(responsible(&record, none, NOW), Responsible::Nobody);
        assert_eq!(remedy(&record, none, NOW), None);
        assert_eq!(responsible(&record, pauses, NOW), Responsible::Operator);
        let expected = Some(Failure::IssuancePaused {});
        assert_eq!(
            remedy(&record, pauses, NOW),
            expected.as_ref().map(Failure::remedy)
        );
        let text = summary_unfrozen(&record, pauses, NOW);
        let end = format!(
            " Issuance for the tenant acme has been paused since {} (ada@desk: the CA errs).",
            NOW.whole_second()
        );
        assert!(text.ends_with(&end), "{text}");
        let step = step_in_words(&Action::PlaceOrder, pauses);
        assert!(step.ends_with("still paused"), "{step}");
        assert_ne!(step_in_words(&Action::PlaceOrder, none), step);
        // The failure stays until the order is tried again.
        record.last_failure = expected;
        assert_eq!(responsible(&record, none, NOW), Responsible::Nobody);
        assert_eq!(remedy(&record, none, NOW), None);
        // An order is not yet, or never, what a domain needs.
        record.last_failure = Some(Failure::DnsNxdomain {});
        record.phase = Phase::START;
        assert_eq!(responsible(&record, pauses, NOW), Responsible::Customer);
        assert!(summary_unfrozen(&record, pauses, NOW).ends_with(&end));
        record.phase = Phase::Leaving;
        assert!(!summary_unfrozen(&record, pauses, NOW).contains("paused"));
    }
}
