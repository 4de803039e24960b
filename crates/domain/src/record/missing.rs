//! The record of a domain that the Cabinet does not know.

use serde_json::json;

use super::{DomainEvent, DomainRecord, RecordWrite, claim};
use crate::{Event, EventKind, IllegalTransition, Timestamp};

/// Notes that the Cabinet does not know the domain. Nothing else changes.
pub fn noted(before: &DomainRecord, now: Timestamp, replica: &str) -> RecordWrite {
    let record = DomainRecord {
        updated_at: now,
        ..before.clone()
    };
    let event = DomainEvent::of(&record, EventKind::CabinetMissing, json!({}), replica);
    RecordWrite {
        event: Some(event),
        ..RecordWrite::of(Some(before), record)
    }
}

/// Takes a domain down that the Cabinet has not known since `missing_since` or longer.
pub fn take_down(
    before: &DomainRecord,
    missing_since: Timestamp,
    now: Timestamp,
    replica: &str,
) -> Result<RecordWrite, IllegalTransition> {
    let record = DomainRecord {
        phase: before.phase.clone().apply(Event::RemovalRequested)?,
        ownership: claim::ownership_after_removal(before),
        attempt: 0,
        next_attempt_at: Some(now),
        revocation: None,
        updated_at: now,
        ..before.clone()
    };
    let detail = json!({ "missingSinceAtLeast": missing_since });
    let event = DomainEvent::of(&record, EventKind::RemovalMissing, detail, replica);
    Ok(RecordWrite {
        event: Some(event),
        ..RecordWrite::of(Some(before), record)
    })
}
