//! The service's own machine runs out of descriptors: no customer hears of it, and everything goes
//! on by itself.

use std::collections::BTreeSet;

use dps_domain::FailureCode;
use dps_lab::wait;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::world::{Log, Options, TIMEOUT, World, dps};

/// Descriptors that are left now and then: enough for some look-ups at a time, and not for all.
const LEFT: u64 = 6;
/// Steps that must have failed for want of a descriptor.
const FAILED_STEPS: usize = 10;
/// Times that descriptors are given and taken afterwards.
const ROUNDS: u32 = 100;

fn limit(world: &World, soft: u64) -> Rlimit {
    let pid = Pid::from_raw(i32::try_from(world.service.pid()).unwrap());
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
    let wanted = Rlimit {
        current: Some(soft),
        maximum: hard,
    };
    prlimit(pid, Resource::Nofile, wanted).unwrap()
}

fn open_descriptors(world: &World) -> u64 {
    let folder = format!("/proc/{}/fd", world.service.pid());
    u64::try_from(std::fs::read_dir(folder).unwrap().count()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_famine_of_descriptors_is_reported_to_the_operator_and_to_no_customer() {
    // A step that changes nothing is logged at this level only.
    let debug = json!({ "Logging": { "Level": "Debug" } });
    let world = World::start(Options::quick().with(&debug)).await;
    let hosts = |kind: &str| {
        (0..12)
            .map(|n| format!("{kind}{n}.famine.test"))
            .collect::<Vec<_>>()
    };
    let (live, new) = (hosts("live"), hosts("new"));
    let mut ids = Vec::new();
    for host in &live {
        ids.push(world.add(host).await);
    }
    for id in &ids {
        world.wait_for_status(id, "Active").await;
    }
    let mut before = Vec::new();
    for host in &live {
        before.push(world.visit(host).await);
    }
    let mut taken = open_descriptors(&world);
    let usual = limit(&world, taken);
    for host in &live {
        let renewed = dps(world.home(), &["domains", "renew", host]);
        assert!(renewed.status.success(), "{renewed:?}");
    }
    for host in &new {
        ids.push(world.add(host).await);
    }
    let (mut left, mut rounds) = (0, 0);
    let starved = wait::until("steps fail for want of descriptors", TIMEOUT, || {
        let log = world.log();
        let all = live.iter().chain(&new);
        let failed: usize = all.map(|host| log.count(host, "machine.failed")).sum();
        // Nothing is left at first: on a slow machine a few descriptors could be enough for all.
        // Afterwards some look-ups succeed.
        if failed >= FAILED_STEPS {
            rounds += 1;
            left = LEFT - left;
        }
        // Idle connections that are closed must not end the famine.
        taken = taken.min(open_descriptors(&world));
        limit(&world, taken + left);
        std::future::ready((rounds > ROUNDS).then_some(()))
    });
    if let Err(error) = starved.await {
        panic!("{error}\n{}", world.service.log_tail());
    }
    limit(&world, usual.current.unwrap());
    for id in &ids {
        world.wait_for_status(id, "Active").await;
    }
    for (host, before) in live.iter().zip(&before) {
        let renewed = wait::until("the renewal ends well", TIMEOUT, || async {
            (world.visit(host).await != *before).then_some(())
        });
        renewed.await.unwrap();
    }

    // Ours may be reported: that is true. Nothing else.
    let ours = [
        FailureCode::Internal,
        FailureCode::AcmeCaUnavailable,
        FailureCode::EdgeUnreachable,
    ];
    let ours: BTreeSet<&str> = ours.iter().map(|code| code.as_str()).collect();
    let text = world.service.log_text();
    let codes: BTreeSet<&str> = FailureCode::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| text.contains(&format!("\"code\":\"{code}\"")))
        .filter(|code| !ours.contains(code))
        .collect();
    assert!(
        codes.is_empty(),
        "{codes:?} in\n{}",
        world.service.log_tail()
    );
    let alarms = Log::parse(&text);
    assert!(alarms.values("machine.failed", "party").count() > 0);
    let (_, metrics) = world.get("/metrics").await;
    let counted = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("dps_local_faults_total{"))
        .any(|line| !line.ends_with(" 0"));
    assert!(counted, "{metrics}");
}
