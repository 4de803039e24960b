//! Who works on a database.

use dps_domain::Status;
use dps_store::LockError;

use crate::world::{TTL, World, at};

#[tokio::test]
async fn a_file_serves_one_process_whose_successor_takes_over_at_once() {
    let world = World::on_sqlite().await;
    world.store.database().lock().await.unwrap();
    let id = world.with_due("shop.example", at(0)).await.id;
    world.report(id, Status::PendingDns, at(0)).await;
    let killed = world.acquire_one(at(0)).await;
    let store = &world.store;
    for name in ["cabinet.resync", "edge.reconcile"] {
        let task = store
            .periodic_acquire(name, at(0), TTL, at(0))
            .await
            .unwrap();
        let task = task.expect("nobody has it");
        store
            .periodic_extend(&task, "half of it", at(60))
            .await
            .unwrap();
    }
    assert_eq!(world.reports(at(0), 1).await.len(), 1);
    let successor = world.open_again().await;
    let refused = successor.database().lock().await;
    assert!(
        matches!(refused, Err(LockError::Taken { .. })),
        "{refused:?}"
    );
    assert!(
        world.acquire(at(1), 1).await.is_empty(),
        "and takes nothing away"
    );
    let taken = successor.periodic_acquire("cabinet.resync", at(1), TTL, at(1));
    assert!(taken.await.unwrap().is_none());

    let world = world.replaced_by(successor);
    world.store.database().lock().await.unwrap();
    let taken_over = world.acquire_one(at(1)).await;
    assert_eq!(taken_over.record.id, killed.record.id);
    assert_eq!(
        taken_over.record.attempt, 2,
        "the killed one's attempt counts"
    );
    assert_eq!(world.reports(at(1), 1).await.len(), 1);
    for name in ["cabinet.resync", "edge.reconcile"] {
        let task = world.store.periodic_acquire(name, at(1), TTL, at(1));
        let task = task.await.unwrap().expect("it is taken over at once");
        assert_eq!(task.progress.as_deref(), Some("half of it"), "{name}");
    }
}

#[tokio::test]
async fn a_machine_whose_clock_is_far_from_the_servers_is_refused() {
    let world = World::on_postgres().await.with_its_own_time().await;
    let refused = world.store.database().lock().await;
    assert!(
        matches!(refused, Err(LockError::Clock { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_server_serves_many_processes_and_takes_nothing_from_them() {
    let world = World::on_postgres().await;
    world.store.database().lock().await.unwrap();
    world.with_due("shop.example", at(0)).await;
    world.acquire_one(at(0)).await;
    world.open_again().await.database().lock().await.unwrap();
    assert!(world.acquire(at(1), 1).await.is_empty());
}
