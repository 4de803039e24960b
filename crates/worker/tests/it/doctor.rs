//! `dps doctor` in a world that works, and in one that does not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use serde_json::Value;

use crate::world::{Options, TIMEOUT, World, dps};

/// The first row of each check, and the exit code.
fn examined(world: &World) -> (BTreeMap<String, Value>, Option<i32>) {
    let Output { status, stdout, .. } = dps(world.home(), &["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(report["isHealthy"], status.success(), "{report:#}");
    let mut named = BTreeMap::new();
    for row in report["checks"].as_array().unwrap() {
        let check = row["check"].as_str().unwrap().to_owned();
        named.entry(check).or_insert_with(|| row.clone());
    }
    (named, status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_names_what_to_mend() {
    let mut world = World::start(Options::quick()).await;
    let health = format!("http://{}/health", world.agent_listen());
    dps_lab::wait::until("the agent's health", TIMEOUT, async || {
        (world.customer.get(&health).await.0 == 200).then_some(())
    })
    .await
    .unwrap();
    let (rows, code) = examined(&world);
    assert_eq!(code, Some(0), "{rows:#?}");
    for check in ["store", "ca", "clock", "cabinet", "agents"] {
        assert_eq!(rows[check]["status"], "ok", "{rows:#?}");
    }

    world.agent.kill().unwrap();
    let (rows, code) = examined(&world);
    assert_eq!(code, Some(1), "{rows:#?}");
    assert_eq!(rows["agents"]["status"], "failed");
    assert!(
        rows["agents"]["message"]
            .as_str()
            .unwrap()
            .starts_with("1 of 1 edges: ")
    );
    assert!(rows["agents"]["remedy"].is_string());
    assert_eq!(rows["store"]["status"], "ok");
    let text = String::from_utf8(dps(world.home(), &["doctor"]).stdout).unwrap();
    assert!(
        text.contains("\nfailed   agents\n  1 of 1 edges: "),
        "{text}"
    );

    // The database is not there; the parties that are called with it are not asked.
    world.service.kill().unwrap();
    let file = world.home().join("dps.db");
    let aside = world.home().join("aside.db");
    fs::rename(&file, &aside).unwrap();
    let (rows, code) = examined(&world);
    assert_eq!(code, Some(1), "{rows:#?}");
    assert_eq!(rows["store"]["status"], "failed");
    assert_eq!(rows["cabinet"]["status"], "skipped");
    assert_eq!(rows["ca"]["status"], "ok");
    fs::rename(&aside, &file).unwrap();

    // Others may read the file with the key-encryption key.
    let keys = world.home().join("dps.kek");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let (rows, code) = examined(&world);
    assert_eq!(code, Some(2), "{rows:#?}");
    assert_eq!(rows["settings"]["status"], "failed");
    let message = rows["settings"]["message"].as_str().unwrap();
    assert!(message.contains("644"), "{message}");
    assert_eq!(rows["store"]["status"], "skipped");
}
