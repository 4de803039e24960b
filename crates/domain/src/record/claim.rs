//! The record of a claim that another tenant's proof supersedes.

use serde_json::json;

use super::report::current_report;
use super::{DomainEvent, DomainRecord, RecordWrite, revocation};
use crate::policy::Policy;
use crate::{Event, EventKind, Failure, IllegalTransition, Ownership, Timestamp};

/// The ownership of a record whose removal begins. The hostname of a domain that moved away may
/// have another owner, and the record forgets since when. So its tenant returns with a proof.
pub fn ownership_after_removal(before: &DomainRecord) -> Ownership {
    if before.phase.is_moved_away() {
        Ownership::Open
    } else {
        before.ownership.clone()
    }
}

/// Ends the claim `before`, since the tenant of `winner` proved that the hostname is its own. The
/// edges keep its certificate until the winner's takes its place. A retry begins anew, with a proof
/// of its own.
pub fn superseded(
    before: &DomainRecord,
    winner: &DomainRecord,
    policy: &Policy,
    now: Timestamp,
    replica: &str,
) -> Result<RecordWrite, IllegalTransition> {
    let mut record = DomainRecord {
        phase: before.phase.clone().apply(Event::ClaimLost)?,
        ownership: Ownership::Open,
        next_attempt_at: None,
        last_failure: Some(Failure::NameAlreadyClaimed { proven: true }),
        urgent_from: None,
        updated_at: now,
        ..before.clone()
    };
    revocation::begin(&mut record, before, policy, now);
    let detail = json!({ "winner": winner.id, "from": before.phase.name() });
    let event = DomainEvent::of(&record, EventKind::ClaimSuperseded, detail, replica);
    // The Cabinet knows nothing of the record that takes an old name down.
    let report = (!record.id.is_take_down()).then(|| current_report(&record, None, policy));
    Ok(RecordWrite {
        report,
        event: Some(event),
        ..RecordWrite::of(Some(before), record)
    })
}
