//! Place an order, and store its URL before anything is built on it.

use std::sync::Arc;

use dps_domain::limits::{Exemption, OrderEffect};
use dps_domain::order_gate::HeldBack;
use dps_domain::{Event, EventKind, Failure, OrderId};
use serde_json::json;

use super::check_caa::check_caa;
use super::context::StepContext;
use super::fault::Fault;
use super::{debit, edges};
use crate::ca::account::account;
use crate::ca::directory;
use crate::ca::exemption::{exemption, replacement};
use crate::crash_point::{self, Effect};
use crate::ports::ca::Account;
use crate::ports::metrics::AcmeWait;
use crate::ports::store::StoredOrder;
use crate::retry::retry_while_unavailable;
use dps_domain::outcome::{Outcome, Then};

pub(super) async fn place_order(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    match prepare(context).await {
        Ok(Ready::ToOrder {
            account,
            exemption,
            replaces,
        }) => order(context, &account, exemption, replaces.as_deref()).await,
        Ok(Ready::Otherwise(outcome)) => {
            context.evidence.order(OrderEffect::NotSent);
            Ok(outcome)
        }
        Err(fault) => {
            context.evidence.order(OrderEffect::NotSent);
            Err(fault)
        }
    }
}

/// The work that remains after all checks.
enum Ready {
    ToOrder {
        account: Account,
        exemption: Exemption,
        replaces: Option<Arc<str>>,
    },
    Otherwise(Outcome),
}

async fn prepare(context: &StepContext<'_>) -> Result<Ready, Fault> {
    let (service, record) = (context.service, context.record);
    if let Some(held) = record.order_gate.holds_back(service.now()) {
        return Ok(Ready::Otherwise(paused(context, held)));
    }
    let directory_url = service.ca.directory_url();
    directory::check(service.store.as_ref(), directory_url).await?;
    // A step before this one stored its order and died: the run continues with that order.
    if let Some(open) = service.store.order_open(record.id).await? {
        if open.directory_url == directory_url {
            return Ok(Ready::Otherwise(placed(&open)));
        }
        service.store.order_close(open.id, service.now()).await?;
        edges::withdraw_of(service, open.id).await?;
    }
    let account = account(service).await?;
    if let Some(outcome) = check_caa(context, &account.url).await? {
        return Ok(Ready::Otherwise(outcome));
    }
    let (store, now) = (service.store.as_ref(), service.now());
    let replacement = replacement(store, record, directory_url, now).await;
    let exempt = replacement
        .as_ref()
        .is_some_and(|replacement| replacement.exempt);
    let limits = service.order_limits();
    let exemption = exemption(store, record, limits, exempt, now).await?;
    if let Some(waiting) = debit::debit(context, exemption).await? {
        return Ok(Ready::Otherwise(waiting));
    }
    let replaces = replacement.map(|replacement| replacement.ari_id);
    if let Some(ari_id) = &replaces {
        context.evidence.note("replaces", &**ari_id);
        context.evidence.note("exemptFromLimits", exempt);
    }
    Ok(Ready::ToOrder {
        account,
        exemption,
        replaces,
    })
}

async fn order(
    context: &StepContext<'_>,
    account: &Account,
    exemption: Exemption,
    replaces: Option<&str>,
) -> Result<Outcome, Fault> {
    let (service, record) = (context.service, context.record);
    let now = service.now();
    crash_point::before(Effect::OrderCreate);
    let placed_at = service
        .ca
        .new_order(account, &record.hostname, replaces)
        .await;
    let url = placed_at.inspect_err(|error| {
        context.evidence.order(OrderEffect::NotPlaced {
            exemption,
            may_be_counted: error.disposition().may_be_counted(),
        });
    })?;
    crash_point::after(Effect::OrderCreate);
    service.metrics.acme_account(true);
    let order = StoredOrder {
        id: OrderId::new(now, service.randomness.id_bytes()),
        domain_id: record.id,
        directory_url: service.ca.directory_url().to_owned(),
        url,
        open: true,
        key: None,
        created_at: now,
    };
    crash_point::before(Effect::OrderSave);
    // Only the CA knows the order, so a short outage of the database must not lose it. If the claim
    // was ended meanwhile, the order is not stored: nothing would close it.
    retry_while_unavailable(context.deadline, || {
        service.store.order_insert(&order, context.token)
    })
    .await?;
    crash_point::after(Effect::OrderSave);
    Ok(placed(&order))
}

fn placed(order: &StoredOrder) -> Outcome {
    let detail = json!({ "orderUrl": order.url });
    Outcome::Moved {
        event: Event::OrderPlaced(order.id),
        kind: EventKind::OrderPlaced,
        detail,
    }
}

/// The name is paused after failed validations or lost orders: what the CA said stays what the
/// customer reads.
fn paused(context: &StepContext<'_>, held: HeldBack) -> Outcome {
    context.waits(AcmeWait::BackOff);
    let (then, without_reason) = match held {
        HeldBack::PausedByCa => (
            Then::Stop,
            Failure::AcmePaused {
                unpause_url: None,
                detail: "the CA paused the name".into(),
            },
        ),
        HeldBack::Until(until) => (
            Then::At(until),
            Failure::AcmeRateLimited {
                until: Some(until),
                detail: "the name rests after an order that led to no certificate".into(),
            },
        ),
    };
    let last_failure = context.record.last_failure.clone();
    Outcome::failed(last_failure.unwrap_or(without_reason), then)
}
