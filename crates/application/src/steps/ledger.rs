//! The tokens that an order takes from the ledger of the CA's limits, and the entries of its
//! outcome.
//!
//! The tokens are taken before anything is sent. So a domain that must wait is told until when, and
//! the CA is not asked at all. The step notes what the CA then counted, and its outcome's
//! transaction writes that.

use std::time::Duration;

use dps_domain::backoff;
use dps_domain::lane::Lane;
use dps_domain::limits::{
    BucketKey, Change, Charge, Endpoint, Entry, Exemption, Limit, LimitKind, Refused,
};
use dps_domain::phase::{Issuance, Phase};
use dps_domain::{CertificateId, Failure, Timestamp, Until};

use super::context::StepContext;
use super::fault::Fault;
use crate::ports::ca::CaError;
use crate::ports::metrics::AcmeWait;
use crate::ports::store::{Debit, DomainRecord};
use crate::service::Service;
use dps_domain::outcome::{Outcome, Then};

/// An order for the same name as a certificate younger than this is a renewal to the CA.
const RENEWAL_MEMORY: Duration = Duration::from_secs(120 * 24 * 60 * 60);
/// Those who waited for the same moment begin within so much of the time they waited, and within a
/// minute.
const SPREAD: f64 = 0.1;
const LONGEST_SPREAD: Duration = Duration::from_secs(60);

/// Longer queues are estimated as if they were this long.
const LONGEST_QUEUE: u32 = 100_000;

/// The limits that an order counts against.
const OF_ORDER: [LimitKind; 4] = [
    LimitKind::FailedValidations,
    LimitKind::ConsecutiveFailures,
    LimitKind::RegisteredDomain,
    LimitKind::ExactSet,
];

/// A moment a little after `at`, another one for everybody who waits for it.
pub(super) fn soon_after(at: Timestamp, now: Timestamp, jitter: f64) -> Timestamp {
    let longest = at.since(now).mul_f64(SPREAD).min(LONGEST_SPREAD);
    at + backoff::spread(longest, 0.0..=1.0, jitter)
}

/// Returns the limits that the CA does not count for this order. `replaces` tells that it names its
/// predecessor within the CA's window.
pub(super) async fn exemption(
    context: &StepContext<'_>,
    replaces: bool,
) -> Result<Exemption, Fault> {
    let service = context.service;
    if replaces {
        return Ok(Exemption::Replaces);
    }
    let (Phase::Live { serving: last, .. }
    | Phase::Expired {
        certificate: last, ..
    }) = context.record.phase
    else {
        return Ok(Exemption::None);
    };
    // Without limits it does not matter.
    if !service.limits.is_empty() && issued_lately(service, last).await? {
        return Ok(Exemption::SameNames);
    }
    Ok(Exemption::None)
}

async fn issued_lately(service: &Service, serving: CertificateId) -> Result<bool, Fault> {
    let Some(stored) = service.store.certificate(serving).await? else {
        return Ok(false);
    };
    let certificate = stored.certificate;
    if service.now().since(certificate.created_at) >= RENEWAL_MEMORY {
        return Ok(false);
    }
    let order = service.store.order(certificate.order_id).await?;
    Ok(order.is_some_and(|order| order.directory_url == service.ca.directory_url()))
}

/// Takes the tokens of an order. An outcome means that the domain waits, and that nothing is to be
/// sent.
pub(super) async fn debit(
    context: &StepContext<'_>,
    exemption: Exemption,
) -> Result<Option<Outcome>, Fault> {
    let (service, record) = (context.service, context.record);
    let now = service.now();
    let directory_url = service.ca.directory_url();
    let first = !record.phase.was_served();
    let mut charges = Charge::for_order(
        &service.limits,
        directory_url,
        &record.hostname,
        exemption,
        first,
    );
    if first {
        let charge = Charge::of_tenant(&service.limits, directory_url, &record.tenant_id);
        charges.extend(Some(charge).filter(|charge| !charge.limit.is_none()));
        charges.sort_by(|one, other| one.key.cmp(&other.key));
    }
    if has_turn(context) {
        charges.retain(|charge| charge.kind != LimitKind::NewOrders);
    } else if first
        && service.limits.get(LimitKind::NewOrders) != Limit::NONE
        && somebody_queues(service).await?
    {
        return queue(context).await.map(Some);
    }
    let debit = service
        .store
        .ledger_debit(record.id, context.token, &charges, now)
        .await?;
    Ok(match debit {
        Debit::Granted => None,
        Debit::Wait { until, kind } => {
            // A slot is the domain's own; a park ends for all at once.
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
    })
}

/// Whether the domain waited in the queue, and was leased with an order's token of the account's.
fn has_turn(context: &StepContext<'_>) -> bool {
    context.record.phase == Phase::Onboarding(Issuance::Queued)
}

/// Nobody is served before those who wait.
async fn somebody_queues(service: &Service) -> Result<bool, Fault> {
    let due = service.store.next_due(Lane::OrderQueue).await?;
    Ok(due.is_some_and(|due| due <= service.now()))
}

/// Into the queue, told when a turn will come if all keep theirs.
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
        detail: "too many first orders of this tenant failed at the CA or are under way \
                 (LetsEncrypt:Limits:UnprovenOrders); nothing was sent"
            .to_owned(),
    };
    context.failed(failure, Then::Retry)
}

/// Notes the result of a first order for its tenant's limit. A success pays for one failure, so
/// that a tenant is not held up as long as no more than half of its orders fail.
fn decided(context: &StepContext<'_>, succeeded: bool) {
    let changes: &[Change] = if succeeded {
        &[Change::Release, Change::Refund]
    } else {
        &[Change::Spend]
    };
    for change in changes {
        if let Some(entry) = entry_of_tenant(context.service, context.record, *change) {
            context.evidence.count(entry);
        }
    }
}

/// An entry in the bucket of a tenant's unproven orders; `None` for a domain that had a
/// certificate.
fn entry_of_tenant(service: &Service, record: &DomainRecord, change: Change) -> Option<Entry> {
    let is_first = !record.phase.was_served();
    is_first.then(|| Entry {
        key: BucketKey::of_tenant(service.ca.directory_url(), &record.tenant_id),
        limit: service.limits.get(LimitKind::UnprovenOrders),
        change,
    })
}

/// Returns the entry for leaving a first order that the CA has not decided: that of a failure.
/// Otherwise names that are added and removed again would cost nothing.
pub(crate) fn abandoned(
    service: &Service,
    before: &DomainRecord,
    after: &DomainRecord,
) -> Option<Entry> {
    let is_undecided = matches!(before.phase.issuance(), Some(Issuance::Validating { .. }));
    let is_left = before.phase != after.phase;
    entry_of_tenant(service, before, Change::Spend).filter(|_| is_undecided && is_left)
}

/// No order was sent: a token of the account's that came with the lease is given back.
pub(super) fn not_sent(context: &StepContext<'_>) {
    if has_turn(context) {
        note(context, LimitKind::NewOrders, Change::Refund);
    }
}

/// A limit of the CA is used up, and nothing was sent.
pub(super) fn used_up(kind: LimitKind, until: Timestamp) -> Failure {
    Failure::AcmeRateLimited {
        until: Some(until),
        detail: format!("nothing is left of the CA's limit {kind} for now; nothing was sent"),
    }
}

fn limited(context: &StepContext<'_>, kind: LimitKind, until: Timestamp, then: Then) -> Outcome {
    context.waits(AcmeWait::Limit(kind));
    context.failed(used_up(kind, until), then)
}

fn note(context: &StepContext<'_>, kind: LimitKind, change: Change) {
    let service = context.service;
    context.evidence.count(Entry {
        key: BucketKey::of_order(kind, service.ca.directory_url(), &context.record.hostname),
        limit: service.limits.get(kind),
        change,
    });
}

/// Notes that the CA refused the order or did not answer. It did not count a refused order; without
/// an answer, it may have.
pub(super) fn not_placed(context: &StepContext<'_>, exemption: Exemption, error: &CaError) {
    order_lost(context);
    if exemption == Exemption::None && !error.disposition().may_be_counted() {
        note(context, LimitKind::NewOrders, Change::Refund);
    }
}

/// The order leads to no certificate, and no validation failed.
pub(super) fn order_lost(context: &StepContext<'_>) {
    for kind in OF_ORDER {
        note(context, kind, Change::Release);
    }
    if let Some(entry) = entry_of_tenant(context.service, context.record, Change::Release) {
        context.evidence.count(entry);
    }
}

/// The order is ready. `proven` tells that the CA validated just now instead of remembering an
/// earlier validation.
pub(super) fn validated(context: &StepContext<'_>, proven: bool) {
    note(context, LimitKind::FailedValidations, Change::Release);
    let consecutive = if proven {
        Change::Reset
    } else {
        Change::Release
    };
    note(context, LimitKind::ConsecutiveFailures, consecutive);
    decided(context, true);
}

/// The CA declared the order invalid, but for a reason that it does not count as a failed
/// validation.
pub(super) fn order_refused(context: &StepContext<'_>) {
    order_lost(context);
    decided(context, false);
}

/// The CA's validation failed.
pub(super) fn validation_failed(context: &StepContext<'_>) {
    note(context, LimitKind::FailedValidations, Change::Spend);
    note(context, LimitKind::ConsecutiveFailures, Change::Spend);
    note(context, LimitKind::RegisteredDomain, Change::Release);
    note(context, LimitKind::ExactSet, Change::Release);
    decided(context, false);
}

/// The CA issued. It counts the names of every certificate, those of a renewal too, but the
/// domain's only of a new one.
pub(super) fn issued(context: &StepContext<'_>) {
    note(context, LimitKind::RegisteredDomain, Change::Confirm);
    note(context, LimitKind::ExactSet, Change::Spend);
}

/// Parks the bucket of the limit that the CA named: whatever is behind it stays away as long.
/// Returns until when, which is no longer than that limit can mean, and for a live domain no longer
/// than its certificate can wait.
pub(super) fn refused(
    context: &StepContext<'_>,
    endpoint: Endpoint,
    detail: &str,
    until: Until,
) -> Until {
    let (service, host) = (context.service, &context.record.hostname);
    let directory_url = service.ca.directory_url();
    let Refused { kind, subject } = Refused::read(detail, endpoint);
    let key = match subject {
        Some(name) => BucketKey::of_name(kind, directory_url, &name),
        None => BucketKey::of_order(kind, directory_url, host),
    };
    let (now, limit) = (service.now(), service.limits.get(kind));
    let mut until = until.within(kind.longest_wait(&limit), now);
    if let Some(longest) = dps_domain::record::longest_wait(&context.record.phase, None, now) {
        until = until.within(longest, now);
    }
    context.evidence.count(Entry {
        key,
        limit,
        change: Change::Block(until.at()),
    });
    until
}
