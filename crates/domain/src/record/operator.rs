//! The record after an operator's request, or after the end of an outage or a limit.

use serde_json::{Value, json};

use super::retry::{ATTEMPTS_KEPT, possible_at};
use super::{DomainEvent, DomainRecord, RecordWrite};
use crate::action::{ActionKind, ActionScope, OperatorAction};
use crate::limits::LimitKind;
use crate::phase::Next;
use crate::revocation::{RequestedRevocation, RevocationReason, RevocationWrite};
use crate::{CertificateId, Event, EventKind, Phase, Timestamp, bounds};

/// Why a request cannot be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Only a live domain can be renewed.
    NotLive,
    /// Nothing waits that could be made due; the text says what to do instead.
    NotWaiting(&'static str),
    /// No certificate can be revoked; the text says why.
    NotRevocable(&'static str),
    /// A check was requested a moment ago, and may be requested again from this time.
    TooSoon(Timestamp),
}

/// The author of a request, for the history and the record of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requester<'a> {
    /// The process or person, as the history names it.
    pub who: &'a str,
    /// The reason that was given.
    pub reason: Option<&'a str>,
    /// The way by which the request came.
    pub via: Via<'a>,
}

/// The way by which a request of an operator came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via<'a> {
    /// A command on a machine that can open the store.
    CommandLine,
    /// A call of the admin API.
    AdminApi {
        /// The role of the caller's token.
        role: &'a str,
    },
}

impl<'a> From<&'a str> for Requester<'a> {
    fn from(who: &'a str) -> Self {
        Self {
            who,
            reason: None,
            via: Via::CommandLine,
        }
    }
}

/// Begins the renewal of a live domain at `now`, whatever its stored moment. The present
/// certificate is served meanwhile.
pub fn renew<'a>(
    before: &DomainRecord,
    now: Timestamp,
    by: impl Into<Requester<'a>>,
) -> Result<RecordWrite, Refused> {
    if !before.phase.is_live() {
        return Err(Refused::NotLive);
    }
    let mut record = before.clone();
    // A renewal that is under way continues.
    if let Ok(phase) = before.phase.clone().apply(Event::RenewalDue) {
        record.phase = phase;
    }
    let kinds = (EventKind::RenewalRequested, ActionKind::DomainRenew);
    Ok(anew(before, record, now, kinds, by.into()))
}

/// A certificate of a domain, for a request to revoke it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocable {
    /// The certificate.
    pub id: CertificateId,
    /// Its serial number.
    pub serial: String,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// The revocation that was requested before; `None` without one.
    pub requested: Option<RequestedRevocation>,
}

impl Revocable {
    /// Whether a request for this reason changes anything.
    pub fn takes(&self, reason: RevocationReason, now: Timestamp) -> bool {
        let is_new = |requested: RequestedRevocation| requested.again(reason, now).is_some();
        self.not_after > now && self.requested.is_none_or(is_new)
    }
}

/// Requests the revocation of a certificate. If the domain serves it, its urgent renewal begins at
/// `now`, and the certificate is served until it is replaced.
pub fn revoke<'a>(
    before: &DomainRecord,
    certificate: &Revocable,
    reason: RevocationReason,
    now: Timestamp,
    by: impl Into<Requester<'a>>,
) -> Result<RecordWrite, Refused> {
    if certificate.not_after <= now {
        return Err(Refused::NotRevocable("its certificate has ended"));
    }
    let revocation = match certificate.requested {
        None => RequestedRevocation::new(reason, now),
        Some(requested) => requested.again(reason, now).ok_or(Refused::NotRevocable(
            "the revocation of its certificate was requested already",
        ))?,
    };
    let mut record = DomainRecord {
        updated_at: now,
        ..before.clone()
    };
    if before.phase.serving() == Some(certificate.id) {
        // A renewal that is under way continues, with its own new key.
        if let Ok(phase) = before.phase.clone().apply(Event::RenewalDue) {
            record.phase = phase;
        }
        record.urgent_from = Some(now);
        record.next_attempt_at = Some(now);
        record.attempt = 0;
        record.order_gate = record.order_gate.lifted();
    }
    let by = by.into();
    let serial = &certificate.serial;
    let mut detail = json!({ "serial": serial, "revocationReason": reason });
    if let Some(text) = by.reason {
        detail["reason"] = text.into();
    }
    let (at, kind) = (now, ActionKind::DomainRevoke);
    let host = record.hostname.as_str();
    let old = format!("{}, certificate {serial}", state(before));
    let new = format!("{}, revoked for {}", state(&record), reason.as_str());
    let action = OperatorAction::new(by, at, kind, ActionScope::Domain, host)
        .changing(&old, &new)
        .of_many(1);
    Ok(RecordWrite {
        action: Some(Box::new(action)),
        revocation: Some(RevocationWrite {
            certificate: certificate.id,
            revocation,
            due_at: Some(now),
            claim: None,
            erases_key: false,
        }),
        ..noted(
            before,
            record,
            EventKind::RevocationRequested,
            detail,
            by.who,
        )
    })
}

/// Notes a step of a requested revocation. The record stays as it is.
pub fn revocation_noted(
    before: &DomainRecord,
    write: RevocationWrite,
    line: Option<(EventKind, Value)>,
    now: Timestamp,
    who: &str,
) -> RecordWrite {
    let record = DomainRecord {
        updated_at: now,
        ..before.clone()
    };
    let event = line.map(|(kind, detail)| {
        let event = DomainEvent::of(&record, kind, detail, who);
        bounds::event(&event).into_owned()
    });
    RecordWrite {
        event,
        revocation: Some(write),
        ..RecordWrite::of(Some(before), record)
    }
}

/// Makes the check of a live domain due at `now`: whether its DNS and CAA records are still right.
/// `last` is the time of the last request for a check, if that was lately.
pub fn recheck<'a>(
    before: &DomainRecord,
    now: Timestamp,
    by: impl Into<Requester<'a>>,
    last: Option<Timestamp>,
) -> Result<RecordWrite, Refused> {
    match &before.phase {
        Phase::Live {
            next: Next::At(_), ..
        } => {}
        Phase::Live { .. } => {
            return Err(Refused::NotWaiting(
                "its renewal is under way and checks its DNS; a retry makes the next step due",
            ));
        }
        _ => return Err(Refused::NotLive),
    }
    refuse_too_soon(last, now)?;
    // A recheck resets neither attempts nor the order gate.
    let record = DomainRecord {
        next_attempt_at: Some(now),
        updated_at: now,
        ..before.clone()
    };
    let kinds = (EventKind::RecheckRequested, ActionKind::DomainRecheck);
    Ok(recorded(before, record, kinds, by.into()))
}

/// Makes a domain's next step due at `now`, in every state; one that failed starts over. Who has
/// the name is decided by its DNS check. `last` is the time of the last request for a check, if
/// that was lately.
pub fn retry<'a>(
    before: &DomainRecord,
    now: Timestamp,
    by: impl Into<Requester<'a>>,
    last: Option<Timestamp>,
) -> Result<RecordWrite, Refused> {
    let mut record = before.clone();
    match &before.phase {
        Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. } | Phase::Leaving => {}
        Phase::Failed => {
            record.phase = Phase::START;
            record.ownership = before.ownership.clone().without_proof();
            record.pending_since = now;
            record.revocation = None;
        }
        Phase::Gone => return Err(Refused::NotWaiting("it was removed")),
    }
    refuse_too_soon(last, now)?;
    let kinds = (EventKind::RetryByOperator, ActionKind::DomainRetry);
    let mut write = anew(before, record, now, kinds, by.into());
    // As after a customer's retry: many retries must not bring back the first, short pauses.
    if matches!(before.phase, Phase::Onboarding(_) | Phase::Failed) {
        write.record.attempt = before.attempt.min(ATTEMPTS_KEPT);
    }
    Ok(write)
}

/// Refuses a request that comes too soon after the one at `last`. Its run serves both.
fn refuse_too_soon(last: Option<Timestamp>, now: Timestamp) -> Result<(), Refused> {
    possible_at(last, now).map_or(Ok(()), |again_at| Err(Refused::TooSoon(again_at)))
}

/// Makes a record due at `now` that waited for a limit which an operator lifted.
pub fn limit_lifted(
    before: &DomainRecord,
    kind: LimitKind,
    now: Timestamp,
    who: &str,
) -> RecordWrite {
    let record = DomainRecord {
        next_attempt_at: Some(now),
        updated_at: now,
        ..before.clone()
    };
    let detail = json!({ "limit": kind.as_str() });
    noted(before, record, EventKind::LimitLifted, detail, who)
}

/// Makes a record due at `now` whose order waited for the end of a pause of issuance.
pub fn pause_ended(before: &DomainRecord, now: Timestamp, who: &str) -> RecordWrite {
    let record = DomainRecord {
        next_attempt_at: Some(now),
        updated_at: now,
        ..before.clone()
    };
    noted(before, record, EventKind::IssuanceResumed, json!({}), who)
}

/// Makes a record due at `due` that waited for the end of an outage; `None` if it is due by then.
/// A pause before the next order is kept.
pub fn outage_ended(before: &DomainRecord, due: Timestamp, now: Timestamp) -> Option<RecordWrite> {
    let is_sooner = before.next_attempt_at.is_some_and(|at| at > due);
    is_sooner.then(|| {
        let record = DomainRecord {
            next_attempt_at: Some(before.order_gate.not_before(due)),
            updated_at: now,
            ..before.clone()
        };
        RecordWrite::of(Some(before), record)
    })
}

/// The record with its next step due at `now`, as if it had not been attempted.
fn anew(
    before: &DomainRecord,
    mut record: DomainRecord,
    now: Timestamp,
    kinds: (EventKind, ActionKind),
    by: Requester<'_>,
) -> RecordWrite {
    record.next_attempt_at = Some(now);
    record.attempt = 0;
    record.order_gate = record.order_gate.lifted();
    record.updated_at = now;
    recorded(before, record, kinds, by)
}

/// Adds the line of the history, and the action.
fn recorded(
    before: &DomainRecord,
    record: DomainRecord,
    (event, action): (EventKind, ActionKind),
    by: Requester<'_>,
) -> RecordWrite {
    let detail = by
        .reason
        .map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    let host = record.hostname.as_str();
    let action = OperatorAction::new(by, record.updated_at, action, ActionScope::Domain, host)
        .changing(&state(before), &state(&record))
        .of_many(1);
    RecordWrite {
        action: Some(Box::new(action)),
        ..noted(before, record, event, detail, by.who)
    }
}

/// The state of a record in a few words.
fn state(record: &DomainRecord) -> String {
    let due = record.next_attempt_at;
    let due = due.map_or_else(|| "waits".to_owned(), |at| format!("due {at}"));
    format!("{}, {due}", record.phase.name())
}

fn noted(
    before: &DomainRecord,
    record: DomainRecord,
    kind: EventKind,
    detail: Value,
    who: &str,
) -> RecordWrite {
    let event = DomainEvent::of(&record, kind, detail, who);
    RecordWrite {
        event: Some(event),
        ..RecordWrite::of(Some(before), record)
    }
}
