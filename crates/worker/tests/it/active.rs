//! The main job: from "the customer typed it in" to "served with a valid certificate", and still
//! served when HAProxy forgot everything.

use std::process::Command;

use dps_lab::postgres;
use serde_json::json;

use crate::world::{Database, GREETING, Options, TIMEOUT, World, npgsql_database};

const HOST: &str = "shop.bakery.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_becomes_active_and_outlives_its_edges_memory_on_sqlite() {
    becomes_active_and_outlives_the_edges_memory(Options::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_becomes_active_and_outlives_its_edges_memory_on_postgresql() {
    let cabinet = postgres::fresh_database().await.unwrap();
    let options = Options {
        database: Database::Postgres(npgsql_database().await),
        ..Options::default()
    };
    let cabinet = json!({ "Cabinet": { "ConnectionString": cabinet } });
    becomes_active_and_outlives_the_edges_memory(options.with(&cabinet)).await;
}

/// All intervals are the defaults, of which the shortest is longer than the whole may take.
async fn becomes_active_and_outlives_the_edges_memory(options: Options) {
    let mut world = World::start(options).await;
    let id = world.add("Shop.Bakery.test.").await;
    let active = world.wait_for_status(&id, "Active").await;
    assert_eq!(active["canonicalHost"], HOST);
    assert!(active["certificateNotAfter"].is_string(), "{active}");
    assert!(active["lastErrorCode"].is_null(), "{active}");
    let fingerprint = world.visit(HOST).await;
    curl(&world);
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
    curl(&world);
}

/// The command that users are asked to try.
fn curl(world: &World) {
    let root = world.home().join("root.pem");
    std::fs::write(&root, &world.root_pem).unwrap();
    let port = world.https.port();
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--noproxy",
            "*",
            "--cacert",
        ])
        .arg(&root)
        .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1")])
        .arg(format!("https://{HOST}:{port}/"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), GREETING);
}

/// The same settings and the same files serve one process as well as three.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_takes_over_from_three_and_serves_old_and_new_domains() {
    let mut world = World::start(Options::default()).await;
    let old = world.add("old.bakery.test").await;
    world.wait_for_status(&old, "Active").await;
    let fingerprint = world.visit("old.bakery.test").await;
    for process in [&mut world.service, &mut world.agent, &mut world.cabinet] {
        let status = process.terminate(TIMEOUT).await.unwrap();
        assert_eq!(status.code(), Some(0), "{}", process.log_tail());
    }
    let mut standalone = world.start_standalone().await;
    let id = world.add(HOST).await;
    let what = world.wait_for_status(&id, "Active").await;
    assert_eq!(what["canonicalHost"], HOST);
    world.visit(HOST).await;
    assert_eq!(world.visit("old.bakery.test").await, fingerprint);
    assert_eq!(world.get("/health/ready").await.0, 200);
    let status = standalone.terminate(TIMEOUT).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", standalone.log_tail());
}
