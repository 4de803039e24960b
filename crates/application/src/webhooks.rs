//! Delivers events to the receivers of webhooks, in order per domain and at least once.
//!
//! Each receiver has a task and a breaker of its own, so that one which hangs delays no other. One
//! process at a time works for a receiver, under the lease of a periodic task. A crash leaves the
//! events pending, and the next holder of the lease sends them with the same identifiers.

mod channel;
mod give_up;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ports::webhooks::{WebhookEndpoint, WebhookMetrics};
use crate::ports::{CertificateStore, Clock, Randomness};
use channel::Channel;

pub use give_up::give_up;

/// The ports that the delivery needs.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port of its name")]
pub struct Webhooks {
    pub store: Arc<dyn CertificateStore>,
    pub clock: Arc<dyn Clock>,
    pub randomness: Arc<dyn Randomness>,
    pub metrics: Arc<dyn WebhookMetrics>,
}

/// Delivers events to every receiver until `shutdown`, and gives up those that nobody takes. A
/// message under way then is sent again by the next process.
pub async fn run(
    webhooks: Webhooks,
    receivers: Vec<Arc<dyn WebhookEndpoint>>,
    shutdown: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    // Without a receiver too: one that is not configured any more may have left events.
    tasks.spawn(give_up::run(webhooks.clone(), shutdown.clone()));
    for receiver in receivers {
        let channel = Channel::new(webhooks.clone(), receiver);
        tasks.spawn(channel.run(shutdown.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "worker.panicked");
        }
    }
}
