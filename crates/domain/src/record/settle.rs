//! Turns a step's outcome into the record's next state: a pure function of record, outcome, time
//! and jitter.

mod failed;

use std::time::Duration;

use serde_json::{Map, Value, json};

use self::failed::fail;
use super::ledger::OrderLimits;
use super::report::report;
use super::waits::{by_the_certificates_end, due_after_progress, in_time};
use super::{DomainEvent, DomainRecord, RecordWrite, revocation};
use crate::outcome::{Findings, Outcome};
use crate::policy::Policy;
use crate::renewal::info::RenewalInfo;
use crate::sentence::{Instruction, sentence};
use crate::{
    Event, EventKind, Failure, FailureCode, IllegalTransition, Issuance, OrderGate, Phase,
    Timestamp, bounds, renewal, webhook,
};

/// The input of settling besides record and outcome.
#[derive(Debug, Clone)]
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
    /// The limits of the CA.
    pub limits: OrderLimits<'a>,
    /// The name for which the CA accepts CAA records (RFC 8659 §4.2); `None` if it does not say.
    pub caa_identity: Option<String>,
}

/// The record's next state, the report for the Cabinet if there is something to report, and the
/// line of its history.
pub fn settle(
    before: &DomainRecord,
    outcome: Outcome,
    findings: Findings,
    context: &SettleContext<'_>,
) -> Result<RecordWrite, IllegalTransition> {
    match before.revocation {
        Some(pending) => revocation::settle(before, pending, outcome, findings, context),
        None => settle_phase(before, outcome, findings, context),
    }
}

/// Notes that DNS points at the platform as before.
fn confirm(mut record: DomainRecord, until: Timestamp) -> Result<DomainRecord, IllegalTransition> {
    record.phase = record.phase.apply(Event::DnsConfirmed)?;
    record.attempt = 0;
    record.next_attempt_at = Some(until);
    // DNS says nothing about a name that the Cabinet wants in this one's place.
    record
        .last_failure
        .take_if(|failure| !failure.refuses_name_or_target());
    Ok(record)
}

fn settle_phase(
    before: &DomainRecord,
    outcome: Outcome,
    mut findings: Findings,
    context: &SettleContext<'_>,
) -> Result<RecordWrite, IllegalTransition> {
    let mut record = DomainRecord {
        updated_at: context.now,
        pending_since: pending_since(before, context.now),
        ownership: (findings.ownership.take()).unwrap_or_else(|| before.ownership.clone()),
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
                record.ownership = record.ownership.served(context.now);
                record.urgent_from = Some(renewal::urgent_from(*not_before, *not_after, *renew_at));
            }
            let is_as_before = is_as_before(&event, before);
            let due_now = goes_on_with_its_checks(&event, before).then_some(context.now);
            let is_unconfirmed = matches!(event, Event::ValidationUnconfirmed);
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
            record.attempt = if is_as_before {
                before.attempt.saturating_sub(1)
            } else {
                0
            };
            // Passing DNS again after a failed validation is no progress towards a certificate: the
            // CA must be satisfied.
            if record.failed_validations == 0 {
                record.pending_since = context.now;
            }
            // The CA counts it, and the next failed validation is taken for the customer's.
            if is_unconfirmed {
                record.failed_validations = record.failed_validations.saturating_add(1);
            }
            record.next_attempt_at = due_now.or_else(|| due_after_progress(&record.phase, context));
            let explains = still_explains(&record);
            if !is_as_before && !explains {
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
            record = confirm(record, until)?;
            (EventKind::DnsConfirmed, json!({}), None)
        }
        Outcome::Waiting { until, kind } => {
            record.attempt = record.attempt.saturating_sub(1);
            let due = in_time(&record.phase, None, until.max(context.now), context.now);
            record.next_attempt_at = Some(due);
            (kind, json!({ "until": due }), None)
        }
        Outcome::Revocation(step) => return Err(revocation::illegal(before, &step)),
        Outcome::Failed { failure, then } => {
            let failure = bounds::failure(&failure).into_owned();
            let instruction = instruction(&mut findings, context);
            let failure = fail(&mut record, failure, then, context)?;
            let message = sentence(&failure, &record, &instruction);
            instruction.note(&failure, context.policy, &mut findings.evidence);
            let detail = serde_json::to_value(&failure).unwrap_or_default();
            let kind = EventKind::Failed(failure.code());
            record.last_failure = Some(failure);
            (kind, detail, Some(message))
        }
    };
    record.next_attempt_at = by_the_certificates_end(&record, context.now);
    revocation::begin(&mut record, before, context.policy, context.now);
    let info = first_renewal_info(before, &record, context);
    let report = report(before, &record, message, context.policy);
    let is_stored = kind == EventKind::CertificateStored;
    let issued = is_stored.then(|| webhook::issued(&record, &detail));
    let detail = with_evidence(detail, findings.evidence);
    let event = event(&record, kind, detail, context);
    let mut write = RecordWrite {
        report,
        event: Some(bounds::event(&event).into_owned()),
        ledger: context.limits.entries(before, &findings.order_effects),
        renewal_info: info,
        ..RecordWrite::of(Some(before), record)
    };
    write.webhooks.extend(issued);
    Ok(write)
}

/// Whether an event is no progress of the domain.
const fn is_as_before(event: &Event, before: &DomainRecord) -> bool {
    match event {
        // A due renewal does not bring a name back that moved away; only a DNS check does.
        Event::RenewalDue => before.phase.is_moved_away(),
        Event::RenewalMoved(_) | Event::CertificateEnded => true,
        _ => false,
    }
}

/// Whether a domain that moved away waits for its renewal again. Its checks, which are frequent, go
/// on.
const fn goes_on_with_its_checks(event: &Event, before: &DomainRecord) -> bool {
    matches!(event, Event::RenewalMoved(_)) && before.phase.is_moved_away()
}

/// Since when the customer's side is waited for. The time that passed since a failure of others,
/// such as a pause of issuance or an outage of the CA, is not the customer's.
fn pending_since(before: &DomainRecord, now: Timestamp) -> Timestamp {
    match &before.last_failure {
        Some(failure) if !failure.counts_against_domain() => {
            before.pending_since + now.since(before.updated_at)
        }
        Some(_) | None => before.pending_since,
    }
}

/// The values that the customer's instruction needs besides the record.
fn instruction(findings: &mut Findings, context: &SettleContext<'_>) -> Instruction {
    let (policy, addresses) = (context.policy, findings.edge_addresses.take());
    Instruction {
        dns_provider: findings.dns_provider,
        ..Instruction::new(policy, addresses, context.caa_identity.clone())
    }
}

pub(super) fn event(
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

/// Returns the detail with the evidence beside it. No field of the detail is replaced.
pub(super) fn with_evidence(mut detail: Value, evidence: Map<String, Value>) -> Value {
    if let Value::Object(fields) = &mut detail {
        for (name, value) in evidence {
            fields.entry(name).or_insert(value);
        }
    }
    detail
}

/// While a name is paused after a failed validation, passing the DNS check again does not make the
/// CA's verdict untrue. Until a domain without a certificate is served again, what took it away
/// says why it is `Failed`. The cause of lost orders is not over before a certificate is stored.
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

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
