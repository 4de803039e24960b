//! Turns a step's outcome into the record's next state: a pure function of record, outcome, time and jitter.

use std::time::Duration;

use dps_domain::failure::WantedRecords;
use dps_domain::phase::{Issuance, Next};
use dps_domain::{Event, Failure, FailureCode, IllegalTransition, Phase, Timestamp, backoff};
use serde_json::json;

use crate::policy::Policy;
use crate::ports::cabinet::StatusReport;
use crate::ports::store::{Completion, DomainEvent, DomainRecord};
use crate::steps::{Outcome, Then};

/// How long a live domain that cannot be renewed for the customer's reasons waits between DNS checks at most.
const DEPARTED_RECHECK: Duration = Duration::from_secs(6 * 60 * 60);

/// What settling takes besides record and outcome.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The operator's numbers.
    pub policy: &'a Policy,
    /// The present moment.
    pub now: Timestamp,
    /// In `0.0..1.0`.
    pub jitter: f64,
    /// How long the step took.
    pub took: Duration,
}

/// The record's next state, the report for the Cabinet if there is something to tell, and the line of its history.
pub fn settle(
    before: &DomainRecord,
    outcome: Outcome,
    facts: &Facts<'_>,
) -> Result<Completion, IllegalTransition> {
    let mut record = DomainRecord {
        updated_at: facts.now,
        ..before.clone()
    };
    let (kind, detail, message) = match outcome {
        Outcome::Moved { event, kind, detail } => {
            record.phase = record.phase.apply(event)?;
            record.attempt = 0;
            record.pending_since = facts.now;
            record.next_attempt_at = due_after_progress(&record.phase, facts.now);
            if !still_explains(record.last_failure.as_ref(), &record.phase) {
                record.last_failure = None;
            }
            if record.phase.is_live() && record.phase.issuance().is_none() {
                record.failed_validations = 0;
                record.order_not_before = Timestamp::EPOCH;
            }
            (kind.to_owned(), detail, None)
        }
        Outcome::Waiting { until, kind } => {
            record.attempt = record.attempt.saturating_sub(1);
            record.next_attempt_at = Some(until.max(facts.now));
            (kind.to_owned(), json!({}), None)
        }
        Outcome::Failed {
            failure,
            then,
            message,
        } => {
            fail(&mut record, &failure, then, facts)?;
            let detail = serde_json::to_value(&failure).unwrap_or_default();
            let kind = failure.code().as_str().to_ascii_lowercase();
            record.last_failure = Some(failure);
            (kind, detail, Some(message))
        }
    };
    let report = report(before, &record, message, facts.policy);
    let event = Some(DomainEvent {
        at: facts.now,
        kind,
        phase: record.phase.name().to_owned(),
        detail,
        duration: Some(facts.took),
    });
    Ok(Completion {
        record,
        report,
        event,
    })
}

/// While a name rests after a failed validation, passing the DNS check again does not make the CA's verdict untrue.
fn still_explains(failure: Option<&Failure>, phase: &Phase) -> bool {
    let before_order = matches!(
        phase.issuance(),
        Some(Issuance::AwaitingDns | Issuance::AwaitingHttpProbe | Issuance::Ordering)
    );
    before_order && failure.is_some_and(|failure| failure.code() == FailureCode::AcmeValidationFailed)
}

fn due_after_progress(phase: &Phase, now: Timestamp) -> Option<Timestamp> {
    match phase {
        Phase::Live {
            next: Next::At(at), ..
        } => Some(*at),
        Phase::Onboarding(_)
        | Phase::Live {
            next: Next::Now(_), ..
        }
        | Phase::Leaving => Some(now),
        Phase::Failed | Phase::Gone => None,
    }
}

fn fail(
    record: &mut DomainRecord,
    failure: &Failure,
    then: Then,
    facts: &Facts<'_>,
) -> Result<(), IllegalTransition> {
    let now = facts.now;
    let backoff = record.phase.lane().map(|lane| {
        facts
            .policy
            .backoff(lane)
            .delay(record.attempt.max(1), facts.jitter)
    });
    let later = now + backoff.unwrap_or(DEPARTED_RECHECK);
    let due = match then {
        Then::Retry => later,
        Then::At(at) => at.max(now),
        Then::RecheckDns => {
            record.phase = record.phase.clone().apply(Event::DnsLost)?;
            later
        }
        Then::NewOrder { rest } => {
            record.phase = record.phase.clone().apply(Event::OrderLost)?;
            if rest {
                record.failed_validations = record.failed_validations.saturating_add(1);
                record.order_not_before =
                    now + backoff::rest_after_failed_validation(record.failed_validations, facts.jitter);
            }
            later.max(record.order_not_before)
        }
        Then::Stop => now + DEPARTED_RECHECK,
    };
    record.next_attempt_at = Some(due);
    let onboarding = matches!(record.phase, Phase::Onboarding(_));
    let waited_out =
        failure.counts_against_domain() && now.since(record.pending_since) >= facts.policy.give_up_after;
    if onboarding && (waited_out || matches!(then, Then::Stop)) {
        record.phase = record.phase.clone().apply(Event::GaveUp)?;
        record.next_attempt_at = None;
    }
    Ok(())
}

/// What the Cabinet is told, if anything changed for it.
fn report(
    before: &DomainRecord,
    after: &DomainRecord,
    message: Option<String>,
    policy: &Policy,
) -> Option<StatusReport> {
    let status = after.phase.status();
    let told_by_failure = message.is_some() || before.last_failure != after.last_failure;
    let renewed = matches!(
        &after.phase,
        Phase::Live {
            next: Next::At(_),
            ..
        }
    ) && before.phase != after.phase;
    if status == before.phase.status() && !told_by_failure && !renewed {
        return None;
    }
    Some(current_report(after, message, policy))
}

/// The report that tells a record as it stands.
pub fn current_report(record: &DomainRecord, message: Option<String>, policy: &Policy) -> StatusReport {
    let edge_addresses = policy.edge_hosts();
    let wanted = WantedRecords {
        hostname: &record.hostname,
        cname_target: &record.cname_target,
        edge_addresses: &edge_addresses,
    };
    StatusReport {
        status: record.phase.status(),
        failure: record.last_failure.clone(),
        message: message.or_else(|| {
            record
                .last_failure
                .as_ref()
                .map(|failure| failure.message(&wanted))
        }),
        next_attempt_at: record.last_failure.as_ref().and(record.next_attempt_at),
        certificate_not_after: match &record.phase {
            Phase::Live { not_after, .. } => Some(*not_after),
            Phase::Onboarding(_) | Phase::Failed | Phase::Leaving | Phase::Gone => None,
        },
    }
}
