//! The periodic task that deletes rows which no step needs any more.

use std::time::Duration;

use dps_application::ports::store::{PruneBatch, StoredOrder};
use dps_application::workers;
use dps_domain::OrderId;
use dps_domain::retention::Prunable;
use uuid::Uuid;

use super::world::World;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Orders of the domain that were closed now.
async fn closed_orders(world: &World, count: u128) {
    let (store, now) = (&world.service.store, world.service.now());
    let lease = world.lease().await;
    for number in 0..count {
        let order = StoredOrder {
            id: OrderId::from_uuid(Uuid::from_u128(1_000 + number)),
            domain_id: world.record().await.id,
            directory_url: "https://ca.example/dir".to_owned(),
            url: format!("https://ca.example/order/{number}"),
            open: true,
            key: None,
            created_at: now,
        };
        store.order_insert(&order, lease.token).await.unwrap();
        store.order_close(order.id, now).await.unwrap();
    }
    store.release(lease.record.id, lease.token).await.unwrap();
}

async fn left(world: &World, count: u128) -> usize {
    let mut left = 0;
    for number in 0..count {
        let id = OrderId::from_uuid(Uuid::from_u128(1_000 + number));
        left += usize::from(world.service.store.order(id).await.unwrap().is_some());
    }
    left
}

#[tokio::test]
async fn a_pass_deletes_all_that_is_due_in_batches_and_is_made_once_an_hour() {
    const ORDERS: u128 = 1_100;
    let world = World::with_due_domain().await;
    closed_orders(&world, ORDERS).await;
    assert!(
        !workers::prune(&world.service).await.unwrap(),
        "the first is due within an hour"
    );
    world.advance(HOUR);
    assert!(workers::prune(&world.service).await.unwrap());
    assert_eq!(left(&world, ORDERS).await, 1_100);
    world.advance(31 * DAY);
    assert!(workers::prune(&world.service).await.unwrap());
    assert_eq!(left(&world, ORDERS).await, 0);
    assert!(!workers::prune(&world.service).await.unwrap(), "not due");
    world.advance(2 * HOUR);
    assert!(workers::prune(&world.service).await.unwrap());
}

#[tokio::test]
async fn a_pass_of_a_replica_that_died_is_continued_by_another() {
    let world = World::with_due_domain().await;
    closed_orders(&world, 600).await;
    world.advance(31 * DAY);
    let (service, now) = (&world.service, world.service.now());
    // It has deleted a batch of orders when it dies.
    let store = &service.store;
    let lease = store
        .periodic_acquire("store.prune", now, HOUR / 6, now)
        .await;
    let lease = lease.unwrap().expect("the task is due");
    let until = now + HOUR / 6;
    store.periodic_extend(&lease, "order", until).await.unwrap();
    let batch = PruneBatch {
        kind: Prunable::Order,
        retention: &service.policy.retention,
        now,
        after: None,
        limit: 500,
    };
    let pruned = store.prune(&batch).await.unwrap();
    assert_eq!((pruned.rows, left(&world, 600).await), (500, 100));
    assert!(
        !workers::prune(service).await.unwrap(),
        "another replica has it"
    );
    world.advance(HOUR);
    assert!(workers::prune(service).await.unwrap());
    assert_eq!(left(&world, 600).await, 0);
    assert!(!workers::prune(service).await.unwrap(), "the pass is over");
}
