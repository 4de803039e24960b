//! The work record of one custom domain, and the functions that make the next one of it.
//!
//! Only the modules here set a record's fields. A worker reads a record, calls one function of
//! these, and writes what it returns.

pub mod align;
pub mod claim;
pub mod event;
pub mod ledger;
pub mod missing;
pub mod names;
pub mod operator;
pub mod renewal;
pub mod report;
pub mod retry;
#[cfg(test)]
mod retry_tests;
pub mod revocation;
pub mod settle;
#[cfg(test)]
pub(crate) mod test_record;
mod version;
mod waits;

use crate::action::OperatorAction;
use crate::lane::{Lane, LaneInputs};
use crate::limits::Entry;
use crate::renewal::info::RenewalInfo;
use crate::revocation::RevocationWrite;
use crate::webhook::{self, WebhookEvent};
use crate::{DomainId, Failure, Hostname, OrderGate, Ownership, Phase, Timestamp};

pub use event::DomainEvent;
pub use report::StatusReport;
pub use revocation::Revocation;
pub use version::{NoVersion, RecordVersion};
pub use waits::longest_wait;

/// The work record of one custom domain.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainRecord {
    /// The domain, as the Cabinet names it.
    pub id: DomainId,
    /// Whose it is.
    pub tenant_id: String,
    /// The name we check, probe and certify.
    pub hostname: Hostname,
    /// Where its CNAME must point.
    pub cname_target: Hostname,
    /// Where it stands.
    pub phase: Phase,
    /// Attempts since the last progress, this one included (counted when the lease is acquired).
    pub attempt: u32,
    /// The due time; `None`: not before a retry is requested.
    pub next_attempt_at: Option<Timestamp>,
    /// Since when the customer's side is waited for.
    pub pending_since: Timestamp,
    /// Failed validations at the CA in a row.
    pub failed_validations: u32,
    /// Orders since the last deployed certificate that led to none, without a failed validation.
    pub lost_orders: u32,
    /// Whether an order may be placed for the name.
    pub order_gate: OrderGate,
    /// From when on the renewal is urgent; `None` while no certificate is served.
    pub urgent_from: Option<Timestamp>,
    /// The last failure; cleared by progress.
    pub last_failure: Option<Failure>,
    /// The tenant's ownership of the hostname.
    pub ownership: Ownership,
    /// The revocation of its certificates, once it has ended; `None` if there is none to do.
    pub revocation: Option<Revocation>,
    /// The Cabinet's version of the domain, for `If-Match`.
    pub cabinet_version: u64,
    /// Counts writes of this record; guards a write from outside a lease.
    pub revision: i64,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

impl DomainRecord {
    /// The record of a domain that is new: it begins at [`Phase::START`] and is due at once.
    pub const fn new(
        id: DomainId,
        tenant_id: String,
        hostname: Hostname,
        cname_target: Hostname,
        cabinet_version: u64,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant_id,
            hostname,
            cname_target,
            phase: Phase::START,
            attempt: 0,
            next_attempt_at: Some(now),
            pending_since: now,
            failed_validations: 0,
            lost_orders: 0,
            order_gate: OrderGate::Open,
            urgent_from: None,
            last_failure: None,
            ownership: Ownership::Open,
            revocation: None,
            cabinet_version,
            revision: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// The lane in which it waits, as of the moment it is due. The store writes it with the record.
    pub fn lane(&self) -> Option<Lane> {
        let due = self.next_attempt_at.unwrap_or(self.updated_at);
        let inputs = LaneInputs {
            phase: &self.phase,
            attempt: self.attempt,
            failed_validations: self.failed_validations,
            last_failure: self.last_failure.as_ref(),
            urgent_from: self.urgent_from,
            revokes: self.revocation.is_some(),
        };
        inputs.lane(due.max(self.updated_at))
    }

    /// How firmly it holds its hostname.
    pub fn name_hold(&self) -> NameHold {
        match self.phase {
            Phase::Gone => NameHold::Gone,
            Phase::Failed
                if self
                    .last_failure
                    .as_ref()
                    .is_some_and(Failure::leaves_name_free) =>
            {
                NameHold::None
            }
            Phase::Failed => NameHold::Failed,
            Phase::Leaving => NameHold::Leaving,
            Phase::Onboarding(_) | Phase::Expired { .. } => NameHold::Held,
            Phase::Live { .. } => NameHold::Served,
        }
    }

    /// Lifts a pause of the CA: a retry was requested, so the name is taken to be unpaused there.
    pub const fn lift_pause(&mut self) {
        self.order_gate = self.order_gate.lifted();
    }
}

/// How firmly a record holds its hostname, the loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameHold {
    /// It was removed.
    Gone,
    /// Its claim was refused, or it gave the name up when it had moved away for long.
    None,
    /// It failed and may be tried again.
    Failed,
    /// It is being taken down.
    Leaving,
    /// It is worked at.
    Held,
    /// It is served.
    Served,
}

/// A record and everything that is written with it in one transaction.
///
/// Only the functions of this module make one, so they alone decide what becomes of a record.
#[derive(Debug, Clone)]
pub struct RecordWrite {
    record: DomainRecord,
    /// The report to the Cabinet, put into the outbox as the store merges reports.
    pub report: Option<StatusReport>,
    /// The line for the history.
    pub event: Option<DomainEvent>,
    /// The entries in the buckets of the CA's limits. The same transaction also releases the tokens
    /// that the domain holds, once no order is under way or wanted.
    pub ledger: Vec<Entry>,
    /// The renewal information of the served certificate; `None` leaves it as it is. It is deleted
    /// with a record that is leaving.
    pub renewal_info: Option<RenewalInfo>,
    /// The operator's action that the write is. Kept by a write from outside a lease alone.
    pub action: Option<Box<OperatorAction>>,
    /// The events for the receivers of webhooks.
    pub webhooks: Vec<WebhookEvent>,
    /// The requested revocation of a certificate. Kept by a write from outside a lease alone.
    pub revocation: Option<RevocationWrite>,
}

impl RecordWrite {
    /// The record, and the events of its transition. A new record has no `before`.
    fn of(before: Option<&DomainRecord>, record: DomainRecord) -> Self {
        let webhooks = webhook::events(before, &record);
        Self {
            webhooks,
            ..Self::unchecked(record)
        }
    }

    /// Writes any record as it is. For tests and benchmarks of stores; the service never calls it.
    pub const fn unchecked(record: DomainRecord) -> Self {
        Self {
            record,
            report: None,
            event: None,
            ledger: Vec::new(),
            renewal_info: None,
            action: None,
            webhooks: Vec::new(),
            revocation: None,
        }
    }

    /// The new record. `id` and `created_at` never change; the store counts `revision`.
    pub const fn record(&self) -> &DomainRecord {
        &self.record
    }

    /// The new record alone.
    pub fn into_record(self) -> DomainRecord {
        self.record
    }

    /// Adds the report to the Cabinet.
    #[must_use]
    pub fn with_report(mut self, report: StatusReport) -> Self {
        self.report = Some(report);
        self
    }

    /// Adds the line for the history.
    #[must_use]
    pub fn with_event(mut self, event: DomainEvent) -> Self {
        self.event = Some(event);
        self
    }

    /// Adds the events that the transition from `before` makes. For tests of stores.
    #[must_use]
    pub fn with_webhooks_since(mut self, before: &DomainRecord) -> Self {
        self.webhooks = webhook::events(Some(before), &self.record);
        self
    }

    /// Adds entries in the buckets of the CA's limits.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Vec<Entry>) -> Self {
        self.ledger = ledger;
        self
    }

    /// Adds the renewal information of the served certificate.
    #[must_use]
    pub fn with_renewal_info(mut self, renewal_info: RenewalInfo) -> Self {
        self.renewal_info = Some(renewal_info);
        self
    }
}
