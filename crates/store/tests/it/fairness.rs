//! Turns between tenants inside a lane, and what becomes urgent while it waits.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use dps_application::ports::store::{DomainRecord, Lease};
use dps_domain::lane::Lane;
use dps_domain::phase::Next;
use dps_domain::{CertificateId, DnsState, Issuance, Phase, Timestamp};
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::world::{TTL, World, at, quiet, record};

async fn with_due(world: &World, tenant: &str, count: usize, due: Timestamp) {
    for n in 0..count {
        let mut record = record(&format!("host-{n}.{tenant}.example"));
        record.tenant_id = tenant.to_owned();
        record.next_attempt_at = Some(due);
        world.insert(&record).await;
    }
}

/// Many due records of one tenant, quickly: copies of one that the store wrote.
async fn with_copies(world: &World, tenant: &str, count: usize, due: Timestamp) {
    if world.is_in_memory() {
        return with_due(world, tenant, count, due).await;
    }
    with_due(world, tenant, 1, due).await;
    let columns = "tenant_id, tenant_shard, hostname, cname_target, phase, lane, attempt, next_attempt_at, pending_since, \
                   failed_validations, order_not_before, cabinet_version, revision, created_at, updated_at";
    let copies = format!(
        "INSERT INTO custom_domains (id, {columns}) \
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {}) \
         SELECT SUBSTR(id, 1, 24) || SUBSTR(CAST(100000000000 + n AS TEXT), 1, 12), {columns} FROM custom_domains, n \
         WHERE tenant_id = '{tenant}'",
        count - 1
    );
    world.sql(&copies).await;
}

fn by_tenant(leases: &[Lease]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for lease in leases {
        *counts.entry(lease.record.tenant_id.as_str()).or_default() += 1;
    }
    counts
}

pub(crate) async fn a_tenant_with_five_due_domains_does_not_wait_for_one_with_ten_thousand(
    world: World,
) {
    with_copies(&world, "large", 10_000, at(0)).await;
    let small = stranger_to(&world, "large").await;
    with_due(&world, &small, 5, at(100)).await;
    let leases = world.acquire(at(200), 12).await;
    assert_eq!(
        by_tenant(&leases),
        [("large", 7), (small.as_str(), 5)].into()
    );
}

pub(crate) async fn single_leases_are_dealt_out_in_turn(world: World) {
    with_due(&world, "large", 20, at(0)).await;
    let small = stranger_to(&world, "large").await;
    with_due(&world, &small, 5, at(100)).await;
    let mut leases = Vec::new();
    for _ in 0..10 {
        leases.push(world.acquire_one(at(200)).await);
    }
    assert_eq!(
        by_tenant(&leases),
        [("large", 5), (small.as_str(), 5)].into()
    );
}

pub(crate) async fn the_next_due_time_may_be_that_of_one_of_a_crowd(world: World) {
    with_due(&world, "large", 20, at(200)).await;
    with_due(&world, &stranger_to(&world, "large").await, 1, at(100)).await;
    let next = async || world.store.next_due(Lane::Verification).await.unwrap();
    assert_eq!(next().await, Some(at(100)));
    // The last of the crowd is in the second queue of its shard.
    with_due(&world, "large", 1, at(50)).await;
    assert_eq!(next().await, Some(at(50)));
}

pub(crate) async fn a_tenants_own_records_come_longest_due_first(world: World) {
    with_due(&world, "one", 1, at(50)).await;
    let two = stranger_to(&world, "one").await;
    with_due(&world, &two, 1, at(50)).await;
    for due in [10, 40, 20, 30] {
        for tenant in ["one", &two] {
            with_due(&world, tenant, 1, at(due)).await;
        }
    }
    for due in [10, 20, 30, 40, 50] {
        let leases = world.acquire(at(100), 2).await;
        assert_eq!(by_tenant(&leases), [("one", 1), (two.as_str(), 1)].into());
        for lease in leases {
            assert_eq!(lease.record.next_attempt_at, Some(at(due)));
        }
    }
}

pub(crate) async fn an_order_is_filled_however_the_due_records_are_spread(world: World) {
    with_due(&world, "large", 40, at(0)).await;
    for n in 0..30 {
        with_due(&world, &format!("tenant-{n}"), 1, at(1)).await;
    }
    with_due(&world, "middle", 9, at(2)).await;
    with_due(&world, "later", 9, at(500)).await;
    assert_eq!(world.acquire(at(10), 60).await.len(), 60);
    assert_eq!(
        world.acquire(at(10), 60).await.len(),
        19,
        "all that was left"
    );
    assert!(world.acquire(at(10), 60).await.is_empty());
}

/// With two hundred tenants, a few are in the shard of the one with a crowd.
pub(crate) async fn a_tenant_with_a_crowd_does_not_starve_those_of_its_shard(world: World) {
    with_due(&world, "crowd", 1_500, at(0)).await;
    for n in 0..200 {
        with_due(&world, &format!("tenant-{n}"), 1, at(100)).await;
    }
    let (mut of_crowd, mut of_others) = (0, 0);
    while of_others < 200 {
        let leases = world.acquire(at(200), 8).await;
        assert!(!leases.is_empty());
        let crowd = leases
            .iter()
            .filter(|lease| lease.record.tenant_id == "crowd");
        let crowd = crowd.count();
        of_crowd += crowd;
        of_others += leases.len() - crowd;
    }
    assert!(
        of_crowd <= 100,
        "{of_crowd} of the crowd before the last of 200 others"
    );
}

/// The name of a tenant that is in another shard than `tenant`, which has records.
async fn stranger_to(world: &World, tenant: &str) -> String {
    for n in 0..100 {
        let name = format!("stranger-{n}");
        if world.is_in_memory() {
            return name;
        }
        with_due(world, &name, 1, at(1_000_000)).await;
        let shard = |tenant: &str| {
            format!(
                "(SELECT MIN(tenant_shard % 64) FROM custom_domains WHERE tenant_id = '{tenant}')"
            )
        };
        let differs = format!(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT 1) AS one WHERE {} <> {}",
            shard(tenant),
            shard(&name)
        );
        if world.count(&differs).await == 1 {
            return name;
        }
    }
    panic!("all tenants are in one shard");
}

/// Steps of one tenant hang; those of the other end at once.
pub(crate) async fn permits_that_come_free_go_to_tenants_of_which_fewer_records_are_leased(
    world: World,
) {
    with_due(&world, "hanging", 40, at(0)).await;
    assert_eq!(
        world.acquire(at(1), 16).await.len(),
        16,
        "nobody else has work"
    );
    let quick = stranger_to(&world, "hanging").await;
    with_due(&world, &quick, 20, at(10)).await;
    let replica = world.open_again().await;
    for _ in 0..20 {
        let lease = replica
            .acquire_due(Lane::Verification, at(20), TTL, 1)
            .await;
        let lease = lease.unwrap().pop().unwrap();
        assert_eq!(lease.record.tenant_id, quick);
        let mut done = lease.record;
        done.next_attempt_at = Some(at(5_000));
        replica.complete(lease.token, quiet(done)).await.unwrap();
    }
    let acquired = replica.acquire_due(Lane::Verification, at(20), TTL, 100);
    assert_eq!(
        acquired.await.unwrap().len(),
        24,
        "no permit idles while work is due"
    );
}

pub(crate) async fn what_is_leased_already_counts_when_many_permits_are_handed_out(world: World) {
    with_due(&world, "hanging", 100, at(0)).await;
    assert_eq!(world.acquire(at(1), 16).await.len(), 16);
    let quick = stranger_to(&world, "hanging").await;
    with_due(&world, &quick, 100, at(10)).await;
    let leases = world.acquire(at(20), 16).await;
    let of_quick = by_tenant(&leases)[quick.as_str()];
    assert!(of_quick >= 15, "{of_quick} of 16");
}

/// The second queue of a shard, with the crowd, is after the first while more of it is leased. Of
/// the crowd only the few in the first queue may be in front of others.
pub(crate) async fn a_crowd_whose_steps_hang_does_not_take_the_turns_of_its_shard(world: World) {
    with_due(&world, "crowd", 300, at(0)).await;
    let hanging = world.acquire(at(1), 64).await;
    assert_eq!(hanging.len(), 64);
    for n in 0..200 {
        with_due(&world, &format!("tenant-{n}"), 1, at(10)).await;
    }
    let (mut of_crowd, mut of_others) = (0, 0);
    while of_others < 200 {
        let lease = world.acquire_one(at(20)).await;
        if lease.record.tenant_id == "crowd" {
            of_crowd += 1;
            continue;
        }
        of_others += 1;
        let mut done = lease.record;
        done.next_attempt_at = Some(at(5_000));
        world
            .store
            .complete(lease.token, quiet(done))
            .await
            .unwrap();
    }
    assert!(
        of_crowd <= 16,
        "{of_crowd} of the crowd before the last of 200 others"
    );
}

pub(crate) async fn tenants_are_dealt_out_by_a_secret_of_the_installation(world: World) {
    const SHARDS: &str = "SELECT CAST(COALESCE(SUM(tenant_shard * CAST(SUBSTR(tenant_id, 8) AS BIGINT)), 0) AS BIGINT) \
                          FROM custom_domains";
    let other = world.without_tables().await;
    other.store.database().migrate().await.unwrap();
    for world in [&world, &other] {
        for n in 1..=64 {
            with_due(world, &format!("tenant-{n}"), 1, at(0)).await;
        }
    }
    let dealt = world.count(SHARDS).await;
    assert_ne!(dealt, other.count(SHARDS).await);
    let again = world.open_again().await;
    for lease in again
        .acquire_due(Lane::Verification, at(1), TTL, 100)
        .await
        .unwrap()
    {
        again
            .complete(lease.token, quiet(lease.record))
            .await
            .unwrap();
    }
    assert_eq!(
        world.count(SHARDS).await,
        dealt,
        "another process has the same key"
    );
}

/// Two processes, each on threads of its own, begin each round at the same moment.
pub(crate) async fn two_acquirers_share_out_all_that_is_due_and_neither_goes_away_empty_handed(
    world: World,
) {
    const ROUNDS: usize = 20;
    const EACH: usize = 12;
    for n in 0..ROUNDS * EACH * 2 {
        with_due(&world, &format!("tenant-{}", n % 7), 1, at(0)).await;
    }
    let barrier = Arc::new(Barrier::new(2));
    let stores = [world.store.clone(), world.open_again().await];
    let acquirers = stores.map(|store| {
        let barrier = Arc::clone(&barrier);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut ids = Vec::new();
                for round in 0..ROUNDS {
                    barrier.wait().await;
                    let leases = store
                        .acquire_due(Lane::Verification, at(1), TTL, EACH)
                        .await;
                    let leases = leases.unwrap();
                    assert_eq!(
                        leases.len(),
                        EACH,
                        "round {round}: there was enough for both"
                    );
                    ids.extend(leases.into_iter().map(|lease| lease.record.id));
                }
                ids
            })
        })
    });
    let joined = tokio::task::spawn_blocking(|| acquirers.map(|acquirer| acquirer.join().unwrap()));
    let ids = joined.await.unwrap().concat();
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!(
        (ids.len(), distinct.len()),
        (ROUNDS * EACH * 2, ROUNDS * EACH * 2)
    );
    assert!(world.acquire(at(1), 1).await.is_empty());
}

fn live(name: &str, next: Next, due: Timestamp, urgent_from: Timestamp) -> DomainRecord {
    let mut record = record(name);
    record.phase = Phase::Live {
        serving: CertificateId::from_uuid(Uuid::from_u128(1)),
        not_after: urgent_from + Duration::from_secs(900),
        dns: DnsState::Here,
        next,
    };
    record.next_attempt_at = Some(due);
    record.urgent_from = Some(urgent_from);
    record
}

async fn ids(world: &World, lane: Lane, now: Timestamp) -> Vec<String> {
    let leases = world.store.acquire_due(lane, now, TTL, 10).await.unwrap();
    leases
        .iter()
        .map(|lease| lease.record.hostname.to_string())
        .collect()
}

pub(crate) async fn a_renewal_that_becomes_urgent_while_it_waits_is_in_the_urgent_lane(
    world: World,
) {
    let renewing =
        |name, urgent_from| live(name, Next::Now(Issuance::AwaitingDns), at(0), urgent_from);
    world.insert(&renewing("soon.example", at(100))).await;
    world.insert(&renewing("late.example", at(500))).await;
    assert_eq!(ids(&world, Lane::Urgent, at(99)).await, [""; 0]);
    let next = world.store.next_due(Lane::Urgent).await.unwrap();
    assert_eq!(next, Some(at(100)), "nobody needs to write it before");
    let mut urgent = world
        .store
        .acquire_due(Lane::Urgent, at(100), TTL, 10)
        .await
        .unwrap();
    assert_eq!(ids(&world, Lane::Renewal, at(100)).await, ["late.example"]);

    assert_eq!(urgent.len(), 1);
    let lease = urgent.remove(0);
    assert_eq!(lease.record.hostname.as_str(), "soon.example");
    let mut waits = lease.record;
    waits.updated_at = at(101);
    waits.next_attempt_at = Some(at(110));
    world
        .store
        .complete(lease.token, quiet(waits))
        .await
        .unwrap();
    assert_eq!(ids(&world, Lane::Urgent, at(110)).await, ["soon.example"]);
}

pub(crate) async fn a_renewal_that_nobody_was_there_to_begin_becomes_urgent_too(world: World) {
    let checked = live("shop.example", Next::At(at(50)), at(10), at(100));
    world.insert(&checked).await;
    assert_eq!(ids(&world, Lane::Urgent, at(99)).await, [""; 0]);
    assert_eq!(ids(&world, Lane::Urgent, at(1_000)).await, ["shop.example"]);
    assert_eq!(ids(&world, Lane::Recheck, at(1_000)).await, [""; 0]);
}
