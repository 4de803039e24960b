//! The ledger of a CA's limits.

use std::collections::HashSet;
use std::time::Duration;

use dps_application::ports::store::{Debit, Lease, StoreError};
use dps_domain::lane::Lane;
use dps_domain::limits::{
    Bucket, BucketKey, CaLimits, Change, Charge, Entry, Exemption, Limit, LimitKind,
};
use dps_domain::retention::Prunable;
use dps_domain::{CertificateId, Event, Issuance, LeaseToken, Phase, Timestamp};
use uuid::Uuid;

use crate::world::{TTL, World, at, host, quiet, record};

const CA: &str = "https://ca.example/dir";

/// Three orders at once, one more every minute; two certificates of a domain at once, one more
/// every hour.
fn limits() -> CaLimits {
    CaLimits::default()
        .with(
            LimitKind::NewOrders,
            Limit::bursting(3, 1, Duration::from_secs(60)),
        )
        .with(
            LimitKind::RegisteredDomain,
            Limit::bursting(2, 1, Duration::from_secs(3_600)),
        )
}

fn charges(name: &str) -> Vec<Charge> {
    Charge::for_order(&limits(), CA, &host(name), Exemption::None, true)
}

fn orders() -> BucketKey {
    BucketKey::of_account(LimitKind::NewOrders, CA)
}

async fn orders_left(world: &World, seconds: i64) -> u32 {
    let bucket = world.store.ledger_bucket(&orders()).await.unwrap();
    bucket.tokens(&limits().get(LimitKind::NewOrders), at(seconds))
}

async fn debit(world: &World, name: &str) -> Debit {
    world.with_due(name, at(0)).await;
    let lease = world.acquire_one(at(0)).await;
    world
        .store
        .ledger_debit(lease.record.id, lease.token, &charges(name), at(0))
        .await
        .unwrap()
}

pub(crate) async fn every_bucket_of_an_order_is_debited_or_none(world: World) {
    assert_eq!(debit(&world, "one.shop.example").await, Debit::Granted);
    assert_eq!(debit(&world, "two.shop.example").await, Debit::Granted);
    assert_eq!(orders_left(&world, 0).await, 1);
    let third = debit(&world, "three.shop.example").await;
    assert!(
        matches!(
            third,
            Debit::Wait {
                kind: LimitKind::RegisteredDomain,
                ..
            }
        ),
        "{third:?}"
    );
    assert_eq!(
        orders_left(&world, 0).await,
        1,
        "what waits takes nothing else"
    );
    assert_eq!(debit(&world, "other.example").await, Debit::Granted);
    let queued = debit(&world, "queued.example").await;
    assert!(matches!(queued, Debit::Queue { .. }), "{queued:?}");
}

pub(crate) async fn each_waiting_domain_has_a_slot_of_its_own_and_keeps_it(world: World) {
    for name in ["one.shop.example", "two.shop.example"] {
        debit(&world, name).await;
    }
    let (Debit::Wait { until: first, .. }, Debit::Wait { until: second, .. }) = (
        debit(&world, "three.shop.example").await,
        debit(&world, "four.shop.example").await,
    ) else {
        panic!("the bucket of the domain is empty")
    };
    assert_eq!(second.since(first), Duration::from_secs(3_600));
    let lease = world
        .acquire(at(100), 10)
        .await
        .into_iter()
        .find(|lease| lease.record.hostname.as_str() == "three.shop.example");
    let lease = lease.expect("its lease has run out");
    let charges = charges("three.shop.example");
    for (now, expected) in [
        (
            at(200),
            Debit::Wait {
                until: first,
                kind: LimitKind::RegisteredDomain,
            },
        ),
        (first, Debit::Granted),
        (first, Debit::Granted),
    ] {
        let found = world
            .store
            .ledger_debit(lease.record.id, lease.token, &charges, now)
            .await
            .unwrap();
        assert_eq!(found, expected, "at {now}");
    }
}

pub(crate) async fn a_stale_lease_debits_nothing(world: World) {
    world.with_due("shop.example", at(0)).await;
    let lease = world.acquire_one(at(0)).await;
    let stale = LeaseToken::from_uuid(Uuid::from_u128(7));
    let refused = world
        .store
        .ledger_debit(lease.record.id, stale, &charges("shop.example"), at(0))
        .await;
    assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
    assert_eq!(orders_left(&world, 0).await, 3);
}

pub(crate) async fn an_outcome_settles_the_tokens_that_it_held_in_its_own_transaction(
    world: World,
) {
    world.with_due("shop.example", at(0)).await;
    let lease = world.acquire_one(at(0)).await;
    let charges = charges("shop.example");
    let (id, token) = (lease.record.id, lease.token);
    world
        .store
        .ledger_debit(id, token, &charges, at(0))
        .await
        .unwrap();
    let key = BucketKey::of_order(LimitKind::RegisteredDomain, CA, &host("shop.example"));
    let limit = limits().get(LimitKind::RegisteredDomain);
    let write = |change| {
        quiet(lease.record.clone()).with_ledger(vec![Entry {
            key: key.clone(),
            limit,
            change,
        }])
    };
    let stale = LeaseToken::from_uuid(Uuid::from_u128(7));
    let lost = world.store.complete(stale, write(Change::Release)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)));
    let left = async || {
        world
            .store
            .ledger_bucket(&key)
            .await
            .unwrap()
            .tokens(&limit, at(0))
    };
    assert_eq!(left().await, 1, "a stale outcome gives nothing back");
    world
        .store
        .complete(token, write(Change::Release))
        .await
        .unwrap();
    assert_eq!(left().await, 2);
    let lease = world.acquire_one(at(0) + TTL).await;
    world
        .store
        .ledger_debit(id, lease.token, &charges, at(0))
        .await
        .unwrap();
    assert_eq!(left().await, 1, "it holds no token for which it had paid");
}

pub(crate) async fn a_blocked_bucket_holds_everybody_even_without_a_limit(world: World) {
    let until = at(500);
    let block = |kind| Entry {
        key: BucketKey::of_account(kind, CA),
        limit: limits().get(kind),
        change: Change::Block(until),
    };
    let unknown = CaLimits::default();
    let free = Charge::for_order(&unknown, CA, &host("shop.example"), Exemption::None, true);
    world.with_due("shop.example", at(0)).await;
    let lease = world.acquire_one(at(0)).await;
    let debit = async |charges: &[Charge]| {
        let result = world
            .store
            .ledger_debit(lease.record.id, lease.token, charges, at(0));
        result.await.unwrap()
    };
    assert_eq!(debit(&free).await, Debit::Granted);
    world
        .store
        .ledger_apply(&[block(LimitKind::NewOrders)], at(0))
        .await
        .unwrap();
    let kind = LimitKind::NewOrders;
    assert_eq!(debit(&free).await, Debit::Wait { until, kind });
    let kind = LimitKind::NewOrders;
    assert_eq!(
        debit(&charges("shop.example")).await,
        Debit::Queue { until, kind }
    );
}

/// Five certificates of a registered domain in a week.
fn five_a_week() -> CaLimits {
    let limit =
        Limit::per(5, Duration::from_secs(7 * 24 * 3_600)).with_margin(Duration::from_secs(300));
    CaLimits::default().with(LimitKind::RegisteredDomain, limit)
}

/// Leases a new domain that wants an order, and asks for its tokens.
async fn wants_an_order(world: &World, name: &str, now: Timestamp) -> (Lease, bool) {
    let mut ordering = record(name);
    ordering.phase = Phase::Onboarding(Issuance::Ordering);
    ordering.next_attempt_at = Some(now);
    world.insert(&ordering).await;
    let mut leases = world.acquire_in(Lane::Issuance, now, 50).await;
    let index = leases
        .iter()
        .position(|lease| lease.record.id == ordering.id);
    let lease = leases.swap_remove(index.expect("it is due"));
    let charges = Charge::for_order(&five_a_week(), CA, &host(name), Exemption::None, true);
    let debit = world
        .store
        .ledger_debit(lease.record.id, lease.token, &charges, now);
    let debit = debit.await.unwrap();
    assert!(!matches!(debit, Debit::Queue { .. }));
    (lease, debit == Debit::Granted)
}

/// However a domain ends that waits for a token or has an order under way.
pub(crate) async fn tokens_that_domains_held_come_back_with_the_end_of_their_need(world: World) {
    let key = BucketKey::of_order(LimitKind::RegisteredDomain, CA, &host("shared.example"));
    let limit = five_a_week().get(LimitKind::RegisteredDomain);
    let (mut now, mut issued) = (at(0), 0);
    for n in 0..60_u32 {
        now = now + Duration::from_secs(200 * u64::from(n % 3));
        let name = format!("host-{n}.shared.example");
        let (lease, granted) = wants_an_order(&world, &name, now).await;
        let (id, token) = (lease.record.id, lease.token);
        let mut after = lease.record;
        after.updated_at = now;
        after.next_attempt_at = None;
        // Different ways at different states of the bucket.
        match (n * 7 + n / 6) % 6 {
            0 => {
                let mut leaving = world.read(id).await;
                leaving.phase = leaving.phase.apply(Event::RemovalRequested).unwrap();
                leaving.updated_at = now;
                assert!(world.store.domain_update(quiet(leaving)).await.unwrap());
            }
            1 => {
                after.phase = after.phase.apply(Event::GaveUp).unwrap();
                world.store.complete(token, quiet(after)).await.unwrap();
            }
            2 => {
                after.phase = after.phase.apply(Event::DnsLost).unwrap();
                world.store.complete(token, quiet(after)).await.unwrap();
            }
            3 => {
                let mut renamed = world.read(id).await;
                renamed.hostname = host(&format!("other-{n}.example"));
                renamed.phase = Phase::START;
                renamed.next_attempt_at = None;
                assert!(world.store.domain_update(quiet(renamed)).await.unwrap());
            }
            4 if granted => {
                issued += 1;
                let certificate = CertificateId::from_uuid(Uuid::from_u128(n.into()));
                after.phase = Phase::Onboarding(Issuance::Deploying { certificate });
                let counted = Entry {
                    key: key.clone(),
                    limit,
                    change: Change::Confirm,
                };
                let write = quiet(after).with_ledger(vec![counted]);
                world.store.complete(token, write).await.unwrap();
            }
            _ => world.store.domain_forget(id, token).await.unwrap(),
        }
    }
    assert!(issued > 0);
    let bucket = world.store.ledger_bucket(&key).await.unwrap();
    let latest = now + limit.interval() * issued + limit.margin;
    assert!(
        bucket.full_at <= latest,
        "{} > {latest} with {issued} issued",
        bucket.full_at
    );
    if !world.is_in_memory() {
        assert_eq!(
            world.count("SELECT COUNT(*) FROM rate_limit_slots").await,
            0
        );
    }
}

/// As an earlier version left it when domains were removed, or a foreign key took tokens along.
pub(crate) async fn what_nobody_can_account_for_is_taken_out_of_a_bucket(world: World) {
    let limit = five_a_week().get(LimitKind::RegisteredDomain);
    let key = |name: &str| BucketKey::of_order(LimitKind::RegisteredDomain, CA, &host(name));
    for name in ["left.example", "waits.example"] {
        let entry = Entry {
            key: key(name),
            limit,
            change: Change::Spend,
        };
        let used = vec![entry; 8];
        world.store.ledger_apply(&used, at(0)).await.unwrap();
    }
    let (_, granted) = wants_an_order(&world, "shop.waits.example", at(0)).await;
    assert!(!granted);
    let full_at = async |name: &str| world.store.ledger_bucket(&key(name)).await.unwrap().full_at;
    let before = full_at("waits.example").await;
    let mut after = None;
    loop {
        let (limits, from) = (five_a_week(), after.take());
        after = world
            .store
            .ledger_compact(&limits, at(0), from.as_ref(), 1)
            .await
            .unwrap();
        if after.is_none() {
            break;
        }
    }
    let burst = at(0) + limit.interval() * 5 + limit.margin + Duration::from_secs(600);
    assert_eq!(full_at("left.example").await, burst);
    assert_eq!(
        full_at("waits.example").await,
        before,
        "a domain waits for it"
    );
}

/// Four workers of two processes debit two orders of buckets that meet in the account's, each
/// trying far more than there is.
pub(crate) async fn two_processes_never_spend_more_than_there_is(world: World) {
    let limits = CaLimits::default()
        .with(
            LimitKind::NewOrders,
            Limit::bursting(60, 1, Duration::from_secs(60)),
        )
        .with(
            LimitKind::ExactSet,
            Limit::bursting(9, 1, Duration::from_secs(60)),
        )
        .with(
            LimitKind::RegisteredDomain,
            Limit::bursting(40, 1, Duration::from_secs(60)),
        );
    let processes = [world.store.clone(), world.open_again().await];
    for worker in 0..4 {
        world
            .with_due(&format!("host-{worker}.shop-{}.example", worker % 2), at(0))
            .await;
    }
    let leases = world.acquire(at(0), 4).await;
    let workers = leases.into_iter().enumerate().map(|(worker, lease)| {
        let store = processes[worker % 2].clone();
        let name = lease.record.hostname.clone();
        let mut charges = Charge::for_order(&limits, CA, &name, Exemption::None, true);
        // Spent at once, so that one domain can take many.
        for charge in &mut charges {
            (charge.held, charge.reserves) = (false, false);
        }
        tokio::spawn(async move {
            let mut granted = 0;
            for _ in 0..40 {
                let debit = store.ledger_debit(lease.record.id, lease.token, &charges, at(0));
                granted += u32::from(debit.await.unwrap() == Debit::Granted);
            }
            granted
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut granted = 0;
    for worker in workers {
        granted += worker.await.unwrap();
    }
    assert_eq!(
        granted, 36,
        "nine of each of four names, as the exact set allows"
    );
    let bucket = world.store.ledger_bucket(&orders()).await.unwrap();
    assert_eq!(bucket.spent, 36);
}

pub(crate) async fn a_lifted_bucket_is_full_and_serves_whoever_had_a_slot_of_it(world: World) {
    assert_eq!(debit(&world, "one.shop.example").await, Debit::Granted);
    assert_eq!(debit(&world, "two.shop.example").await, Debit::Granted);
    world.with_due("three.shop.example", at(0)).await;
    let lease = world.acquire_one(at(0)).await;
    let third = async || {
        let charges = charges("three.shop.example");
        let debit = world
            .store
            .ledger_debit(lease.record.id, lease.token, &charges, at(0));
        debit.await.unwrap()
    };
    assert!(matches!(third().await, Debit::Wait { .. }));
    let key = BucketKey::of_name(LimitKind::RegisteredDomain, CA, "shop.example");
    let all = world.store.ledger_buckets("", 10).await.unwrap();
    let keys: Vec<_> = all.iter().map(|(key, _)| key.clone()).collect();
    assert!(keys.contains(&key) && keys.contains(&orders()), "{keys:?}");
    let pages = [
        world.store.ledger_buckets("", 1).await.unwrap(),
        world
            .store
            .ledger_buckets(keys[0].as_str(), 10)
            .await
            .unwrap(),
    ];
    assert_eq!(pages.concat(), all);
    let parts = key.parts().unwrap();
    assert_eq!(
        parts,
        (LimitKind::RegisteredDomain, CA, Some("shop.example"))
    );
    world.store.ledger_lift(&key).await.unwrap();
    assert_eq!(
        world.store.ledger_bucket(&key).await.unwrap(),
        Bucket::default()
    );
    assert_eq!(third().await, Debit::Granted);
}

pub(crate) async fn tokens_are_taken_in_chunks_and_buckets_that_are_full_are_forgotten(
    world: World,
) {
    let limit = limits().get(LimitKind::NewOrders);
    let take = async |now| {
        world
            .store
            .ledger_take(&orders(), &limit, now, 2)
            .await
            .unwrap()
    };
    assert_eq!(take(at(0)).await.count, 2);
    assert_eq!(take(at(0)).await.count, 1);
    let empty = take(at(0)).await;
    assert_eq!(
        (empty.count, empty.next_at),
        (0, at(120)),
        "a minute and the margin"
    );
    let buckets = async || world.store.ledger_buckets("", 10).await.unwrap().len();
    assert_eq!(world.prune(Prunable::Bucket, at(100), 10).await, 0);
    assert_eq!(buckets().await, 1);
    assert_eq!(world.prune(Prunable::Bucket, at(1_000), 10).await, 1);
    assert_eq!(buckets().await, 0);
}

async fn queued(world: &World, count: u128) {
    for n in 0..count {
        let mut record = record(&format!("host-{n}.example"));
        record.phase = Phase::Onboarding(Issuance::Queued);
        record.tenant_id = format!("tenant-{}", n % 4);
        record.next_attempt_at = Some(at(0));
        world.insert(&record).await;
    }
}

pub(crate) async fn the_queue_is_leased_as_far_as_there_are_tokens_and_pays_for_each(world: World) {
    queued(&world, 8).await;
    let limit = limits().get(LimitKind::NewOrders);
    let acquire = async |now, most| {
        let key = orders();
        let acquired = world.store.acquire_queued((&key, &limit), now, TTL, most);
        acquired.await.unwrap()
    };
    assert_eq!(world.store.waiting(Lane::OrderQueue, 5).await.unwrap(), 5);
    let first = acquire(at(0), 2).await;
    let tenants: HashSet<_> = first
        .iter()
        .map(|lease| lease.record.tenant_id.clone())
        .collect();
    assert_eq!((first.len(), tenants.len()), (2, 2), "tenants take turns");
    assert_eq!(
        acquire(at(0), 10).await.len(),
        1,
        "three tokens are three records"
    );
    assert_eq!(acquire(at(0), 10).await.len(), 0);
    assert_eq!(orders_left(&world, 0).await, 0);
    let free = (
        &BucketKey::of_account(LimitKind::NewOrders, "https://free.example"),
        &Limit::NONE,
    );
    let others = world
        .store
        .acquire_queued(free, at(0), TTL, 10)
        .await
        .unwrap();
    assert_eq!(
        others.len(),
        5,
        "a limit that was lifted holds no order back"
    );
}

pub(crate) async fn two_processes_lease_from_the_queue_no_more_than_there_are_tokens(world: World) {
    queued(&world, 60).await;
    let limit = Limit::bursting(17, 1, Duration::from_secs(3_600));
    let processes = [world.store.clone(), world.open_again().await];
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let store = processes[worker % 2].clone();
            tokio::spawn(async move {
                let (key, mut leased) = (orders(), 0);
                for _ in 0..20 {
                    let acquired = store.acquire_queued((&key, &limit), at(0), TTL, 3);
                    leased += acquired.await.unwrap().len();
                }
                leased
            })
        })
        .collect();
    let mut leased = 0;
    for worker in workers {
        leased += worker.await.unwrap();
    }
    assert_eq!(leased, 17);
}
