//! Reports to the Cabinet.

use dps_application::ports::store::StoreError;
use dps_domain::{DomainId, Status};

use crate::world::{TTL, World, at, quiet};

async fn statuses(world: &World, now: dps_domain::Timestamp) -> Vec<Status> {
    let leases = world.reports(now, 10).await;
    leases.iter().map(|lease| lease.report.status).collect()
}

/// A domain with reports of these statuses, put there at one second each.
async fn with_reports(world: &World, name: &str, statuses: &[Status]) -> DomainId {
    let id = world.with_due(name, at(0)).await.id;
    for (second, status) in (0..).zip(statuses) {
        world.report(id, *status, at(second)).await;
    }
    id
}

pub(crate) async fn reports_of_a_domain_are_leased_one_by_one_in_order(world: World) {
    let id = with_reports(
        &world,
        "a.example",
        &[Status::PendingHttpProbe, Status::Issuing, Status::Active],
    )
    .await;
    for expected in [Status::PendingHttpProbe, Status::Issuing, Status::Active] {
        let leases = world.reports(at(100), 10).await;
        assert_eq!(leases.len(), 1);
        assert_eq!(leases[0].report.status, expected);
        assert_eq!((leases[0].domain_id, leases[0].attempt), (id, 1));
        world
            .store
            .outbox_finish(&leases[0], Some(leases[0].cabinet_version + 1))
            .await
            .unwrap();
    }
    assert!(world.reports(at(100), 10).await.is_empty());
    assert_eq!(world.store.outbox_next_due().await.unwrap(), None);
    assert_eq!(world.read(id).await.cabinet_version, 4);
}

pub(crate) async fn a_leased_report_blocks_only_its_own_domain(world: World) {
    with_reports(
        &world,
        "a.example",
        &[Status::PendingHttpProbe, Status::Issuing],
    )
    .await;
    assert_eq!(statuses(&world, at(10)).await, [Status::PendingHttpProbe]);
    with_reports(&world, "b.example", &[Status::Failed, Status::PendingDns]).await;
    assert_eq!(statuses(&world, at(11)).await, [Status::Failed]);
    assert_eq!(
        world.store.outbox_next_due().await.unwrap(),
        Some(at(10) + TTL)
    );
    let taken_over = world.reports(at(11) + TTL, 10).await;
    assert_eq!(
        taken_over.len(),
        2,
        "after their leases the same two heads come again"
    );
    assert!(taken_over.iter().all(|lease| lease.attempt == 2));
}

pub(crate) async fn progress_is_reported_before_failed_checks_and_does_not_delay_them(
    world: World,
) {
    for n in 0..20 {
        with_reports(&world, &format!("waits-{n}.example"), &[Status::PendingDns]).await;
    }
    for n in 0..10 {
        let status = [
            Status::PendingHttpProbe,
            Status::Issuing,
            Status::Active,
            Status::Failed,
        ][n % 4];
        let id = world
            .with_due(&format!("moves-{n}.example"), at(0))
            .await
            .id;
        world.report(id, status, at(50)).await;
    }
    let waiting = async || {
        let leases = world.reports(at(100), 8).await;
        let waiting = leases
            .iter()
            .filter(|lease| lease.report.status == Status::PendingDns);
        (leases.len(), waiting.count())
    };
    assert_eq!(
        waiting().await,
        (8, 2),
        "a quarter is theirs, although they came first"
    );
    assert_eq!(waiting().await, (8, 4), "and whatever the others leave");
    assert_eq!(waiting().await, (8, 8));
    assert_eq!(waiting().await, (6, 6));
    assert_eq!(waiting().await, (0, 0));
}

pub(crate) async fn the_version_of_an_accepted_report_survives_a_later_complete(world: World) {
    let id = with_reports(&world, "a.example", &[Status::PendingDns]).await;
    let lease = world.acquire_one(at(1)).await;
    let report = world.reports(at(1), 1).await.remove(0);
    world.store.outbox_finish(&report, Some(9)).await.unwrap();
    assert_eq!(lease.record.cabinet_version, 1);
    world
        .store
        .complete(lease.token, quiet(lease.record))
        .await
        .unwrap();
    assert_eq!(world.read(id).await.cabinet_version, 9);
}

pub(crate) async fn an_accepted_report_never_lowers_the_version(world: World) {
    let id = with_reports(&world, "a.example", &[Status::PendingDns, Status::Issuing]).await;
    let mut known = world.read(id).await;
    known.cabinet_version = 12;
    assert!(
        world
            .store
            .domain_update(quiet(known.clone()))
            .await
            .unwrap()
    );
    let report = world.reports(at(9), 1).await.remove(0);
    assert_eq!(report.cabinet_version, 12);
    world.store.outbox_finish(&report, Some(11)).await.unwrap();
    assert_eq!(
        world.read(id).await.cabinet_version,
        12,
        "a newer version was seen meanwhile"
    );
    let report = world.reports(at(9), 1).await.remove(0);
    world
        .store
        .outbox_retry(&report, at(9), Some(3))
        .await
        .unwrap();
    assert_eq!(
        world.read(id).await.cabinet_version,
        3,
        "the Cabinet itself says so, as after a restore"
    );
    let stale = world.store.domain_update(quiet(known)).await.unwrap();
    assert!(
        !stale,
        "whoever read before the version moved must read again"
    );
}

pub(crate) async fn a_retried_report_comes_back_at_its_time_before_the_later_ones(world: World) {
    with_reports(
        &world,
        "a.example",
        &[Status::PendingHttpProbe, Status::Issuing],
    )
    .await;
    let report = world.reports(at(10), 10).await.remove(0);
    world
        .store
        .outbox_retry(&report, at(50), None)
        .await
        .unwrap();
    assert!(world.reports(at(49), 10).await.is_empty());
    assert_eq!(world.store.outbox_next_due().await.unwrap(), Some(at(50)));
    let again = world.reports(at(50), 10).await;
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].id, again[0].attempt), (report.id, 2));
}

pub(crate) async fn a_lost_report_lease_changes_nothing(world: World) {
    let id = with_reports(&world, "a.example", &[Status::PendingHttpProbe]).await;
    let slow = world.reports(at(10), 1).await.remove(0);
    let fast = world.reports(at(10) + TTL, 1).await.remove(0);
    let lost = world.store.outbox_finish(&slow, Some(7)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)));
    let lost = world.store.outbox_retry(&slow, at(500), Some(7)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)));
    assert_eq!(world.read(id).await.cabinet_version, 1);
    world.store.outbox_finish(&fast, None).await.unwrap();
    assert_eq!(world.read(id).await.cabinet_version, 1);
    assert_eq!(world.store.outbox_count(9).await.unwrap(), 0);
}

pub(crate) async fn reports_of_a_domain_that_is_gone_are_dropped(world: World) {
    let gone = with_reports(
        &world,
        "gone.example",
        &[Status::PendingHttpProbe, Status::Issuing],
    )
    .await;
    with_reports(&world, "here.example", &[Status::Failed]).await;
    world.store.outbox_drop(gone).await.unwrap();
    assert_eq!(statuses(&world, at(10)).await, [Status::Failed]);
    world.report(gone, Status::Removed, at(20)).await;
    assert_eq!(
        statuses(&world, at(20)).await,
        [Status::Removed],
        "a later report is due by itself"
    );
}

pub(crate) async fn an_unreadable_report_is_dropped_and_the_next_one_follows(world: World) {
    with_reports(
        &world,
        "a.example",
        &[Status::PendingHttpProbe, Status::Issuing],
    )
    .await;
    with_reports(&world, "b.example", &[Status::Active]).await;
    world
        .sql("UPDATE outbox SET report = '{}' WHERE id = (SELECT MIN(id) FROM outbox)")
        .await;
    assert_eq!(statuses(&world, at(10)).await, [Status::Active]);
    assert_eq!(statuses(&world, at(10)).await, [Status::Issuing]);
}

/// One side adds reports while the other finishes them: the last must arrive, in order, without
/// waiting for another.
pub(crate) async fn reports_added_while_others_finish_are_never_stranded(world: World) {
    const REPORTS: i64 = 100;
    let statuses = [
        Status::PendingDns,
        Status::PendingHttpProbe,
        Status::Issuing,
    ];
    let id = world.with_due("a.example", at(0)).await.id;
    let sender = world.open_again().await;
    let sending = tokio::spawn(async move {
        let mut sent: Vec<dps_domain::Timestamp> = Vec::new();
        while sent.last() != Some(&at(REPORTS)) {
            for lease in sender.outbox_acquire(at(10), TTL, 10).await.unwrap() {
                sender
                    .outbox_finish(&lease, Some(lease.cabinet_version + 1))
                    .await
                    .unwrap();
                sent.push(lease.report.next_attempt_at.unwrap());
            }
            tokio::task::yield_now().await;
        }
        sent
    });
    let mut written = 0;
    for status in statuses.into_iter().cycle() {
        if written == REPORTS {
            break;
        }
        let mut record = world.read(id).await;
        record.updated_at = at(1);
        let mut report = crate::world::report(status);
        report.next_attempt_at = Some(at(written + 1));
        let write =
            dps_application::ports::store::RecordWrite::unchecked(record).with_report(report);
        // The sender moves the version meanwhile, and then the record is read again.
        written += i64::from(world.store.domain_update(write).await.unwrap());
    }
    let sent = tokio::time::timeout(std::time::Duration::from_secs(60), sending).await;
    let sent = sent.expect("no report is stranded").unwrap();
    assert!(sent.is_sorted(), "{sent:?}");
    assert_eq!(
        world.read(id).await.cabinet_version,
        1 + u64::try_from(sent.len()).unwrap()
    );
}

pub(crate) async fn a_report_takes_the_place_of_a_waiting_one_that_it_makes_superfluous(
    world: World,
) {
    use Status::{Active, Issuing, PendingDns, PendingHttpProbe};
    let id = with_reports(
        &world,
        "a.example",
        &[
            PendingDns,
            PendingDns,
            PendingHttpProbe,
            Issuing,
            PendingDns,
            PendingHttpProbe,
            Active,
            Active,
        ],
    )
    .await;
    assert_eq!(world.store.outbox_count(9).await.unwrap(), 3);
    assert_eq!(
        world.store.outbox_oldest().await.unwrap(),
        Some(at(0)),
        "the Cabinet has lacked news since the first of them"
    );
    let mut statuses = Vec::new();
    while let [lease] = world.reports(at(100), 10).await.as_slice() {
        statuses.push(lease.report.status);
        world
            .store
            .outbox_finish(lease, Some(lease.cabinet_version + 1))
            .await
            .unwrap();
    }
    assert_eq!(statuses, [PendingDns, PendingHttpProbe, Active]);
    assert_eq!(world.store.outbox_oldest().await.unwrap(), None);
    assert_eq!(world.read(id).await.cabinet_version, 4);
}

pub(crate) async fn a_report_under_way_is_sent_as_it_was_leased(world: World) {
    let id = with_reports(&world, "a.example", &[Status::PendingDns]).await;
    let under_way = world.reports(at(1), 1).await.remove(0);
    world.report(id, Status::PendingDns, at(2)).await;
    world.report(id, Status::PendingDns, at(3)).await;
    assert_eq!(world.store.outbox_count(9).await.unwrap(), 2);
    world
        .store
        .outbox_retry(&under_way, at(4), None)
        .await
        .unwrap();
    let again = world.reports(at(4), 1).await.remove(0);
    assert_eq!((again.id, again.attempt), (under_way.id, 2));
    world.store.outbox_finish(&again, Some(2)).await.unwrap();
    assert_eq!(statuses(&world, at(5)).await, [Status::PendingDns]);
}
