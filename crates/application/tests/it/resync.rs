//! A periodic comparison with the Cabinet finds what feed and polling miss.

use std::sync::Arc;
use std::time::Duration;

use dps_application::operator;
use dps_application::ports::store::DomainRecord;
use dps_application::workers::{self, Delivered, Intake, Reporter};
use dps_domain::ownership::RequireProof;
use dps_domain::policy::Policy;
use dps_domain::{DomainId, EventKind, Hostname, Phase, Status};

use super::cabinet::{away, id};
use super::world::{HOST, World};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl World {
    /// Makes the round that is due within half a day.
    async fn resync(&self) {
        for _ in 0..12 {
            if workers::resync(&self.service).await.unwrap() {
                return;
            }
            self.advance(DAY / 24);
        }
        panic!("no round was due");
    }

    pub(crate) async fn deliver(&self) {
        let mut reporter = Reporter::default();
        while reporter.deliver(&self.service).await.unwrap() != Delivered::Some(0) {}
    }

    /// The domain is served, and the Cabinet knows.
    async fn live() -> Self {
        let world = Self::with_due_domain().await;
        world.settle().await;
        world.deliver().await;
        assert_eq!(world.cabinet.says(id(1)).status, Some(Status::Active));
        world
    }

    async fn kinds(&self, id: DomainId) -> Vec<EventKind> {
        let events = self.service.store.events(id, 100).await.unwrap();
        events.into_iter().map(|event| event.kind).collect()
    }
}

#[tokio::test]
async fn a_round_changes_nothing_where_nothing_differs() {
    let world = World::live().await;
    let before = world.record().await;
    let calls = || world.cabinet.with(|state| state.calls);
    let asked = calls();
    world.resync().await;
    assert_eq!(world.record().await, before);
    assert_eq!(
        calls() - asked,
        6,
        "one page of each status, and nothing beside"
    );
    assert!(
        !workers::resync(&world.service).await.unwrap(),
        "the next is not due"
    );
}

#[tokio::test]
async fn domains_that_were_created_beside_the_feed_are_taken_in_even_those_that_should_be_served_already()
 {
    let world = World::live().await;
    for number in 2..9 {
        world.dns.point(&format!("shop-{number}.example.com"));
        world
            .cabinet
            .add(number, &format!("shop-{number}.example.com"));
    }
    // Our store lost this one.
    world
        .cabinet
        .edit(id(5), |domain| domain.status = Some(Status::Active));
    world
        .cabinet
        .edit(id(6), |domain| domain.status = Some(Status::Failed));
    world.resync().await;
    world.settle().await;
    for number in [2, 3, 4, 5, 7, 8] {
        let record = world
            .service
            .store
            .domain(id(number))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(record.phase.status(), Status::Active, "{number}");
    }
    assert!(
        world.service.store.domain(id(6)).await.unwrap().is_none(),
        "it waits for a retry"
    );
}

#[tokio::test]
async fn a_target_that_changed_is_checked_against_at_once() {
    let world = World::live().await;
    world.cabinet.edit(id(1), |domain| {
        domain.cname_target = "new-edge.platform.net".into();
        domain.version += 1;
    });
    world.resync().await;
    let record = world.record().await;
    assert_eq!(record.cname_target.as_str(), "new-edge.platform.net");
    assert_eq!(record.next_attempt_at, Some(world.service.now()));
    assert_eq!(world.kinds(id(1)).await[0], EventKind::TargetChanged);
    assert_eq!(record.cabinet_version, world.cabinet.says(id(1)).version);
}

#[tokio::test]
async fn a_moved_away_domain_is_checked_at_once_when_its_target_changes() {
    let world = World::live().await;
    world.dns.clear(HOST);
    for _ in 0..70 {
        world.advance(Duration::from_secs(24 * 3600));
        world.settle().await;
    }
    let moved_away = world.record().await;
    assert!(moved_away.phase.issuance().is_some(), "its renewal is due");
    assert!(moved_away.next_attempt_at.unwrap() > world.service.now());
    world.cabinet.edit(id(1), |domain| {
        domain.cname_target = "new-edge.platform.net".into();
        domain.version += 1;
    });
    world.resync().await;
    assert_eq!(
        world.record().await.next_attempt_at,
        Some(world.service.now())
    );
}

#[tokio::test]
async fn a_change_that_the_feed_missed_is_applied() {
    let world = World::live().await;
    world.cabinet.edit(id(1), |domain| {
        domain.status = Some(Status::PendingRemoval);
        domain.version += 1;
    });
    world.resync().await;
    world.settle().await;
    assert_eq!(world.record().await.phase, Phase::Gone);
    assert_eq!(world.edges.served(HOST), None);
}

#[tokio::test]
async fn a_status_that_the_cabinet_has_wrong_is_reported_again() {
    let world = World::live().await;
    for wrong in [Status::Issuing, Status::Failed] {
        world
            .cabinet
            .edit(id(1), |domain| domain.status = Some(wrong));
        world.resync().await;
        world.deliver().await;
        assert_eq!(world.cabinet.says(id(1)).status, Some(Status::Active));
    }
    // A record that is not ours to change is left alone.
    world
        .cabinet
        .edit(id(1), |domain| domain.status = Some(Status::Removed));
    world.resync().await;
    world.deliver().await;
    assert_eq!(world.cabinet.says(id(1)).status, Some(Status::Removed));
    assert_eq!(world.record().await.phase.status(), Status::Active);
}

/// Has a customer press retry in the Cabinet, and returns the domain's reported status right after
/// that.
async fn pressed_retry(world: &World) -> Option<Status> {
    // Retries within 20 seconds share one run.
    world.advance(Duration::from_secs(20));
    world.cabinet.edit(id(1), |domain| {
        domain.status = Some(Status::PendingDns);
        domain.version += 1;
    });
    let domain = world.cabinet.says(id(1));
    workers::align_domain(&world.service, &domain)
        .await
        .unwrap();
    world.settle().await;
    world.deliver().await;
    world.cabinet.says(id(1)).status
}

#[tokio::test]
async fn a_customer_who_corrects_dns_and_presses_retry_is_checked_now_in_every_state() {
    let world = World::live().await;
    let began = world.service.now();
    world.dns.clear(HOST);
    world.advance(Duration::from_secs(25 * 3600));
    world.settle().await;
    world.deliver().await;
    // Active, and moved away: the next check would come by itself some minutes later.
    assert_eq!(pressed_retry(&world).await, Some(Status::Active));
    assert!(world.record().await.last_failure.is_some(), "still away");
    world.dns.point(HOST);
    assert_eq!(pressed_retry(&world).await, Some(Status::Active));
    assert_eq!(world.record().await.last_failure, None);

    // Its certificate has ended: the next check would come up to a day later.
    world.dns.clear(HOST);
    while world.service.now().since(began) < Duration::from_secs(95 * 24 * 3600) {
        world.advance(Duration::from_secs(24 * 3600));
        world.settle().await;
        world.deliver().await;
    }
    assert_eq!(world.cabinet.says(id(1)).status, Some(Status::Failed));
    assert_eq!(pressed_retry(&world).await, Some(Status::Failed));
    assert_eq!(world.edges.served(HOST), None);
    world.dns.point(HOST);
    // It may have another owner after so long.
    assert_eq!(pressed_retry(&world).await, Some(Status::Failed));
    world.prove(1).await;
    assert_eq!(pressed_retry(&world).await, Some(Status::Active));
    assert!(world.edges.served(HOST).is_some());

    // It was given up after its certificate ended.
    world.dns.clear(HOST);
    world.advance(Duration::from_secs(95 * 24 * 3600));
    for _ in 0..40 {
        world.advance(Duration::from_secs(24 * 3600));
        world.settle().await;
    }
    world.deliver().await;
    assert_eq!(world.record().await.phase, Phase::Failed);
    world.dns.point(HOST);
    world.dns.publish_proof(HOST, &[]);
    assert_eq!(pressed_retry(&world).await, Some(Status::Active));
}

#[tokio::test]
async fn an_operators_retry_is_a_check_now_in_every_state() {
    let world = World::live().await;
    let (store, host) = (&world.service.store, Hostname::parse(HOST).unwrap());
    let retry = || async {
        // Longer than the pause between two requests for a check.
        world.advance(Duration::from_secs(20));
        let (store, now) = (store.as_ref(), world.service.now());
        operator::retry(store, "operator", now, &host, RequireProof::default())
            .await
            .unwrap()
    };
    world.dns.clear(HOST);
    retry().await;
    world.settle().await;
    assert!(
        world.record().await.last_failure.is_some(),
        "a live domain was checked"
    );
    world.dns.point(HOST);
    retry().await;
    world.settle().await;
    assert_eq!(world.record().await.last_failure, None);

    world.change(|record| record.phase = Phase::Failed).await;
    retry().await;
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
}

#[tokio::test]
async fn a_cabinet_restored_from_a_backup_is_brought_up_to_date_and_its_feed_begun_anew() {
    let world = World::with_due_domain().await;
    world.cabinet.model.begin_feed();
    world.cabinet.model.repeat(0);
    let backup = world.cabinet.model.backup();
    let mut intake = Intake::default();
    intake.round(&world.service).await;
    world.settle().await;
    world.deliver().await;
    let version = world.record().await.cabinet_version;
    world.cabinet.model.restore(backup);
    // The feed does not know our place; that makes a resync due at once.
    intake.round(&world.service).await;
    assert_eq!(
        world
            .service
            .store
            .cursor("cabinet.changes")
            .await
            .unwrap()
            .as_deref(),
        Some("")
    );
    assert!(workers::resync(&world.service).await.unwrap());
    world.deliver().await;
    assert_eq!(world.cabinet.says(id(1)).status, Some(Status::Active));
    assert!(
        world.record().await.cabinet_version < version,
        "its versions count from the backup on"
    );
    intake.round(&world.service).await;
    assert_eq!(
        world
            .service
            .store
            .cursor("cabinet.changes")
            .await
            .unwrap()
            .as_deref(),
        Some("1:1")
    );
    assert_eq!(world.record().await.phase.status(), Status::Active);
}

#[tokio::test]
async fn a_domain_that_the_cabinet_lost_is_served_for_the_grace_and_taken_down_after_it() {
    let world = World::live().await;
    world.cabinet.model.lose_all();
    world.resync().await;
    assert_eq!(world.kinds(id(1)).await[0], EventKind::CabinetMissing);
    for _ in 0..29 {
        world.advance(DAY);
        world.resync().await;
        assert_eq!(world.record().await.phase.status(), Status::Active);
    }
    world.advance(2 * DAY);
    world.resync().await;
    assert_eq!(world.record().await.phase, Phase::Leaving);
    assert_eq!(world.kinds(id(1)).await[0], EventKind::RemovalMissing);
    world.settle().await;
    assert_eq!(world.edges.served(HOST), None);
    world.deliver().await;
    assert_eq!(world.service.store.outbox_next_due().await.unwrap(), None);
}

#[tokio::test]
async fn a_domain_that_returns_within_the_grace_was_never_missing() {
    let world = World::live().await;
    world.cabinet.model.set_missing(id(1), true);
    world.resync().await;
    world.advance(29 * DAY);
    world.cabinet.model.set_missing(id(1), false);
    world.resync().await;
    world.cabinet.model.lose_all();
    world.advance(10 * DAY);
    world.resync().await;
    assert_eq!(
        world.record().await.phase.status(),
        Status::Active,
        "the grace begins anew"
    );
}

#[tokio::test]
async fn a_cabinet_that_lost_everything_takes_nothing_down_whatever_the_grace() {
    let world = World::live().await;
    for number in 2..20 {
        let added = world
            .cabinet
            .add(number, &format!("shop-{number}.example.com"));
        workers::align_domain(&world.service, &world.cabinet.says(added))
            .await
            .unwrap();
    }
    world.cabinet.model.lose_all();
    world.resync().await;
    world.advance(60 * DAY);
    world.resync().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
}

#[tokio::test]
async fn missing_domains_leave_no_faster_than_the_days_allowance_for_all_removals() {
    let mut world = World::with_due_domain().await;
    world.service.policy = Arc::new(Policy {
        missing_grace: DAY / 24,
        ..world.service.policy.as_ref().clone()
    });
    for number in 2..40 {
        let added = world
            .cabinet
            .add(number, &format!("shop-{number}.example.com"));
        let domain = world.cabinet.says(added);
        workers::align_domain(&world.service, &domain)
            .await
            .unwrap();
    }
    let leaving = async || {
        let records = world.records().await;
        let leaves = |record: &&DomainRecord| record.phase == Phase::Leaving;
        records.iter().filter(leaves).count()
    };
    // So few are suspicious in no round, and the second ten are ready to leave within a day.
    for lost in [2..12, 12..22] {
        for number in lost {
            world.cabinet.model.set_missing(id(number), true);
        }
        world.resync().await;
        world.resync().await;
        assert_eq!(leaving().await, 10);
    }
    assert_eq!(world.service.cabinet_health.status().held_removals, 10);
    world.advance(DAY);
    world.resync().await;
    assert_eq!(leaving().await, 20);
    assert_eq!(world.service.cabinet_health.status().held_removals, 0);
}

#[tokio::test]
async fn a_round_continues_where_it_was_when_the_cabinet_is_back_and_one_replica_makes_it() {
    let world = World::live().await;
    world.resync().await;
    for number in 2..9 {
        world
            .cabinet
            .add(number, &format!("shop-{number}.example.com"));
    }
    world.advance(DAY);
    let other = world.service.clone();
    // The Cabinet goes away in the middle of the pending domains.
    world.cabinet.with(|state| state.away_after = Some(7));
    assert!(workers::resync(&world.service).await.is_err());
    assert!(
        !workers::resync(&other).await.unwrap(),
        "it pauses before it continues"
    );
    world.cabinet.with(|state| {
        state.away_after = None;
        state.fault = None;
        state.lists.clear();
    });
    world.advance(DAY / 24);
    assert!(workers::resync(&other).await.unwrap());
    let first = world
        .cabinet
        .with(|state| state.lists.first().cloned())
        .unwrap();
    assert_eq!(first.0, Status::PendingDns);
    assert!(first.1.is_some(), "not from the start");
    for number in 2..9 {
        assert!(
            world
                .service
                .store
                .domain(id(number))
                .await
                .unwrap()
                .is_some(),
            "{number}"
        );
    }
    world.cabinet.with(|state| state.fault = Some(away()));
    world.advance(DAY);
    assert!(workers::resync(&world.service).await.is_err());
    assert_eq!(world.record().await.phase.status(), Status::Active);
}

#[tokio::test]
async fn without_a_feed_the_pending_domains_are_polled_and_with_one_they_are_not() {
    let world = World::with_due_domain().await;
    world.cabinet.add(2, "polled.example.com");
    let mut intake = Intake::default();
    let pause = intake.round(&world.service).await;
    assert_eq!(pause, world.service.policy.intake_interval);
    assert!(world.service.store.domain(id(2)).await.unwrap().is_some());
    // The Cabinet learned to offer one.
    world.cabinet.model.begin_feed();
    world.cabinet.with(|state| state.lists.clear());
    world.advance(DAY / 24);
    world.cabinet.add(3, "other.example.com");
    assert_eq!(intake.round(&world.service).await, Duration::ZERO);
    assert!(world.service.store.domain(id(3)).await.unwrap().is_some());
    assert_eq!(world.cabinet.with(|state| state.lists.len()), 0);
}

#[tokio::test]
async fn of_two_domains_that_arrive_together_with_one_name_the_first_has_it() {
    let world = World::with_due_domain().await;
    for (number, host) in [(2, "other"), (3, "twin"), (4, "twin"), (5, "last")] {
        world.cabinet.add(number, &format!("{host}.example.com"));
    }
    Intake::default().round(&world.service).await;
    let mut phases = Vec::new();
    for number in 2..6 {
        let record = world
            .service
            .store
            .domain(id(number))
            .await
            .unwrap()
            .unwrap();
        phases.push(record.phase);
    }
    assert_eq!(
        phases,
        [Phase::START, Phase::START, Phase::Failed, Phase::START]
    );
}

#[tokio::test]
async fn two_replicas_on_the_feed_apply_each_change_once() {
    let world = World::with_due_domain().await;
    world.cabinet.model.begin_feed();
    for number in 2..8 {
        world
            .cabinet
            .add(number, &format!("shop-{number}.example.com"));
    }
    let (mut here, mut there) = (Intake::default(), Intake::default());
    for _ in 0..4 {
        tokio::join!(here.round(&world.service), there.round(&world.service));
    }
    for number in 2..8 {
        assert_eq!(
            world.kinds(id(number)).await,
            [EventKind::DomainTakenIn],
            "{number}"
        );
    }
    assert_eq!(
        world
            .service
            .store
            .cursor("cabinet.changes")
            .await
            .unwrap()
            .as_deref(),
        Some("0:6")
    );
}
