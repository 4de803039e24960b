//! The receivers of events.

use dps_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A receiver of events, as `dps webhooks list --json` prints one on each line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookReceiver {
    /// Its name.
    pub receiver: String,
    /// Its place in the settings; `null` if it is not configured.
    #[schema(example = "Webhooks:0")]
    pub setting: Option<String>,
    /// Events that wait.
    pub pending: u64,
    /// Events that were given up.
    pub failed: u64,
    /// Since when the oldest pending event has been waiting; `null` if none waits.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest_pending: Option<Timestamp>,
    /// When an event was last delivered; `null` if none was.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_success: Option<Timestamp>,
}

/// All receivers, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookReceivers {
    /// The receivers.
    pub items: Vec<WebhookReceiver>,
}

/// The request to deliver events again. Give `event` or `since`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RedeliverRequest {
    /// The identifier of an event, as its header `webhook-id` names it.
    pub event: Option<String>,
    /// Every event since this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Only to the receiver of this name.
    pub receiver: Option<String>,
    /// Why, in one line of at most 500 characters.
    pub reason: Option<String>,
}

/// The effect of a request to deliver events again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Redelivering {
    /// Deliveries that are due again; 0 if no such event was delivered or given up.
    pub deliveries: u64,
}
