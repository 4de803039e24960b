//! HAProxy is stopped, reloaded or struck dumb in the middle of a batch, and callers contradict
//! each other.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dps_agent_api::{AgentError, Applied, CertificateState};
use dps_host::HumanDuration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::authority::Issued;
use crate::batches::{issue_many, metric, requests};
use crate::crashes::signal;
use crate::world::{World, eventually};

const SHORT: Duration = Duration::from_millis(400);

type Verdicts = Vec<Result<Applied, AgentError>>;

fn begin_batch(world: &World, issued: &[Issued], generation: u64) -> JoinHandle<Verdicts> {
    let (client, batch) = (world.client(), requests(issued, generation));
    tokio::spawn(async move { client.apply_batch(&batch).await })
}

/// Waits until HAProxy has begun with a batch.
async fn begun(world: &World, stores: usize) {
    eventually("HAProxy has some of the batch", async || {
        let listing = world.operator().stores().await;
        listing.is_ok_and(|listing| listing.names.len() > stores)
    })
    .await;
}

/// An agent with a relay between it and HAProxy's socket, whose limits of time are short.
struct Relayed {
    world: World,
    /// Armed with HAProxy's process, the relay stops that just before a connection's hundredth
    /// commit gets there.
    arm: watch::Sender<Option<u32>>,
    /// Connections that the agent opened.
    opened: Arc<AtomicUsize>,
    relay: JoinHandle<()>,
}

impl Relayed {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut world = World::with_settings(|settings| {
            settings.runtime_deadline = HumanDuration::from(SHORT);
            settings.handshake_timeout = HumanDuration::from(SHORT);
            settings.haproxy_socket = format!("tcp:{}", listener.local_addr().unwrap());
        })
        .await;
        let (arm, armed) = watch::channel(None);
        let opened = Arc::new(AtomicUsize::new(0));
        let socket = world.put_socket_elsewhere();
        let relay = tokio::spawn(relay(listener, socket, armed, Arc::clone(&opened)));
        world.start_haproxy().await;
        Self {
            world,
            arm,
            opened,
            relay,
        }
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// Passes on what the agent says to HAProxy and back.
async fn relay(
    listener: TcpListener,
    socket: PathBuf,
    armed: watch::Receiver<Option<u32>>,
    opened: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    while let Ok((agent, _)) = listener.accept().await {
        opened.fetch_add(1, Ordering::Relaxed);
        // HAProxy may not have started yet: the agent finds the connection closed.
        let Ok(haproxy) = UnixStream::connect(&socket).await else {
            continue;
        };
        let armed = armed.clone();
        connections.spawn(async move {
            let ((mut said, mut heard), (mut answers, mut commands)) =
                (agent.into_split(), haproxy.into_split());
            let commands_to_haproxy = async move {
                let (mut buffer, mut commits) = (vec![0; 4096], 0);
                while let Ok(length @ 1..) = said.read(&mut buffer).await {
                    let text = String::from_utf8_lossy(&buffer[..length]);
                    commits += text.matches("commit ssl cert").count();
                    let victim = *armed.borrow();
                    if let Some(pid) = victim.filter(|_| commits >= 100) {
                        signal("-STOP", pid);
                    }
                    if commands.write_all(&buffer[..length]).await.is_err() {
                        break;
                    }
                }
            };
            tokio::join!(commands_to_haproxy, async move {
                tokio::io::copy(&mut answers, &mut heard).await.ok();
            });
        });
    }
}

#[tokio::test]
async fn a_haproxy_that_is_stopped_in_the_middle_of_a_batch_ends_with_what_was_acknowledged() {
    let relayed = Relayed::start().await;
    let world = &relayed.world;
    let old = issue_many(world, 150);
    for verdict in world.client().apply_batch(&requests(&old[..30], 1)).await {
        verdict.unwrap();
    }
    let new = issue_many(world, 150);
    relayed.arm.send_replace(Some(world.pid()));
    let opened = relayed.opened();
    let verdicts = begin_batch(world, &new, 2).await.unwrap();
    relayed.arm.send_replace(None);
    // One after the other, those that HAProxy does not take would need a connection each.
    let opened = relayed.opened() - opened;
    assert!(opened < 20, "{opened}");
    assert!(verdicts.iter().any(Result::is_ok));
    assert!(verdicts.iter().any(Result::is_err));
    world.assert_loadable();
    signal("-CONT", world.pid());

    eventually("the agent has HAProxy in line again", async || {
        metric(world, "in_sync").await == 1
    })
    .await;
    for (index, verdict) in verdicts.iter().enumerate() {
        let before = old.get(index).filter(|_| index < 30);
        let expected = if verdict.is_ok() {
            Some(&new[index])
        } else {
            before
        };
        assert_eq!(
            world.visit(&new[index].hostname).await.as_deref(),
            expected.map(Issued::fingerprint),
            "{index} {verdict:?}"
        );
    }
    for verdict in world.client().apply_batch(&requests(&new, 2)).await {
        verdict.unwrap();
    }
    for one in &new {
        world.assert_serves(one).await;
    }
    world.assert_loadable();
}

#[tokio::test]
async fn removals_from_a_haproxy_that_is_stopped_are_answered_at_once_and_done_when_it_goes_on() {
    let relayed = Relayed::start().await;
    let world = &relayed.world;
    let issued = issue_many(world, 40);
    for verdict in world.client().apply_batch(&requests(&issued, 1)).await {
        verdict.unwrap();
    }
    signal("-STOP", world.pid());
    let opened = relayed.opened();
    let mut calls = JoinSet::new();
    for one in &issued[..39] {
        let (client, hostname) = (world.client(), one.hostname.clone());
        calls.spawn(async move { client.remove(&hostname).await });
    }
    let verdicts = calls.join_all().await;
    let opened = relayed.opened() - opened;
    signal("-CONT", world.pid());
    // One after the other they would be thirty-nine; a few bursts are less, and checks of HAProxy
    // come between them.
    assert!(opened < 20, "{opened}");
    assert!(verdicts.iter().all(Result::is_err));

    eventually("all are gone", async || {
        for one in &issued[..39] {
            if world.visit(&one.hostname).await.is_some() {
                return false;
            }
        }
        true
    })
    .await;
    world.assert_serves(&issued[39]).await;
    world.assert_loadable();
    world.client().remove(&issued[0].hostname).await.unwrap();
}

#[tokio::test]
async fn where_nobody_answers_handshakes_a_batch_is_refused_within_a_few_timeouts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut world = World::with_settings(|settings| {
        settings.handshake_timeout = HumanDuration::from(SHORT);
        settings.tls_address = listener.local_addr().unwrap();
    })
    .await;
    let handshakes = Arc::new(AtomicUsize::new(0));
    let begun = Arc::clone(&handshakes);
    let dumb = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            begun.fetch_add(1, Ordering::Relaxed);
            held.push(stream);
        }
    });
    world.start_haproxy().await;
    let issued = issue_many(&world, 60);
    for verdict in world.client().apply_batch(&requests(&issued, 1)).await {
        assert!(
            matches!(verdict, Err(AgentError::Mismatch { .. })),
            "{verdict:?}"
        );
    }
    // A handshake for each of the sixty would be fifteen timeouts, four at once.
    let handshakes = handshakes.load(Ordering::Relaxed);
    assert!(handshakes < 30, "{handshakes}");
    for one in &issued {
        assert_eq!(world.visit(&one.hostname).await, None);
    }
    world.assert_loadable();
    dumb.abort();
}

#[tokio::test]
async fn a_reload_in_the_middle_of_a_batch_loses_nothing_that_was_acknowledged() {
    let mut world = World::without_haproxy().await;
    world.spawn_haproxy_with(&["-W"]);
    eventually("HAProxy answers", async || {
        metric(&world, "in_sync").await == 1
    })
    .await;
    let old = issue_many(&world, 100);
    for verdict in world.client().apply_batch(&requests(&old[..50], 1)).await {
        verdict.unwrap();
    }
    let new = issue_many(&world, 100);
    let batch = begin_batch(&world, &new, 2);
    begun(&world, 55).await;
    signal("-USR2", world.pid());
    let verdicts = batch.await.unwrap();
    eventually("the agent has the new worker in line", async || {
        metric(&world, "haproxy_restarts_total").await > 0 && metric(&world, "in_sync").await == 1
    })
    .await;
    for (index, verdict) in verdicts.iter().enumerate() {
        let before = old.get(index).filter(|_| index < 50);
        let expected = if verdict.is_ok() {
            Some(&new[index])
        } else {
            before
        };
        eventually("each is served as it was answered", async || {
            world.visit(&new[index].hostname).await.as_deref() == expected.map(Issued::fingerprint)
        })
        .await;
    }
    world.assert_loadable();
    for verdict in world.client().apply_batch(&requests(&new, 2)).await {
        verdict.unwrap();
    }
}

#[tokio::test]
async fn applies_and_removals_of_one_hostname_at_once_end_in_one_story() {
    let world = World::new().await;
    for round in 0..6_u64 {
        let mut calls = JoinSet::new();
        for n in 0..8_u64 {
            let (client, generation) = (world.client(), 100 * round + n + 1);
            let issued = world.authority.issue("shop.example.com");
            calls.spawn(async move {
                if n % 3 == 2 {
                    client
                        .remove_generation(&issued.hostname, generation)
                        .await
                        .ok();
                } else {
                    client.apply(&issued.request(generation)).await.ok();
                }
            });
        }
        calls.join_all().await;
        let held = world.client().inventory(None, 10).await.unwrap().items;
        let host = "shop.example.com".parse().unwrap();
        assert_eq!(
            world.visit(&host).await,
            held.first().map(|item| item.fingerprint.clone())
        );
        assert!(
            held.iter()
                .all(|item| item.state == CertificateState::Served)
        );
        // The highest of all was an apply: whatever came before it cannot have taken it down.
        assert_eq!(
            held.first().map(|item| item.generation),
            Some(100 * round + 8)
        );
        let entries = world.operator().list_entries(&world.list()).await.unwrap();
        assert_eq!(entries.len(), held.len());
        world.assert_loadable();
    }
}
