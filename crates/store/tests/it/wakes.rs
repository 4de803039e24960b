//! Wakes between replicas.

use std::sync::Arc;
use std::time::Duration;

use dps_application::ports::WakeChannel;
use dps_application::ports::WakeSignal;
use dps_domain::phase::Lane;

use crate::world::World;

/// How long anything may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);
const ISSUANCE: WakeSignal = WakeSignal::Lane(Lane::Issuance);

async fn heard(channel: &Arc<dyn WakeChannel>) -> Vec<WakeSignal> {
    let heard = tokio::time::timeout(TIMEOUT, channel.heard()).await;
    heard.expect("a replica is heard in time").unwrap()
}

/// A channel that listens from now on.
async fn listening(store: &dps_store::Store) -> Arc<dyn WakeChannel> {
    let channel = store.wake_channel().unwrap();
    assert_eq!(heard(&channel).await, WakeSignal::all().collect::<Vec<_>>());
    channel
}

#[tokio::test]
async fn replicas_hear_each_other_and_not_themselves() {
    let world = World::on_postgres().await;
    let ours = listening(world.store.database()).await;
    let theirs = listening(world.open_again().await.database()).await;
    ours.announce(&[ISSUANCE]).await.unwrap();
    theirs
        .announce(&[WakeSignal::Reporter, ISSUANCE])
        .await
        .unwrap();
    assert_eq!(heard(&ours).await, [WakeSignal::Reporter, ISSUANCE]);
    assert_eq!(heard(&theirs).await, [ISSUANCE]);
}

#[tokio::test]
async fn a_replica_whose_line_was_cut_rings_everything_and_hears_again() {
    let world = World::on_postgres().await;
    let ours = listening(world.store.database()).await;
    let theirs = world.open_again().await.database().wake_channel().unwrap();
    world
        .sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        .await;
    // All signals, or one error and then all signals: that is up to how the end of a
    // connection arrives.
    let all: Vec<WakeSignal> = WakeSignal::all().collect();
    let first = tokio::time::timeout(TIMEOUT, ours.heard()).await.unwrap();
    if let Ok(signals) = first {
        assert_eq!(signals, all);
    } else {
        assert_eq!(heard(&ours).await, all);
    }
    theirs.announce(&[ISSUANCE]).await.unwrap();
    assert_eq!(heard(&ours).await, [ISSUANCE]);
}

#[tokio::test]
async fn a_file_has_no_other_replicas() {
    assert!(
        World::on_sqlite()
            .await
            .store
            .database()
            .wake_channel()
            .is_none()
    );
}
