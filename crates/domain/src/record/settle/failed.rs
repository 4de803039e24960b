//! The record after a failed step.

use std::time::Duration;

use super::SettleContext;
use crate::lane::{Lane, usual_lane};
use crate::outcome::Then;
use crate::phase::DnsState;
use crate::policy::Policy;
use crate::record::DomainRecord;
use crate::record::waits::in_time;
use crate::{
    Event, Failure, FailureCode, IllegalTransition, OrderGate, Ownership, Phase, Timestamp, backoff,
};

/// Moves the record after a failure, and sets its next attempt. Returns the failure to record.
pub(super) fn fail(
    record: &mut DomainRecord,
    failure: Failure,
    then: Then,
    context: &SettleContext<'_>,
) -> Result<Failure, IllegalTransition> {
    let before = record.phase.clone();
    if let Some(event) = dns_event(&before, &failure, context) {
        record.phase = before.clone().apply(event)?;
    }
    let failure = match failure {
        // Until the move is certain, the customer reads what the check found.
        Failure::DnsMoved { cause } if is_unconfirmed(&record.phase) => *cause,
        failure => failure,
    };
    // Attempts that failed for other reasons, such as an outage of resolvers, say nothing about how
    // long the name has been elsewhere.
    if record.phase.is_moved_away() && !before.is_moved_away() {
        record.attempt = 1;
    }
    schedule(record, &failure, then, context)?;
    // After so long, a zone that does not answer is no different from one that points elsewhere:
    // the name must come free.
    if record.phase == Phase::Failed && is_released_unseen(&before, &failure) {
        return Ok(Failure::DnsMoved {
            cause: Box::new(failure),
        });
    }
    Ok(failure)
}

/// Whether a domain that is given up in the phase `before` is released because nothing is known of
/// its DNS.
const fn is_released_unseen(before: &Phase, failure: &Failure) -> bool {
    matches!(before, Phase::Expired { .. }) && failure.leaves_dns_open()
}

/// Whether the last checks found the name elsewhere, and no move is certain.
const fn is_unconfirmed(phase: &Phase) -> bool {
    matches!(phase.dns(), Some(DnsState::SeenElsewhere { .. }))
}

/// The delay before the next attempt, unless the failure names another.
fn delay(record: &DomainRecord, failure: &Failure, context: &SettleContext<'_>) -> Duration {
    let policy = context.policy;
    let backoff = match &record.phase {
        Phase::Live { not_after, .. } if *not_after <= context.now => {
            Some(policy.backoff(Lane::Removal))
        }
        phase if failure.code() == FailureCode::DnsMoved && phase.was_served() => {
            Some(Policy::moved_away_backoff(!phase.is_live()))
        }
        phase if is_unconfirmed(phase) && !failure.leaves_dns_open() => {
            return policy.moved.pause();
        }
        phase => usual_lane(phase).map(|lane| policy.backoff(lane)),
    };
    backoff.map_or(policy.renewal.interval, |backoff| {
        backoff.delay(record.attempt.max(1), context.jitter)
    })
}

/// Sets the next attempt after a failure, and moves the record as the continuation demands.
fn schedule(
    record: &mut DomainRecord,
    failure: &Failure,
    then: Then,
    context: &SettleContext<'_>,
) -> Result<(), IllegalTransition> {
    let now = context.now;
    let later = now + delay(record, failure, context);
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
        Then::NewOrder { pause } => {
            record.phase = record.phase.clone().apply(Event::OrderLost)?;
            if pause {
                record.failed_validations = record.failed_validations.saturating_add(1);
                let length = backoff::backoff_after_failed_validation(
                    record.failed_validations,
                    context.jitter,
                );
                let end = in_time(&record.phase, Some(failure), now + length, now);
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
        // A person must act first, and sends no notice of it: the renewals' own pass.
        Then::Stop => now + context.policy.renewal.interval,
    };
    let due = in_time(&record.phase, Some(failure), due, now);
    // To wait for the CA's limits or for an operator is no attempt.
    let is_wait = matches!(
        failure.code(),
        FailureCode::AcmeRateLimited | FailureCode::IssuancePaused
    );
    if is_wait && matches!(then, Then::At(_) | Then::Queue) {
        record.attempt = record.attempt.saturating_sub(1);
    }
    // Only a human can lift a pause: no timer sends the CA another order.
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
            let is_over = |after| now.since(*not_after) >= after;
            let may_return = is_unconfirmed(&record.phase) && !failure.leaves_dns_open();
            failure.counts_against_domain()
                && !may_return
                && context.policy.release_after.is_some_and(is_over)
        }
        Phase::Live { .. } | Phase::Failed | Phase::Leaving | Phase::Gone => false,
    };
    if stops {
        record.ownership = if record.phase.was_served() {
            Ownership::Open
        } else {
            record.ownership.clone().without_proof()
        };
        record.phase = record.phase.clone().apply(Event::GaveUp)?;
        record.next_attempt_at = None;
    }
    Ok(())
}

/// The event that a failure means for the DNS of a domain that was served, if any.
fn dns_event(phase: &Phase, failure: &Failure, context: &SettleContext<'_>) -> Option<Event> {
    let dns = phase.dns()?;
    match failure {
        Failure::DnsMoved { .. } => Some(dns.seen_elsewhere(&context.policy.moved, context.now)),
        // It points here again, but not yet for its tenant.
        Failure::DnsOwnershipRequired { .. } => None,
        // Whatever else failed came after a check that found the name here.
        failure => (!failure.leaves_dns_open()).then_some(Event::DnsConfirmed),
    }
}

/// Counts an order that led to no certificate. Puts the next one off until `earliest`, or until the
/// end of a pause if that is later. The pause doubles with each such order.
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
