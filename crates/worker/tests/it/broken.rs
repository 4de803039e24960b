//! Customers who got it wrong do not keep those waiting who got it right. `script/bench broken`
//! runs it at full size and shows the ratio. The test asserts that every good domain becomes active
//! and no broken one does.

use std::time::{Duration, Instant};

use dps_lab::dns::Fault;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::world::{Options, World};

/// How long the whole may take on a busy machine.
const BOUND: Duration = Duration::from_secs(600);
/// Calls to the Cabinet at once.
const CALLS: usize = 16;
/// Whose the broken ones are. The good ones are of another.
const CARELESS: &str = "careless";
/// An address without a server (RFC 5737).
const ELSEWHERE: std::net::Ipv4Addr = std::net::Ipv4Addr::new(192, 0, 2, 1);

fn size(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |size| size.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_domains_become_active_although_many_broken_ones_came_first() {
    let (broken, good) = (size("DPS_BENCH_BROKEN", 200), size("DPS_BENCH_GOOD", 20));
    let world = World::start(Options::default()).await;
    // The account is registered, and every connection is open.
    all_become_active(&world, "first", 1).await;
    let alone = all_become_active(&world, "alone", good).await;

    let names = (0..broken).map(|n| break_one(&world, n));
    let adding = Instant::now();
    let broken: Vec<String> = stream::iter(names.collect::<Vec<_>>())
        .map(|host| async { world.customer.add_for(CARELESS, &{ host }).await })
        .buffer_unordered(CALLS)
        .collect()
        .await;
    let added = adding.elapsed();
    let meanwhile = all_become_active(&world, "meanwhile", good).await;
    for id in &broken {
        let has_failure = |domain: &Value| domain["lastErrorCode"].is_string();
        world
            .wait_longer_for(id, BOUND, "checked", has_failure)
            .await;
    }
    let after = all_become_active(&world, "after", good).await;
    let ratio = |time: Duration| time.as_secs_f64() / alone.as_secs_f64();
    println!(
        "{good} good domains alone: {alone:.2?}; while {} new broken ones (added in {added:.2?}) are checked for the first time: \
         {meanwhile:.2?}, ratio {:.2}; after that: {after:.2?}, ratio {:.2}",
        broken.len(),
        ratio(meanwhile),
        ratio(after),
    );
    let statuses = stream::iter(&broken).map(|id| world.customer.read(id));
    let statuses: Vec<_> = statuses.buffer_unordered(CALLS).collect().await;
    for domain in statuses {
        assert_eq!(domain["status"], "PendingDns", "{domain}");
    }
}

/// Adds domains that are right; answers how long it took until the last of them was active.
async fn all_become_active(world: &World, name: &str, count: usize) -> Duration {
    let hosts: Vec<String> = (0..count)
        .map(|n| format!("{name}-{n}.bakery.test"))
        .collect();
    let began = Instant::now();
    let added = stream::iter(&hosts).map(|host| world.add(host));
    let ids: Vec<String> = added.buffered(CALLS).collect().await;
    for id in ids {
        let active = |domain: &Value| domain["status"] == "Active";
        world.wait_longer_for(&id, BOUND, "Active", active).await;
    }
    began.elapsed()
}

/// Most are typed wrong or not set up yet, some point elsewhere, a few have name servers that are
/// broken or unanswered.
fn break_one(world: &World, n: usize) -> String {
    let host = format!("shop-{n}.broken-{n}.test");
    match n % 20 {
        0..12 => {}
        12..17 => world.zone.set_a(&host, &[ELSEWHERE]),
        17 | 18 => world.zone.set_fault(&host, Fault::ServFail),
        _ => world.zone.set_fault(&host, Fault::Unanswered),
    }
    host
}
