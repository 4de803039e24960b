//! The revocation of the certificates of a domain that ended (RFC 8555 §7.6).
//!
//! It begins once the record is `Gone`, or `Failed` without its name, so it delays neither. The
//! store keeps it with the record until the CA has carried it out or it is given up.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::settle::{SettleContext, event, with_evidence};
use super::{DomainRecord, NameHold, RecordWrite};
use crate::outcome::{Findings, Outcome, RevocationStep, Then};
use crate::policy::Policy;
use crate::{Event, EventKind, IllegalTransition, Timestamp, bounds};

/// Requests that the CA refuses, after which a revocation is given up.
const MAX_TRIES: u32 = 8;

/// The revocation of a record's certificates that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// Requests that the CA refused.
    #[serde(default)]
    tries: u32,
    /// The generation below which certificates are left to revoke; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left_below: Option<u64>,
    /// The record's next attempt without the revocation; `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    then: Option<Timestamp>,
}

impl Revocation {
    /// The record's next attempt without the revocation; `None` if it has none.
    pub const fn then(&self) -> Option<Timestamp> {
        self.then
    }

    /// Whether a certificate of this generation is left to revoke.
    pub fn is_left(&self, generation: u64) -> bool {
        self.left_below.is_none_or(|below| generation < below)
    }

    /// Whether its time is over, since another step of the record is due.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.then.is_some_and(|then| then <= now)
    }
}

/// A certificate of a domain that ended.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// The end of its validity.
    pub not_after: Timestamp,
    /// Whether a record serves it.
    pub is_served: bool,
    /// Whether an edge may still present it.
    pub may_be_presented: bool,
    /// Whether the CA in use issued it.
    pub is_of_our_ca: bool,
}

/// The decision on a [`Candidate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be revoked now.
    Revoke,
    /// An edge may present it, so that it is too early.
    TooEarly,
    /// Another CA issued it, for which this process has no account.
    OfAnotherCa,
    /// It stays as it is: it has ended, or is served.
    Stays,
}

impl Candidate {
    /// Decides whether the certificate is revoked.
    pub fn judge(&self, now: Timestamp) -> Verdict {
        if self.not_after <= now || self.is_served {
            Verdict::Stays
        } else if !self.is_of_our_ca {
            Verdict::OfAnotherCa
        } else if self.may_be_presented {
            Verdict::TooEarly
        } else {
            Verdict::Revoke
        }
    }
}

/// Begins the revocation if the operator wants it and the write ends the domain.
pub(super) fn begin(
    record: &mut DomainRecord,
    before: &DomainRecord,
    policy: &Policy,
    now: Timestamp,
) {
    let has_ended = before.name_hold() > NameHold::None && record.name_hold() <= NameHold::None;
    // The certificates of a take-down's name belong to the record whose name changed.
    if !policy.revoke_ended || !has_ended || record.id.is_take_down() {
        return;
    }
    record.revocation = Some(Revocation {
        tries: 0,
        left_below: None,
        then: record.next_attempt_at,
    });
    record.next_attempt_at = Some(now);
    record.attempt = 0;
}

/// The record after a step of its revocation. Its phase, failure and status stay.
pub(super) fn settle(
    before: &DomainRecord,
    revocation: Revocation,
    outcome: Outcome,
    findings: Findings,
    context: &SettleContext<'_>,
) -> Result<RecordWrite, IllegalTransition> {
    let mut record = DomainRecord {
        updated_at: context.now,
        ..before.clone()
    };
    let line = match outcome {
        Outcome::Revocation(step) => advance(&mut record, revocation, step, context),
        // A fault of our machine, or our own pacing: nothing was sent.
        Outcome::Waiting { until, kind } => {
            record.next_attempt_at = Some(until.max(context.now));
            Some((kind, json!({ "until": record.next_attempt_at })))
        }
        // A local fault, or a CA that is unavailable or limits us: no refusal of this request,
        // so no try.
        Outcome::Failed { failure, then } => {
            let due = match then {
                Then::At(at) => at.max(context.now),
                _ => later(&record, context),
            };
            record.next_attempt_at = Some(due);
            let failure = bounds::failure(&failure).into_owned();
            let detail = serde_json::to_value(&failure).unwrap_or_default();
            Some((EventKind::Failed(failure.code()), detail))
        }
        Outcome::Moved { event, .. } => return Err(illegal(before, &event)),
        Outcome::Confirmed { .. } => return Err(illegal(before, &Event::DnsConfirmed)),
    };
    // A revocation does not delay the end of the quarantine.
    if let Some(then) = record.revocation.and_then(|left| left.then) {
        record.next_attempt_at = record.next_attempt_at.map(|at| at.min(then));
    }
    let line = line.map(|(kind, detail)| {
        let line = event(
            &record,
            kind,
            with_evidence(detail, findings.evidence),
            context,
        );
        bounds::event(&line).into_owned()
    });
    Ok(RecordWrite {
        event: line,
        ledger: context.limits.entries(before, &findings.order_effects),
        ..RecordWrite::of(Some(before), record)
    })
}

/// Sets what follows a step; returns the line of history, if there is something to say.
fn advance(
    record: &mut DomainRecord,
    revocation: Revocation,
    step: RevocationStep,
    context: &SettleContext<'_>,
) -> Option<(EventKind, Value)> {
    match step {
        RevocationStep::Done {
            revoked,
            of_another_ca,
            left_below,
        } => {
            if left_below.is_some() {
                record.revocation = Some(Revocation {
                    left_below,
                    ..revocation
                });
                record.next_attempt_at = Some(context.now);
                record.attempt = 0;
            } else {
                end(record, revocation);
            }
            let kind = match (&revoked, of_another_ca.is_empty()) {
                (Some(_), _) => EventKind::CertificateRevoked,
                (None, false) => EventKind::RevocationGivenUp,
                (None, true) => return None,
            };
            let serials = Vec::from_iter(revoked);
            let detail = json!({ "serials": serials, "ofAnotherCa": of_another_ca });
            Some((kind, detail))
        }
        RevocationStep::TooEarly => {
            record.next_attempt_at = Some(later(record, context));
            None
        }
        RevocationStep::Refused { detail } => {
            let tries = revocation.tries.saturating_add(1);
            let detail = json!({ "error": detail, "tries": tries });
            if tries >= MAX_TRIES {
                end(record, revocation);
                return Some((EventKind::RevocationGivenUp, detail));
            }
            record.revocation = Some(Revocation {
                tries,
                ..revocation
            });
            let delay = (context.policy.issuance.backoff()).delay(tries, context.jitter);
            record.next_attempt_at = Some(context.now + delay);
            Some((EventKind::RevocationFailed, detail))
        }
    }
}

fn end(record: &mut DomainRecord, revocation: Revocation) {
    record.revocation = None;
    record.next_attempt_at = revocation.then;
}

/// The next step while an edge may present a certificate, or after a fault that is no try.
fn later(record: &DomainRecord, context: &SettleContext<'_>) -> Timestamp {
    let backoff = context.policy.removal.backoff();
    context.now + backoff.delay(record.attempt.max(1), context.jitter)
}

/// The error of an outcome that does not fit the record.
pub(super) fn illegal(record: &DomainRecord, event: &dyn fmt::Debug) -> IllegalTransition {
    IllegalTransition {
        phase: record.phase.name(),
        event: format!("{event:?}"),
    }
}

#[cfg(test)]
#[path = "revocation_tests.rs"]
mod tests;
