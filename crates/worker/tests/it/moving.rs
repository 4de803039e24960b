//! A domain that moves away, and the end of its certificate.

use std::time::Duration;

use dps_lab::wait;
use serde_json::{Value, json};

use crate::fleet::{all_become_active, all_edges_serve, edges, held_by_all};
use crate::world::{Options, TIMEOUT, World};

const MOVES: &str = "moves.bakery.test";
const STAYS: &str = "stays.bakery.test";

/// Three edges, certificates of half a minute, and moves that are certain within seconds.
fn options() -> Options {
    Options {
        more_edges: 2,
        pebble: |pebble| pebble.certificate_validity = Some(Duration::from_secs(30)),
        ..Options::quick().with(&json!({ "Workers": { "Recheck": {
            "Observations": 3, "MovedAfter": "2s",
        } } }))
    }
}

/// How many edges present a certificate for the name, an expired one included. The others refuse
/// the handshake with the alert of `strict-sni`.
async fn presented_by(world: &World, host: &str) -> usize {
    let mut presented = 0;
    for (_, https) in edges(world) {
        let leaf = dps_lab::tls::presented_leaf(https, Some(host))
            .await
            .unwrap();
        presented += usize::from(leaf.is_some());
    }
    presented
}

/// How often an edge's list was compared with the store's, name by name.
fn comparisons(world: &World) -> usize {
    world.log().values("edge.compared", "edge.name").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_away_domain_leaves_three_edges_with_its_certificate_and_comes_back() {
    let world = World::start(options()).await;
    all_become_active(&world, &[MOVES.into(), STAYS.into()]).await;
    assert_eq!(presented_by(&world, MOVES).await, 3);
    let id = world.customer.id_of(MOVES).await;
    let before = comparisons(&world);

    world.zone.clear(MOVES);
    world.customer.retry(&id).await;
    // One check is no move: the customer reads what it found.
    let first = world.wait_for_code(&id, "DNS_NXDOMAIN").await;
    assert_eq!(first["status"], "Active", "{first}");
    let moved = world.wait_for_code(&id, "DNS_MOVED").await;
    if moved["status"] == "Active" {
        assert!(moved["nextAttemptAt"].is_string(), "{moved}");
    }

    let ended = |domain: &Value| domain["status"] == "Failed";
    let ended = world.wait_until(&id, "its end", ended).await;
    assert_eq!(ended["lastErrorCode"], "DNS_MOVED", "{ended}");
    assert!(ended["certificateNotAfter"].is_string(), "when it ended");
    // strict-sni refuses the handshake at every edge.
    wait::until("no edge presents it", TIMEOUT, || async {
        (presented_by(&world, MOVES).await == 0).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", world.service.log_tail()));
    all_edges_serve(&world, &[STAYS.into()]).await;
    assert_eq!(held_by_all(&world).await, [STAYS]);
    assert_eq!(comparisons(&world), before, "no edge's list had to be read");
    assert_eq!(world.pebble.orders_for(MOVES), 1);

    // The customer comes back and does not wait for the next check.
    world.point_at_us(MOVES);
    world.customer.retry(&id).await;
    let back = world.wait_for_status(&id, "Active").await;
    assert!(back["lastErrorCode"].is_null(), "{back}");
    all_edges_serve(&world, &[MOVES.into(), STAYS.into()]).await;
}
