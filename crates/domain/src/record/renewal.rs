//! The record after the CA named another renewal window.

use serde_json::json;

use super::settle::{SettleContext, event};
use super::{DomainRecord, RecordWrite};
use crate::phase::Next;
use crate::renewal::info::{RenewalInfo, RenewalPlan};
use crate::{Event, EventKind, Phase};

/// The CA wants the certificate of a live domain renewed at another time: nothing else about the
/// domain changes. A renewal that is under way becomes urgent when the certificate must go, and is
/// left alone otherwise; `None` then.
pub fn apply_renewal_info(
    before: &DomainRecord,
    info: &RenewalInfo,
    plan: RenewalPlan,
    context: &SettleContext<'_>,
) -> Option<RecordWrite> {
    let RenewalPlan {
        renew_at,
        urgent_from,
    } = plan;
    let mut record = before.clone();
    match record.phase {
        Phase::Live {
            next: Next::At(_), ..
        } => {
            record.phase = record.phase.apply(Event::RenewalMoved(renew_at)).ok()?;
            record.urgent_from = Some(urgent_from);
            let due = record
                .next_attempt_at
                .map_or(renew_at, |due| due.min(renew_at));
            record.next_attempt_at = Some(due);
        }
        Phase::Live {
            next: Next::Now(_), ..
        } if plan.is_urgent() && record.urgent_from.is_none_or(|from| from > context.now) => {
            record.urgent_from = Some(context.now);
        }
        Phase::Live { .. }
        | Phase::Onboarding(_)
        | Phase::Expired { .. }
        | Phase::Failed
        | Phase::Leaving
        | Phase::Gone => {
            return None;
        }
    }
    record.updated_at = context.now;
    let detail = json!({
        "window": info.window,
        "explanationUrl": info.explanation_url,
        "renewAt": renew_at,
        "urgent": plan.is_urgent(),
    });
    let event = Some(event(&record, EventKind::RenewalMoved, detail, context));
    Some(RecordWrite {
        event,
        renewal_info: Some(info.clone()),
        ..RecordWrite::of(Some(before), record)
    })
}
