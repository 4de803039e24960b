//! The lines of a domain's history.

use std::time::Duration;

use super::DomainRecord;
use crate::{EventKind, FailureCode, Timestamp};

/// One line of a domain's history.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainEvent {
    /// When.
    pub at: Timestamp,
    /// The kind of the line.
    pub kind: EventKind,
    /// The phase's name after it.
    pub phase: String,
    /// Evidence as JSON; never a key.
    pub detail: serde_json::Value,
    /// How long the step took.
    pub duration: Option<Duration>,
    /// The process that did it, or that an operator used; empty where the store did it by itself.
    pub replica: String,
}

impl DomainEvent {
    /// The line about a record that was just changed, at the moment of the change.
    pub fn of(
        record: &DomainRecord,
        kind: EventKind,
        detail: serde_json::Value,
        replica: &str,
    ) -> Self {
        Self {
            at: record.updated_at,
            kind,
            phase: record.phase.name().to_owned(),
            detail,
            duration: None,
            replica: replica.to_owned(),
        }
    }

    /// Whether it replaces a line of the same kind that is the newest of the domain. Rechecks that
    /// change nothing must not push out the lines that explain a fault.
    pub fn replaces_its_like(&self) -> bool {
        matches!(
            self.kind,
            EventKind::DnsConfirmed
                | EventKind::RecheckInconclusive
                | EventKind::Failed(FailureCode::IssuancePaused)
        )
    }
}
