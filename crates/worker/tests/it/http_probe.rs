//! The HTTP probe where service and CA do not see the same. The service cannot reach its own edges,
//! or the customer's DNS answers the CA otherwise.

use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::{Database, EDGE, Options, STRANGER, TARGET, UNANSWERING, World, on_both};

/// An address at which no server listens.
const CLOSED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// A world in which only the CA asks the first resolver, and only the service the second.
async fn split_world(database: Database) -> World {
    World::start(Options {
        database,
        split_dns: true,
        prepare: Some(Box::new(|home, _| leave_first_resolver_to_the_ca(home))),
        ..Options::quick()
    })
    .await
}

/// Lets only the CA ask the first resolver.
pub(crate) fn leave_first_resolver_to_the_ca(home: &Path) {
    change_settings(home, |settings| {
        let second = settings["Dns"]["Resolvers"][1].take();
        settings["Dns"]["Resolvers"] = json!([second]);
    });
}

fn change_settings(home: &Path, change: impl FnOnce(&mut Value)) {
    let file = home.join("appsettings.json");
    let mut settings: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    change(&mut settings);
    std::fs::write(&file, settings.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_cannot_reach_its_own_edges_leaves_the_word_to_the_ca() {
    let world = split_world(Database::Sqlite).await;
    world.second_zone.set_a(TARGET, &[CLOSED, UNANSWERING]);
    let host = "shop.hairpin.test";
    let id = world.add(host).await;
    let active = world.wait_for_status(&id, "Active").await;
    assert!(active["lastErrorCode"].is_null(), "{active}");
    world.visit(host).await;
    assert_eq!(world.pebble.orders_for(host), 1);
    let log = world.log();
    assert_eq!(log.count(host, "http.inconclusive"), 1);
    assert_eq!(log.count(host, "probe.edges_out_of_reach"), 1);

    // If the CA does not reach them either, that is ours all the same.
    world.zone.set_a(TARGET, &[CLOSED]);
    let host = "shop.closed.test";
    let id = world.add(host).await;
    let ours = world.wait_for_code(&id, "EDGE_UNREACHABLE").await;
    assert_ne!(ours["status"], "Failed", "{ours}");
    let sentence = ours["lastErrorMessage"].as_str().unwrap();
    assert!(sentence.contains("on our side"), "{sentence}");
    assert_eq!(world.pebble.orders_for(host), 1, "the next one waits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_haproxy_that_is_down_is_no_place_of_the_service() {
    let mut world = split_world(Database::Sqlite).await;
    world.second_zone.set_a(TARGET, &[CLOSED]);
    world.haproxy.kill().unwrap();
    let host = "shop.down.test";
    let id = world.add(host).await;
    let ours = world.wait_for_code(&id, "EDGE_UNREACHABLE").await;
    assert_eq!(ours["status"], "PendingHttpProbe", "{ours}");
    assert_eq!(world.pebble.orders_for(host), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_only_the_ca_cannot_reach_counts_against_its_domain_from_the_second_time_on() {
    on_both(async |database| {
        let world = split_world(database).await;
        let host = "shop.horizon.test";
        world.point_at_us(host);
        world.zone.clear(host);
        world.zone.set_a(host, &[STRANGER]);
        let id = world.customer.add(host).await;
        let domain = world.wait_for_code(&id, "ACME_VALIDATION_FAILED").await;
        assert_eq!(domain["errorDetails"]["reachedByUs"], true, "{domain}");
        let sentence = domain["lastErrorMessage"].as_str().unwrap();
        assert!(
            sentence.starts_with("We reach shop.horizon.test"),
            "{sentence}"
        );
        assert_eq!(world.pebble.orders_for(host), 2, "then the name pauses");
        let log = world.log();
        assert_eq!(log.count(host, "validation.doubted"), 1);
        assert_eq!(log.count(host, "acme_validation_failed"), 1);

        // Another name is not paused, and its DNS is right for both.
        let other = "other.horizon.test";
        world.zone.set_a(TARGET, &[EDGE]);
        let id = world.add(other).await;
        world.wait_for_status(&id, "Active").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_probe_for_a_service_that_has_no_way_to_the_names() {
    let world = World::start(Options {
        prepare: Some(Box::new(|home, _| let_edges_probe(home))),
        ..Options::quick()
    })
    .await;
    let host = "shop.vantage.test";
    let id = world.add(host).await;
    world.wait_for_status(&id, "Active").await;
    world.visit(host).await;
    assert_eq!(world.log().count(host, "http.ready"), 1);
}

/// Only the agent knows the port at which names answer here.
fn let_edges_probe(home: &Path) {
    change_settings(home, |settings| {
        settings["Agent"]["ProbePort"] = settings["Workers"]["HttpProbe"]["Port"].take();
        settings["Agent"]["AllowPrivateProbes"] = json!(true);
        settings["Workers"]["HttpProbe"]["Port"] = json!(1);
        settings["Workers"]["HttpProbe"]["Vantage"] = json!("edges");
    });
}
