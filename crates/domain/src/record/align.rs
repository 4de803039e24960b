//! The record after what the Cabinet says of its domain.

mod change;

use serde_json::json;

use super::names::{CabinetDomain, Names};
use super::report::current_report;
use super::retry::{self, ATTEMPTS_KEPT};
use super::{DomainEvent, DomainRecord, RecordWrite};
use crate::ownership::Basis;
use crate::policy::Policy;
use crate::{EventKind, Hostname, OrderGate, Ownership, Phase, Status, Timestamp};

pub use change::change;

/// The input of the functions here besides record and Cabinet.
#[derive(Debug, Clone, Copy)]
pub struct AlignContext<'a> {
    /// The operator's numbers.
    pub policy: &'a Policy,
    /// The process that decides.
    pub replica: &'a str,
    /// The present moment.
    pub now: Timestamp,
    /// The reason of the comparison.
    pub occasion: Occasion,
    /// The time of the last request for a check, if that was lately.
    pub last_retry: Option<Timestamp>,
    /// Whether another tenant claims the hostname, or had it until recently.
    pub is_contested: bool,
}

impl AlignContext<'_> {
    /// Whether the record begins a run for a hostname that another tenant claims, or had until
    /// recently.
    pub fn begins_contest(&self, after: &DomainRecord, names: &Names) -> bool {
        self.is_contested && after.phase == Phase::START && after.hostname == names.hostname
    }

    /// Whether a retry now comes too soon after the last one.
    fn retry_is_too_soon(&self) -> bool {
        retry::possible_at(self.last_retry, self.now).is_some()
    }
}

/// Why record and Cabinet are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// The Cabinet says that something is new. It may be older than what we know.
    News,
    /// Every difference is a mistake, and is mended.
    Resync,
}

/// Whether news of a domain says nothing that is new. A removal is always carried out.
pub fn is_known(record: &DomainRecord, domain: &CabinetDomain) -> bool {
    domain.version <= record.cabinet_version && domain.status != Some(Status::PendingRemoval)
}

/// A domain that we have no record of.
pub fn arrival(
    context: &AlignContext<'_>,
    domain: &CabinetDomain,
    names: &Names,
) -> Option<RecordWrite> {
    let phase = match domain.status {
        Some(Status::PendingDns | Status::PendingHttpProbe | Status::Issuing) => Phase::START,
        Some(Status::PendingRemoval) => Phase::Leaving,
        // We have lost it, with its certificate.
        Some(Status::Active) if context.occasion == Occasion::Resync => Phase::START,
        Some(Status::Active | Status::Failed | Status::Removed) | None => return None,
    };
    let record = DomainRecord {
        phase,
        ..DomainRecord::new(
            domain.id,
            domain.tenant_id.clone(),
            names.hostname.clone(),
            target_of(domain, names),
            domain.version,
            context.now,
        )
    };
    let kind = EventKind::DomainTakenIn;
    Some(started(context, None, record, domain, names, kind))
}

/// The record that starts, or that cannot because its name or target is refused.
fn started(
    context: &AlignContext<'_>,
    before: Option<&DomainRecord>,
    mut record: DomainRecord,
    domain: &CabinetDomain,
    names: &Names,
    kind: EventKind,
) -> RecordWrite {
    let mut detail = json!({
        "cabinetVersion": domain.version,
        "cabinetStatus": domain.status,
        "canonicalHost": domain.canonical_host.shown(),
        "cnameTarget": domain.cname_target.shown(),
    });
    let refusal = names
        .refusal
        .as_ref()
        .filter(|_| record.phase != Phase::Leaving);
    let Some(failure) = refusal else {
        let mut kind = kind;
        if context.begins_contest(&record, names) {
            detail["contestedAfter"] = json!(kind);
            // The pause between requests for a check is counted from their lines.
            if !retry::is_request(kind) {
                kind = EventKind::ClaimContested;
            }
        }
        let event = DomainEvent::of(&record, kind, detail, context.replica);
        return RecordWrite {
            event: Some(event),
            ..RecordWrite::of(before, record)
        };
    };
    record.phase = Phase::Failed;
    record.next_attempt_at = None;
    record.last_failure = Some(failure.clone());
    detail["failure"] = json!(failure);
    let event = DomainEvent::of(&record, EventKind::NameRefused, detail, context.replica);
    RecordWrite {
        report: Some(current_report(&record, None, context.policy)),
        event: Some(event),
        ..RecordWrite::of(before, record)
    }
}

/// The target to write into a record that starts. A refused one is kept only in the refusal.
fn target_of(domain: &CabinetDomain, names: &Names) -> Hostname {
    names
        .target
        .clone()
        .unwrap_or_else(|| Hostname::stand_in(domain.id))
}

/// Copies failed validations, lost orders and the pause before the next order from the record that
/// held the name under another id.
pub fn after_predecessor(
    mut arrival: RecordWrite,
    predecessor: Option<&DomainRecord>,
) -> RecordWrite {
    if let Some(predecessor) = predecessor {
        let record = &mut arrival.record;
        record.failed_validations = predecessor.failed_validations;
        record.lost_orders = predecessor.lost_orders;
        // A pause of the CA belongs to the record whose retry lifts it; a new one begins without.
        record.order_gate = predecessor.order_gate.lifted();
    }
    arrival
}

/// The record that begins from the start, with the Cabinet's name and target.
fn begun(
    context: &AlignContext<'_>,
    record: &DomainRecord,
    domain: &CabinetDomain,
    names: &Names,
    kind: EventKind,
) -> RecordWrite {
    let mut after = DomainRecord {
        updated_at: context.now,
        cabinet_version: version_after(context, record, domain),
        phase: Phase::START,
        hostname: names.hostname.clone(),
        cname_target: target_of(domain, names),
        ownership: kept_ownership(context, record),
        ..record.clone()
    };
    // A retry must not lift the pause after failed validations of the same name.
    if names.hostname == record.hostname {
        restart(&mut after, context.now);
        if record.phase == Phase::Failed {
            after.attempt = record.attempt.min(ATTEMPTS_KEPT);
        }
    } else {
        begin_anew(&mut after, context.now);
    }
    let mut write = started(context, Some(record), after, domain, names, kind);
    let report = current_report(&write.record, None, context.policy);
    write.report.get_or_insert(report);
    write
}

/// The ownership of a record that begins anew. During the quarantine, its tenant returns without a
/// proof if nobody else has the hostname by then. An old proof proves nothing any more.
fn kept_ownership(context: &AlignContext<'_>, record: &DomainRecord) -> Ownership {
    let is_late = context.now.since(record.updated_at) >= context.policy.quarantine;
    match record.ownership.clone() {
        Ownership::Held { since, value, .. } if !is_late => Ownership::Held {
            basis: Basis::Uncontested,
            since,
            value,
        },
        // The customer may have published the value that the failure named.
        required @ Ownership::Required { .. } if record.phase == Phase::Failed => required,
        Ownership::Open | Ownership::Required { .. } | Ownership::Held { .. } => Ownership::Open,
    }
}

/// The Cabinet's version that the record is to have.
fn version_after(context: &AlignContext<'_>, record: &DomainRecord, domain: &CabinetDomain) -> u64 {
    match context.occasion {
        // The Cabinet's version was read after ours: one that is older is the Cabinet's own, as
        // after a restore.
        Occasion::Resync => domain.version,
        Occasion::News => record.cabinet_version.max(domain.version),
    }
}

/// The record that takes down the name which a domain had until now; `None` where no edge can have
/// heard of it.
pub fn take_down_of(context: &AlignContext<'_>, before: &DomainRecord) -> Option<RecordWrite> {
    match before.phase {
        Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. } => {}
        Phase::Failed | Phase::Leaving | Phase::Gone => return None,
    }
    let mut record = DomainRecord {
        id: before
            .id
            .take_down(&before.hostname, before.cabinet_version),
        phase: Phase::Leaving,
        revision: 0,
        created_at: context.now,
        updated_at: context.now,
        ..before.clone()
    };
    begin_anew(&mut record, context.now);
    let detail = json!({ "domain": before.id });
    let event = DomainEvent::of(&record, EventKind::NameLeft, detail, context.replica);
    Some(RecordWrite {
        event: Some(event),
        ..RecordWrite::of(None, record)
    })
}

/// Everything that was learnt about the name that the record has had is forgotten.
fn begin_anew(record: &mut DomainRecord, now: Timestamp) {
    restart(record, now);
    record.ownership = Ownership::Open;
    record.failed_validations = 0;
    record.lost_orders = 0;
    record.order_gate = OrderGate::Open;
    record.urgent_from = None;
}

fn restart(record: &mut DomainRecord, now: Timestamp) {
    record.lift_pause();
    record.attempt = 0;
    record.next_attempt_at = Some(now);
    record.pending_since = now;
    record.last_failure = None;
    record.revocation = None;
}

#[cfg(test)]
#[path = "align_tests.rs"]
mod tests;
