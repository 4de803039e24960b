//! The events that wait for the receivers of webhooks.

use async_trait::async_trait;
use dps_domain::action::OperatorAction;
use dps_domain::{DomainId, Timestamp};

use super::error::StoreError;

/// An event for one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// The row. Rows of later events are greater.
    pub id: i64,
    /// The identifier of the event, the same for every receiver.
    pub event_id: String,
    /// The domain.
    pub domain_id: DomainId,
    /// The JSON to send.
    pub body: String,
    /// Tries that failed.
    pub attempt: u32,
}

/// The events that wait for one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhooksWaiting {
    /// The receiver's name.
    pub receiver: String,
    /// Their number, counted up to a limit.
    pub events: u32,
    /// Since when the oldest has been waiting.
    pub oldest: Timestamp,
}

/// Waiting events of one receiver that are given up.
#[derive(Debug, Clone, Copy)]
pub struct GiveUp<'a> {
    /// The receiver's name.
    pub receiver: &'a str,
    /// Those that have been waiting since this moment or longer.
    pub before: Timestamp,
    /// The oldest beyond so many.
    pub keep: u32,
    /// The number of one transaction at most.
    pub limit: u32,
}

/// The deliveries to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookState {
    /// The receiver's name.
    pub receiver: String,
    /// Events that wait.
    pub pending: u64,
    /// Events that were given up.
    pub failed: u64,
    /// Since when the oldest pending event has been waiting.
    pub oldest_pending: Option<Timestamp>,
    /// When an event was last delivered.
    pub last_success: Option<Timestamp>,
}

/// Events to deliver again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redelivery {
    /// The events.
    pub which: Redelivered,
    /// The receiver's name; every receiver if absent.
    pub receiver: Option<String>,
}

/// The events of a [`Redelivery`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redelivered {
    /// The event with this identifier.
    Event(String),
    /// The events since this moment.
    Since(Timestamp),
}

/// The events that wait for the receivers of webhooks. The writes of records add them.
///
/// One process at a time works for a receiver, as the lease of a periodic task says. A delivery
/// needs no lease of its own.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// When the next delivery to a receiver is due.
    async fn webhooks_next_due(&self, receiver: &str) -> Result<Option<Timestamp>, StoreError>;

    /// Up to `limit` due deliveries to a receiver, the longest due first; of each domain the
    /// oldest alone. Those that an operator requested become pending first.
    async fn webhooks_due(
        &self,
        receiver: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<WebhookDelivery>, StoreError>;

    /// The receiver has the event. The next one of the domain becomes due.
    async fn webhook_finish(
        &self,
        receiver: &str,
        delivery: &WebhookDelivery,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The event is tried again at `at`.
    async fn webhook_retry(
        &self,
        delivery: &WebhookDelivery,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Gives up a batch of events; returns its size, which is the limit if there may be more. The
    /// next one of each domain becomes due at `now`.
    async fn webhooks_give_up(&self, which: GiveUp<'_>, now: Timestamp) -> Result<u32, StoreError>;

    /// The receivers for which any event waits, by name. Up to `most` events of each are counted.
    async fn webhooks_waiting(&self, most: u32) -> Result<Vec<WebhooksWaiting>, StoreError>;

    /// Requests that events be delivered again, those that are pending excepted, and records the
    /// action with their number in the same transaction. Records nothing without an event.
    async fn webhooks_redeliver(
        &self,
        redelivery: &Redelivery,
        action: &OperatorAction,
    ) -> Result<u64, StoreError>;

    /// The deliveries to every receiver that has any.
    async fn webhooks_state(&self) -> Result<Vec<WebhookState>, StoreError>;
}
