//! The deliveries to the receivers of events.

use dps_admin_api::{RedeliverRequest, Redelivering, WebhookReceiver, WebhookReceivers};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::{Redelivered, Redelivery, StoreError, WebhookState};
use dps_domain::Timestamp;
use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_domain::record::operator::Requester;
use dps_domain::webhook;

/// The deliveries to every receiver that is configured or has any.
pub async fn receivers(
    store: &dyn CertificateStore,
    configured: &[webhook::WebhookReceiver],
) -> Result<WebhookReceivers, StoreError> {
    let mut states = store.webhooks_state().await?;
    for receiver in configured {
        if !states.iter().any(|state| state.receiver == receiver.name) {
            states.push(WebhookState {
                receiver: receiver.name.clone(),
                pending: 0,
                failed: 0,
                oldest_pending: None,
                last_success: None,
            });
        }
    }
    states.sort_by(|one, other| one.receiver.cmp(&other.receiver));
    let setting = |name: &str| {
        let mut known = configured.iter();
        let index = known.position(|known| known.name == name);
        index.map(|index| format!("Webhooks:{index}"))
    };
    let items = states.into_iter().map(|state| WebhookReceiver {
        setting: setting(&state.receiver),
        receiver: state.receiver,
        pending: state.pending,
        failed: state.failed,
        oldest_pending: state.oldest_pending,
        last_success: state.last_success,
    });
    Ok(WebhookReceivers {
        items: items.collect(),
    })
}

/// The request to deliver events again cannot be granted.
#[derive(Debug, thiserror::Error)]
pub enum RedeliverError {
    /// Neither an event nor a time is given, or both are.
    #[error("name one event, or give a time since which all are delivered again")]
    Which,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Requests that events be delivered again.
pub async fn redeliver(
    store: &dyn CertificateStore,
    (by, now): (Requester<'_>, Timestamp),
    request: &RedeliverRequest,
) -> Result<Redelivering, RedeliverError> {
    let (which, words) = match (&request.event, request.since) {
        (Some(id), None) => (Redelivered::Event(id.clone()), id.clone()),
        (None, Some(since)) => (Redelivered::Since(since), format!("since {since}")),
        _ => return Err(RedeliverError::Which),
    };
    let receiver = request.receiver.clone();
    let words = match &receiver {
        Some(name) => format!("{words} to {name}"),
        None => words,
    };
    let (kind, scope) = (ActionKind::WebhooksRedeliver, ActionScope::All);
    let action = OperatorAction::new(by, now, kind, scope, &words);
    let redelivery = Redelivery { which, receiver };
    let deliveries = store.webhooks_redeliver(&redelivery, &action).await?;
    Ok(Redelivering { deliveries })
}
