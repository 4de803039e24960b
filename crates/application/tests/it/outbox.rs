//! Reports to a Cabinet that is away, picky or mad.

use std::time::Duration;

use dps_application::ports::cabinet::{CabinetError, CabinetFault};
use dps_application::workers::{self, Delivered, Intake, Reporter};
use dps_domain::{DomainId, Status};

use super::cabinet::{away, id};
use super::world::{HOST, World};

const MINUTE: Duration = Duration::from_secs(60);

/// Delivers until nothing is due now.
async fn deliver(world: &World, reporter: &mut Reporter) {
    while !matches!(
        reporter.deliver(&world.service).await.unwrap(),
        Delivered::Some(0) | Delivered::Held(_)
    ) {}
}

async fn taken_in(world: &World, number: u128, host: &str) -> DomainId {
    let id = world.cabinet.add(number, host);
    workers::align_domain(&world.service, &world.cabinet.says(id))
        .await
        .unwrap();
    id
}

#[tokio::test]
async fn a_cabinet_that_is_down_for_days_gets_every_report_in_order_when_it_returns() {
    let world = World::with_due_domain().await;
    let mut reporter = Reporter::default();
    let mut broken = Vec::new();
    for number in 2..40 {
        broken.push(taken_in(&world, number, &format!("broken-{number}.example.com")).await);
    }
    world.cabinet.with(|state| state.fault = Some(away()));
    let calls = || world.cabinet.with(|state| state.calls);
    let before = calls();
    for _ in 0..3 * 24 * 12 {
        world.settle().await;
        deliver(&world, &mut reporter).await;
        world.advance(5 * MINUTE);
    }
    assert_eq!(
        world.record().await.phase.status(),
        Status::Active,
        "nothing waited for the Cabinet"
    );
    let asked = calls() - before;
    assert!(
        (800..900).contains(&asked),
        "one probe at a time and one round that found it out, whatever waits: {asked}"
    );
    let oldest = world.service.store.outbox_oldest().await.unwrap().unwrap();
    assert!(world.service.now().since(oldest) >= (3 * 24 * 60 - 5) * MINUTE);

    world.cabinet.with(|state| state.fault = None);
    // Reports that were delayed for the probes are due within five minutes.
    for _ in 0..6 {
        deliver(&world, &mut reporter).await;
        world.advance(MINUTE);
    }
    assert_eq!(
        world.service.store.outbox_next_due().await.unwrap(),
        None,
        "nothing is left"
    );
    assert_eq!(
        world.cabinet.reported(id(1)),
        [Status::PendingHttpProbe, Status::Issuing, Status::Active]
    );
    for id in broken {
        // Checked scores of times: the present state is reported once.
        assert_eq!(world.cabinet.reported(id), [Status::PendingDns]);
        let record = world.service.store.domain(id).await.unwrap().unwrap();
        let report = world.cabinet.with(|state| {
            state
                .reported
                .iter()
                .rfind(|(domain, _)| *domain == id)
                .cloned()
        });
        assert_eq!(report.unwrap().1.next_attempt_at, record.next_attempt_at);
    }
}

#[tokio::test]
async fn a_report_that_the_cabinet_always_stumbles_over_holds_up_no_other_domain() {
    let world = World::with_due_domain().await;
    world.settle().await;
    let other = taken_in(&world, 2, "other.example.com").await;
    world.settle().await;
    let mut reporter = Reporter::default();
    let fault = CabinetError {
        fault: CabinetFault::Call,
        detail: "status 500".into(),
        retry_after: None,
    };
    world.cabinet.with(|state| state.fault = Some(fault));
    deliver(&world, &mut reporter).await;
    world.cabinet.with(|state| state.fault = None);
    let next = reporter.deliver(&world.service).await.unwrap();
    assert_eq!(
        next,
        Delivered::Some(0),
        "both wait for their own time, the Cabinet is not held for away"
    );
    world.advance(MINUTE);
    deliver(&world, &mut reporter).await;
    assert_eq!(world.cabinet.reported(other), [Status::PendingDns]);
    assert_eq!(world.cabinet.reported(id(1)).last(), Some(&Status::Active));
}

#[tokio::test]
async fn a_fault_of_our_own_machine_is_no_outage_of_the_cabinet() {
    let world = World::with_due_domain().await;
    world.settle().await;
    let mut reporter = Reporter::default();
    deliver(&world, &mut reporter).await;
    let mut intake = Intake::default();
    intake.round(&world.service).await;
    assert_eq!(world.service.cabinet_health.status().is_up, Some(true));
    let other = taken_in(&world, 2, "other.example.com").await;
    world.settle().await;
    let starved = CabinetError {
        fault: CabinetFault::Local,
        detail: "Too many open files (os error 24)".into(),
        retry_after: None,
    };
    assert!(starved.to_string().starts_with("our own machine"));
    world.cabinet.with(|state| state.fault = Some(starved));
    // Longer than a Cabinet that is away is waited for in vain.
    for _ in 0..30 {
        deliver(&world, &mut reporter).await;
        intake.round(&world.service).await;
        world.advance(Duration::from_secs(2));
    }
    assert_eq!(world.service.cabinet_health.status().is_up, Some(true));
    let counters = world.counters.0.lock().unwrap().clone();
    assert!(
        counters
            .get(&("cabinet", false))
            .is_some_and(|faults| *faults >= 30)
    );

    world.cabinet.with(|state| state.fault = None);
    // At once, not after the pauses of an outage.
    deliver(&world, &mut reporter).await;
    assert_eq!(world.cabinet.reported(other), [Status::PendingDns]);
}

#[tokio::test]
async fn words_that_the_cabinet_cannot_take_are_left_out_and_the_status_is_reported() {
    let world = World::with_due_domain().await;
    world.dns.clear(HOST);
    world.settle().await;
    world.cabinet.with(|state| state.refuses_content = true);
    deliver(&world, &mut Reporter::default()).await;
    let reports = world.cabinet.with(|state| state.reported.clone());
    assert_eq!(reports.len(), 1);
    assert_eq!(
        (reports[0].1.status, &reports[0].1.message),
        (Status::PendingDns, &None)
    );
    assert!(reports[0].1.next_attempt_at.is_some());
    assert_eq!(world.service.store.outbox_next_due().await.unwrap(), None);
}

#[tokio::test]
async fn a_move_that_the_cabinet_does_not_allow_is_dropped_and_later_ones_are_reported() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world
        .cabinet
        .edit(id(1), |domain| domain.status = Some(Status::Active));
    deliver(&world, &mut Reporter::default()).await;
    // On the way it was PendingHttpProbe and Issuing, which an active domain cannot go back to.
    assert_eq!(world.cabinet.reported(id(1)), [Status::Active]);
    assert_eq!(world.service.store.outbox_next_due().await.unwrap(), None);
}

#[tokio::test]
async fn a_customers_change_meanwhile_makes_the_report_untrue_or_only_its_version_old() {
    // A removal overtakes waiting reports.
    let world = World::with_due_domain().await;
    world.settle().await;
    world.cabinet.edit(id(1), |domain| {
        domain.status = Some(Status::PendingRemoval);
        domain.version = 2;
    });
    let mut reporter = Reporter::default();
    deliver(&world, &mut reporter).await;
    world.settle().await;
    deliver(&world, &mut reporter).await;
    assert_eq!(world.cabinet.reported(id(1)), [Status::Removed]);
    // Another version of the same says nothing against it.
    let world = World::with_due_domain().await;
    world.settle().await;
    world.cabinet.edit(id(1), |domain| domain.version = 7);
    deliver(&world, &mut reporter).await;
    assert_eq!(world.cabinet.reported(id(1)).last(), Some(&Status::Active));
    assert_eq!(world.cabinet.says(id(1)).status, Some(Status::Active));
}

#[tokio::test]
async fn a_cabinet_that_says_of_every_version_that_it_moved_is_not_asked_without_a_pause() {
    let world = World::with_due_domain().await;
    world.step().await;
    world.cabinet.with(|state| state.always_moved = true);
    let mut reporter = Reporter::default();
    for _ in 0..1_000 {
        reporter.deliver(&world.service).await.unwrap();
    }
    let calls = world.cabinet.with(|state| state.calls);
    assert!(calls <= 6, "{calls}");
}
