//! The deliveries to one receiver.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::webhook::next_try;
use dps_domain::with_causes;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::Webhooks;
use crate::cabinet::circuit::{Change, Circuit, Permit};
use crate::ports::store::{PeriodicTaskLease, StoreError, WebhookDelivery};
use crate::ports::webhooks::{WebhookEndpoint, WebhookError, WebhookMessage, WebhookResult};

/// Concurrent messages to one receiver.
const AT_ONCE: u32 = 8;
/// Lease of the work for a receiver. It is extended before each batch, whose messages are shorter.
const LEASE: Duration = Duration::from_secs(60);
/// Longest time between two looks for due events.
const POLL: Duration = Duration::from_secs(2);
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// The deliveries to one receiver.
pub(super) struct Channel {
    webhooks: Webhooks,
    receiver: Arc<dyn WebhookEndpoint>,
    circuit: Circuit,
}

impl Channel {
    pub(super) fn new(webhooks: Webhooks, receiver: Arc<dyn WebhookEndpoint>) -> Self {
        Self {
            webhooks,
            receiver,
            circuit: Circuit::default(),
        }
    }

    /// Delivers until `shutdown`.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let pause = match self.pass(&shutdown).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(error = %with_causes(&error), "store.failed");
                    STORE_PAUSE
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Delivers what is due, if no other process does; returns the pause before the next pass.
    async fn pass(&mut self, shutdown: &CancellationToken) -> Result<Duration, StoreError> {
        let (store, now) = (&self.webhooks.store, self.webhooks.clock.now());
        let name = self.receiver.name();
        match store.webhooks_next_due(name).await? {
            Some(due) if due <= now => {}
            due => return Ok(due.map_or(POLL, |due| due.since(now).min(POLL))),
        }
        if let Permit::Wait(wait) = self.circuit.permit(now) {
            return Ok(wait.min(POLL));
        }
        let task = format!("webhook.deliver {name}");
        let Some(lease) = store.periodic_acquire(&task, now, LEASE, now).await? else {
            return Ok(POLL);
        };
        let store = Arc::clone(store);
        let worked = self.work(&lease, shutdown).await;
        let released = store.periodic_release(&lease, None, now).await;
        match worked.and(released) {
            Ok(()) | Err(StoreError::LeaseLost) => Ok(self.wait()),
            Err(error) => Err(error),
        }
    }

    /// Time for which the breaker allows no message; at most [`POLL`].
    fn wait(&self) -> Duration {
        match self.circuit.permit(self.webhooks.clock.now()) {
            Permit::Wait(wait) => wait.min(POLL),
            Permit::All | Permit::Probe => Duration::ZERO,
        }
    }

    /// Sends batches while anything is due and the receiver takes it.
    async fn work(
        &mut self,
        lease: &PeriodicTaskLease,
        shutdown: &CancellationToken,
    ) -> Result<(), StoreError> {
        while !shutdown.is_cancelled() {
            let now = self.webhooks.clock.now();
            let limit = match self.circuit.permit(now) {
                Permit::All => AT_ONCE,
                Permit::Probe => 1,
                Permit::Wait(_) => return Ok(()),
            };
            let store = &self.webhooks.store;
            store.periodic_extend(lease, "", now + LEASE).await?;
            let due = store.webhooks_due(self.receiver.name(), now, limit).await?;
            if due.is_empty() {
                return Ok(());
            }
            let sending = join_all(due.iter().map(|delivery| self.send(delivery)));
            let Some(results) = shutdown.run_until_cancelled(sending).await else {
                return Ok(());
            };
            for (delivery, result) in due.iter().zip(results) {
                self.note(delivery, result).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, delivery: &WebhookDelivery) -> Result<(), WebhookError> {
        let message = WebhookMessage {
            id: &delivery.event_id,
            at: self.webhooks.clock.now(),
            body: &delivery.body,
        };
        self.receiver.send(message).await
    }

    async fn note(
        &mut self,
        delivery: &WebhookDelivery,
        result: Result<(), WebhookError>,
    ) -> Result<(), StoreError> {
        let (webhooks, now) = (&self.webhooks, self.webhooks.clock.now());
        let name = self.receiver.name();
        let error = match result {
            Ok(()) => {
                webhooks.metrics.webhooks(WebhookResult::Delivered, 1);
                if let Change::Closed(after) = self.circuit.answered(now) {
                    let after_seconds = after.as_secs();
                    tracing::info!(webhook.receiver = name, after_seconds, "webhook.recovered");
                }
                return webhooks.store.webhook_finish(name, delivery, now).await;
            }
            Err(error) => error,
        };
        webhooks.metrics.webhooks(WebhookResult::Failed, 1);
        let jitter = webhooks.randomness.unit();
        let attempt = delivery.attempt.saturating_add(1);
        let at = next_try(attempt, now, jitter, error.retry_after);
        tracing::warn!(
            webhook.receiver = name, webhook.id = %delivery.event_id, domain.id = %delivery.domain_id,
            %error, attempt, next_attempt_at = %at, "webhook.delayed"
        );
        let (is_unreachable, requested) = (error.is_unreachable, error.retry_after);
        let change = self
            .circuit
            .failed(1, is_unreachable, now, requested, jitter);
        if change == Change::Opened {
            tracing::warn!(webhook.receiver = name, %error, "webhook.unreachable");
        }
        webhooks.store.webhook_retry(delivery, at).await
    }
}
