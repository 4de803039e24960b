//! The change that the Cabinet's view means for a record that exists.

use serde_json::json;

use super::{AlignContext, Occasion, begun, restart, version_after};
use crate::phase::Next;
use crate::record::names::{CabinetDomain, Names, is_refusal_over, keeps_what_it_has};
use crate::record::report::current_report;
use crate::record::retry::ATTEMPTS_KEPT;
use crate::record::{DomainEvent, DomainRecord, RecordWrite, claim};
use crate::sentence::{Instruction, sentence};
use crate::{Event, EventKind, Failure, IllegalTransition, Issuance, Phase, Status};

/// The record after the Cabinet's view of its domain; `None` if nothing changes.
pub fn change(
    context: &AlignContext<'_>,
    record: &DomainRecord,
    domain: &CabinetDomain,
    names: &Names,
) -> Result<Option<RecordWrite>, IllegalTransition> {
    use EventKind::{
        CabinetRestored, DomainReturned, NameChanged, NameRefused, RefusalWithdrawn,
        RetryRequested, StatusRepeated, TargetChanged, TargetRefused,
    };
    let now = context.now;
    let newer = domain.version > record.cabinet_version;
    let mut after = DomainRecord {
        updated_at: now,
        cabinet_version: version_after(context, record, domain),
        ..record.clone()
    };
    let resync = context.occasion == Occasion::Resync;
    let Some(theirs) = domain.status else {
        return Ok(None);
    };
    let is_wanted = matches!(
        theirs,
        Status::PendingDns | Status::PendingHttpProbe | Status::Issuing | Status::Active
    );
    let may_start = newer || resync;
    let is_retargeted = names
        .target
        .as_ref()
        .is_some_and(|target| *target != record.cname_target);
    let too_soon = context.retry_is_too_soon() && !is_retargeted;
    let refusal = names.refusal_beside(record).filter(|_| is_wanted);
    if may_start && is_wanted {
        let kind = match record.phase {
            // It was taken down, since the Cabinet did not know it for long, say.
            Phase::Gone => Some(DomainReturned),
            Phase::Leaving => None,
            // A served or pending name stays, and the refusal is reported to the Cabinet.
            _ if refusal.is_some() => None,
            _ if names.hostname != record.hostname => Some(NameChanged),
            Phase::Failed if theirs == Status::PendingDns && newer && !too_soon => {
                Some(RetryRequested)
            }
            Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. } | Phase::Failed => {
                None
            }
        };
        if let Some(kind) = kind {
            return Ok(Some(begun(context, record, domain, names, kind)));
        }
    }
    // A refusal stands in the record unless something worse does, and was reported if it does.
    let has_room = record
        .last_failure
        .as_ref()
        .is_none_or(Failure::refuses_name_or_target);
    let is_unreported = has_room && refusal != record.last_failure.as_ref();
    let reports_refusal = refusal.is_some()
        && (newer || (resync && (is_unreported || domain.version != record.cabinet_version)));
    let is_over = may_start && is_wanted && is_refusal_over(record, names);
    let target = names.target.as_ref().filter(|_| refusal.is_none());
    let target = target.unwrap_or(&record.cname_target);
    let retargeted = may_start && *target != record.cname_target;
    if retargeted {
        after.cname_target = target.clone();
    }
    let request = apply_status(theirs, (newer, too_soon), record, &mut after)?;
    if retargeted && checks_dns(&after.phase) {
        after.attempt = 0;
        after.next_attempt_at = Some(now);
    }
    if is_over {
        after.last_failure = None;
    } else if reports_refusal && has_room && keeps_what_it_has(&after.phase) {
        after.last_failure = refusal.cloned();
    }
    let ours = record.phase.status();
    let (kind, report) = match request {
        Some(request) => request,
        // A served name stays, and the refusal is reported to the Cabinet.
        None if reports_refusal && names.hostname != record.hostname => (NameRefused, true),
        None if reports_refusal => (TargetRefused, true),
        None if resync && theirs != ours && theirs.may_report(ours) => (StatusRepeated, true),
        None if retargeted => (TargetChanged, false),
        None if is_over => (RefusalWithdrawn, true),
        None if resync && domain.version < record.cabinet_version => (CabinetRestored, false),
        None => return Ok(None),
    };
    let has_report = report || reports_refusal || is_over;
    let mut report = has_report.then(|| current_report(&after, None, context.policy));
    // Whatever else is reported: the new name or target is what the customer has to mend.
    if let (true, Some(report), Some(failure)) = (reports_refusal, &mut report, refusal) {
        let instruction = Instruction::new(context.policy, None, None);
        report.message = Some(sentence(failure, &after, &instruction));
        report.failure = Some(failure.clone());
    }
    let detail = cabinets_view(domain, refusal.filter(|_| reports_refusal));
    let event = DomainEvent::of(&after, kind, detail, context.replica);
    Ok(Some(RecordWrite {
        report,
        event: Some(event),
        ..RecordWrite::of(Some(record), after)
    }))
}

/// The Cabinet's view for the history, with the refusal of its name or target if that is new.
fn cabinets_view(domain: &CabinetDomain, refusal: Option<&Failure>) -> serde_json::Value {
    let mut detail = json!({
        "cabinetVersion": domain.version,
        "cabinetStatus": domain.status,
        "cnameTarget": domain.cname_target.shown(),
    });
    if refusal.is_some() {
        detail["canonicalHost"] = json!(domain.canonical_host.shown());
        detail["failure"] = json!(refusal);
    }
    detail
}

/// Carries out on the record `after` what the Cabinet's status requests. Returns the kind of the
/// line of history, and whether the domain's status is reported to the Cabinet.
/// `None` if the status requests nothing new.
fn apply_status(
    theirs: Status,
    (newer, too_soon): (bool, bool),
    record: &DomainRecord,
    after: &mut DomainRecord,
) -> Result<Option<(EventKind, bool)>, IllegalTransition> {
    let now = after.updated_at;
    let request = match (theirs, &record.phase) {
        (Status::PendingRemoval, Phase::Leaving) => None,
        (Status::PendingRemoval, Phase::Gone) => {
            newer.then_some((EventKind::RemovalRepeated, true))
        }
        (Status::PendingRemoval, phase) => {
            after.phase = phase.clone().apply(Event::RemovalRequested)?;
            after.ownership = claim::ownership_after_removal(record);
            restart(after, now);
            Some((EventKind::RemovalRequested, false))
        }
        // The run that the last retry began is the answer to this one too.
        (
            Status::PendingDns,
            Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. } | Phase::Failed,
        ) if newer && too_soon => Some((EventKind::RetryTooSoon, true)),
        (Status::PendingDns, Phase::Onboarding(issuance)) if newer && before_order(issuance) => {
            after.phase = record.phase.clone().apply(Event::RetryRequested)?;
            // A repeated request neither puts off the end of waiting nor makes the name new.
            restart(after, now);
            after.attempt = record.attempt.min(ATTEMPTS_KEPT);
            after.pending_since = record.pending_since;
            Some((EventKind::RetryRequested, false))
        }
        // An order or a certificate is never thrown away: the next step is made now, and the
        // Cabinet gets a report of the domain's status.
        (Status::PendingDns, Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. })
            if newer =>
        {
            after.lift_pause();
            after.attempt = 0;
            after.next_attempt_at = Some(now);
            Some((EventKind::RetryRequested, true))
        }
        (
            Status::PendingDns
            | Status::PendingHttpProbe
            | Status::Issuing
            | Status::Active
            | Status::Failed
            | Status::Removed,
            _,
        ) => None,
    };
    Ok(request)
}

/// Whether the next step would check DNS, so that it need not be waited for when the target has
/// changed.
fn checks_dns(phase: &Phase) -> bool {
    match phase {
        Phase::Onboarding(issuance) => before_order(issuance),
        Phase::Live { next, .. } => match next {
            Next::At(_) => true,
            Next::Now(issuance) => before_order(issuance),
        },
        Phase::Expired { issuance, .. } => before_order(issuance),
        Phase::Failed | Phase::Leaving | Phase::Gone => false,
    }
}

fn before_order(issuance: &Issuance) -> bool {
    match issuance {
        Issuance::AwaitingDns | Issuance::AwaitingHttpProbe => true,
        Issuance::Ordering
        | Issuance::Queued
        | Issuance::Validating { .. }
        | Issuance::Finalizing { .. }
        | Issuance::Deploying { .. } => false,
    }
}
