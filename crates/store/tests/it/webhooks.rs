//! Events for the receivers of webhooks.

use std::time::Duration;

use dps_application::ports::store::{
    DomainRecord, GiveUp, Redelivered, Redelivery, WebhookDelivery, WebhookState,
};
use dps_domain::action::{ActionKind, ActionScope};
use dps_domain::phase::Next;
use dps_domain::retention::Prunable;
use dps_domain::webhook::{WebhookEventKind, WebhookReceiver};
use dps_domain::{CertificateId, DnsState, Phase, Timestamp};
use uuid::Uuid;

use crate::actions::action;
use crate::world::{World, at, number, quiet};

const ALL: &str = "all.example/01234567";
const REMOVALS: &str = "removals.example/89abcdef";

fn receiver(name: &str, events: &[WebhookEventKind], tenants: &[&str]) -> WebhookReceiver {
    WebhookReceiver {
        name: name.to_owned(),
        events: events.to_vec(),
        tenants: tenants.iter().map(ToString::to_string).collect(),
    }
}

fn to_all() -> Vec<WebhookReceiver> {
    vec![receiver(ALL, &[], &[])]
}

fn live() -> Phase {
    Phase::Live {
        serving: CertificateId::from_uuid(Uuid::from_u128(number())),
        not_after: at(9_000_000),
        dns: DnsState::Here,
        next: Next::At(at(8_000_000)),
    }
}

/// Writes the record in this phase at this time; returns it as it is then.
async fn write(world: &World, before: &DomainRecord, phase: Phase, at: Timestamp) -> DomainRecord {
    let after = DomainRecord {
        phase,
        updated_at: at,
        ..before.clone()
    };
    let write = quiet(after).with_webhooks_since(before);
    assert!(world.store.domain_update(write).await.unwrap());
    world.store.domain(before.id).await.unwrap().unwrap()
}

/// A domain that became active, was renewed and was removed, a second each.
async fn life(world: &World, host: &str) -> DomainRecord {
    let mut record = world.with_due(host, at(0)).await;
    for (second, phase) in [
        (1, live()),
        (2, live()),
        (3, Phase::Leaving),
        (4, Phase::Gone),
    ] {
        record = write(world, &record, phase, at(second)).await;
    }
    record
}

async fn due(world: &World, name: &str, now: Timestamp) -> Vec<WebhookDelivery> {
    world.store.webhooks_due(name, now, 10).await.unwrap()
}

fn kind(delivery: &WebhookDelivery) -> String {
    let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
    body["type"].as_str().unwrap().to_owned()
}

/// Gives up what has been pending since `before`, and the oldest beyond `keep`.
async fn give_up(world: &World, before: Timestamp, keep: u32, limit: u32) -> u32 {
    let which = GiveUp {
        receiver: ALL,
        before,
        keep,
        limit,
    };
    world.store.webhooks_give_up(which, at(10)).await.unwrap()
}

async fn state(world: &World) -> Vec<WebhookState> {
    world.store.webhooks_state().await.unwrap()
}

pub(crate) async fn events_are_due_one_after_the_other_and_each_domain_for_itself(world: World) {
    let world = world.with_webhooks(to_all());
    let store = &world.store;
    let first = life(&world, "first.example").await;
    let second = life(&world, "second.example").await;
    assert_eq!(store.webhooks_next_due(ALL).await.unwrap(), Some(at(1)));
    let mut sent = vec![];
    for round in 0..3 {
        let found = due(&world, ALL, at(100 + round)).await;
        let domains: Vec<_> = found.iter().map(|one| one.domain_id).collect();
        assert_eq!(domains, [first.id, second.id]);
        for delivery in &found {
            sent.push(kind(delivery));
            store
                .webhook_finish(ALL, delivery, at(100 + round))
                .await
                .unwrap();
        }
    }
    let expected = ["domain.active", "domain.renewed", "domain.removed"];
    let expected: Vec<&str> = expected.iter().flat_map(|kind| [*kind; 2]).collect();
    assert_eq!(sent, expected);
    assert_eq!(store.webhooks_next_due(ALL).await.unwrap(), None);
    assert_eq!(due(&world, ALL, at(1_000)).await, []);
}

pub(crate) async fn a_failed_try_delays_its_domain_alone_and_keeps_the_identifier(world: World) {
    let world = world.with_webhooks(to_all());
    let store = &world.store;
    let record = life(&world, "slow.example").await;
    let other = life(&world, "quick.example").await;
    let found = due(&world, ALL, at(10)).await;
    store.webhook_retry(&found[0], at(50)).await.unwrap();
    store.webhook_finish(ALL, &found[1], at(10)).await.unwrap();
    let domains: Vec<_> = due(&world, ALL, at(49)).await;
    let domains: Vec<_> = domains.iter().map(|one| one.domain_id).collect();
    assert_eq!(domains, [other.id]);
    let again = due(&world, ALL, at(50)).await;
    let again = again.iter().find(|one| one.domain_id == record.id).unwrap();
    assert_eq!(again.event_id, found[0].event_id);
    assert_eq!((found[0].attempt, again.attempt), (0, 1));
}

pub(crate) async fn each_receiver_gets_what_it_wants_and_without_one_nothing_is_written(
    world: World,
) {
    life(&world, "before.example").await;
    assert_eq!(state(&world).await, [], "no receiver, no row");
    let others = "others.example/00000000";
    let world = world.with_webhooks(vec![
        receiver(ALL, &[], &["tenant-1"]),
        receiver(REMOVALS, &[WebhookEventKind::DomainRemoved], &[]),
        receiver(others, &[], &["tenant-2"]),
    ]);
    life(&world, "shop.example").await;
    let found = state(&world).await;
    let pending: Vec<_> = (found.iter())
        .map(|one| (one.receiver.as_str(), one.pending))
        .collect();
    assert_eq!(pending, [(ALL, 3), (REMOVALS, 1)]);
    assert_eq!(found[0].oldest_pending, Some(at(1)));
    let [all, removed] = [ALL, REMOVALS];
    let first = due(&world, all, at(10)).await;
    let only = due(&world, removed, at(10)).await;
    assert_eq!(kind(&only[0]), "domain.removed");
    // One receiver's delivery is no other's.
    let store = &world.store;
    store
        .webhook_finish(removed, &only[0], at(10))
        .await
        .unwrap();
    assert_eq!(due(&world, all, at(10)).await, first);
}

pub(crate) async fn an_event_is_written_once_with_the_record_and_not_without_it(world: World) {
    let world = world.with_webhooks(to_all());
    let store = &world.store;
    let record = world.with_due("shop.example", at(0)).await;
    let after = DomainRecord {
        phase: live(),
        updated_at: at(1),
        ..record.clone()
    };
    let write = quiet(after).with_webhooks_since(&record);
    assert_eq!(write.webhooks.len(), 1);
    assert!(store.domain_update(write.clone()).await.unwrap());
    assert!(!store.domain_update(write).await.unwrap(), "stale");
    assert_eq!(state(&world).await[0].pending, 1);
}

pub(crate) async fn what_waited_too_long_is_given_up_and_the_next_goes_on(world: World) {
    let world = world.with_webhooks(to_all());
    let store = &world.store;
    life(&world, "shop.example").await;
    assert_eq!(give_up(&world, at(2), 9, 9).await, 2);
    assert_eq!(give_up(&world, at(2), 9, 9).await, 0);
    let left = due(&world, ALL, at(10)).await;
    assert_eq!(kind(&left[0]), "domain.removed");
    store.webhook_finish(ALL, &left[0], at(11)).await.unwrap();
    let found = state(&world).await;
    assert_eq!((found[0].pending, found[0].failed), (0, 2));
    assert_eq!(found[0].last_success, Some(at(11)));
}

pub(crate) async fn events_are_delivered_again_on_request_in_their_order(world: World) {
    let world = world.with_webhooks(to_all());
    let store = &world.store;
    life(&world, "shop.example").await;
    let mut ids = vec![];
    for second in 10..13 {
        let found = due(&world, ALL, at(second)).await;
        ids.push(found[0].event_id.clone());
        store
            .webhook_finish(ALL, &found[0], at(second))
            .await
            .unwrap();
    }
    let asked = action(ActionKind::WebhooksRedeliver, ActionScope::All, "", at(20));
    let since = |at, receiver: Option<&str>| Redelivery {
        which: Redelivered::Since(at),
        receiver: receiver.map(str::to_owned),
    };
    let none = [since(at(5), None), since(at(0), Some("nobody"))];
    for redelivery in none {
        assert_eq!(
            store.webhooks_redeliver(&redelivery, &asked).await.unwrap(),
            0
        );
    }
    assert!(store.actions(None, 5).await.unwrap().is_empty());
    let requested = store
        .webhooks_redeliver(&since(at(2), Some(ALL)), &asked)
        .await;
    assert_eq!(requested.unwrap(), 2);
    let recorded = store.actions(None, 5).await.unwrap();
    assert_eq!(recorded[0].action.count, Some(2));
    assert_eq!(store.webhooks_next_due(ALL).await.unwrap(), Some(at(20)));
    for id in &ids[1..] {
        let found = due(&world, ALL, at(21)).await;
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].event_id, found[0].attempt), (id, 0));
        store.webhook_finish(ALL, &found[0], at(21)).await.unwrap();
    }
    let one = Redelivery {
        which: Redelivered::Event(ids[0].clone()),
        receiver: None,
    };
    assert_eq!(store.webhooks_redeliver(&one, &asked).await.unwrap(), 1);
    assert_eq!(due(&world, ALL, at(22)).await[0].event_id, ids[0]);
    assert_eq!(
        store.webhooks_redeliver(&one, &asked).await.unwrap(),
        0,
        "it is pending"
    );
}

pub(crate) async fn the_oldest_events_beyond_the_limit_are_given_up_in_batches(world: World) {
    let world = world.with_webhooks(to_all());
    life(&world, "first.example").await;
    life(&world, "second.example").await;
    let waiting = world.store.webhooks_waiting(5).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].events, waiting[0].oldest), (5, at(1)));
    for (keep, limit, given_up) in [(6, 9, 0), (2, 3, 3), (2, 3, 1), (2, 3, 0)] {
        assert_eq!(give_up(&world, at(0), keep, limit).await, given_up);
    }
    // Both removals are left, and each is due.
    let left = due(&world, ALL, at(10)).await;
    let kinds: Vec<String> = left.iter().map(kind).collect();
    assert_eq!(kinds, ["domain.removed"; 2]);
    let found = state(&world).await;
    assert_eq!((found[0].pending, found[0].failed), (2, 4));
}

pub(crate) async fn a_repeated_event_comes_before_those_that_followed_it(world: World) {
    let world = world.with_webhooks(to_all());
    let store = &world.store;
    let record = world.with_due("shop.example", at(0)).await;
    let record = write(&world, &record, live(), at(1)).await;
    let first = due(&world, ALL, at(2)).await.remove(0);
    store.webhook_finish(ALL, &first, at(2)).await.unwrap();
    write(&world, &record, live(), at(3)).await;
    let second = due(&world, ALL, at(3)).await.remove(0);
    store.webhook_retry(&second, at(4)).await.unwrap();
    let asked = action(ActionKind::WebhooksRedeliver, ActionScope::All, "", at(5));
    let again = Redelivery {
        which: Redelivered::Event(first.event_id.clone()),
        receiver: None,
    };
    assert_eq!(store.webhooks_redeliver(&again, &asked).await.unwrap(), 1);
    assert_eq!(due(&world, ALL, at(6)).await, std::slice::from_ref(&first));
    // A try that fails holds back the second.
    store.webhook_retry(&first, at(60)).await.unwrap();
    assert_eq!(due(&world, ALL, at(59)).await, []);
    store.webhook_finish(ALL, &first, at(61)).await.unwrap();
    let last = due(&world, ALL, at(62)).await.remove(0);
    assert_eq!((last.event_id, last.attempt), (second.event_id, 1));
}

pub(crate) async fn ended_events_go_after_14_days_and_the_next_one_is_still_due(world: World) {
    let world = world.with_webhooks(to_all());
    let store = &world.store;
    life(&world, "shop.example").await;
    for second in [10, 11] {
        let found = due(&world, ALL, at(second)).await;
        store
            .webhook_finish(ALL, &found[0], at(second))
            .await
            .unwrap();
    }
    let later = at(9) + Duration::from_secs(14 * 86_400);
    for (limit, pruned) in [(1, 1), (9, 1), (9, 0)] {
        let kind = Prunable::WebhookDelivery;
        assert_eq!(world.prune(kind, later, limit).await, pruned);
    }
    assert_eq!(kind(&due(&world, ALL, later).await[0]), "domain.removed");
}
