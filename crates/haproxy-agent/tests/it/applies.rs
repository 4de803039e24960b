//! Certificates come, change and go, and HAProxy stays the same process.

use std::os::unix::fs::PermissionsExt;

use dps_agent_api::{ApplyOutcome, InventoryDigest};
use haproxy_domain_agent::runtime_api::{Payload, StoreName};
use haproxy_domain_agent::{Clock, SystemClock};

use crate::authority::{Authority, DAY, host};
use crate::world::World;

#[tokio::test]
async fn a_new_certificate_is_served_without_a_reload() {
    let world = World::new().await;
    let pid = world.pid();
    let issued = world.authority.issue("shop.example.com");
    assert_eq!(world.visit(&issued.hostname).await, None);

    let applied = world.client().apply(&issued.request(1)).await.unwrap();

    assert_eq!(applied.outcome, ApplyOutcome::Created);
    assert_eq!(applied.not_after, issued.chain.not_after());
    world.assert_serves(&issued).await;
    world.assert_loadable();
    assert_eq!(world.operator().process().await.unwrap().pid, pid);
    assert_eq!(
        world.visit(&host("other.example.com")).await,
        None,
        "strict-sni answers for no other name"
    );
}

#[tokio::test]
async fn keys_on_disk_are_for_the_agent_alone() {
    let world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(1)).await.unwrap();
    for (path, content) in world.files() {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let folder = std::fs::metadata(path.parent().unwrap())
            .unwrap()
            .permissions()
            .mode()
            & 0o777;
        assert_eq!((mode, folder), (0o600, 0o700), "{}", path.display());
        assert!(
            !path.starts_with(world.state("staging")),
            "{} was not removed: {content:?}",
            path.display()
        );
    }
}

#[tokio::test]
async fn a_renewed_certificate_takes_the_place_of_the_old_one() {
    let world = World::new().await;
    let (old, new) = (
        world.authority.issue("shop.example.com"),
        world.authority.issue("shop.example.com"),
    );
    let neighbour = world.authority.issue("neighbour.example.com");
    for issued in [&old, &neighbour] {
        world.client().apply(&issued.request(1)).await.unwrap();
    }
    let pid = world.pid();

    let applied = world.client().apply(&new.request(2)).await.unwrap();

    assert_eq!(applied.outcome, ApplyOutcome::Replaced);
    world.assert_serves(&new).await;
    world.assert_serves(&neighbour).await;
    assert_eq!(
        world
            .operator()
            .list_entries(&world.list())
            .await
            .unwrap()
            .len(),
        2
    );
    assert_eq!(world.operator().process().await.unwrap().pid, pid);
    world.assert_loadable();
}

#[tokio::test]
async fn the_same_certificate_again_changes_nothing_but_remembers_a_higher_generation() {
    let world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(3)).await.unwrap();
    let before = world.files();

    for generation in [3, 1] {
        let again = world
            .client()
            .apply(&issued.request(generation))
            .await
            .unwrap();
        assert_eq!(
            (again.outcome, again.generation),
            (ApplyOutcome::Unchanged, 3)
        );
    }
    assert_eq!(world.files(), before);
    assert_eq!(
        world
            .operator()
            .list_entries(&world.list())
            .await
            .unwrap()
            .len(),
        1
    );

    let higher = world.client().apply(&issued.request(9)).await.unwrap();
    assert_eq!(
        (higher.outcome, higher.generation),
        (ApplyOutcome::Unchanged, 9)
    );
    assert_eq!(
        world.client().inventory(None, 10).await.unwrap().items[0].generation,
        9
    );
    world.assert_loadable();
}

#[tokio::test]
async fn a_removed_hostname_is_served_no_more_and_leaves_nothing() {
    let world = World::new().await;
    let (gone, kept) = (
        world.authority.issue("gone.example.com"),
        world.authority.issue("kept.example.com"),
    );
    for issued in [&gone, &kept] {
        world.client().apply(&issued.request(1)).await.unwrap();
    }
    let store = world.store(&gone.hostname);

    for _ in 0..2 {
        world.client().remove(&gone.hostname).await.unwrap();
    }

    assert_eq!(world.visit(&gone.hostname).await, None);
    world.assert_serves(&kept).await;
    assert_eq!(world.operator().inspect(&store).await.unwrap(), None);
    assert!(
        !world
            .files()
            .keys()
            .any(|path| path.to_string_lossy().contains("gone.example.com"))
    );
    world.assert_loadable();

    let back = world.client().apply(&gone.request(1)).await.unwrap();
    assert_eq!(back.outcome, ApplyOutcome::Created);
    world.assert_serves(&gone).await;
}

#[tokio::test]
async fn many_applies_at_once_each_end_under_their_own_name() {
    let world = World::new().await;
    let issued: Vec<_> = (0..12)
        .map(|n| world.authority.issue(&format!("host{n}.example.com")))
        .collect();
    let mut calls = tokio::task::JoinSet::new();
    for one in &issued {
        let (client, request) = (world.client(), one.request(1));
        calls.spawn(async move { client.apply(&request).await });
    }
    while let Some(result) = calls.join_next().await {
        assert_eq!(result.unwrap().unwrap().outcome, ApplyOutcome::Created);
    }
    for one in &issued {
        world.assert_serves(one).await;
    }
}

#[tokio::test]
async fn a_certificate_is_served_for_its_hostname_only_whatever_else_it_covers() {
    let mut world = World::new().await;
    let (from, to) = (SystemClock.now() - DAY, SystemClock.now() + DAY);
    let both = "a.example.com b.example.com";
    let first = world.authority.issue_for("a.example.com", both, from, to);
    world.client().apply(&first.request(1)).await.unwrap();
    let second = world.authority.issue_for("b.example.com", both, from, to);
    assert_eq!(world.visit(&second.hostname).await, None);
    let wildcard = world
        .authority
        .issue_for("c.example.com", "*.example.com", from, to);
    for issued in [&second, &wildcard] {
        world.client().apply(&issued.request(1)).await.unwrap();
    }
    for restarted in [false, true] {
        for issued in [&first, &second, &wildcard] {
            world.assert_serves(issued).await;
        }
        assert_eq!(world.visit(&host("d.example.com")).await, None);
        if !restarted {
            world.kill_haproxy();
            world.start_haproxy().await;
        }
    }
}

#[tokio::test]
async fn the_inventory_comes_in_pages_with_one_digest() {
    let world = World::new().await;
    let empty = world.client().inventory(None, 10).await.unwrap();
    assert_eq!((empty.items.len(), empty.next_cursor), (0, None));
    for name in ["b.example.com", "a.example.com", "c.example.com"] {
        world
            .client()
            .apply(&world.authority.issue(name).request(1))
            .await
            .unwrap();
    }
    let first = world.client().inventory(None, 2).await.unwrap();
    let second = world
        .client()
        .inventory(first.next_cursor.as_deref(), 2)
        .await
        .unwrap();
    let names: Vec<_> = first
        .items
        .iter()
        .chain(&second.items)
        .map(|item| item.hostname.as_str().to_owned())
        .collect();
    assert_eq!(names, ["a.example.com", "b.example.com", "c.example.com"]);
    assert_eq!(second.next_cursor, None);
    assert_eq!(first.digest, second.digest);
    assert_ne!(first.digest, empty.digest);
}

#[tokio::test]
async fn a_cursor_stays_good_when_certificates_come_and_go_between_two_pages() {
    let world = World::new().await;
    let client = world.client();
    let apply = async |name: &str| {
        let issued = world.authority.issue(name);
        client.apply(&issued.request(1)).await.unwrap();
        issued
    };
    let mut held = Vec::new();
    for name in ["b.example.com", "c.example.com", "d.example.com"] {
        held.push(apply(name).await);
    }
    let first = client.inventory(None, 2).await.unwrap();
    let cursor = first.next_cursor.as_deref();

    // The very one that the cursor was made of goes, one comes before it and one after it.
    client.remove(&held[1].hostname).await.unwrap();
    apply("a.example.com").await;
    apply("ca.example.com").await;

    let next_page = client.inventory(cursor, 2).await.unwrap();
    let names: Vec<_> = next_page
        .items
        .iter()
        .map(|item| item.hostname.as_str())
        .collect();
    assert_eq!(names, ["ca.example.com", "d.example.com"]);
    assert_eq!(next_page.next_cursor, None);
    assert_ne!(first.digest, next_page.digest);
    // Everything may be gone, and what lies after the last one is an empty page.
    for issued in &held {
        client.remove(&issued.hostname).await.unwrap();
    }
    let last = client.inventory(Some("zz.example.com"), 2).await.unwrap();
    assert_eq!((last.items.len(), last.next_cursor), (0, None));

    let all = client.inventory(None, 1000).await.unwrap();
    let lines = all.items.iter();
    let digest: InventoryDigest = lines
        .map(|item| (&item.hostname, item.fingerprint.as_str(), item.generation))
        .collect();
    assert_eq!(digest.to_hex(), all.digest);
}

#[tokio::test]
async fn a_transaction_that_an_operator_left_open_ends_up_under_no_name() {
    let world = World::new().await;
    let served = world.authority.issue("served.example.com");
    world.client().apply(&served.request(1)).await.unwrap();
    let operator = world.operator();
    let stray = world.authority.issue("stray.example.com");
    let stray_store = StoreName::parse("/nowhere/stray.pem").unwrap();
    operator.create(&stray_store).await.unwrap();
    operator
        .stage(&stray_store, &Payload::new(&stray.chain, &stray.key))
        .await
        .unwrap();

    let renewed = world.authority.issue("served.example.com");
    world.client().apply(&renewed.request(2)).await.unwrap();

    world.assert_serves(&renewed).await;
    assert_eq!(operator.stores().await.unwrap().transaction, None);
    assert!(
        operator.commit(&stray_store).await.is_err(),
        "our certificate must not be committed under another name"
    );
    let state = operator.inspect(&stray_store).await.unwrap().unwrap();
    assert_eq!(state.fingerprint_sha1, None);
}

#[tokio::test]
async fn a_chain_too_long_for_one_command_is_sent_in_two() {
    let authority = Authority::new();
    let long = authority.issue_padded("long.example.com", 4000);
    // The commands' own words take up to 100 bytes and the key 240: the chain alone fits, with the
    // key it does not.
    let limit = long.chain.to_pem().len() + 150;
    let mut world =
        World::with_settings(|settings| settings.max_runtime_request_bytes = limit).await;
    world.authority = authority;
    world.start_haproxy().await;
    assert!(Payload::new(&long.chain, &long.key).whole().len() > limit);

    world.client().apply(&long.request(1)).await.unwrap();

    world.assert_serves(&long).await;
    let state = world
        .operator()
        .inspect(&world.store(&long.hostname))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(state.intermediates, 1);
}
