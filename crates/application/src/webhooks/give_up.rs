//! The periodic task that gives up events which nobody takes. One process works at a time.
//!
//! It ends the events of receivers that are not configured any more, too. Replicas may have
//! different settings while they are updated, so none of them may delete what it does not know.

use std::time::Duration;

use dps_domain::webhook::{GIVE_UP_AFTER, MAX_PENDING};
use dps_domain::with_causes;
use tokio_util::sync::CancellationToken;

use super::Webhooks;
use crate::ports::store::{GiveUp, PeriodicTaskLease, StoreError};
use crate::ports::webhooks::WebhookResult;

/// The task's name in the store.
const TASK: &str = "webhook.give_up";
/// Time between two passes, and between two checks whether one is due.
const INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Time after which another process continues in place of one that died. Each batch starts it anew.
const LEASE: Duration = Duration::from_secs(5 * 60);
/// Events of one transaction: few enough to delay no other write.
const BATCH: u32 = 100;
/// Pause between two transactions.
const BATCH_PAUSE: Duration = Duration::from_millis(100);

/// Gives up events whenever that is due, until `shutdown`.
pub(super) async fn run(webhooks: Webhooks, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            made = give_up(&webhooks) => if let Err(error) = made {
                tracing::warn!(error = %with_causes(&error), "webhooks.not_given_up");
            }
        }
    }
}

/// Gives up the events that have waited too long or are too many, if that is due and no other
/// process does it. Returns their number.
pub async fn give_up(webhooks: &Webhooks) -> Result<u64, StoreError> {
    let (store, now) = (&webhooks.store, webhooks.clock.now());
    let Some(lease) = store.periodic_acquire(TASK, now, LEASE, now).await? else {
        return Ok(0);
    };
    let made = pass(webhooks, &lease).await;
    // Replicas check at this interval too.
    let due_at = webhooks.clock.now() + INTERVAL / 2;
    let released = store.periodic_release(&lease, None, due_at).await;
    match made.and_then(|given_up| released.map(|()| given_up)) {
        Err(StoreError::LeaseLost) => Ok(0),
        made => made,
    }
}

async fn pass(webhooks: &Webhooks, lease: &PeriodicTaskLease) -> Result<u64, StoreError> {
    let mut given_up = 0;
    for waiting in webhooks.store.webhooks_waiting(1).await? {
        given_up += give_up_of(webhooks, lease, &waiting.receiver).await?;
    }
    Ok(given_up)
}

/// Gives up the events of one receiver, so that an operator sees it; returns their number.
async fn give_up_of(
    webhooks: &Webhooks,
    lease: &PeriodicTaskLease,
    receiver: &str,
) -> Result<u64, StoreError> {
    let mut events = 0;
    let ended = loop {
        match batch(webhooks, lease, receiver).await {
            Ok(ended) => {
                events += u64::from(ended);
                if ended < BATCH {
                    break Ok(());
                }
            }
            Err(error) => break Err(error),
        }
        tokio::time::sleep(BATCH_PAUSE).await;
    };
    // Before an error is returned, because the batches until then are over.
    if events > 0 {
        webhooks.metrics.webhooks(WebhookResult::GivenUp, events);
        tracing::error!(
            webhook.receiver = receiver,
            events,
            remedy = "mend the receiver, then run `dps webhooks redeliver`",
            "webhook.given_up"
        );
    }
    ended.map(|()| events)
}

async fn batch(
    webhooks: &Webhooks,
    lease: &PeriodicTaskLease,
    receiver: &str,
) -> Result<u32, StoreError> {
    let (store, now) = (&webhooks.store, webhooks.clock.now());
    store.periodic_extend(lease, "", now + LEASE).await?;
    let which = GiveUp {
        receiver,
        before: now - GIVE_UP_AFTER,
        keep: MAX_PENDING,
        limit: BATCH,
    };
    store.webhooks_give_up(which, now).await
}
