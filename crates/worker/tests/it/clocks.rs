//! The clocks of replicas jump, by libfaketime: the machine's clock as the process sees it, not the
//! monotonic one.

use std::path::{Path, PathBuf};

use dps_lab::postgres;
use dps_lab::process::Process;
use serde_json::json;

use crate::world::{Database, Options, TIMEOUT, World, npgsql};

/// A clock that is set by a file.
pub(crate) struct Clock {
    library: String,
    file: PathBuf,
}

impl Clock {
    pub(crate) fn right(home: &Path, name: &str) -> Self {
        let libraries = std::fs::read_dir("/usr/lib").unwrap();
        let library = libraries
            .map(|directory| {
                directory
                    .unwrap()
                    .path()
                    .join("faketime/libfaketimeMT.so.1")
            })
            .find(|library| library.exists());
        let clock = Self {
            library: library
                .expect("install the Debian package libfaketime")
                .display()
                .to_string(),
            file: home.join(format!("{name}.clock")),
        };
        clock.set("+0");
        clock
    }

    /// So far from the right time.
    pub(crate) fn set(&self, offset: &str) {
        // At once, so that no reader sees half of it.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{offset}\n")).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    /// The environment of a process that has this clock.
    pub(crate) fn environment(&self) -> [(&str, &str); 4] {
        [
            ("LD_PRELOAD", &self.library),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
    }

    async fn start_replica(&self, world: &World, name: &str) -> Process {
        world.start_replica(name, &self.environment()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_jump_an_hour_back_and_a_day_ahead_cost_no_second_order() {
    let options = Options {
        database: Database::Postgres(npgsql(&postgres::fresh_database().await.unwrap())),
        // Some seconds of validation, so that the jumps meet steps under way.
        pebble: |pebble| pebble.pause_before_validation = true,
        ..Options::quick()
    };
    let mut world =
        World::start(options.with(&json!({ "Workers": { "LeaseDuration": "30s" } }))).await;
    let [fast, slow] = ["fast", "slow"].map(|name| Clock::right(world.home(), name));
    let mut replicas = [
        fast.start_replica(&world, "fast").await,
        slow.start_replica(&world, "slow").await,
    ];
    let hosts: Vec<String> = (0..12).map(|n| format!("shop-{n}.clock.test")).collect();
    let mut ids = Vec::new();
    for host in &hosts[..6] {
        ids.push(world.add(host).await);
    }
    // Of each, so that none is killed between the CA's answer to its order and the write of that,
    // after which it must order again.
    let (pebble, first) = (&world.pebble, &hosts[..6]);
    let began = || std::future::ready(first.iter().all(|host| pebble.validations_for(host) > 0));
    world
        .service
        .wait_until("the validations", TIMEOUT, began)
        .await
        .unwrap();
    fast.set("+1d");
    slow.set("-1h");
    for replica in &mut replicas {
        replica
            .wait_for_log("clock.jump_ignored", TIMEOUT)
            .await
            .unwrap();
    }
    // From here on only those whose clocks jumped work.
    world.service.kill().unwrap();
    for host in &hosts[6..] {
        ids.push(world.add(host).await);
    }
    for id in &ids {
        // Records of the killed one wait for the end of its lease.
        world
            .wait_longer_for(id, TIMEOUT * 2, "Active", |domain| {
                domain["status"] == "Active"
            })
            .await;
    }
    for host in &hosts {
        assert_eq!(world.pebble.orders_for(host), 1, "{host}");
    }
    assert_eq!(world.pebble.certificates(), hosts.len());
}
