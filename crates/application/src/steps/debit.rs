//! The tokens that an order takes from the ledger of the CA's limits.
//!
//! They are taken before anything is sent. So a domain that must wait learns until when, and the
//! CA gets no request at all. The entries of what the CA then counts are derived from the events of
//! the order, which its steps note (`dps_domain::record::ledger`).

use std::time::Duration;

use dps_domain::backoff::{AROUND, soon_after, spread};
use dps_domain::failure::NOTHING_SENT;
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, Exemption, Limit, LimitKind};
use dps_domain::record::ledger::has_order_token;
use dps_domain::{Failure, Timestamp};

use super::context::StepContext;
use super::fault::Fault;
use crate::ca::exemption::used_up;
use crate::ports::metrics::AcmeWait;
use crate::ports::store::Debit;
use crate::service::Service;
use dps_domain::outcome::{Outcome, Then};

/// Time after which a paused order is tried again, should nothing wake its domain before. Shorter
/// for a renewal that has little time left.
const PAUSED_FOR: Duration = Duration::from_secs(4 * 60 * 60);
/// Longer queues are estimated as if they were this long.
const LONGEST_QUEUE: u32 = 100_000;

/// Takes the tokens of an order. An outcome means that the domain waits, and that nothing is to be
/// sent.
pub(super) async fn debit(
    context: &StepContext<'_>,
    exemption: Exemption,
) -> Result<Option<Outcome>, Fault> {
    let (service, record) = (context.service, context.record);
    let now = service.now();
    let first = !record.phase.was_served();
    if first
        && !has_order_token(record)
        && service.limits.get(LimitKind::NewOrders) != Limit::NONE
        && somebody_queues(service).await?
    {
        return queue(context).await.map(Some);
    }
    let charges = service.order_limits().charges(record, exemption);
    let debit = service
        .store
        .ledger_debit(record.id, context.token, &charges, now)
        .await?;
    Ok(match debit {
        Debit::Granted => None,
        Debit::Wait { until, kind } => {
            // A slot is the domain's own; a block ends for all at once.
            let begins = if service.limits.get(kind).is_none() {
                soon_after(until, now, service.randomness.unit())
            } else {
                until
            };
            Some(limited(context, kind, begins, Then::At(begins)))
        }
        Debit::Queue {
            kind: LimitKind::UnprovenOrders,
            ..
        } => Some(too_many_unproven(context)),
        Debit::Queue { .. } => Some(queue(context).await?),
        Debit::Paused => Some(paused(context)),
    })
}

/// An operator paused issuance: the order waits, and nothing is sent.
fn paused(context: &StepContext<'_>) -> Outcome {
    context.waits(AcmeWait::Paused);
    let (service, record) = (context.service, context.record);
    let now = service.now();
    if record.urgent_from.is_some_and(|from| from <= now) {
        let not_after = record.phase.certificate_not_after();
        tracing::error!(
            certificate.not_after = not_after.map(tracing::field::display),
            "renewal.paused"
        );
    }
    let until = now + spread(PAUSED_FOR, AROUND, service.randomness.unit());
    Outcome::failed(Failure::IssuancePaused {}, Then::At(until))
}

/// Whether a domain waits in the queue: a new request never overtakes it.
async fn somebody_queues(service: &Service) -> Result<bool, Fault> {
    let due = service.store.next_due(Lane::OrderQueue).await?;
    Ok(due.is_some_and(|due| due <= service.now()))
}

/// Into the queue, with the time of the probable turn if all keep theirs.
async fn queue(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let service = context.service;
    let kind = LimitKind::NewOrders;
    let key = BucketKey::of_account(kind, service.ca.directory_url());
    let before = service
        .store
        .waiting(Lane::OrderQueue, LONGEST_QUEUE)
        .await?;
    let bucket = service.store.ledger_bucket(&key).await?;
    let turn = bucket.token_at(
        &service.limits.get(kind),
        service.now(),
        before.saturating_add(1),
    );
    Ok(limited(context, kind, turn, Then::Queue))
}

/// The tenant has too many first orders that failed or are not decided yet. The back-off grows, so
/// that a crowd of names does not come for each token, and ends at `MaxBackoff`.
fn too_many_unproven(context: &StepContext<'_>) -> Outcome {
    context.waits(AcmeWait::Limit(LimitKind::UnprovenOrders));
    let failure = Failure::AcmeRateLimited {
        until: None,
        detail: format!(
            "too many first orders of this tenant failed at the CA or are under way \
             (LetsEncrypt:Limits:UnprovenOrders); {NOTHING_SENT}"
        ),
    };
    Outcome::failed(failure, Then::Retry)
}

fn limited(context: &StepContext<'_>, kind: LimitKind, until: Timestamp, then: Then) -> Outcome {
    context.waits(AcmeWait::Limit(kind));
    Outcome::failed(used_up(kind, until), then)
}
