//! The main job: from "the customer typed it in" to "served with a valid certificate", and still served when HAProxy forgot everything.

use crate::world::{Database, Options, World, npgsql_database};

const HOST: &str = "shop.bakery.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_becomes_active_and_outlives_its_edges_memory_on_sqlite() {
    becomes_active_and_outlives_the_edges_memory(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_becomes_active_and_outlives_its_edges_memory_on_postgresql() {
    let database = Database::Postgres(npgsql_database().await);
    becomes_active_and_outlives_the_edges_memory(database).await;
}

/// All intervals are the defaults, of which the shortest is longer than the whole may take.
async fn becomes_active_and_outlives_the_edges_memory(database: Database) {
    let mut world = World::start(Options {
        database,
        ..Options::default()
    })
    .await;
    let id = world.add("Shop.Bakery.test.").await;
    let active = world.wait_for_status(&id, "Active").await;
    assert_eq!(active["canonicalHost"], HOST);
    assert!(active["certificateNotAfter"].is_string(), "{active}");
    assert!(active["lastErrorCode"].is_null(), "{active}");
    let fingerprint = world.visit(HOST).await;
    assert_eq!(
        (world.pebble.orders_for(HOST), world.pebble.certificates()),
        (1, 1)
    );

    // Neither service nor agent can help a HAProxy that starts from its files.
    world.service.kill().unwrap();
    world.agent.kill().unwrap();
    world.haproxy.kill().unwrap();
    world.haproxy.restart().await.unwrap();
    assert_eq!(world.visit(HOST).await, fingerprint);
}
