//! State for the synchronisation with the Cabinet: cursors, periodic tasks, presence in the
//! Cabinet.

use dps_application::ports::store::StoreError;
use dps_domain::{Phase, Status};

use crate::world::{AnyStore, TTL, World, at, number, quiet};

const TASK: &str = "task";

pub(crate) async fn a_cursor_moves_on_only_from_where_it_was_read(world: World) {
    let store = &world.store;
    assert_eq!(store.cursor("feed").await.unwrap(), None);
    assert!(
        store
            .cursor_advance("feed", None, "first 'value' ✓")
            .await
            .unwrap()
    );
    assert!(!store.cursor_advance("feed", None, "late").await.unwrap());
    let read = store.cursor("feed").await.unwrap();
    assert_eq!(read.as_deref(), Some("first 'value' ✓"));
    assert!(
        store
            .cursor_advance("feed", read.as_deref(), "second")
            .await
            .unwrap()
    );
    assert!(
        !store
            .cursor_advance("feed", read.as_deref(), "older")
            .await
            .unwrap(),
        "a slow replica read the same, and would take it back"
    );
    assert_eq!(
        store.cursor("feed").await.unwrap().as_deref(),
        Some("second")
    );
    assert_eq!(store.cursor("other").await.unwrap(), None);
    store.ping().await.unwrap();
}

pub(crate) async fn a_periodic_task_has_one_holder_and_continues_where_it_stopped(world: World) {
    let (here, there) = (&world.store, world.open_again().await);
    let take = async |store: &AnyStore, second| {
        store.periodic_acquire(TASK, at(second), TTL, at(10)).await
    };
    assert!(
        take(here, 0).await.unwrap().is_none(),
        "it is due at 10 for the first time"
    );
    let first = take(here, 10).await.unwrap().unwrap();
    assert_eq!(first.progress, None);
    assert!(take(&there, 11).await.unwrap().is_none());
    here.periodic_extend(&first, "half", at(100)).await.unwrap();
    assert!(
        take(&there, 99).await.unwrap().is_none(),
        "it was kept for longer"
    );
    let second = take(&there, 100).await.unwrap().unwrap();
    assert_eq!(second.progress.as_deref(), Some("half"));
    let lost = here.periodic_extend(&first, "more", at(200)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)));
    let lost = here.periodic_release(&first, None, at(200)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)));
    there
        .periodic_release(&second, Some("most"), at(120))
        .await
        .unwrap();
    assert!(take(here, 119).await.unwrap().is_none());
    let third = take(here, 120).await.unwrap().unwrap();
    assert_eq!(third.progress.as_deref(), Some("most"));
    here.periodic_release(&third, None, at(300)).await.unwrap();
    assert_eq!(take(here, 300).await.unwrap().unwrap().progress, None);
}

pub(crate) async fn a_periodic_task_can_be_made_due_and_is_never_delayed_by_that(world: World) {
    let store = &world.store;
    store.periodic_make_due(TASK, at(5)).await.unwrap();
    store.periodic_make_due(TASK, at(50)).await.unwrap();
    let lease = store
        .periodic_acquire(TASK, at(5), TTL, at(1000))
        .await
        .unwrap();
    store
        .periodic_release(&lease.unwrap(), None, at(500))
        .await
        .unwrap();
    store.periodic_make_due(TASK, at(100)).await.unwrap();
    let lease = store
        .periodic_acquire(TASK, at(100), TTL, at(1000))
        .await
        .unwrap();
    store.periodic_make_due(TASK, at(400)).await.unwrap();
    store
        .periodic_release(&lease.unwrap(), None, at(500))
        .await
        .unwrap();
    let early = store
        .periodic_acquire(TASK, at(399), TTL, at(0))
        .await
        .unwrap();
    assert!(early.is_none());
    let lease = store
        .periodic_acquire(TASK, at(400), TTL, at(0))
        .await
        .unwrap();
    let lease = lease.expect("a call that comes while it is in hand is kept");
    store.periodic_release(&lease, None, at(500)).await.unwrap();
    store.periodic_make_due(TASK, at(60)).await.unwrap();
    assert!(
        store
            .periodic_acquire(TASK, at(59), TTL, at(0))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .periodic_acquire(TASK, at(60), TTL, at(0))
            .await
            .unwrap()
            .is_some()
    );
}

pub(crate) async fn the_domains_of_a_page_are_known_with_what_the_cabinet_has_yet_to_hear(
    world: World,
) {
    let idle = world.with_due("idle.example", at(0)).await;
    let unsent = world.with_due("unsent.example", at(0)).await;
    world.with_due("other.example", at(0)).await;
    world.report(unsent.id, Status::Issuing, at(1)).await;
    let stranger = dps_domain::DomainId::from_uuid(uuid::Uuid::from_u128(number()));
    let known = world
        .store
        .known(&[idle.id, unsent.id, stranger])
        .await
        .unwrap();
    let mut known: Vec<_> = known
        .iter()
        .map(|known| (known.record.id, known.reports_wait))
        .collect();
    known.sort();
    assert_eq!(known, [(idle.id, false), (unsent.id, true)]);
    assert!(world.store.known(&[]).await.unwrap().is_empty());
    assert_eq!(world.store.count_domains().await.unwrap(), 3);
    assert_eq!(world.store.outbox_count(9).await.unwrap(), 1);
    assert_eq!(world.store.outbox_count(0).await.unwrap(), 0);
}

pub(crate) async fn a_record_that_cannot_be_read_is_counted_and_not_known(world: World) {
    let readable = world.with_due("readable.example", at(0)).await;
    let broken = world.with_due("broken.example", at(0)).await;
    world
        .sql(&format!(
            "UPDATE custom_domains SET phase = '?' WHERE id = '{}'",
            broken.id
        ))
        .await;
    let known = world.store.known(&[readable.id, broken.id]).await.unwrap();
    let known: Vec<_> = known.iter().map(|known| known.record.id).collect();
    assert_eq!(known, [readable.id]);
    assert_eq!(world.store.count_domains().await.unwrap(), 2);
}

pub(crate) async fn domains_that_a_resync_saw_are_distinguished_from_others(world: World) {
    let mut ids = Vec::new();
    for name in ["a.example", "b.example", "c.example", "gone.example"] {
        ids.push(world.with_due(name, at(0)).await.id);
    }
    let mut gone = world.read(ids[3]).await;
    gone.phase = Phase::Gone;
    assert!(world.store.domain_update(quiet(gone)).await.unwrap());
    let stranger = dps_domain::DomainId::from_uuid(uuid::Uuid::from_u128(number()));
    world.store.cabinet_mark_seen(1, &ids).await.unwrap();
    world
        .store
        .cabinet_mark_seen(2, &[ids[0], stranger])
        .await
        .unwrap();
    let page = world.store.cabinet_presences(2, None, 2).await.unwrap();
    let seen: Vec<_> = page
        .iter()
        .map(|presence| (presence.id, presence.seen))
        .collect();
    assert_eq!(
        seen,
        [(ids[0], true), (ids[1], false)],
        "in the order of the ids"
    );
    let remaining = world
        .store
        .cabinet_presences(2, Some(ids[1]), 10)
        .await
        .unwrap();
    assert_eq!(remaining.len(), 1, "gone records are no missing ones");
    assert_eq!(
        (remaining[0].id, remaining[0].seen, remaining[0].created_at),
        (ids[2], false, at(0))
    );
}

pub(crate) async fn a_domain_is_missing_since_it_was_first_missed_until_it_is_seen(world: World) {
    let store = &world.store;
    let (a, b) = (
        world.with_due("a.example", at(0)).await.id,
        world.with_due("b.example", at(0)).await.id,
    );
    assert_eq!(
        store.cabinet_mark_missing(1, a, at(10)).await.unwrap(),
        at(10)
    );
    assert_eq!(
        store.cabinet_mark_missing(2, a, at(20)).await.unwrap(),
        at(10)
    );
    assert_eq!(
        store.cabinet_mark_missing(2, b, at(21)).await.unwrap(),
        at(21)
    );
    let missing = async |run, before| {
        store
            .cabinet_missing_since(run, at(before), None, 10)
            .await
            .unwrap()
    };
    assert_eq!(missing(2, 9).await, []);
    assert_eq!(missing(2, 20).await, [a]);
    assert_eq!(missing(2, 21).await, [a, b]);
    assert_eq!(
        missing(3, 21).await,
        [],
        "this resync has not found them missing yet"
    );
    assert_eq!(
        store
            .cabinet_missing_since(2, at(21), Some(a), 10)
            .await
            .unwrap(),
        [b]
    );
    assert!(!store.cabinet_presences(2, None, 10).await.unwrap()[0].seen);
    store.cabinet_mark_seen(3, &[a]).await.unwrap();
    assert_eq!(missing(3, 100).await, []);
    assert_eq!(
        store.cabinet_mark_missing(4, a, at(40)).await.unwrap(),
        at(40),
        "it begins anew"
    );
}
