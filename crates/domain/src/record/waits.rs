//! Bounds on the waits of a record.

use std::time::Duration;

use super::DomainRecord;
use super::settle::SettleContext;
use crate::phase::Next;
use crate::renewal::{self, WaitCause};
use crate::{Failure, FailureCode, Phase, Timestamp};

/// The record's next attempt, at the end of the certificate that it serves at the latest: no edge
/// presents it any longer then.
pub(super) fn by_the_certificates_end(record: &DomainRecord, now: Timestamp) -> Option<Timestamp> {
    match record.phase {
        Phase::Live { not_after, .. } if now < not_after => Some(
            record
                .next_attempt_at
                .map_or(not_after, |at| at.min(not_after)),
        ),
        _ => record.next_attempt_at,
    }
}

pub(super) fn due_after_progress(phase: &Phase, context: &SettleContext<'_>) -> Option<Timestamp> {
    match phase {
        Phase::Live {
            next: Next::At(at), ..
        } => Some((*at).min(context.now + context.policy.recheck.interval)),
        Phase::Onboarding(_)
        | Phase::Live {
            next: Next::Now(_), ..
        }
        | Phase::Expired { .. }
        | Phase::Leaving => Some(context.now),
        Phase::Gone => Some(context.now + context.policy.quarantine),
        Phase::Failed => None,
    }
}

/// The moment `due`, or a sooner one. No wait of a live domain passes its renewal moment, or the
/// time in which its certificate can still be replaced.
pub(super) fn in_time(
    phase: &Phase,
    failure: Option<&Failure>,
    due: Timestamp,
    now: Timestamp,
) -> Timestamp {
    match phase {
        Phase::Live {
            next: Next::At(renew_at),
            ..
        } if *renew_at > now => due.min(*renew_at),
        phase => longest_wait(phase, failure, now).map_or(due, |longest| due.min(now + longest)),
    }
}

/// The longest wait before the next attempt at a renewal that is under way, after `failure` if
/// there was one; `None` without a bound.
pub fn longest_wait(phase: &Phase, failure: Option<&Failure>, now: Timestamp) -> Option<Duration> {
    let (Phase::Live {
        not_after,
        next: Next::Now(_),
        ..
    }
    | Phase::Expired { not_after, .. }) = phase
    else {
        return None;
    };
    let cause = match failure.map(Failure::code) {
        // Only a human can lift a pause.
        Some(FailureCode::AcmePaused) => return None,
        Some(FailureCode::DnsMoved) => WaitCause::MovedAway,
        None if phase.is_moved_away() => WaitCause::MovedAway,
        Some(_) if failure.is_some_and(Failure::counts_against_domain) => WaitCause::Customer,
        Some(_) | None => WaitCause::Others,
    };
    renewal::longest_wait(*not_after, now, cause)
}
