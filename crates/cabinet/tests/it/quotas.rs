//! Limits per tenant over a day, and what becomes of removed domains.

use std::time::Duration;

use dps_cabinet_api::{Problem, ProblemCode, StatusReport};
use dps_domain::Status;
use reqwest::{Method, Response};
use serde_json::json;

use crate::world::{World, answer, hosts, on_both_databases, refusal};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The problem document and `Retry-After` of a call that must have been refused with 429.
async fn limited(response: Response) -> (Problem, Duration) {
    let wait = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    (refusal(response, 429).await, Duration::from_secs(wait))
}

async fn remove(world: &World, id: &str) {
    let call = world.platform(Method::DELETE, &format!("/{id}"));
    let domain = answer(call.send().await.unwrap(), 202).await;
    assert_eq!(domain["status"], "PendingRemoval");
}

async fn create_and_remove(world: &World, hostname: &str) -> String {
    let id = world.created(hostname).await;
    remove(world, &id).await;
    answer(
        world
            .report(&id, 2, &StatusReport::of(Status::Removed))
            .await,
        200,
    )
    .await;
    id
}

async fn retry(world: &World, id: &str) -> Response {
    let call = world.platform(Method::POST, &format!("/{id}/retry"));
    call.send().await.unwrap()
}

async fn status_of(world: &World, id: &str) -> u16 {
    let call = world.platform(Method::GET, &format!("/{id}"));
    call.send().await.unwrap().status().as_u16()
}

on_both_databases! {
    async fn creating_and_removing_in_turn_ends_at_the_tenants_limit_for_a_day(database: Database) {
        let world = World::with(&database, |settings| {
            settings.max_creations_per_tenant_per_day = 3;
        })
        .await;
        create_and_remove(&world, "shop.example.com").await;
        world.advance(HOUR);
        create_and_remove(&world, "shop.example.com").await;
        world.advance(HOUR);
        world.created("shop.example.com").await;
        let (problem, wait) = limited(world.create("other.example.com").await).await;
        assert_eq!(problem.code(), Some(ProblemCode::TooManyCreations));
        assert_eq!(problem.field.as_deref(), Some("tenantId"));
        assert!(problem.detail.contains("limit of 3") && problem.detail.contains("Cabinet:MaxCreationsPerTenantPerDay"));
        assert!(wait > 21 * HOUR && wait <= 22 * HOUR, "{wait:?}");
        // A repeated call creates nothing, and another tenant has a limit of its own.
        answer(world.create("shop.example.com").await, 200).await;
        answer(world.create_for("other", "other.example.com").await, 201).await;
        world.advance(wait);
        world.created("b.example.com").await;
        let (_, wait) = limited(world.create("c.example.com").await).await;
        assert!(wait <= HOUR, "{wait:?}");
    }

    async fn a_limit_holds_across_processes_and_concurrent_calls(database: Database) {
        let limit = |settings: &mut dps_cabinet::Settings| settings.max_creations_per_tenant_per_day = 5;
        let worlds = [World::with(&database, limit).await, World::with(&database, limit).await];
        let calls = (0..14).map(|n| {
            let call = worlds[n % 2].platform(Method::POST, "");
            let body = json!({"hostname": format!("n{n}.example.com"), "tenantId": "tenant"});
            tokio::spawn(call.json(&body).send())
        });
        let mut created = 0;
        for call in calls.collect::<Vec<_>>() {
            match call.await.unwrap().unwrap().status().as_u16() {
                201 => created += 1,
                status => assert_eq!(status, 429),
            }
        }
        assert_eq!(created, 5);
    }

    async fn retries_of_all_domains_count_against_their_tenant(database: Database) {
        let limit = |settings: &mut dps_cabinet::Settings| settings.max_retries_per_tenant_per_day = 2;
        let world = World::with(&database, limit).await;
        let (a, b) = (world.created("a.example.com").await, world.created("b.example.com").await);
        let other = answer(world.create_for("other", "other.example.com").await, 201).await;
        answer(retry(&world, &a).await, 202).await;
        // A retry that is refused for another reason does not count.
        assert_eq!(refusal(retry(&world, &a).await, 429).await.code(), Some(ProblemCode::RetryTooSoon));
        world.advance(HOUR);
        answer(retry(&world, &a).await, 202).await;
        let replica = World::with(&database, limit).await;
        replica.advance(HOUR);
        for process in [&world, &replica] {
            let (problem, wait) = limited(retry(process, &b).await).await;
            assert_eq!(problem.code(), Some(ProblemCode::TooManyRetries));
            assert_eq!(problem.field.as_deref(), Some("tenantId"));
            assert!(problem.detail.contains("Cabinet:MaxRetriesPerTenantPerDay"), "{}", problem.detail);
            // The clocks of the two processes differ by some microseconds.
            assert!(wait > 22 * HOUR && wait <= 23 * HOUR + Duration::from_secs(1), "{wait:?}");
        }
        assert_eq!(world.read(&format!("/{b}")).await["version"], 1);
        answer(retry(&world, other["id"].as_str().unwrap()).await, 202).await;
        world.advance(23 * HOUR);
        answer(retry(&world, &b).await, 202).await;
        limited(retry(&world, &a).await).await;
    }

    async fn zero_allows_any_number(database: Database) {
        let world = World::with(&database, |settings| {
            settings.max_domains_per_tenant = 0;
            settings.max_creations_per_tenant_per_day = 0;
            settings.max_retries_per_tenant_per_day = 0;
        })
        .await;
        for n in 0..4 {
            let id = world.created(&format!("n{n}.example.com")).await;
            answer(retry(&world, &id).await, 202).await;
        }
    }

    async fn removed_domains_vanish_after_their_time_and_nothing_else_does(database: Database) {
        let world = World::on(&database).await;
        let old = create_and_remove(&world, "old.example.com").await;
        let before = world.read("/changes").await["nextCursor"].as_str().unwrap().to_owned();
        let active = world.created("active.example.com").await;
        let leaving = world.created("leaving.example.com").await;
        remove(&world, &leaving).await;
        let passed = create_and_remove(&world, "passed.example.com").await;
        world.advance(40 * DAY);
        let recent = create_and_remove(&world, "recent.example.com").await;
        // Each Cabinet prunes when it starts.
        let late = World::later(&database, 90 * DAY + HOUR).await;
        dps_lab::wait::until("the old domain is pruned", Duration::from_secs(30), async || {
            (status_of(&late, &old).await == 404 && status_of(&late, &passed).await == 404).then_some(())
        })
        .await
        .unwrap();
        for kept in [&active, &leaving, &recent] {
            assert_eq!(status_of(&late, kept).await, 200);
        }
        // A reader that stopped before the pruning continues without a gap, a new one sees what is
        // left.
        let kept = ["active.example.com", "leaving.example.com", "recent.example.com"];
        let page = late.read(&format!("/changes?after={before}")).await;
        assert_eq!(hosts(&page), kept);
        assert_eq!(hosts(&late.read("/changes").await), kept);
        assert_eq!(hosts(&late.read("").await), kept);
        let after = page["nextCursor"].as_str().unwrap();
        answer(late.report(&old, 3, &StatusReport::of(Status::Removed)).await, 404).await;
        late.created("old.example.com").await;
        assert_eq!(hosts(&late.read(&format!("/changes?after={after}")).await), ["old.example.com"]);
    }
}
