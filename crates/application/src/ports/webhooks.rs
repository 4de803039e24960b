//! The receivers of webhooks.

use std::time::Duration;

use async_trait::async_trait;
use dps_domain::Timestamp;

/// A message to a receiver.
#[derive(Debug, Clone, Copy)]
pub struct WebhookMessage<'a> {
    /// The identifier of the event, the same in every try.
    pub id: &'a str,
    /// The time of this try.
    pub at: Timestamp,
    /// The JSON of the event.
    pub body: &'a str,
}

/// A message that was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct WebhookError {
    /// Whether the receiver answered nothing, so that another message would fare no better.
    pub is_unreachable: bool,
    /// The cause, for the log.
    pub detail: String,
    /// The pause that the receiver requested.
    pub retry_after: Option<Duration>,
}

/// A receiver of webhooks.
#[async_trait]
pub trait WebhookEndpoint: Send + Sync {
    /// Its name, under which the store keeps its events.
    fn name(&self) -> &str;

    /// Sends a message, in a bounded time. Success means that the receiver has it.
    async fn send(&self, message: WebhookMessage<'_>) -> Result<(), WebhookError>;
}

/// The end of a try to deliver an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookResult {
    /// The receiver has the event.
    Delivered,
    /// It is tried again.
    Failed,
    /// It was given up, after [`GIVE_UP_AFTER`](dps_domain::webhook::GIVE_UP_AFTER).
    GivenUp,
}

impl WebhookResult {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::GivenUp];

    /// The value of the label `result`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// Counts the deliveries of webhooks.
pub trait WebhookMetrics: Send + Sync {
    /// So many tries ended like this: `dps_webhook_deliveries_total`.
    fn webhooks(&self, result: WebhookResult, number: u64);
}
