//! HAProxy and the agent come and go; what was acknowledged is served.

use dps_agent_api::{AgentError, ApplyOutcome, HealthStatus};
use haproxy_domain_agent::runtime_api::Payload;

use crate::batches::{issue_many, requests};
use crate::world::{World, eventually};

#[tokio::test]
async fn a_haproxy_that_was_killed_serves_everything_from_disk() {
    let mut world = World::new().await;
    let issued: Vec<_> = (0..5)
        .map(|n| world.authority.issue(&format!("host{n}.example.com")))
        .collect();
    for one in &issued {
        world.client().apply(&one.request(1)).await.unwrap();
    }
    let renewed = world.authority.issue("host0.example.com");
    world.client().apply(&renewed.request(2)).await.unwrap();
    world.client().remove(&issued[4].hostname).await.unwrap();

    world.kill_haproxy();
    world.stop_agent().await;
    world.spawn_haproxy();
    eventually("HAProxy listens", async || {
        world.visit(&renewed.hostname).await.is_some()
    })
    .await;

    world.assert_serves(&renewed).await;
    for one in &issued[1..4] {
        world.assert_serves(one).await;
    }
    assert_eq!(world.visit(&issued[4].hostname).await, None);
}

#[tokio::test]
async fn the_agent_notices_a_restarted_haproxy_and_goes_on_with_it() {
    let mut world = World::new().await;
    let first = world.authority.issue("first.example.com");
    world.client().apply(&first.request(1)).await.unwrap();
    world.kill_haproxy();
    world.start_haproxy().await;
    assert!(
        world
            .client()
            .health()
            .await
            .unwrap()
            .last_repair_at
            .is_some()
    );

    let renewed = world.authority.issue("first.example.com");
    let second = world.authority.issue("second.example.com");
    assert_eq!(
        world
            .client()
            .apply(&renewed.request(2))
            .await
            .unwrap()
            .outcome,
        ApplyOutcome::Replaced
    );
    assert_eq!(
        world
            .client()
            .apply(&second.request(1))
            .await
            .unwrap()
            .outcome,
        ApplyOutcome::Created
    );
    world.assert_serves(&renewed).await;
    world.assert_serves(&second).await;
    assert_eq!(
        world
            .operator()
            .list_entries(&world.list())
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn without_haproxy_nothing_changes_and_with_it_everything_goes_on() {
    let mut world = World::new().await;
    let (served, leaving) = (
        world.authority.issue("served.example.com"),
        world.authority.issue("leaving.example.com"),
    );
    for issued in [&served, &leaving] {
        world.client().apply(&issued.request(1)).await.unwrap();
    }
    world.kill_haproxy();
    let files = world.files();

    let renewed = world.authority.issue("served.example.com");
    let verdict = world.client().apply(&renewed.request(2)).await;
    assert!(
        matches!(&verdict, Err(AgentError::Unreachable { detail, .. }) if detail.contains("HAPROXY_UNREACHABLE")),
        "{verdict:?}"
    );
    assert_eq!(world.files(), files);
    assert_eq!(
        world.client().health().await.unwrap().status,
        HealthStatus::Degraded
    );
    // The removal is durable at once; that it is done is only said when HAProxy says so.
    assert!(matches!(
        world.client().remove(&leaving.hostname).await,
        Err(AgentError::Unreachable { .. })
    ));
    world.assert_loadable();

    world.start_haproxy().await;
    world.assert_serves(&served).await;
    assert_eq!(world.visit(&leaving.hostname).await, None);
    world.client().remove(&leaving.hostname).await.unwrap();
    world.client().apply(&renewed.request(2)).await.unwrap();
    world.assert_serves(&renewed).await;
}

#[tokio::test]
async fn an_agent_that_was_restarted_knows_everything() {
    let mut world = World::new().await;
    let issued = world.authority.issue("shop.example.com");
    world.client().apply(&issued.request(7)).await.unwrap();
    let before = world.client().inventory(None, 10).await.unwrap();
    let started_at = world.client().health().await.unwrap().started_at;
    world.stop_agent().await;
    world.assert_serves(&issued).await;
    world.start_agent().await;

    let client = world.client();
    assert!(client.health().await.unwrap().started_at > started_at);
    eventually("the inventory is as before", async || {
        client.inventory(None, 10).await.unwrap() == before
    })
    .await;
    let stale = world
        .client()
        .apply(&world.authority.issue("shop.example.com").request(6))
        .await;
    assert!(
        matches!(stale, Err(AgentError::Refused { .. })),
        "{stale:?}"
    );
    assert_eq!(
        world
            .client()
            .apply(&issued.request(7))
            .await
            .unwrap()
            .outcome,
        ApplyOutcome::Unchanged
    );
    world
        .client()
        .apply(&world.authority.issue("shop.example.com").request(8))
        .await
        .unwrap();
    let stores = world.operator().stores().await.unwrap().names;
    assert_eq!(
        stores
            .iter()
            .filter(|name| name.contains("/sentinel/"))
            .count(),
        1,
        "{stores:?}"
    );
}

#[tokio::test]
async fn what_was_changed_by_hand_is_mended_when_the_agent_starts() {
    let mut world = World::new().await;
    let names = [
        "swapped.example.com",
        "deleted.example.com",
        "doubled.example.com",
    ];
    let issued: Vec<_> = names
        .iter()
        .map(|name| world.authority.issue(name))
        .collect();
    for one in &issued {
        world.client().apply(&one.request(1)).await.unwrap();
    }
    world.stop_agent().await;
    let (operator, list) = (world.operator(), world.list());
    let swapped = world.store(&issued[0].hostname);
    let impostor = world.authority.issue("swapped.example.com");
    operator
        .stage(&swapped, &Payload::new(&impostor.chain, &impostor.key))
        .await
        .unwrap();
    operator.commit(&swapped).await.unwrap();
    let deleted = world.store(&issued[1].hostname);
    operator.list_remove(&list, &deleted, None).await.unwrap();
    operator.delete(&deleted).await.unwrap();
    operator
        .list_add(
            &list,
            &world.store(&issued[2].hostname),
            &issued[2].hostname,
        )
        .await
        .unwrap();
    let extra = world.authority.issue("extra.example.com");
    let stranger = world.state("certs/zz/extra.example.com.pem");
    let stranger =
        haproxy_domain_agent::runtime_api::StoreName::parse(stranger.to_str().unwrap()).unwrap();
    operator.create(&stranger).await.unwrap();
    operator
        .stage(&stranger, &Payload::new(&extra.chain, &extra.key))
        .await
        .unwrap();
    operator.commit(&stranger).await.unwrap();
    operator
        .list_add(&list, &stranger, &extra.hostname)
        .await
        .unwrap();
    world.assert_serves(&impostor).await;
    world.assert_serves(&extra).await;

    world.start_agent().await;
    let client = world.client();
    eventually("the agent has mended", async || {
        client.health().await.unwrap().status == HealthStatus::Ok
    })
    .await;

    for one in &issued {
        world.assert_serves(one).await;
    }
    assert_eq!(world.visit(&extra.hostname).await, None);
    assert_eq!(operator.list_entries(&list).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_haproxy_without_our_crt_list_is_named_as_the_reason() {
    let mut world = World::without_haproxy().await;
    let list = world.list().as_str().to_owned();
    world.settings.state_directory = world.state("elsewhere");
    std::fs::create_dir(&world.settings.state_directory).unwrap();
    std::fs::write(world.state("crt-list.txt"), "").unwrap();
    world.spawn_haproxy();
    let operator = world.operator();
    eventually("HAProxy answers", async || operator.process().await.is_ok()).await;

    let verdict = world
        .client()
        .apply(&world.authority.issue("shop.example.com").request(1))
        .await;

    assert!(
        matches!(&verdict, Err(AgentError::Unreachable { detail, .. }) if detail.contains(&list)),
        "{verdict:?}"
    );
    let problem = world.client().health().await.unwrap().haproxy.problem;
    assert!(
        problem
            .as_ref()
            .is_some_and(|problem| problem.contains(&list)),
        "{problem:?}"
    );
}

#[tokio::test]
async fn two_agents_never_share_a_directory() {
    let world = World::without_haproxy().await;
    let mut settings = world.settings.clone();
    settings.listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let clock = std::sync::Arc::new(haproxy_domain_agent::SystemClock);
    let second = haproxy_domain_agent::Agent::bind(&settings, clock).await;
    assert!(matches!(
        second,
        Err(haproxy_domain_agent::AgentError::Disk(_))
    ));
}

#[tokio::test]
async fn a_haproxy_that_lost_very_many_is_given_them_back_and_a_newcomer_need_not_wait_for_all() {
    let mut world = World::new().await;
    let issued = issue_many(&world, 700);
    for verdict in world.client().apply_batch(&requests(&issued, 1)).await {
        verdict.unwrap();
    }
    world.kill_haproxy();
    // As after a start with another configuration: it reads an empty list.
    std::fs::write(world.state("crt-list.txt"), "").unwrap();
    world.spawn_haproxy();
    let newcomer = world.authority.issue("newcomer.example.com");
    eventually("the newcomer is applied", async || {
        world.client().apply(&newcomer.request(1)).await.is_ok()
    })
    .await;
    let health = world.client().health().await.unwrap();
    assert_eq!(health.status, HealthStatus::Degraded);
    world.assert_serves(&newcomer).await;
    // One of those that wait goes, another is renewed.
    world.client().remove(&issued[699].hostname).await.unwrap();
    let renewed = world.authority.issue(issued[698].hostname.as_str());
    world.client().apply(&renewed.request(2)).await.unwrap();

    eventually("all are given back", async || {
        world.client().health().await.unwrap().status == HealthStatus::Ok
    })
    .await;
    for one in issued[..698]
        .iter()
        .step_by(50)
        .chain([&renewed, &newcomer])
    {
        world.assert_serves(one).await;
    }
    assert_eq!(world.visit(&issued[699].hostname).await, None);
    let entries = world.operator().list_entries(&world.list()).await.unwrap();
    assert_eq!(entries.len(), 700);
    world.assert_loadable();
}
