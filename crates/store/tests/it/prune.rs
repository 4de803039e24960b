//! The deletion of rows that no step needs any more.

use std::time::Duration;

use dps_application::ports::store::{Debit, Deployed, NewCertificate, PruneBatch, StoredChallenge};
use dps_domain::limits::{BucketKey, Charge, Limit, LimitKind};
use dps_domain::phase::Next;
use dps_domain::retention::{Prunable, Retention};
use dps_domain::{DnsState, DomainId, Issuance, OrderId, Phase};

use crate::certificates::stored;
use crate::world::{World, at, order, quiet, sealed};

const DAY: i64 = 24 * 60 * 60;
const GRACE: Duration = Duration::from_secs(60);

async fn serve(world: &World, domain: DomainId, new: &NewCertificate) {
    let mut record = world.read(domain).await;
    record.phase = Phase::Live {
        serving: new.id,
        not_after: new.details.not_after,
        dns: DnsState::Here,
        next: Next::At(at(9_000)),
    };
    assert!(world.store.domain_update(quiet(record)).await.unwrap());
}

/// The identifiers of these certificates that are stored.
async fn kept(world: &World, certificates: &[NewCertificate]) -> Vec<usize> {
    let mut kept = vec![];
    for (index, one) in certificates.iter().enumerate() {
        let certificate = world.store.certificate(one.id).await.unwrap();
        let order = world.store.order(one.order_id).await.unwrap();
        assert!(certificate.is_none() || order.is_some(), "{index}");
        kept.extend(certificate.map(|_| index));
    }
    kept
}

pub(crate) async fn a_domain_keeps_its_newest_certificate_and_two_before_it_with_their_orders(
    world: World,
) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let mut issued = vec![];
    for number in 0..5 {
        let (new, _) = stored(&world, domain, "shop.example", number * 10 * DAY).await;
        issued.push(new);
    }
    serve(&world, domain, &issued[4]).await;
    let now = at(41 * DAY);
    assert_eq!(
        world.prune(Prunable::Certificate, now, 10).await,
        0,
        "keys first"
    );
    assert_eq!(kept(&world, &issued).await, [0, 1, 2, 3, 4]);
    // The key of the last but one is within the rollback.
    assert_eq!(world.prune(Prunable::SupersededKey, now, 10).await, 3);
    assert_eq!(world.prune(Prunable::Order, now, 10).await, 0);
    assert_eq!(world.prune(Prunable::Certificate, now, 1).await, 1);
    assert_eq!(kept(&world, &issued).await, [1, 2, 3, 4]);
    assert_eq!(world.prune(Prunable::Certificate, now, 10).await, 1);
    assert_eq!(world.prune(Prunable::Certificate, now, 10).await, 0);
    assert_eq!(kept(&world, &issued).await, [2, 3, 4]);
    // The orders of the deleted ones ended when their certificates were stored.
    let order = async |index: usize| world.store.order(issued[index].order_id).await.unwrap();
    assert!(order(0).await.is_some() && order(1).await.is_some());
    assert_eq!(world.prune(Prunable::Order, at(30 * DAY - 1), 10).await, 0);
    assert_eq!(world.prune(Prunable::Order, at(40 * DAY - 1), 10).await, 1);
    assert!(order(0).await.is_none() && order(1).await.is_some());
    assert_eq!(world.prune(Prunable::Order, at(400 * DAY), 10).await, 1);
    assert_eq!(kept(&world, &issued).await, [2, 3, 4]);
    let (_, newest) = stored(&world, domain, "shop.example", 0).await;
    assert!(
        newest > at(40 * DAY).unix_micros().unsigned_abs(),
        "generations continue"
    );
}

pub(crate) async fn a_key_is_kept_while_a_live_edge_lacks_the_newer_certificate(world: World) {
    let now = at(20 * DAY);
    let edges = ["http://one".to_owned(), "http://two".to_owned()];
    world.store.edges_put_listed(&edges, now).await.unwrap();
    let found = ["http://unapproved".to_owned()];
    world.store.edges_put_found(&found, now).await.unwrap();
    let left = ["http://left".to_owned()];
    world
        .store
        .edges_put_listed(&left, at(19 * DAY))
        .await
        .unwrap();
    let mut pairs = vec![];
    for name in ["a.example", "b.example", "c.example"] {
        let domain = world.with_due(name, at(0)).await.id;
        let (old, _) = stored(&world, domain, name, 0).await;
        let (new, generation) = stored(&world, domain, name, 10 * DAY).await;
        serve(&world, domain, &new).await;
        let deployed = Deployed {
            domain_id: domain,
            certificate_id: new.id,
            generation,
        };
        pairs.push((old, deployed));
    }
    let deploy = async |edge: &str, index: usize| {
        let deployed = [pairs[index].1];
        let store = &world.store;
        store
            .edge_store_deployed(edge, &deployed, now)
            .await
            .unwrap();
    };
    let keys = async || {
        let mut keys = vec![];
        for (old, _) in &pairs {
            let found = world.store.certificate(old.id).await.unwrap().unwrap();
            keys.push(!found.certificate.key.0.is_empty());
        }
        keys
    };
    // A batch is full of keys that must stay, and the next one goes on behind them.
    deploy("http://one", 0).await;
    for index in [1, 2] {
        deploy("http://one", index).await;
        deploy("http://two", index).await;
    }
    let (mut after, mut rows) = (None, vec![]);
    loop {
        let kind = Prunable::SupersededKey;
        let pruned = world.prune_after(kind, now, after.as_deref(), 1).await;
        rows.push(pruned.rows);
        after = pruned.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(rows.iter().sum::<u64>(), 2, "{rows:?}");
    assert!(rows.len() <= 4, "{rows:?}");
    assert_eq!(keys().await, [true, false, false]);
    // An edge that has been failing for hours is brought up to date when it answers again.
    let failed_at = now - Duration::from_secs(3 * 3600);
    let mark = world
        .store
        .edge_mark_failed("http://two", failed_at, GRACE, "no answer");
    mark.await.unwrap();
    assert_eq!(world.prune(Prunable::SupersededKey, now, 10).await, 1);
    assert_eq!(keys().await, [false, false, false]);
}

pub(crate) async fn the_key_of_a_certificate_that_ended_is_erased_whatever_edges_present(
    world: World,
) {
    let edges = ["http://one".to_owned()];
    world
        .store
        .edges_put_listed(&edges, at(91 * DAY))
        .await
        .unwrap();
    let domain = world.with_due("shop.example", at(0)).await.id;
    let (old, _) = stored(&world, domain, "shop.example", 0).await;
    serve(&world, domain, &old).await;
    let (new, _) = stored(&world, domain, "shop.example", 60 * DAY).await;
    assert_eq!(
        world.prune(Prunable::SupersededKey, at(91 * DAY), 10).await,
        0
    );
    assert_eq!(
        world.prune(Prunable::EndedKey, at(91 * DAY), 10).await,
        0,
        "it is served"
    );
    serve(&world, domain, &new).await;
    assert_eq!(
        world.prune(Prunable::SupersededKey, at(89 * DAY), 10).await,
        0,
        "an edge lacks it"
    );
    assert_eq!(world.prune(Prunable::EndedKey, at(89 * DAY), 10).await, 0);
    assert_eq!(world.prune(Prunable::EndedKey, at(90 * DAY), 10).await, 1);
    assert_eq!(
        world.prune(Prunable::EndedKey, at(900 * DAY), 10).await,
        0,
        "the newest stays"
    );
    let key = |found: Option<dps_application::ports::store::StoredCertificate>| {
        found.unwrap().certificate.key
    };
    assert!(
        key(world.store.certificate(old.id).await.unwrap())
            .0
            .is_empty()
    );
    assert_eq!(key(world.store.certificate(new.id).await.unwrap()), new.key);
}

/// An order with a key that was closed at the time.
async fn abandoned(world: &World, domain: DomainId, seconds: i64) -> OrderId {
    let order = world.with_order(domain).await.id;
    let store = &world.store;
    store.order_put_key(order, &sealed("key")).await.unwrap();
    store.order_close(order, at(seconds)).await.unwrap();
    order
}

pub(crate) async fn the_key_of_an_abandoned_order_is_erased_after_a_day_unless_a_record_names_it(
    world: World,
) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let order = abandoned(&world, domain, 100).await;
    // Closed once more by a step that is repeated.
    world.store.order_close(order, at(5_000)).await.unwrap();
    let named = world.with_due("named.example", at(0)).await;
    let named_order = abandoned(&world, named.id, 100).await;
    let mut finalizing = named.clone();
    finalizing.phase = Phase::Onboarding(Issuance::Finalizing { order: named_order });
    assert!(world.store.domain_update(quiet(finalizing)).await.unwrap());
    let key = async |id: OrderId| world.store.order(id).await.unwrap().unwrap().key;
    assert_eq!(world.prune(Prunable::OrderKey, at(99 + DAY), 10).await, 0);
    assert_eq!(world.prune(Prunable::OrderKey, at(100 + DAY), 10).await, 1);
    assert_eq!(key(order).await, None);
    assert_eq!(key(named_order).await, Some(sealed("key")));
    assert_eq!(world.prune(Prunable::Order, at(99 * DAY), 10).await, 1);
    assert_eq!(world.store.order(order).await.unwrap(), None);
    assert!(world.store.order(named_order).await.unwrap().is_some());
    let mut failed = world.read(named.id).await;
    failed.phase = Phase::Failed;
    assert!(world.store.domain_update(quiet(failed)).await.unwrap());
    assert_eq!(world.prune(Prunable::OrderKey, at(99 * DAY), 10).await, 1);
    assert_eq!(world.prune(Prunable::Order, at(99 * DAY), 10).await, 1);
    // An open order has its key for as long as it takes.
    let open = world.with_order(domain).await.id;
    world
        .store
        .order_put_key(open, &sealed("key"))
        .await
        .unwrap();
    assert_eq!(world.prune(Prunable::OrderKey, at(999 * DAY), 10).await, 0);
    assert_eq!(world.prune(Prunable::Order, at(999 * DAY), 10).await, 0);
}

pub(crate) async fn orders_that_gave_no_certificate_go_thirty_days_after_their_end(world: World) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let closed = abandoned(&world, domain, 100).await;
    // Another order takes the place of this one at its own time.
    let replaced = world.with_order(domain).await.id;
    let mut next = order(domain);
    next.created_at = at(200);
    world.place(&next).await;
    let there = async |id: OrderId| world.store.order(id).await.unwrap().is_some();
    assert_eq!(world.prune(Prunable::Order, at(99 + 30 * DAY), 10).await, 0);
    assert_eq!(
        world.prune(Prunable::Order, at(100 + 30 * DAY), 10).await,
        1
    );
    assert!(!there(closed).await && there(replaced).await);
    assert_eq!(
        world.prune(Prunable::Order, at(199 + 30 * DAY), 10).await,
        0
    );
    assert_eq!(
        world.prune(Prunable::Order, at(200 + 30 * DAY), 10).await,
        1
    );
    assert!(!there(replaced).await && there(next.id).await);
    // An order that is stored a second time is open again.
    world.store.order_close(next.id, at(300)).await.unwrap();
    world.place(&next).await;
    assert_eq!(world.prune(Prunable::Order, at(999 * DAY), 10).await, 0);
    assert_eq!(world.store.order_open(domain).await.unwrap(), Some(next));
}

pub(crate) async fn an_open_order_of_a_record_that_ended_is_closed_and_goes(world: World) {
    let mut orders = vec![];
    let phases = [Phase::Failed, Phase::Gone, Phase::START];
    for (name, phase) in ["a.example", "b.example", "c.example"]
        .into_iter()
        .zip(&phases)
    {
        let domain = world.with_due(name, at(0)).await.id;
        orders.push(world.with_order(domain).await.id);
        let mut record = world.read(domain).await;
        record.phase = phase.clone();
        assert!(world.store.domain_update(quiet(record)).await.unwrap());
    }
    let close = |seconds, limit| world.prune(Prunable::OpenOrder, at(seconds), limit);
    assert_eq!(close(30 * DAY - 1, 10).await, 0);
    let batch = world
        .prune_after(Prunable::OpenOrder, at(30 * DAY), None, 2)
        .await;
    let rest = batch.next.as_deref();
    let rest = world
        .prune_after(Prunable::OpenOrder, at(30 * DAY), rest, 2)
        .await;
    assert_eq!(batch.rows + rest.rows, 2);
    assert_eq!(close(30 * DAY, 10).await, 0, "each is closed once");
    assert_eq!(world.prune(Prunable::Order, at(30 * DAY), 10).await, 2);
    let mut left = vec![];
    for id in orders {
        left.extend(world.store.order(id).await.unwrap());
    }
    assert!(left.len() == 1 && left[0].open, "{left:?}");
}

pub(crate) async fn challenges_of_closed_orders_go_after_a_day(world: World) {
    let mut orders = vec![];
    for name in ["a.example", "b.example", "c.example"] {
        let domain = world.with_due(name, at(0)).await.id;
        let order = world.with_order(domain).await.id;
        let challenge = StoredChallenge {
            order_id: order,
            url: format!("https://ca.example/challenge/{name}"),
            token: name.to_owned(),
            key_authorization: format!("{name}.thumbprint"),
        };
        world.store.challenge_put(&challenge).await.unwrap();
        orders.push(order);
    }
    world.store.order_close(orders[0], at(1)).await.unwrap();
    world.store.order_close(orders[2], at(1)).await.unwrap();
    let mut rows = 0;
    for seconds in [DAY - 1, DAY] {
        let mut after = None;
        loop {
            let kind = Prunable::Challenge;
            let pruned = world
                .prune_after(kind, at(seconds), after.as_deref(), 1)
                .await;
            rows += pruned.rows;
            after = pruned.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(rows, if seconds < DAY { 0 } else { 2 });
    }
    let there = async |id: OrderId| world.store.challenge(id).await.unwrap().is_some();
    assert!(!there(orders[0]).await && there(orders[1]).await && !there(orders[2]).await);
}

pub(crate) async fn tokens_that_are_held_for_longer_than_a_month_go(world: World) {
    let domain = world.with_due("shop.example", at(0)).await.id;
    let lease = world.acquire_one(at(0)).await;
    let charge = Charge {
        kind: LimitKind::ExactSet,
        key: BucketKey::of_name(
            LimitKind::ExactSet,
            "https://ca.example/dir",
            "shop.example",
        ),
        limit: Limit::per(1, Duration::from_secs(7 * 86_400)),
        held: true,
        reserves: true,
    };
    let debit = async |seconds| {
        let charges = std::slice::from_ref(&charge);
        let debit = world
            .store
            .ledger_debit(domain, lease.token, charges, at(seconds));
        debit.await.unwrap()
    };
    assert_eq!(debit(0).await, Debit::Granted);
    assert_eq!(world.prune(Prunable::Slot, at(30 * DAY - 1), 10).await, 0);
    assert_eq!(debit(1).await, Debit::Granted, "the token is held");
    let later = at(30 * DAY + 2 * 3_600);
    assert_eq!(world.prune(Prunable::Slot, later, 10).await, 1);
    assert_eq!(world.prune(Prunable::Slot, later, 10).await, 0);
    assert_eq!(
        debit(30 * DAY + 2 * 3_600).await,
        Debit::Granted,
        "another is taken"
    );
    assert!(matches!(
        world.store.ledger_bucket(&charge.key).await.unwrap().spent,
        1..
    ));
}

pub(crate) async fn two_processes_that_prune_at_once_delete_each_row_once(world: World) {
    let other = world.open_again().await;
    let domain = world.with_due("shop.example", at(0)).await.id;
    for _ in 0..40 {
        abandoned(&world, domain, 0).await;
    }
    let retention = Retention::default();
    let batch = PruneBatch {
        kind: Prunable::Order,
        retention: &retention,
        now: at(31 * DAY),
        after: None,
        limit: 7,
    };
    let mut rows = 0;
    // A process that finds rows locked leaves them to the other.
    while rows < 40 {
        let (mine, theirs) = tokio::join!(world.store.prune(&batch), other.prune(&batch));
        rows += mine.unwrap().rows + theirs.unwrap().rows;
    }
    assert_eq!(rows, 40);
    assert_eq!(world.store.prune(&batch).await.unwrap().rows, 0);
}

pub(crate) async fn every_table_is_measured_in_rows_and_bytes(world: World) {
    let empty = world.store.database().size().await.unwrap();
    assert!(
        empty.tables.iter().all(|table| table.bytes > 0),
        "{empty:?}"
    );
    assert_eq!(empty.fleet.lifetime, None);
    for name in ["a.example", "b.example", "c.example"] {
        let domain = world.with_due(name, at(0)).await.id;
        let (new, _) = stored(&world, domain, name, 0).await;
        if name != "c.example" {
            serve(&world, domain, &new).await;
        }
    }
    let size = world.store.database().size().await.unwrap();
    let rows = |name: &str| {
        let mut tables = size.tables.iter();
        tables.find(|table| table.table == name).unwrap().rows
    };
    assert_eq!(
        [rows("custom_domains"), rows("certificates"), rows("outbox")],
        [3, 3, 0]
    );
    let fleet = size.fleet;
    assert_eq!((fleet.domains, fleet.served), (3, 2));
    assert_eq!(fleet.lifetime, Some(Duration::from_secs(90 * 86_400)));
    assert_eq!(size.measured_by.contains("dbstat"), world.is_sqlite());
}
