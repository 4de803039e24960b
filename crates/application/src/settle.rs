//! Turns a step's outcome into the record's next state: a pure function of record, outcome, time
//! and jitter.

use std::time::Duration;

use dps_domain::lane::usual_lane;
use dps_domain::phase::{Issuance, Lane, Next};
use dps_domain::renewal::WaitCause;
use dps_domain::renewal::info::{RenewalInfo, RenewalPlan};
use dps_domain::{
    Event, EventKind, Failure, FailureCode, IllegalTransition, OrderGate, Phase, Timestamp,
    backoff, renewal,
};
use serde_json::{Map, Value, json};

use crate::bounds;
use crate::policy::Policy;
use crate::ports::cabinet::StatusReport;
use crate::ports::store::{Completion, DomainEvent, DomainRecord};
use crate::sentence::last_sentence;
use crate::steps::{Outcome, Then};

/// The shortest wait for somebody else that the Cabinet is told of.
const REPORTED_WAIT: Duration = Duration::from_secs(60);

/// What settling takes besides record and outcome.
#[derive(Debug, Clone, Copy)]
pub struct SettleContext<'a> {
    /// The operator's numbers.
    pub policy: &'a Policy,
    /// The present moment.
    pub now: Timestamp,
    /// In `0.0..1.0`.
    pub jitter: f64,
    /// How long the step took.
    pub took: Duration,
    /// The process that made the step.
    pub replica: &'a str,
}

/// The record's next state, the report for the Cabinet if there is something to tell, and the line
/// of its history.
pub fn settle(
    before: &DomainRecord,
    outcome: Outcome,
    context: &SettleContext<'_>,
) -> Result<Completion, IllegalTransition> {
    let mut record = DomainRecord {
        updated_at: context.now,
        ..before.clone()
    };
    let (kind, detail, message) = match outcome {
        Outcome::Moved {
            event,
            kind,
            detail,
        } => {
            if let Event::Deployed {
                renew_at,
                not_before,
                not_after,
            } = &event
            {
                record.urgent_from = Some(renewal::urgent_from(*not_before, *not_after, *renew_at));
            }
            // A due renewal does not bring a name back that moved away; only a DNS check does.
            let stays_moved_away = match event {
                Event::RenewalDue => before.phase.is_moved_away(),
                Event::CertificateEnded => true,
                _ => false,
            };
            let is_doubted = matches!(event, Event::ValidationDoubted);
            record.phase = record.phase.apply(event)?;
            let is_unexplained = record
                .last_failure
                .as_ref()
                .is_none_or(Failure::refuses_name_or_target);
            if matches!(record.phase, Phase::Expired { .. }) && is_unexplained {
                record.last_failure = Some(Failure::Internal {
                    detail: "the certificate ended before it was renewed".into(),
                });
            }
            record.attempt = if stays_moved_away {
                before.attempt.saturating_sub(1)
            } else {
                0
            };
            // Passing DNS again after a failed validation is no progress towards a certificate: the
            // CA must be satisfied.
            if record.failed_validations == 0 {
                record.pending_since = context.now;
            }
            // The CA counts it, and the next one is believed.
            if is_doubted {
                record.failed_validations = record.failed_validations.saturating_add(1);
            }
            record.next_attempt_at = due_after_progress(&record.phase, context);
            let explains = still_explains(&record);
            if !stays_moved_away && !explains {
                record.last_failure = None;
            }
            if record.phase.is_live() && record.phase.issuance().is_none() {
                record.failed_validations = 0;
                record.lost_orders = 0;
                record.order_gate = OrderGate::Open;
            }
            (kind, detail, None)
        }
        Outcome::Confirmed { until } => {
            record.phase = record.phase.apply(Event::DnsConfirmed)?;
            record.attempt = 0;
            record.next_attempt_at = Some(until);
            // DNS says nothing about a name that the Cabinet wants in this one's place.
            record
                .last_failure
                .take_if(|failure| !failure.refuses_name_or_target());
            (EventKind::DnsConfirmed, json!({}), None)
        }
        Outcome::Waiting { until, kind } => {
            record.attempt = record.attempt.saturating_sub(1);
            let due = in_time(&record.phase, None, until.max(context.now), context.now);
            record.next_attempt_at = Some(due);
            (kind, json!({ "until": due }), None)
        }
        Outcome::Failed {
            failure,
            then,
            message,
        } => {
            let failure = bounds::failure(&failure).into_owned();
            fail(&mut record, &failure, then, context)?;
            let detail = serde_json::to_value(&failure).unwrap_or_default();
            let kind = EventKind::Failed(failure.code());
            record.last_failure = Some(failure);
            (kind, detail, Some(message))
        }
    };
    record.next_attempt_at = by_the_certificates_end(&record, context.now);
    let info = first_renewal_info(before, &record, context);
    let report = report(before, &record, message, context.policy);
    let event = Some(event(&record, kind, detail, context));
    Ok(Completion {
        report,
        event,
        renewal_info: info,
        ..Completion::of(record)
    })
}

fn event(
    record: &DomainRecord,
    kind: EventKind,
    detail: Value,
    context: &SettleContext<'_>,
) -> DomainEvent {
    DomainEvent {
        duration: Some(context.took),
        ..DomainEvent::of(record, kind, detail, context.replica)
    }
}

/// A certificate that was just deployed is one of which nothing is known yet.
fn first_renewal_info(
    before: &DomainRecord,
    after: &DomainRecord,
    context: &SettleContext<'_>,
) -> Option<RenewalInfo> {
    match &after.phase {
        Phase::Live {
            serving, not_after, ..
        } if before.phase.serving() != Some(*serving) => Some(RenewalInfo::after_deployment(
            context.now,
            *not_after,
            context.jitter,
        )),
        Phase::Live { .. }
        | Phase::Onboarding(_)
        | Phase::Expired { .. }
        | Phase::Failed
        | Phase::Leaving
        | Phase::Gone => None,
    }
}

/// The record's next attempt, at the end of the certificate that it serves at the latest: no edge
/// presents it any longer then.
fn by_the_certificates_end(record: &DomainRecord, now: Timestamp) -> Option<Timestamp> {
    match record.phase {
        Phase::Live { not_after, .. } if now < not_after => Some(
            record
                .next_attempt_at
                .map_or(not_after, |at| at.min(not_after)),
        ),
        _ => record.next_attempt_at,
    }
}

/// The CA wants the certificate of a live domain renewed at another time: nothing else about the
/// domain changes. A renewal that is under way becomes urgent when the certificate must go, and is
/// left alone otherwise; `None` then.
pub fn apply_renewal_info(
    mut record: DomainRecord,
    info: &RenewalInfo,
    plan: RenewalPlan,
    context: &SettleContext<'_>,
) -> Option<Completion> {
    let RenewalPlan {
        renew_at,
        urgent_from,
    } = plan;
    match record.phase {
        Phase::Live {
            next: Next::At(_), ..
        } => {
            record.phase = record.phase.apply(Event::RenewalMoved(renew_at)).ok()?;
            record.urgent_from = Some(urgent_from);
            let due = record
                .next_attempt_at
                .map_or(renew_at, |due| due.min(renew_at));
            record.next_attempt_at = Some(due);
        }
        Phase::Live {
            next: Next::Now(_), ..
        } if plan.is_urgent() && record.urgent_from.is_none_or(|from| from > context.now) => {
            record.urgent_from = Some(context.now);
        }
        Phase::Live { .. }
        | Phase::Onboarding(_)
        | Phase::Expired { .. }
        | Phase::Failed
        | Phase::Leaving
        | Phase::Gone => {
            return None;
        }
    }
    record.updated_at = context.now;
    let detail = json!({
        "window": info.window,
        "explanationUrl": info.explanation_url,
        "renewAt": renew_at,
        "urgent": plan.is_urgent(),
    });
    let event = Some(event(&record, EventKind::RenewalMoved, detail, context));
    Some(Completion {
        event,
        renewal_info: Some(info.clone()),
        ..Completion::of(record)
    })
}

/// Keeps what a step saw with the line of history. What the outcome says comes first; what was seen
/// beside it is added.
pub fn add_evidence(completion: &mut Completion, evidence: Map<String, Value>) {
    let detail = completion.event.as_mut().map(|event| &mut event.detail);
    if let Some(Value::Object(fields)) = detail {
        for (name, value) in evidence {
            fields.entry(name).or_insert(value);
        }
    }
}

/// While a name rests after a failed validation, passing the DNS check again does not make the CA's
/// verdict untrue. Until a domain without a certificate is served again, what took it away says why
/// it is `Failed`. What made orders lead to nothing is not over before a certificate is stored.
fn still_explains(record: &DomainRecord) -> bool {
    if matches!(record.phase, Phase::Expired { .. }) {
        return true;
    }
    // Another name that the Cabinet wants stays refused until it wants something else.
    if record
        .last_failure
        .as_ref()
        .is_some_and(Failure::refuses_name_or_target)
    {
        return matches!(record.phase, Phase::Onboarding(_) | Phase::Live { .. });
    }
    let Some(issuance) = record.phase.issuance() else {
        return false;
    };
    match record.last_failure.as_ref().map(Failure::code) {
        Some(FailureCode::AcmeValidationFailed) => {
            matches!(
                issuance,
                Issuance::AwaitingDns
                    | Issuance::AwaitingHttpProbe
                    | Issuance::Ordering
                    | Issuance::Queued
            )
        }
        Some(
            FailureCode::AcmeCaUnavailable | FailureCode::EdgeUnreachable | FailureCode::Internal,
        ) => record.lost_orders > 0 && !matches!(issuance, Issuance::Deploying { .. }),
        Some(_) | None => false,
    }
}

fn due_after_progress(phase: &Phase, context: &SettleContext<'_>) -> Option<Timestamp> {
    match phase {
        Phase::Live {
            next: Next::At(at), ..
        } => Some((*at).min(context.now + context.policy.recheck.interval)),
        Phase::Onboarding(_)
        | Phase::Live {
            next: Next::Now(_), ..
        }
        | Phase::Expired { .. }
        | Phase::Leaving => Some(context.now),
        Phase::Gone => Some(context.now + context.policy.quarantine),
        Phase::Failed => None,
    }
}

fn fail(
    record: &mut DomainRecord,
    failure: &Failure,
    then: Then,
    context: &SettleContext<'_>,
) -> Result<(), IllegalTransition> {
    let now = context.now;
    let growing = match &record.phase {
        Phase::Live { not_after, .. } if *not_after <= now => {
            Some(context.policy.backoff(Lane::Removal))
        }
        phase if phase.was_served() && failure.code() == FailureCode::DnsMoved => {
            // What failed before for other reasons, an outage of resolvers maybe, does not make its
            // customer one who left long ago.
            if !phase.is_moved_away() {
                record.attempt = 1;
            }
            Some(Policy::moved_away_backoff(!phase.is_live()))
        }
        phase => usual_lane(phase).map(|lane| context.policy.backoff(lane)),
    };
    if let Some(event) = dns_event(&record.phase, failure, now) {
        record.phase = record.phase.clone().apply(event)?;
    }
    let later = now
        + growing.map_or(context.policy.renewal.interval, |backoff| {
            backoff.delay(record.attempt.max(1), context.jitter)
        });
    let due = match then {
        Then::Retry => later,
        Then::RetryBy(at) => later.min(at.max(now)),
        Then::At(at) => at.max(now),
        Then::Queue => {
            record.phase = record.phase.clone().apply(Event::OrdersUsedUp)?;
            now
        }
        Then::RecheckDns => {
            record.phase = record.phase.clone().apply(Event::DnsLost)?;
            later
        }
        Then::NewOrder { rest } => {
            record.phase = record.phase.clone().apply(Event::OrderLost)?;
            if rest {
                record.failed_validations = record.failed_validations.saturating_add(1);
                let rest = backoff::backoff_after_failed_validation(
                    record.failed_validations,
                    context.jitter,
                );
                let end = in_time(&record.phase, Some(failure), now + rest, now);
                record.order_gate = OrderGate::Until(end);
            } else {
                after_lost_order(record, failure, now, context);
            }
            record.order_gate.not_before(later)
        }
        Then::NewOrderAt(at) => {
            record.phase = record.phase.clone().apply(Event::OrderLost)?;
            after_lost_order(record, failure, at, context);
            record.order_gate.not_before(later)
        }
        // Somebody must act first, and nobody tells us when they did: the renewals' own pass.
        Then::Stop => now + context.policy.renewal.interval,
    };
    let due = in_time(&record.phase, Some(failure), due, now);
    // To wait for the CA's limits is no attempt.
    if failure.code() == FailureCode::AcmeRateLimited && matches!(then, Then::At(_) | Then::Queue) {
        record.attempt = record.attempt.saturating_sub(1);
    }
    // Only a human can lift a pause: no timer asks the CA again.
    if failure.code() == FailureCode::AcmePaused {
        record.order_gate = OrderGate::PausedByCa;
    }
    record.next_attempt_at = Some(due);
    let stops = match &record.phase {
        Phase::Onboarding(_) => {
            let waited_out = now.since(record.pending_since) >= context.policy.give_up_after;
            matches!(then, Then::Stop) || (waited_out && failure.counts_against_domain())
        }
        Phase::Expired { not_after, .. } => {
            failure.counts_against_domain() && now.since(*not_after) >= context.policy.release_after
        }
        Phase::Live { .. } | Phase::Failed | Phase::Leaving | Phase::Gone => false,
    };
    if stops {
        record.phase = record.phase.clone().apply(Event::GaveUp)?;
        record.next_attempt_at = None;
    }
    Ok(())
}

/// What a failure says of the DNS of a domain that was served, if anything.
fn dns_event(phase: &Phase, failure: &Failure, now: Timestamp) -> Option<Event> {
    if !phase.was_served() {
        return None;
    }
    match failure {
        Failure::DnsMoved { .. } => Some(Event::DnsMovedAway { at: now }),
        // Whatever else failed came after a check that found the name here.
        failure => (!failure.leaves_dns_open()).then_some(Event::DnsConfirmed),
    }
}

/// Counts an order that led to no certificate, and puts the next one off until `earliest` or the
/// end of a pause that doubles with each, whichever is later.
fn after_lost_order(
    record: &mut DomainRecord,
    failure: &Failure,
    earliest: Timestamp,
    context: &SettleContext<'_>,
) {
    // Every check before the next order succeeds, so `attempt` knows nothing of the orders before.
    record.lost_orders = record.lost_orders.saturating_add(1);
    // The order itself was the first attempt.
    let attempts = record.lost_orders.saturating_add(1);
    let pause = context
        .policy
        .issuance
        .backoff()
        .delay(attempts, context.jitter);
    let end = earliest.max(context.now + pause);
    let end = in_time(&record.phase, Some(failure), end, context.now);
    record.order_gate = OrderGate::Until(end);
}

/// The moment `due`, or a sooner one: no wait sleeps through the renewal moment of a live domain,
/// or through the time in which its certificate can still be replaced.
fn in_time(phase: &Phase, failure: Option<&Failure>, due: Timestamp, now: Timestamp) -> Timestamp {
    match phase {
        Phase::Live {
            next: Next::At(renew_at),
            ..
        } if *renew_at > now => due.min(*renew_at),
        phase => longest_wait(phase, failure, now).map_or(due, |longest| due.min(now + longest)),
    }
}

/// The longest wait before the next attempt at a renewal that is under way, after `failure` if
/// there was one; `None` without a bound.
pub(crate) fn longest_wait(
    phase: &Phase,
    failure: Option<&Failure>,
    now: Timestamp,
) -> Option<Duration> {
    let (Phase::Live {
        not_after,
        next: Next::Now(_),
        ..
    }
    | Phase::Expired { not_after, .. }) = phase
    else {
        return None;
    };
    let cause = match failure.map(Failure::code) {
        // Only a human can lift a pause.
        Some(FailureCode::AcmePaused) => return None,
        Some(FailureCode::DnsMoved) => WaitCause::MovedAway,
        None if phase.is_moved_away() => WaitCause::MovedAway,
        Some(_) if failure.is_some_and(Failure::counts_against_domain) => WaitCause::Customer,
        Some(_) | None => WaitCause::Others,
    };
    renewal::longest_wait(*not_after, now, cause)
}

/// What the Cabinet is told, if anything changed for it.
fn report(
    before: &DomainRecord,
    after: &DomainRecord,
    message: Option<String>,
    policy: &Policy,
) -> Option<StatusReport> {
    // The Cabinet knows nothing of the record that takes an old name down.
    if after.id.is_take_down() {
        return None;
    }
    let status = after.phase.status();
    let told_by_failure = message.is_some() || before.last_failure != after.last_failure;
    let renewed = matches!(
        &after.phase,
        Phase::Live {
            next: Next::At(_),
            ..
        }
    ) && before.phase != after.phase;
    // A long wait for somebody else is reported, and so is the end of it.
    let waits = is_waiting(before) || is_waiting(after);
    if status == before.phase.status() && !told_by_failure && !renewed && !waits {
        return None;
    }
    Some(current_report(after, message, policy))
}

/// When something is done about what went wrong. Whoever waits in the queue for the CA's limit is
/// due all the while, so that tenants can take turns; what is told is when its turn will probably
/// come.
fn next_attempt_at(record: &DomainRecord) -> Option<Timestamp> {
    let queued = matches!(record.phase.issuance(), Some(Issuance::Queued));
    match record.last_failure.as_ref() {
        Some(Failure::AcmeRateLimited {
            until: Some(at), ..
        }) if queued => Some(*at),
        Some(_) => record.next_attempt_at,
        None => record.next_attempt_at.filter(|_| is_waiting(record)),
    }
}

/// Whether a certificate is on its way and somebody else needs time for it, without a failure.
fn is_waiting(record: &DomainRecord) -> bool {
    let wait = record.next_attempt_at.map(|at| at.since(record.updated_at));
    record.phase.issuance().is_some()
        && record.last_failure.is_none()
        && wait.is_some_and(|wait| wait > REPORTED_WAIT)
}

/// The report that tells a record as it stands.
pub fn current_report(
    record: &DomainRecord,
    message: Option<String>,
    policy: &Policy,
) -> StatusReport {
    StatusReport {
        status: record.phase.status(),
        failure: record.last_failure.clone(),
        message: message.or_else(|| last_sentence(record, policy, &[])),
        next_attempt_at: next_attempt_at(record),
        certificate_not_after: record.phase.certificate_not_after(),
    }
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
