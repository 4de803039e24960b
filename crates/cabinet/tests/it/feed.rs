//! The change feed.

use std::time::{Duration, Instant};

use dps_cabinet_api::{ProblemCode, StatusReport};
use dps_domain::Status;
use reqwest::Method;

use crate::world::{Database, World, answer, hosts, on_both_databases, refusal};

on_both_databases! {
    async fn creations_retries_and_removals_appear_in_order_each_domain_once(database: Database) {
        let world = World::on(&database).await;
        let (a, b) = (world.created("a.example.com").await, world.created("b.example.com").await);
        world.created("c.example.com").await;
        let page = world.read("/changes?limit=2").await;
        assert_eq!(hosts(&page), ["a.example.com", "b.example.com"]);
        world.platform(Method::POST, &format!("/{a}/retry")).send().await.unwrap();
        world.platform(Method::DELETE, &format!("/{b}")).send().await.unwrap();
        let after = page["nextCursor"].as_str().unwrap();
        let page = world.read(&format!("/changes?after={after}")).await;
        assert_eq!(hosts(&page), ["c.example.com", "a.example.com", "b.example.com"]);
        assert_eq!(page["items"][2]["status"], "PendingRemoval");
        let after = page["nextCursor"].as_str().unwrap();
        let page = world.read(&format!("/changes?after={after}")).await;
        assert_eq!((hosts(&page).len(), page["nextCursor"].as_str().unwrap()), (0, after));
    }

    async fn what_the_service_reports_or_asks_twice_is_no_news_to_it(database: Database) {
        let world = World::on(&database).await;
        let id = world.created("a.example.com").await;
        let after = world.read("/changes").await["nextCursor"].as_str().unwrap().to_owned();
        answer(world.report(&id, 1, &StatusReport::of(Status::Active)).await, 200).await;
        answer(world.create("a.example.com").await, 200).await;
        assert_eq!(hosts(&world.read(&format!("/changes?after={after}")).await).len(), 0);
    }

    async fn a_waiting_call_is_woken_by_a_creation(database: Database) {
        let world = World::on(&database).await;
        let begin = Instant::now();
        let waiting = tokio::spawn(world.service(Method::GET, "/changes?wait=30").send());
        assert!(!waiting.is_finished());
        world.created("a.example.com").await;
        let page = answer(waiting.await.unwrap().unwrap(), 200).await;
        assert_eq!(hosts(&page), ["a.example.com"]);
        assert!(begin.elapsed() < Duration::from_secs(20), "it waited to the end");
    }

    async fn a_waiting_call_sees_what_another_replica_does(database: Database) {
        let (world, replica) = (World::on(&database).await, World::on(&database).await);
        let waiting = tokio::spawn(world.service(Method::GET, "/changes?wait=30").send());
        replica.created("a.example.com").await;
        let page = answer(waiting.await.unwrap().unwrap(), 200).await;
        assert_eq!(hosts(&page), ["a.example.com"]);
    }

    async fn a_wait_without_a_change_ends_with_an_empty_page_and_the_same_cursor(database: Database) {
        let world = World::on(&database).await;
        world.created("a.example.com").await;
        let after = world.read("/changes").await["nextCursor"].as_str().unwrap().to_owned();
        let begin = Instant::now();
        let page = world.read(&format!("/changes?after={after}&wait=1")).await;
        assert!(begin.elapsed() >= Duration::from_secs(1));
        assert_eq!((hosts(&page).len(), page["nextCursor"].as_str().unwrap()), (0, after.as_str()));
    }

    async fn a_cursor_from_the_future_is_refused_instead_of_waiting_for_ever(database: Database) {
        let world = World::on(&database).await;
        let ahead = world.service(Method::GET, "/changes?after=cff&wait=30").send().await.unwrap();
        let problem = refusal(ahead, 400).await;
        assert_eq!((problem.code(), problem.field.as_deref()), (Some(ProblemCode::CursorInvalid), Some("after")));
    }
}

#[tokio::test]
async fn a_shutdown_answers_waiting_calls_at_once_and_ends() {
    let database = Database::sqlite();
    let mut world = World::on(&database).await;
    world.created("a.example.com").await;
    let after = world.read("/changes").await["nextCursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let waiting = tokio::spawn(
        world
            .service(Method::GET, &format!("/changes?after={after}&wait=30"))
            .send(),
    );
    // The call has arrived once a later one on another connection has been answered while it still
    // waits.
    world.read("").await;
    let begin = Instant::now();
    world.shutdown.cancel();
    (&mut world.task).await.unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "the shutdown waited for the long poll"
    );
    // The call was either answered with an empty page or came too late to be accepted.
    if let Ok(response) = waiting.await.unwrap() {
        assert_eq!(hosts(&answer(response, 200).await).len(), 0);
    }
}
