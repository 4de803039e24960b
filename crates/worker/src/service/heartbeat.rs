//! Signs of life of this replica, for operators.

use std::time::Duration;

use dps_application::Service;
use dps_application::ports::store::Replica;
use dps_domain::with_causes;
use tokio_util::sync::CancellationToken;

/// Time between two signs of life.
const INTERVAL: Duration = Duration::from_secs(60);
/// Time after which a replica without one is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Gives signs of life until `stop`.
pub(super) async fn run(service: Service, serves_admin: bool, stop: CancellationToken) {
    let mut roles = vec!["workers".to_owned()];
    if serves_admin {
        roles.push("admin".to_owned());
    }
    let mut replica = Replica {
        name: service.replica.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        roles,
        started_at: service.now(),
        seen_at: service.now(),
    };
    loop {
        replica.seen_at = service.now();
        let forget_before = replica.seen_at - FORGET_AFTER;
        if let Err(error) = service.store.replica_put(&replica, forget_before).await {
            tracing::warn!(error = %with_causes(&error), "replica.not_noted");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
