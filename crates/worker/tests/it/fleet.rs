//! Several edges. An unreachable one delays no step for long, and is brought up to date when it
//! returns. All of them end with the same certificates.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dps_agent_api::{AgentClient, ClientOptions};
use dps_lab::wait;
use futures_util::{StreamExt as _, stream};
use secrecy::SecretString;
use serde_json::json;

use crate::world::{AGENT_TOKEN, AGENTS, Options, TIMEOUT, World, dps};

/// Calls to the Cabinet at once.
const CALLS: usize = 8;

/// How long an edge is waited for here.
const GRACE: Duration = Duration::from_secs(2);

fn options() -> Options {
    Options::quick().with(&json!({
        "HAProxyAgent": { "UnreachableGrace": "2s" },
        "Workers": { "EdgeReconcile": { "CheckInterval": "200ms" } },
    }))
}

fn hosts(name: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("{name}-{n}.bakery.test"))
        .collect()
}

pub(crate) async fn all_become_active(world: &World, hosts: &[String]) {
    let added = stream::iter(hosts).map(|host| world.add(host));
    let ids: Vec<String> = added.buffered(CALLS).collect().await;
    for id in ids {
        world.wait_for_status(&id, "Active").await;
    }
}

/// Where each edge's agent listens, and where its visitors come.
pub(crate) fn edges(world: &World) -> Vec<(SocketAddr, SocketAddr)> {
    let more = world
        .more_edges
        .iter()
        .map(|edge| (edge.listen, edge.https));
    std::iter::once((world.agent_listen(), world.https))
        .chain(more)
        .collect()
}

fn agent_at(address: SocketAddr) -> AgentClient {
    let base = format!("http://{address}").parse().unwrap();
    let token = SecretString::from(AGENT_TOKEN);
    AgentClient::new(base, token, ClientOptions::default()).unwrap()
}

async fn digest(agent: SocketAddr) -> Option<String> {
    let page = agent_at(agent).inventory(None, 1).await;
    page.ok().map(|page| page.digest)
}

/// The hostnames in the lists of all agents.
pub(crate) async fn held_by_all(world: &World) -> Vec<String> {
    let mut held = BTreeSet::new();
    for (agent, _) in edges(world) {
        let page = agent_at(agent).inventory(None, 100).await.unwrap();
        held.extend(page.items.iter().map(|item| item.hostname.to_string()));
    }
    held.into_iter().collect()
}

/// Waits until the agents hold the same, and sees every edge present the same certificates to
/// visitors.
pub(crate) async fn all_edges_serve(world: &World, hosts: &[String]) {
    let edges = edges(world);
    let equal = wait::until("the digests are equal", TIMEOUT, || async {
        let digests = stream::iter(&edges).then(|(agent, _)| digest(*agent));
        let digests: BTreeSet<Option<String>> = digests.collect().await;
        (digests.len() == 1 && !digests.contains(&None)).then_some(())
    });
    if let Err(error) = equal.await {
        panic!("{error}\n{}", world.service.log_tail());
    }
    for host in hosts {
        let mut leaves = BTreeSet::new();
        for (_, https) in &edges {
            let leaf = dps_lab::tls::served_leaf(*https, host, &world.root_pem).await;
            leaves.insert(leaf.unwrap().fingerprint);
        }
        assert_eq!(leaves.len(), 1, "{host}");
    }
}

/// An operator lets an edge that was found take part.
fn approve(world: &World, edge: SocketAddr) {
    let url = format!("https://localhost:{}", edge.port());
    let approve = || {
        let done = dps(world.home(), &["edges", "approve", &url]);
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let said = approve();
    assert!(said.contains("is approved"), "{said}");
    let said = approve();
    assert!(
        said.contains("it has been part of the fleet since"),
        "{said}"
    );
}

/// The output of `dps edges` for an edge.
fn listed(world: &World, edge: SocketAddr) -> serde_json::Value {
    let output = dps(world.home(), &["edges", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut edges = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let port = format!(":{}", edge.port());
    edges
        .find(|known| known["name"].as_str().unwrap().ends_with(&port))
        .unwrap_or_else(|| panic!("{edge} is not in {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_edges_of_which_one_is_stopped_during_a_mass_deployment_end_with_the_same() {
    let mut world = World::start(Options {
        more_edges: 2,
        ..options()
    })
    .await;
    let before = hosts("before", 6);
    all_become_active(&world, &before).await;
    all_edges_serve(&world, &before).await;

    let meanwhile = hosts("meanwhile", 24);
    let added = stream::iter(&meanwhile).map(|host| world.add(host));
    let ids: Vec<String> = added.buffered(CALLS).collect().await;
    world.more_edges[1].kill();
    let stopped = Instant::now();
    for id in &ids {
        world.wait_for_status(id, "Active").await;
    }
    println!(
        "24 domains were active {:.2?} after an edge of three stopped, whose grace is {GRACE:?}",
        stopped.elapsed()
    );
    let third = world.more_edges[1].listen;
    assert_eq!(listed(&world, third)["standing"], "silent");
    let (_, ready) = world.get("/health/ready").await;
    assert!(ready.contains("1 of 3 edges"), "{ready}");

    world.more_edges[1].restart().await;
    let all = [before, meanwhile].concat();
    all_edges_serve(&world, &all).await;
    // An edge presents a certificate before it has said so.
    wait::until("all three are known to present it", TIMEOUT, || async {
        let text = dps(world.home(), &["domains", "show", &all[29]]);
        let text = String::from_utf8(text.stdout).unwrap();
        let presenting = text
            .matches("has presented the current certificate")
            .count();
        (presenting == 3).then_some(())
    })
    .await
    .unwrap();

    // Another edge loses its disk, and is filled anew.
    world.more_edges[0].kill();
    std::fs::remove_dir_all(&world.more_edges[0].state).unwrap();
    world.more_edges[0].restart().await;
    all_edges_serve(&world, &all).await;
    wait::until("the comparison is noted", TIMEOUT, || async {
        let domain = listed(&world, world.more_edges[0].listen);
        (domain["certificates"] == 30 && domain["behind"] == 0 && domain["unknown"] == 0)
            .then_some(())
    })
    .await
    .unwrap();
    assert_eq!(world.pebble.certificates(), 30, "none was issued twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_that_are_found_by_dns_are_filled_once_they_are_approved_and_a_dead_zone_changes_nothing()
 {
    let world = World::start(Options {
        more_edges: 1,
        discovery: true,
        mutual_tls: true,
        ..options()
    })
    .await;
    // No visitor must be sent to an edge that is in no fleet.
    world
        .zone
        .set_a(crate::world::TARGET, &[crate::world::EDGE]);
    let [first_tls, second_tls] = [world.agent_tls(), world.more_edges[0].tls];
    let waits = async |edge: SocketAddr| {
        wait::until("the edge waits for approval", TIMEOUT, || async {
            let output = dps(world.home(), &["edges", "--json"]);
            let text = String::from_utf8(output.stdout).unwrap();
            let name = format!("https://localhost:{}", edge.port());
            let mut lines = text.lines();
            let line = lines.find(|line| line.contains(&name))?;
            line.contains("waits for approval").then_some(())
        })
        .await
        .unwrap();
    };
    waits(first_tls).await;
    let (_, ready) = world.get("/health/ready").await;
    assert!(ready.contains("dps edges approve"), "{ready}");
    approve(&world, first_tls);
    let early = hosts("early", 3);
    all_become_active(&world, &early).await;
    // The agents' own listing is behind mutual TLS here: what visitors are shown says enough.
    let shown = async |https: SocketAddr, host: &str| {
        let leaf = dps_lab::tls::served_leaf(https, host, &world.root_pem).await;
        leaf.ok().map(|leaf| leaf.fingerprint)
    };
    let on_both = async |hosts: &[String]| {
        let (first, second) = (world.https, world.more_edges[0].https);
        for host in hosts {
            wait::until("both edges show the same", TIMEOUT, || async {
                let of_first = shown(first, host).await;
                (of_first.is_some() && of_first == shown(second, host).await).then_some(())
            })
            .await
            .unwrap();
        }
    };

    let services = [
        ("localhost", first_tls.port()),
        ("localhost", second_tls.port()),
    ];
    world.zone.set_srv(AGENTS, &services).unwrap();
    waits(second_tls).await;
    let second = world.more_edges[0].https;
    assert_eq!(
        shown(second, &early[0]).await,
        None,
        "no key is sent before it is approved"
    );
    approve(&world, second_tls);
    on_both(&early).await;

    world.zone.set_srv(AGENTS, &[]).unwrap();
    wait::until(
        "the service sees that the zone is empty",
        TIMEOUT,
        || async {
            let seen = world.log().values("edges.not_found", "problem").count();
            (seen > 0).then_some(())
        },
    )
    .await
    .unwrap();
    let late = hosts("late", 3);
    all_become_active(&world, &late).await;
    on_both(&[early, late].concat()).await;
}
