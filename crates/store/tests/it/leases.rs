//! Leases on work records.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_application::ports::store::{DomainRecord, Lease, RecordWrite, StoreError, WriteResult};
use dps_domain::phase::Lane;
use dps_domain::{DomainId, EventKind, Failure, FailureCode, Issuance, LeaseToken, Phase, Status};
use uuid::Uuid;

use crate::world::{TTL, World, at, event, number, quiet, record, report};

pub(crate) async fn a_worker_that_lost_its_lease_cannot_overwrite_the_winner(world: World) {
    world.with_due("shop.example", at(0)).await;
    let slow = world.acquire_one(at(0)).await;
    let later = at(0) + TTL;
    let fast = world.acquire_one(later).await;
    let mut won = fast.record.clone();
    won.phase = Phase::Onboarding(Issuance::AwaitingHttpProbe);
    world
        .store
        .complete(fast.token, quiet(won.clone()))
        .await
        .unwrap();

    let late = RecordWrite::unchecked(slow.record)
        .with_report(report(Status::PendingDns))
        .with_event(event(EventKind::DnsReady, later));
    let id = late.record().id;
    assert!(matches!(
        world.store.complete(slow.token, late).await,
        Err(StoreError::LeaseLost)
    ));
    assert_eq!(world.read(id).await.phase, won.phase);
    assert_eq!(world.store.events(id, 10).await.unwrap(), []);
    assert!(world.reports(later, 10).await.is_empty());
}

pub(crate) async fn outcomes_are_recorded_together_but_for_those_whose_lease_was_lost(
    world: World,
) {
    for n in 0..3 {
        world.with_due(&format!("host-{n}.example"), at(n)).await;
    }
    let slow = world.acquire(at(10), 3).await;
    let later = at(10) + TTL;
    let lost = world.acquire_one(later).await.record;
    let outcomes: Vec<(LeaseToken, RecordWrite)> = slow
        .into_iter()
        .map(|lease| {
            let mut record = lease.record;
            record.phase = Phase::Onboarding(Issuance::AwaitingHttpProbe);
            let write = RecordWrite::unchecked(record)
                .with_report(report(Status::PendingHttpProbe))
                .with_event(event(EventKind::DnsReady, later));
            (lease.token, write)
        })
        .collect();
    let results = world.store.complete_all(&outcomes).await.unwrap();
    assert!(world.store.complete_all(&[]).await.unwrap().is_empty());
    for ((_, write), result) in outcomes.iter().zip(results) {
        let id = write.record().id;
        let recorded = result == WriteResult::Written;
        assert_eq!(recorded, id != lost.id);
        let moved = world.read(id).await.phase == write.record().phase;
        let noted = !world.store.events(id, 10).await.unwrap().is_empty();
        assert_eq!((moved, noted), (recorded, recorded));
    }
    assert_eq!(world.reports(later, 10).await.len(), 2);
    let again = world.store.complete_all(&outcomes).await.unwrap();
    assert_eq!(
        again,
        [WriteResult::LeaseLost; 3],
        "an outcome consumes its lease"
    );
}

/// Returns a write that moves the record on to the HTTP probe, with a report and an event.
fn passed_dns(mut record: DomainRecord) -> RecordWrite {
    record.phase = Phase::Onboarding(Issuance::AwaitingHttpProbe);
    record.attempt = 0;
    RecordWrite::unchecked(record)
        .with_report(report(Status::PendingHttpProbe))
        .with_event(event(EventKind::DnsReady, at(0)))
}

pub(crate) async fn a_lease_continues_with_the_outcome_and_counts_the_next_attempt(world: World) {
    let id = world.with_due("shop.example", at(0)).await.id;
    world.report(id, Status::PendingDns, at(0)).await;
    let reports = world.reports(at(0), 1).await;
    let first = world.acquire_one(at(0)).await;
    // Reported while the step is under way.
    world
        .store
        .outbox_finish(&reports[0], Some(7))
        .await
        .unwrap();

    let (write, next) = (passed_dns(first.record), a_token());
    let complete_and_extend = async || {
        world
            .store
            .complete_and_extend(first.token, &write, next, TTL)
            .await
    };
    let second = complete_and_extend().await.unwrap();
    assert_eq!(second.token, next);
    assert_eq!(second.record, world.read(id).await);
    assert_eq!(second.record.phase, write.record().phase);
    assert_eq!(
        (second.record.attempt, second.record.cabinet_version),
        (1, 7)
    );
    assert_eq!(world.reports(at(10), 10).await.len(), 1);
    let again = complete_and_extend().await.unwrap();
    assert_eq!(
        (again.token, again.record),
        (next, second.record.clone()),
        "the answer may have been lost"
    );
    assert_eq!(world.store.events(id, 10).await.unwrap().len(), 1);
    assert!(world.reports(at(10), 10).await.is_empty());

    let almost = at(10) + TTL - Duration::from_secs(1);
    assert!(
        world
            .acquire_in(Lane::HttpProbe, almost, 1)
            .await
            .is_empty()
    );
    let late = world.store.complete(first.token, write.clone()).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)));
    world
        .store
        .complete(next, quiet(second.record))
        .await
        .unwrap();
    assert!(matches!(
        complete_and_extend().await,
        Err(StoreError::LeaseLost)
    ));
    assert_eq!(world.acquire_in(Lane::HttpProbe, almost, 1).await.len(), 1);
}

pub(crate) async fn a_continued_lease_ends_like_any_other_and_is_lost_like_any_other(world: World) {
    let id = world.with_due("shop.example", at(0)).await.id;
    let first = world.acquire_one(at(0)).await;
    let (write, next) = (passed_dns(first.record), a_token());
    world
        .store
        .complete_and_extend(first.token, &write, next, TTL)
        .await
        .unwrap();
    let other = world.acquire_in(Lane::HttpProbe, at(0) + TTL, 1).await;
    assert_eq!(other[0].record.attempt, 2, "a crash counts");
    let before = world.read(id).await;
    let mut late = other[0].record.clone();
    late.phase = Phase::Onboarding(Issuance::Ordering);
    let lost = world
        .store
        .complete_and_extend(next, &quiet(late), a_token(), TTL)
        .await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)));
    assert_eq!(world.read(id).await, before);
    assert_eq!(world.store.events(id, 10).await.unwrap().len(), 1);
}

/// As one would be that was acquired anew: the attempt counts, and what failed too often is
/// chronic.
pub(crate) async fn a_continued_lease_waits_in_the_lane_of_its_attempt(world: World) {
    world.with_due("shop.example", at(0)).await;
    let first = world.acquire_one(at(0)).await;
    let passed = passed_dns(first.record);
    let record = DomainRecord {
        attempt: 2,
        last_failure: Some(Failure::DnsNxdomain {}),
        ..passed.record().clone()
    };
    let write = RecordWrite::unchecked(record).with_report(report(Status::PendingHttpProbe));
    let leased = world
        .store
        .complete_and_extend(first.token, &write, a_token(), TTL)
        .await
        .unwrap();
    assert_eq!(leased.record.attempt, 3);
    let ended = at(0) + TTL;
    assert!(world.acquire_in(Lane::HttpProbe, ended, 1).await.is_empty());
    assert_eq!(world.acquire_in(Lane::Chronic, ended, 1).await.len(), 1);
}

/// The store in memory counts its own tokens from one.
fn a_token() -> LeaseToken {
    LeaseToken::from_uuid(Uuid::from_u128(number() << 64))
}

/// Four workers of two processes lease, hold and give back the same 40 records, thousands of times.
pub(crate) async fn two_acquirers_never_share_a_record(world: World) {
    const ACQUISITIONS: usize = 3_000;
    for n in 0..40 {
        world.with_due(&format!("host-{n}.example"), at(n)).await;
    }
    let held: Arc<Mutex<HashSet<DomainId>>> = Arc::default();
    let processes = [world.store.clone(), world.open_again().await];
    let workers = (0..4).map(|worker| {
        let store = processes[worker % 2].clone();
        let held = Arc::clone(&held);
        tokio::spawn(async move {
            let mut acquired = 0;
            while acquired < ACQUISITIONS / 4 {
                let leases = store
                    .acquire_due(Lane::Verification, at(1_000), TTL, 15)
                    .await
                    .unwrap();
                for lease in &leases {
                    let fresh = held.lock().unwrap().insert(lease.record.id);
                    assert!(fresh, "{} is held twice", lease.record.id);
                    assert_eq!(lease.record.attempt, 1);
                }
                tokio::task::yield_now().await;
                acquired += leases.len();
                for lease in leases {
                    held.lock().unwrap().remove(&lease.record.id);
                    store.release(lease.record.id, lease.token).await.unwrap();
                }
            }
            acquired
        })
    });
    let mut acquired = 0;
    for worker in workers.collect::<Vec<_>>() {
        acquired += worker.await.unwrap();
    }
    assert!(acquired >= ACQUISITIONS);
    assert_eq!(
        world.acquire(at(1_000), 100).await.len(),
        40,
        "every lease was given back"
    );
}

pub(crate) async fn the_longest_due_comes_first_and_the_limit_is_kept(world: World) {
    for (name, due) in [
        ("c.example", 30),
        ("a.example", 10),
        ("d.example", 40),
        ("b.example", 20),
    ] {
        world.with_due(name, at(due)).await;
    }
    let names = async |limit| {
        let leases = world.acquire(at(100), limit).await;
        leases
            .iter()
            .map(|lease| lease.record.hostname.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(3).await, ["a.example", "b.example", "c.example"]);
    assert_eq!(names(3).await, ["d.example"]);
    assert_eq!(names(3).await, [""; 0]);
}

pub(crate) async fn only_due_records_of_the_lane_are_leased(world: World) {
    world.with_due("later.example", at(11)).await;
    world.insert(&record("idle.example")).await;
    for phase in [
        Phase::Onboarding(Issuance::AwaitingHttpProbe),
        Phase::Onboarding(Issuance::Ordering),
        Phase::Leaving,
        Phase::Failed,
    ] {
        let mut other = record("other.example");
        other.phase = phase;
        other.next_attempt_at = Some(at(0));
        world.insert(&other).await;
    }
    assert!(world.acquire(at(10), 10).await.is_empty());
    for (lane, count) in [
        (Lane::HttpProbe, 1),
        (Lane::Issuance, 1),
        (Lane::Removal, 1),
        (Lane::Renewal, 0),
        (Lane::Recheck, 0),
    ] {
        assert_eq!(
            world.acquire_in(lane, at(10), 10).await.len(),
            count,
            "{lane:?}"
        );
    }
    let lease = world.acquire_one(at(11)).await;
    let mut next = lease.record;
    next.phase = Phase::Onboarding(Issuance::AwaitingHttpProbe);
    world
        .store
        .complete(lease.token, quiet(next))
        .await
        .unwrap();
    let moved = world.acquire_in(Lane::HttpProbe, at(11), 10).await;
    assert_eq!(moved.len(), 1, "a record changes its lane with its phase");
}

pub(crate) async fn an_attempt_counts_at_acquisition_and_a_release_gives_it_back(world: World) {
    let record = world.with_due("shop.example", at(0)).await;
    let crashed = world.acquire_one(at(0)).await;
    assert_eq!(crashed.record.attempt, 1);
    assert_eq!(world.read(record.id).await.attempt, 1, "a crash counts");
    let second = world.acquire_one(at(0) + TTL).await;
    assert_eq!(second.record.attempt, 2);
    world.store.release(record.id, second.token).await.unwrap();
    let given_back = world.read(record.id).await;
    assert_eq!(given_back.attempt, 1);
    assert_eq!(given_back.next_attempt_at, record.next_attempt_at);
    assert_eq!(
        world.acquire(at(0) + TTL, 1).await.len(),
        1,
        "and can be acquired at once"
    );
}

pub(crate) async fn a_release_with_a_stale_token_changes_nothing(world: World) {
    let record = world.with_due("shop.example", at(0)).await;
    let lease = world.acquire_one(at(0)).await;
    let refused = world.store.release(record.id, a_token()).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost)));
    assert!(
        world.acquire(at(1), 1).await.is_empty(),
        "the lease still holds"
    );
    world.store.release(record.id, lease.token).await.unwrap();
    let again = world.store.release(record.id, lease.token).await;
    assert!(matches!(again, Err(StoreError::LeaseLost)));
}

pub(crate) async fn the_next_due_time_is_when_a_record_can_be_acquired(world: World) {
    let next = async || world.store.next_due(Lane::Verification).await.unwrap();
    assert_eq!(next().await, None);
    world.insert(&record("idle.example")).await;
    assert_eq!(next().await, None);
    world.with_due("a.example", at(10)).await;
    world.with_due("b.example", at(500)).await;
    assert_eq!(next().await, Some(at(10)));
    let lease = world.acquire_one(at(20)).await;
    assert_eq!(
        next().await,
        Some(at(20) + TTL),
        "a held record waits for its lease's end"
    );
    let mut later = lease.record;
    later.next_attempt_at = Some(at(900));
    world
        .store
        .complete(lease.token, quiet(later))
        .await
        .unwrap();
    assert_eq!(next().await, Some(at(500)));
    assert_eq!(world.store.next_due(Lane::Renewal).await.unwrap(), None);
}

/// The outcome of a DNS check, with its report and its line of the history.
fn dns_ready(lease: &Lease) -> RecordWrite {
    let mut record = lease.record.clone();
    record.phase = Phase::Onboarding(Issuance::AwaitingHttpProbe);
    RecordWrite::unchecked(record)
        .with_report(report(Status::PendingHttpProbe))
        .with_event(event(EventKind::DnsReady, at(1)))
}

pub(crate) async fn outcome_report_and_event_are_written_together(world: World) {
    let id = world.with_due("shop.example", at(0)).await.id;
    let lease = world.acquire_one(at(0)).await;
    let write = dns_ready(&lease);
    world
        .store
        .complete(lease.token, write.clone())
        .await
        .unwrap();
    assert_eq!(world.read(id).await.phase, write.record().phase);
    assert_eq!(
        world.store.events(id, 10).await.unwrap(),
        [event(EventKind::DnsReady, at(1))]
    );
    let reports = world.reports(at(1), 10).await;
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].report, report(Status::PendingHttpProbe));
}

pub(crate) async fn an_outcome_without_its_report_is_not_written(world: World) {
    let id = world.with_due("shop.example", at(0)).await.id;
    let lease = world.acquire_one(at(0)).await;
    let before = world.read(id).await;
    world.sql("ALTER TABLE outbox RENAME TO outbox_away").await;
    let failed = world.store.complete(lease.token, dns_ready(&lease)).await;
    assert!(
        matches!(failed, Err(StoreError::Unavailable { .. })),
        "{failed:?}"
    );
    world.sql("ALTER TABLE outbox_away RENAME TO outbox").await;
    assert_eq!(world.read(id).await, before);
    assert_eq!(world.store.events(id, 10).await.unwrap(), []);
    world
        .store
        .complete(lease.token, dns_ready(&lease))
        .await
        .unwrap();
    assert_eq!(world.reports(at(1), 10).await.len(), 1);
}

pub(crate) async fn a_row_that_cannot_be_read_is_blocked_alone(world: World) {
    let bad = world.with_due("bad.example", at(0)).await.id;
    let good = world.with_due("good.example", at(1)).await.id;
    world
        .sql(&format!(
            "UPDATE custom_domains SET phase = '{{\"dancing\":1}}' WHERE id = '{bad}'"
        ))
        .await;
    let leases = world.acquire(at(5), 10).await;
    assert_eq!(
        leases
            .iter()
            .map(|lease| lease.record.id)
            .collect::<Vec<_>>(),
        [good]
    );
    let reports = world.reports(at(6), 10).await;
    assert_eq!(reports.len(), 1);
    assert_eq!(
        (reports[0].domain_id, reports[0].report.status),
        (bad, Status::PendingDns)
    );
    let failure = reports[0]
        .report
        .failure
        .as_ref()
        .expect("it says why it is put off");
    assert_eq!(failure.code(), FailureCode::Internal);
    assert!(format!("{failure:?}").contains("phase"), "{failure:?}");
    assert_eq!(
        world.store.events(bad, 10).await.unwrap()[0].kind,
        EventKind::Failed(FailureCode::Internal)
    );
    assert!(
        world
            .acquire(at(5) + 2 * TTL, 10)
            .await
            .iter()
            .all(|lease| lease.record.id == good)
    );

    world
        .sql(&format!(
            "UPDATE custom_domains SET phase = '{{\"onboarding\":\"awaitingDns\"}}' WHERE id = '{bad}'"
        ))
        .await;
    let due_again = at(5) + Duration::from_secs(3600);
    let back = world.acquire(due_again, 10).await;
    assert!(
        back.iter().any(|lease| lease.record.id == bad),
        "a repaired row continues by itself"
    );
}

pub(crate) async fn a_record_that_kills_its_workers_goes_to_the_back(world: World) {
    let poison = world.with_due("poison.example", at(0)).await.id;
    assert_eq!(world.acquire_one(at(10)).await.record.id, poison);
    world.with_due("good.example", at(20)).await;
    let after_its_lease = at(10) + TTL + Duration::from_secs(1);
    assert_ne!(world.acquire_one(after_its_lease).await.record.id, poison);
    assert_eq!(world.acquire_one(after_its_lease).await.record.id, poison);
}
