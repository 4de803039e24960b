//! What is done at every edge at once.

use dps_domain::Failure;
use futures_util::future::join_all;

use crate::ports::edge::EdgeError;
use crate::ports::store::StoredChallenge;
use crate::service::Service;

/// Publishes a token at every edge, each proven to answer it.
pub(super) async fn publish(service: &Service, token: &str, key_authorization: &str) -> Result<(), Failure> {
    if !service.has_edges() {
        return Err(Failure::Internal {
            detail: "no edge is configured".into(),
        });
    }
    all(service, |edge| edge.publish_challenge(token, key_authorization))
        .await
        .map_err(Failure::from)
}

/// Withdraws a token everywhere. An edge that does not answer forgets it by its own time to live.
pub(super) async fn withdraw(service: &Service, token: &str) {
    if let Err(error) = all(service, |edge| edge.withdraw_challenge(token)).await {
        tracing::debug!(%error, "challenge.withdraw_failed");
    }
}

/// Withdraws an order's challenge and forgets it.
pub(super) async fn withdraw_stored(service: &Service, challenge: &StoredChallenge) {
    withdraw(service, &challenge.token).await;
    if let Err(error) = service.store.challenge_delete(challenge.order_id).await {
        tracing::debug!(%error, "challenge.delete_failed");
    }
}

/// Runs `call` at every edge at once; the first error wins, after all have ended.
pub(super) async fn all<'a, F, Fut>(service: &'a Service, call: F) -> Result<(), EdgeError>
where
    F: Fn(&'a dyn crate::ports::Edge) -> Fut,
    Fut: Future<Output = Result<(), EdgeError>> + 'a,
{
    join_all(service.edges.iter().map(|edge| call(edge.as_ref())))
        .await
        .into_iter()
        .collect()
}
