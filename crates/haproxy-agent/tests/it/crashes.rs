//! HAProxy and the agent are killed, stopped and reloaded in the middle of their work.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dps_agent_api::{AgentClient, AgentError};
use dps_domain::Hostname;
use dps_host::HumanDuration;
use tokio::task::JoinSet;

use crate::authority::Issued;
use crate::world::{TOKEN, World, eventually};

pub(crate) fn signal(name: &str, pid: u32) {
    assert!(
        Command::new("kill")
            .arg(name)
            .arg(pid.to_string())
            .status()
            .unwrap()
            .success()
    );
}

/// Applies all of them at once; gives the indices of those that were acknowledged.
fn apply_all(client: &AgentClient, issued: &[Issued], generation: u64) -> JoinSet<Option<usize>> {
    let mut calls = JoinSet::new();
    for (index, one) in issued.iter().enumerate() {
        let (client, request) = (client.clone(), one.request(generation));
        calls.spawn(async move { client.apply(&request).await.ok().map(|_| index) });
    }
    calls
}

#[tokio::test]
async fn what_was_acknowledged_survives_haproxy_killed_in_the_middle_of_applies() {
    let mut world = World::new().await;
    let mut history = History::default();
    for round in 0..4_u64 {
        let names = (0..6).map(|n| format!("host{n}.example.com"));
        let issued: Vec<_> = names.map(|name| world.authority.issue(&name)).collect();
        let mut calls = apply_all(&world.client(), &issued, round + 1);
        let mut acknowledged = Vec::new();
        for _ in 0..round {
            acknowledged.extend(calls.join_next().await.unwrap().unwrap());
        }
        world.kill_haproxy();
        while let Some(index) = calls.join_next().await {
            acknowledged.extend(index.unwrap());
        }
        world.assert_loadable();
        world.start_haproxy().await;
        history.record(&issued, &acknowledged);
        history.assert_served_by(&world).await;
    }
    history.assert_some_acknowledged();
}

/// The certificates that may be served, by hostname: the last acknowledged one, or one tried since.
/// A crash may come between an apply and its acknowledgement.
#[derive(Default)]
struct History(BTreeMap<Hostname, Tried>);

#[derive(Default)]
struct Tried {
    is_acknowledged: bool,
    fingerprints: Vec<String>,
}

impl History {
    fn record(&mut self, issued: &[Issued], acknowledged: &[usize]) {
        for (index, one) in issued.iter().enumerate() {
            let tried = self.0.entry(one.hostname.clone()).or_default();
            if acknowledged.contains(&index) {
                *tried = Tried {
                    is_acknowledged: true,
                    fingerprints: Vec::new(),
                };
            }
            tried.fingerprints.push(one.fingerprint().to_owned());
        }
    }

    async fn assert_served_by(&self, world: &World) {
        for (hostname, tried) in &self.0 {
            match world.visit(hostname).await {
                Some(served) => assert!(
                    tried.fingerprints.contains(&served),
                    "{hostname} serves {served}"
                ),
                None => assert!(!tried.is_acknowledged, "{hostname} is not served"),
            }
        }
    }

    fn assert_some_acknowledged(&self) {
        assert!(
            self.0.values().any(|tried| tried.is_acknowledged),
            "no apply was ever acknowledged"
        );
    }
}

/// A child process that does not outlive the test.
pub(crate) struct Guarded(pub(crate) Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The agent as a process of its own, on the address that the world's HAProxy expects it.
fn spawn_agent(world: &World) -> Guarded {
    spawn(
        world,
        Command::new(env!("CARGO_BIN_EXE_haproxy-domain-agent")),
    )
}

/// A command that ends up as the agent, on the address that the world's HAProxy expects it.
pub(crate) fn spawn(world: &World, command: Command) -> Guarded {
    spawn_with(world, command, &[])
}

/// The agent, with the moment at which it ends.
pub(crate) fn spawn_agent_with(world: &World, environment: &[(&str, &str)]) -> Guarded {
    let agent = Command::new(env!("CARGO_BIN_EXE_haproxy-domain-agent"));
    spawn_with(world, agent, environment)
}

fn spawn_with(world: &World, mut command: Command, environment: &[(&str, &str)]) -> Guarded {
    let child = command
        .env_clear()
        .env("Agent__Token", TOKEN)
        .env("Agent__Listen", world.settings.listen.to_string())
        .env("Agent__StateDirectory", &world.settings.state_directory)
        .env("Agent__HaproxySocket", &world.settings.haproxy_socket)
        .env("Agent__TlsAddress", world.settings.tls_address.to_string())
        .env("Agent__WatchInterval", "100ms")
        .env("Agent__ReloadGrace", "100ms")
        .envs(environment.iter().copied())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Guarded(child)
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_agent_killed_in_the_middle_of_applies() {
    let mut world = World::new().await;
    world.stop_agent().await;
    let client = world.client_at_its_usual_address();
    let ready = async || {
        client
            .health()
            .await
            .is_ok_and(|health| health.haproxy.problem.is_none() && health.last_repair_at.is_some())
    };
    let mut history = History::default();
    for round in 0..5_u64 {
        let agent = spawn_agent(&world);
        eventually("the agent is in line with HAProxy", ready).await;
        history.assert_served_by(&world).await;
        let names = (0..6).map(|n| format!("host{n}.example.com"));
        let issued: Vec<_> = names.map(|name| world.authority.issue(&name)).collect();
        let mut calls = apply_all(&client, &issued, round + 1);
        let mut acknowledged = Vec::new();
        for _ in 0..round {
            acknowledged.extend(calls.join_next().await.unwrap().unwrap());
        }
        tokio::time::sleep(Duration::from_millis(3 * round)).await;
        drop(agent);
        while let Some(index) = calls.join_next().await {
            acknowledged.extend(index.unwrap());
        }
        world.assert_loadable();
        history.record(&issued, &acknowledged);
    }
    history.assert_some_acknowledged();
    world.kill_haproxy();
    world.start_agent().await;
    world.start_haproxy().await;
    history.assert_served_by(&world).await;
}

#[tokio::test]
async fn a_socket_that_hangs_costs_no_more_than_the_deadline() {
    let mut world = World::with_settings(|settings| {
        settings.runtime_deadline = HumanDuration::from(Duration::from_millis(300));
        settings.handshake_timeout = HumanDuration::from(Duration::from_millis(300));
    })
    .await;
    world.start_haproxy().await;
    let issued = world.authority.issue("shop.example.com");
    signal("-STOP", world.pid());
    let verdict = world.client().apply(&issued.request(1)).await;
    signal("-CONT", world.pid());
    assert!(
        matches!(verdict, Err(AgentError::Unreachable { .. })),
        "{verdict:?}"
    );

    eventually("HAProxy takes the certificate again", async || {
        world.client().apply(&issued.request(1)).await.is_ok()
    })
    .await;
    world.assert_serves(&issued).await;
    assert_eq!(
        world
            .operator()
            .list_entries(&world.list())
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn an_operators_reload_in_the_middle_of_applies_loses_nothing() {
    let mut world = World::without_haproxy().await;
    world.spawn_haproxy_with(&["-W"]);
    let client = world.client();
    let worker = async || {
        client
            .health()
            .await
            .ok()
            .filter(|health| health.haproxy.problem.is_none())?
            .haproxy
            .pid
    };
    eventually("HAProxy answers", async || worker().await.is_some()).await;
    let names = (0..8).map(|n| format!("host{n}.example.com"));
    let issued: Vec<_> = names.map(|name| world.authority.issue(&name)).collect();
    client.apply(&issued[0].request(1)).await.unwrap();

    let mut calls = apply_all(&client, &issued, 2);
    let before = worker().await;
    let first = calls.join_next().await.unwrap().unwrap();
    signal("-USR2", world.pid());
    let mut acknowledged: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
    acknowledged.extend(first);
    eventually("the agent sees the new worker", async || {
        let now = worker().await;
        now.is_some() && now != before
    })
    .await;

    for index in acknowledged {
        eventually(
            "an acknowledged certificate is served by the new worker",
            async || {
                world.visit(&issued[index].hostname).await.as_deref()
                    == Some(issued[index].fingerprint())
            },
        )
        .await;
    }
    for one in &issued {
        client.apply(&one.request(3)).await.unwrap();
        world.assert_serves(one).await;
    }
    world.assert_loadable();
}
