//! The rows of other tables that are written in one transaction with a record.

use dps_application::ports::renewal_info::PollChange;
use dps_application::ports::store::{RecordWrite, StoreError};
use dps_domain::phase::Next;
use dps_domain::{Issuance, Phase};

use super::row::Rules;
use crate::sql::Session;
use crate::{events, ledger, outbox, renewal_info, webhooks};

/// Writes the event, the ledger entries, the report, the renewal information and the events for
/// webhooks of a write.
/// `holds_tokens` is whether the domain may hold tokens of the CA's limits.
pub(super) async fn accompany_in_tx(
    session: &mut Session,
    write: &RecordWrite,
    holds_tokens: bool,
    rules: Rules<'_>,
) -> Result<(), StoreError> {
    let id = write.record().id;
    if let Some(event) = &write.event {
        events::append_in_tx(session, id, event, rules.kept).await?;
    }
    ledger::apply_in_tx(session, Some(id), &write.ledger, write.record().updated_at).await?;
    if holds_tokens && may_have_ended_a_need(write) {
        ledger::release_in_tx(session, id, write.record().updated_at).await?;
    }
    if let Some(report) = &write.report {
        outbox::enqueue_in_tx(session, id, report, write.record().updated_at).await?;
    }
    webhooks::enqueue_in_tx(session, &write.webhooks, rules.webhooks).await?;
    renewal_info::accompany_in_tx(session, write).await
}

/// Whether nothing else is written with the record, so that its write needs no transaction.
pub(super) fn is_unaccompanied(write: &RecordWrite, rules: Rules<'_>) -> bool {
    write.event.is_none()
        && write.ledger.is_empty()
        && write.report.is_none()
        && matches!(PollChange::of(write), PollChange::Keep)
        && !may_have_ended_a_need(write)
        && !webhooks::are_wanted(&write.webhooks, rules.webhooks)
}

/// Whether tokens of the CA's limits that the domain holds are not needed any more. DNS checks of
/// live domains, which are many, hold none.
pub(super) fn may_have_ended_a_need(write: &RecordWrite) -> bool {
    let phase = &write.record().phase;
    let is_mere_check = write.renewal_info.is_none()
        && matches!(
            phase,
            Phase::Live {
                next: Next::At(_),
                ..
            }
        );
    !is_mere_check && !phase.issuance().is_some_and(Issuance::holds_tokens)
}
