//! A load of the crt-list is under way while certificates are applied and removed.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dps_agent_api::{AgentError, ApplyOutcome};
use dps_domain::Hostname;
use dps_host::HumanDuration;
use tokio_util::sync::CancellationToken;

use crate::authority::Issued;
use crate::batches::{issue_many, metric, requests};
use crate::crashes::signal;
use crate::world::{World, eventually};

/// A world whose HAProxy has a master and needs longer for a load than the agent for an apply.
async fn slow_to_load() -> World {
    let mut world = World::with_settings(|settings| {
        settings.reload_grace = HumanDuration::from_secs(2);
    })
    .await;
    world.spawn_haproxy_with(&["-W"]);
    eventually("HAProxy answers", async || {
        metric(&world, "in_sync").await == 1
    })
    .await;
    let issued = issue_many(&world, 250);
    for verdict in world.client().apply_batch(&requests(&issued, 1)).await {
        verdict.unwrap();
    }
    world
}

/// Has HAProxy reload, and waits until it reads the crt-list.
async fn begin_reload(world: &World) {
    eventually("the load before has ended", async || !world.is_loading()).await;
    let mut asked_at: Option<Instant> = None;
    eventually("HAProxy loads the crt-list", async || {
        // The master loses a signal that comes while it becomes the next master.
        if asked_at.is_none_or(|asked_at| asked_at.elapsed() > Duration::from_secs(1)) {
            signal("-USR2", world.pid());
            asked_at = Some(Instant::now());
        }
        world.is_loading()
    })
    .await;
}

/// Expected results of visits by hostname, `None` for a name that was removed. A name whose next
/// change is under way is absent.
type Expected = Arc<Mutex<BTreeMap<Hostname, Option<String>>>>;

/// Visits every expected name again and again until `stop`; returns the visits that showed
/// something else.
async fn keep_visiting(
    world: &World,
    expected: &Expected,
    stop: &CancellationToken,
) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.is_cancelled() {
        let now = expected.lock().unwrap().clone();
        for (hostname, fingerprint) in now {
            let presented = world.visit(&hostname).await;
            // A change may have begun since.
            let is_due = expected.lock().unwrap().get(&hostname) == Some(&fingerprint);
            if is_due && presented != fingerprint {
                failures.push(format!("{hostname}: {presented:?}, not {fingerprint:?}"));
            }
        }
        tokio::task::yield_now().await;
    }
    failures
}

/// In each round HAProxy reloads while names are added, renewed and removed.
async fn change_during_reloads(world: &World, expected: &Expected) {
    let expect = |hostname: &Hostname, presented: Option<&Issued>| {
        let presented = presented.map(|one| one.fingerprint().to_owned());
        expected.lock().unwrap().insert(hostname.clone(), presented);
    };
    let client = world.client();
    for round in 0..4 {
        begin_reload(world).await;
        let add = |n: usize| {
            world
                .authority
                .issue(&format!("new{n}-{round}.example.com"))
        };
        let added: Vec<_> = (0..4).map(add).collect();
        for verdict in client.apply_batch(&requests(&added[..3], 1)).await {
            verdict.unwrap();
        }
        for one in &added[..3] {
            expect(&one.hostname, Some(one));
        }
        client.apply(&added[3].request(1)).await.unwrap();
        expect(&added[3].hostname, Some(&added[3]));

        begin_reload(world).await;
        let renewed = world.authority.issue(added[0].hostname.as_str());
        expected.lock().unwrap().remove(&renewed.hostname);
        client.apply(&renewed.request(2)).await.unwrap();
        expect(&renewed.hostname, Some(&renewed));

        begin_reload(world).await;
        expected.lock().unwrap().remove(&added[1].hostname);
        client.remove(&added[1].hostname).await.unwrap();
        expect(&added[1].hostname, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_during_applies_lose_no_name_that_was_acknowledged() {
    let world = slow_to_load().await;
    let (expected, stop) = (Expected::default(), CancellationToken::new());
    let changes = async {
        change_during_reloads(&world, &expected).await;
        eventually("the last worker is in line", async || {
            metric(&world, "in_sync").await == 1
        })
        .await;
        stop.cancel();
    };
    let (failures, ()) = tokio::join!(keep_visiting(&world, &expected, &stop), changes);
    assert_eq!(failures, Vec::<String>::new());
    world.assert_loadable();
}

#[tokio::test]
async fn a_reload_that_fails_delays_an_apply_by_the_grace_and_no_longer() {
    let mut world = slow_to_load().await;
    world.replace_in_configuration("backend proxy_entry", "backend proxy_entry\n    nonsense");
    world.write_configuration();
    let waits = metric(&world, "reload_waits_total").await;
    begin_reload(&world).await;
    let issued = world.authority.issue("shop.example.com");
    let since = Instant::now();
    world.client().apply(&issued.request(1)).await.unwrap();
    let took = since.elapsed();
    world.assert_serves(&issued).await;
    assert_eq!(metric(&world, "haproxy_restarts_total").await, 0);
    assert_eq!(metric(&world, "reload_waits_total").await, waits + 1);
    // The remaining load, and two seconds of grace.
    assert!(took < Duration::from_secs(15), "{took:?}");

    // Nothing of it is left.
    let renewed = world.authority.issue("shop.example.com");
    world.client().apply(&renewed.request(2)).await.unwrap();
    assert_eq!(metric(&world, "reload_waits_total").await, waits + 1);
}

#[tokio::test]
async fn whoever_reads_the_crt_list_delays_an_apply_by_the_grace_and_no_longer() {
    let mut world = World::with_settings(|settings| {
        settings.reload_grace = HumanDuration::from_secs(2);
    })
    .await;
    world.start_haproxy().await;
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(1)).await.unwrap();
    let waits = metric(&world, "reload_waits_total").await;

    std::fs::read(world.state("crt-list.txt")).unwrap();
    // The list stays the same, so only a file of its own distinguishes the readers before from
    // those after.
    let renewed = world.authority.issue("shop.example.com");
    let since = Instant::now();
    world.client().apply(&renewed.request(2)).await.unwrap();
    let took = since.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(metric(&world, "reload_waits_total").await, waits + 1);
    world.assert_serves(&renewed).await;

    let again = world.authority.issue("shop.example.com");
    world.client().apply(&again.request(3)).await.unwrap();
    assert_eq!(metric(&world, "reload_waits_total").await, waits + 1);
}

/// Whether a call was refused because HAProxy reloads.
fn is_refused<T>(verdict: &Result<T, AgentError>) -> bool {
    matches!(verdict, Err(AgentError::Unreachable { detail, .. }) if detail.contains("reload"))
}

#[tokio::test]
async fn a_load_that_does_not_end_refuses_changes_and_nothing_else() {
    let mut world = World::with_settings(|settings| {
        settings.reload_timeout = HumanDuration::from_secs(1);
    })
    .await;
    world.start_haproxy().await;
    let [leaving, staying] = ["leaving", "staying"].map(|name| {
        let hostname = format!("{name}.example.com");
        world.authority.issue(&hostname)
    });
    for one in [&leaving, &staying] {
        world.client().apply(&one.request(1)).await.unwrap();
    }
    let waits = metric(&world, "reload_waits_total").await;
    let load = File::open(world.state("crt-list.txt")).unwrap();

    let client = world.client();
    let new = world.authority.issue("new.example.com");
    let renewed = world.authority.issue("staying.example.com");
    let changes = async {
        let (new, renewed) = (new.request(1), renewed.request(2));
        let removal = client.remove(&leaving.hostname);
        tokio::join!(client.apply(&new), client.apply(&renewed), removal)
    };
    let meanwhile = async {
        let is_waiting = async || metric(&world, "reload_waits_total").await > waits;
        eventually("a change waits for the load", is_waiting).await;
        client.health().await.unwrap();
        client.inventory(None, 10).await.unwrap();
        let token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
            .parse()
            .unwrap();
        client
            .publish_challenge(&token, "LoqX.thumbprint")
            .await
            .unwrap();
        let url = format!("http://{}/.well-known/acme-challenge/{token}", world.http);
        let answer = reqwest::get(url).await.unwrap().text().await.unwrap();
        assert_eq!(answer, "LoqX.thumbprint");
    };
    let ((applied, replaced, removed), ()) = tokio::join!(changes, meanwhile);
    assert!(is_refused(&applied), "{applied:?}");
    assert!(is_refused(&replaced), "{replaced:?}");
    assert!(is_refused(&removed), "{removed:?}");
    // A load under way needs the files that its list names.
    assert!(
        world
            .files()
            .keys()
            .any(|path| path.ends_with("leaving.example.com.pem"))
    );
    world.assert_loadable();

    drop(load);
    eventually("the grace is over", async || {
        client.apply(&new.request(1)).await.is_ok()
    })
    .await;
    let applied = client.apply(&new.request(1)).await.unwrap();
    assert_eq!(applied.outcome, ApplyOutcome::Unchanged);
    client.apply(&renewed.request(2)).await.unwrap();
    client.remove(&leaving.hostname).await.unwrap();
    world.assert_serves(&new).await;
    world.assert_serves(&renewed).await;
    assert_eq!(world.visit(&leaving.hostname).await, None);
    assert!(
        !world
            .files()
            .keys()
            .any(|path| path.ends_with("leaving.example.com.pem"))
    );
    world.assert_loadable();
}

#[tokio::test]
async fn an_apply_does_not_wait_for_the_load_of_a_start() {
    let mut world = World::with_settings(|settings| {
        settings.reload_grace = HumanDuration::from_secs(20);
    })
    .await;
    // HAProxy reads it after the crt-list, and waits there for a writer.
    let pipe = world.settings.state_directory.with_file_name("hosts.acl");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let acl = format!(
        "backend proxy_entry\n    acl held hdr(host) -f {}",
        pipe.display()
    );
    world.replace_in_configuration("backend proxy_entry", &acl);
    world.spawn_haproxy();
    let writer = tokio::task::spawn_blocking(move || File::options().write(true).open(pipe));
    let writer = writer.await.unwrap().unwrap();

    let issued = world.authority.issue("shop.example.com");
    let refused = world.client().apply(&issued.request(1)).await;
    assert!(
        matches!(refused, Err(AgentError::Unreachable { .. })),
        "{refused:?}"
    );
    drop(writer);
    eventually("HAProxy is in line", async || {
        metric(&world, "in_sync").await == 1
    })
    .await;
    world.client().apply(&issued.request(1)).await.unwrap();
    world.assert_serves(&issued).await;
    assert_eq!(metric(&world, "reload_waits_total").await, 0);
}
