//! A domain's history: every move and every attempt, with its evidence, replica and duration.

use dps_application::operator;
use dps_domain::ownership::RequireProof;
use dps_domain::{EventKind, FailureCode, Hostname};
use serde_json::{Value, json};

use super::world::{HOST, World};

/// The events so far, oldest first.
async fn history(world: &World) -> Vec<(EventKind, Value)> {
    let id = world.record().await.id;
    let mut events = world.service.store.events(id, 1000).await.unwrap();
    events.reverse();
    for event in &events {
        assert_eq!(event.replica, "replica-1", "{event:?}");
        assert!(event.duration.is_some(), "{event:?}");
        assert!(
            !event.detail.to_string().contains("certificate-key"),
            "{event:?}"
        );
    }
    events
        .into_iter()
        .map(|event| (event.kind, event.detail))
        .collect()
}

#[tokio::test]
async fn every_step_leaves_a_line_with_what_it_saw() {
    let world = World::with_due_domain().await;
    world.settle().await;
    let history = history(&world).await;
    let kinds: Vec<EventKind> = history.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::DnsReady,
            EventKind::HttpReady,
            EventKind::OrderPlaced,
            EventKind::OrderReady,
            EventKind::CertificateStored,
            EventKind::Deployed
        ]
    );
    let seen = |index: usize| &history[index].1;
    assert_eq!(
        seen(0)["answers"],
        json!([{ "resolver": "192.0.2.53:53", "chain": ["edge.platform.net"], "answer": ["198.51.100.1"] }])
    );
    assert_eq!(
        seen(1)["probes"],
        json!([{ "address": "198.51.100.1", "answer": "ours" }])
    );
    let order = seen(2)["orderUrl"].as_str().unwrap();
    assert_eq!(
        (&seen(3)["orderUrl"], &seen(4)["orderUrl"]),
        (&json!(order), &json!(order))
    );
    assert_eq!(seen(5)["fingerprint"], seen(4)["fingerprint"]);
    assert_eq!(seen(5)["edges"], json!(["http://edge-0", "http://edge-1"]));
}

#[tokio::test]
async fn a_failed_attempt_keeps_what_was_seen_before_it_failed() {
    let world = World::with_due_domain().await;
    world.dns.clear(HOST);
    world.step().await;
    let failed = history(&world).await.remove(0);
    assert_eq!(failed.0, EventKind::Failed(FailureCode::DnsNxdomain));
    assert_eq!(failed.1["code"], "DNS_NXDOMAIN");
    assert_eq!(failed.1["answers"][0]["answer"], "does not exist");

    let world = World::with_due_domain().await;
    for _ in 0..5 {
        world.step().await;
    }
    world.edges.set_down(1, true);
    world.step().await;
    let (kind, seen) = history(&world).await.pop().unwrap();
    assert_eq!(kind, EventKind::Failed(FailureCode::EdgeUnreachable));
    assert_eq!(
        seen["edges"],
        json!(["http://edge-0"]),
        "the edge that has proven it"
    );
}

#[tokio::test]
async fn what_an_operator_asks_for_is_in_the_history_under_their_name() {
    let world = World::with_due_domain().await;
    let host = Hostname::parse(HOST).unwrap();
    let store = world.service.store.as_ref();
    let now = world.service.now();
    operator::retry(store, "operator@desk", now, &host, RequireProof::default())
        .await
        .unwrap();
    let line = store
        .events(world.record().await.id, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (line.kind, line.replica.as_str()),
        (EventKind::RetryByOperator, "operator@desk")
    );
}
