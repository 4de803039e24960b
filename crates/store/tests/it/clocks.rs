//! Replicas whose clocks jump. Leases run by the store's own time, so no replica takes what another
//! holds, and none loses what it holds.

use std::time::Duration;

use dps_application::ports::store::StoreError;
use dps_domain::limits::{BucketKey, Limit, LimitKind};
use dps_domain::phase::Lane;
use dps_domain::{Issuance, Phase, Status};

use crate::world::{HOLDER, TTL, World, at, quiet, record};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The lanes of these stories' records.
const LANE: Lane = Lane::Issuance;

/// A record that has been due for long by the clock of every reader.
async fn due(world: &World, host: &str) -> dps_domain::DomainId {
    let mut record = record(host);
    record.phase = Phase::Onboarding(Issuance::Ordering);
    record.next_attempt_at = Some(at(0) - 2 * HOUR);
    world.insert(&record).await;
    record.id
}

pub(crate) async fn a_clock_that_jumps_steals_no_record(world: World) {
    let world = world.with_its_own_time().await;
    due(&world, "shop.example").await;
    for jumped in [at(0), at(0) - HOUR, at(0) + DAY] {
        let held = world.acquire_elsewhere(LANE, jumped, 1).await.remove(0);
        for other in [at(0), at(0) - HOUR, at(0) + DAY, at(0) + 365 * DAY] {
            assert!(world.acquire_elsewhere(LANE, other, 10).await.is_empty());
        }
        // Whatever the clock says by now: the lease is still there.
        world
            .store
            .release(held.record.id, held.token)
            .await
            .unwrap();
    }
}

pub(crate) async fn a_lease_ends_by_the_stores_own_time(world: World) {
    let world = world.with_its_own_time().await;
    let id = due(&world, "shop.example").await;
    for jumped in [at(0) - HOUR, at(0) + DAY] {
        let crashed = world.acquire_elsewhere(LANE, jumped, 1).await.remove(0);
        let end = world.store.running_lease(id).await.unwrap();
        world.pass(TTL / 2).await;
        assert!(
            world
                .acquire_elsewhere(LANE, at(0) + DAY, 1)
                .await
                .is_empty()
        );
        assert!(end.is_some());
        assert!(world.store.running_lease(id).await.unwrap().is_some());
        world.pass(TTL / 2 + Duration::from_secs(1)).await;
        assert_eq!(world.store.running_lease(id).await.unwrap(), None);
        let winner = world
            .acquire_elsewhere(LANE, at(0) + HOUR, 1)
            .await
            .remove(0);
        let late = world
            .store
            .complete(crashed.token, quiet(crashed.record))
            .await;
        assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
        world.store.release(id, winner.token).await.unwrap();
    }
}

pub(crate) async fn a_clock_that_jumps_steals_no_report(world: World) {
    let world = world.with_its_own_time().await;
    let id = due(&world, "shop.example").await;
    world.report(id, Status::Issuing, at(0) - 2 * HOUR).await;
    for jumped in [at(0), at(0) - HOUR, at(0) + DAY] {
        let held = world.reports_elsewhere(jumped, 1).await.remove(0);
        for other in [at(0), at(0) - HOUR, at(0) + DAY, at(0) + 365 * DAY] {
            assert!(world.reports_elsewhere(other, 10).await.is_empty());
        }
        world.pass(TTL + Duration::from_secs(1)).await;
        let winner = world.reports_elsewhere(at(0) + HOUR, 1).await.remove(0);
        let late = world.store.outbox_finish(&held, None).await;
        assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
        world
            .store
            .outbox_retry(&winner, at(0) - 2 * HOUR, None)
            .await
            .unwrap();
    }
}

/// Its bookings a day ahead would stop all other orders for a day.
pub(crate) async fn a_replica_whose_clock_was_a_day_ahead_leaves_no_limit_used_up_for_a_day(
    world: World,
) {
    let limit = Limit::per(3, Duration::from_secs(3 * 60));
    let key = BucketKey::of_account(LimitKind::NewOrders, "https://ca.example/dir");
    let taken = world
        .store
        .ledger_take(&key, &limit, at(0) + DAY, 3)
        .await
        .unwrap();
    assert_eq!(taken.count, 3);
    let other = world
        .store
        .ledger_take(&key, &limit, at(0), 1)
        .await
        .unwrap();
    assert_eq!(other.count, 0, "the CA counted them");
    assert!(other.next_at < at(0) + HOUR, "{}", other.next_at);
    let later = world
        .store
        .ledger_take(&key, &limit, other.next_at, 1)
        .await
        .unwrap();
    assert_eq!(later.count, 1);
}

pub(crate) async fn a_running_lease_names_its_holder(world: World) {
    let id = due(&world, "shop.example").await;
    let holder = async || {
        let lease = world.store.running_lease(id).await.unwrap();
        lease.map(|lease| lease.holder)
    };
    assert_eq!(holder().await, None);
    let held = world.acquire_in(LANE, at(0), 1).await.remove(0);
    assert_eq!(holder().await, Some(Some(HOLDER.to_owned())));
    // It is the same in the next step of the lease.
    let next = held.token.next(at(0), [7; 10]);
    let write = quiet(held.record);
    let extended = world
        .store
        .complete_and_extend(held.token, &write, next, TTL);
    let extended = extended.await.unwrap();
    assert_eq!(holder().await, Some(Some(HOLDER.to_owned())));
    world.store.release(id, extended.token).await.unwrap();
    assert_eq!(holder().await, None);
    // A process of an earlier version does not name itself.
    if !world.is_in_memory() {
        world.acquire_in(LANE, at(1), 1).await.remove(0);
        world
            .sql("UPDATE custom_domains SET lease_token = substr(lease_token, 1, 36)")
            .await;
        assert_eq!(holder().await, Some(None));
    }
}
