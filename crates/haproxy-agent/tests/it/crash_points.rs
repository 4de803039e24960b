//! The agent is killed at every named moment of an apply, a replacement, a removal and a batch.
//! HAProxy can start with what is on the disk each time, serves the old or the new, and the same
//! call works afterwards.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

use dps_agent_api::{AgentClient, ApplyRequest};
use haproxy_domain_agent::crash_point::Effect;

use crate::authority::Issued;
use crate::crashes::{Guarded, spawn_agent_with};
use crate::world::{World, eventually};

/// The signal of `abort`.
const SIGABRT: i32 = 6;

/// The effects of having certificates served, in their order.
const APPLY: [Effect; 7] = [
    Effect::FileStage,
    Effect::StageSync,
    Effect::CertificateInstall,
    Effect::CertificateProve,
    Effect::FilePublish,
    Effect::PublishSync,
    Effect::ListWrite,
];
/// The effects of a removal, in their order.
const REMOVE: [Effect; 4] = [
    Effect::TombstoneWrite,
    Effect::ListWrite,
    Effect::CertificateUninstall,
    Effect::FileDelete,
];

/// Before and after each effect, as `AGENT_CRASH_AT` names them.
fn moments(effects: &[Effect]) -> Vec<String> {
    let both =
        |effect: &Effect| ["before", "after"].map(|side| format!("{}.{side}", effect.as_str()));
    effects.iter().flat_map(both).collect()
}

/// An agent that HAProxy was compared by, as a process of its own.
async fn start(world: &World, environment: &[(&str, &str)]) -> (Guarded, AgentClient) {
    let mut agent = spawn_agent_with(world, environment);
    let client = world.client_at_its_usual_address();
    eventually("the agent is in line with HAProxy", async || {
        let ended = agent.0.try_wait().unwrap();
        assert!(ended.is_none(), "the agent ended: {ended:?}");
        let health = client.health().await;
        health
            .is_ok_and(|health| health.haproxy.problem.is_none() && health.last_repair_at.is_some())
    })
    .await;
    (agent, client)
}

async fn assert_aborts(agent: &mut Guarded, moment: &str) {
    let mut status = None;
    eventually(moment, async || {
        status = agent.0.try_wait().unwrap();
        status.is_some()
    })
    .await;
    let signal = status.and_then(|status| status.signal());
    assert_eq!(signal, Some(SIGABRT), "{moment} was not reached");
}

/// Which of these may be served now: a fingerprint each, `None` for none.
async fn assert_one_of(
    world: &World,
    moment: &str,
    hostname: &Issued,
    allowed: &[Option<&Issued>],
) {
    let served = world.visit(&hostname.hostname).await;
    let is_allowed = allowed
        .iter()
        .any(|one| one.map(Issued::fingerprint) == served.as_deref());
    assert!(
        is_allowed,
        "{moment}: {} shows {served:?}",
        hostname.hostname
    );
}

/// One certificate per moment is put in place of another, or of none.
async fn walk_applies(effects: &[Effect], is_replacement: bool) {
    let mut world = World::new().await;
    world.stop_agent().await;
    for (number, moment) in moments(effects).iter().enumerate() {
        let name = format!("host{number}.example.com");
        let (old, new) = (world.authority.issue(&name), world.authority.issue(&name));
        if is_replacement {
            let (_agent, client) = start(&world, &[]).await;
            client.apply(&old.request(1)).await.unwrap();
        }
        let (mut agent, client) = start(&world, &[("AGENT_CRASH_AT", moment)]).await;
        client.apply(&new.request(2)).await.unwrap_err();
        assert_aborts(&mut agent, moment).await;
        world.assert_loadable();

        let before = is_replacement.then_some(&old);
        assert_one_of(&world, moment, &new, &[before, Some(&new)]).await;
        let (_agent, client) = start(&world, &[]).await;
        assert_one_of(&world, moment, &new, &[before, Some(&new)]).await;
        client.apply(&new.request(2)).await.unwrap();
        world.assert_serves(&new).await;
        world.assert_loadable();
    }
    assert_serves_from_disk(&mut world, effects.len() * 2).await;
}

/// Asserts on what HAProxy serves after a restart without the agent.
async fn assert_serves_from_disk(world: &mut World, certificates: usize) {
    world.kill_haproxy();
    world.start_agent().await;
    world.start_haproxy().await;
    assert_eq!(
        world
            .operator()
            .list_entries(&world.list())
            .await
            .unwrap()
            .len(),
        certificates
    );
}

#[tokio::test]
async fn a_first_apply_cut_off_anywhere_leaves_nothing_or_the_certificate() {
    walk_applies(&APPLY, false).await;
}

#[tokio::test]
async fn a_replacement_cut_off_anywhere_leaves_the_old_certificate_or_the_new() {
    // The crt-list has the hostname already.
    walk_applies(&APPLY[..6], true).await;
}

#[tokio::test]
async fn a_removal_cut_off_anywhere_can_be_finished_and_leaves_no_key() {
    let mut world = World::new().await;
    world.stop_agent().await;
    for (number, moment) in moments(&REMOVE).iter().enumerate() {
        let issued = world.authority.issue(&format!("host{number}.example.com"));
        {
            let (_agent, client) = start(&world, &[]).await;
            client.apply(&issued.request(1)).await.unwrap();
        }
        let (mut agent, client) = start(&world, &[("AGENT_CRASH_AT", moment)]).await;
        client.remove(&issued.hostname).await.unwrap_err();
        assert_aborts(&mut agent, moment).await;
        world.assert_loadable();

        let (_agent, client) = start(&world, &[]).await;
        assert_one_of(&world, moment, &issued, &[None, Some(&issued)]).await;
        client.remove(&issued.hostname).await.unwrap();
        assert_eq!(world.visit(&issued.hostname).await, None, "{moment}");
        let name = issued.hostname.as_str();
        let left = |path: &std::path::PathBuf| path.to_string_lossy().contains(name);
        assert!(!world.files().keys().any(left), "{moment}");
        world.assert_loadable();
    }
    assert_serves_from_disk(&mut world, 0).await;
}

#[tokio::test]
async fn a_batch_cut_off_anywhere_leaves_each_hostname_with_its_old_certificate_or_its_new() {
    let mut world = World::new().await;
    world.stop_agent().await;
    let mut cuts = moments(&APPLY);
    for middle in [
        "file.stage.after:5",
        "file.publish.before:5",
        "file.publish.after:5",
    ] {
        cuts.push(middle.to_owned());
    }
    let mut hostnames = BTreeSet::new();
    for (round, moment) in cuts.iter().enumerate() {
        // Half of the hostnames are there from the round before.
        let issue = |number: usize| world.authority.issue(&format!("host{number}.example.com"));
        let (old, new): (Vec<_>, Vec<_>) = (round * 5..round * 5 + 10)
            .map(|number| (issue(number), issue(number)))
            .unzip();
        let generation = 2 * round as u64 + 1;
        let requests = |issued: &[Issued], generation: u64| -> Vec<ApplyRequest> {
            issued.iter().map(|one| one.request(generation)).collect()
        };
        {
            let (_agent, client) = start(&world, &[]).await;
            for result in client.apply_batch(&requests(&old[..5], generation)).await {
                result.unwrap();
            }
        }
        let (mut agent, client) = start(&world, &[("AGENT_CRASH_AT", moment)]).await;
        for result in client.apply_batch(&requests(&new, generation + 1)).await {
            result.unwrap_err();
        }
        assert_aborts(&mut agent, moment).await;
        world.assert_loadable();

        let (_agent, client) = start(&world, &[]).await;
        for (index, (old, new)) in old.iter().zip(&new).enumerate() {
            let before = (index < 5).then_some(old);
            assert_one_of(&world, moment, new, &[before, Some(new)]).await;
        }
        for result in client.apply_batch(&requests(&new, generation + 1)).await {
            result.unwrap();
        }
        for one in &new {
            world.assert_serves(one).await;
            hostnames.insert(one.hostname.clone());
        }
        world.assert_loadable();
    }
    assert_serves_from_disk(&mut world, hostnames.len()).await;
}

#[test]
fn every_effect_is_walked() {
    for effect in Effect::ALL {
        assert!(
            APPLY.contains(&effect) || REMOVE.contains(&effect),
            "{effect:?} is cut off nowhere"
        );
    }
}
