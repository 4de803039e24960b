//! A Cabinet that sends what it should not, changes its mind, or goes round in circles.

use std::sync::Arc;
use std::time::Duration;

use dps_application::ports::cabinet::RefusedItem;
use dps_application::workers::{self, Delivered, Intake, Reporter};
use dps_domain::lane::Lane;
use dps_domain::{Failure, NameRules, NameSuffix, Phase, Status};
use tokio_util::sync::CancellationToken;

use super::cabinet::{away, id};
use super::world::{HOST, TARGET, World};

const HOUR: Duration = Duration::from_secs(3600);

async fn deliver(world: &World) {
    let mut reporter = Reporter::default();
    while reporter.deliver(&world.service).await.unwrap() != Delivered::Some(0) {}
}

async fn take(world: &World, number: u128) {
    let domain = world.cabinet.says(id(number));
    workers::align_domain(&world.service, &domain)
        .await
        .unwrap();
}

async fn phase(world: &World, number: u128) -> Phase {
    let record = world.service.store.domain(id(number)).await.unwrap();
    record.unwrap().phase
}

fn counted(world: &World, name: &'static str) -> u32 {
    let counters = world.counters.0.lock().unwrap();
    counters.get(&(name, true)).copied().unwrap_or(0)
}

#[tokio::test]
async fn an_item_that_cannot_be_used_is_counted_and_shown_and_the_others_are_taken_in() {
    let world = World::with_due_domain().await;
    let item = RefusedItem {
        id: "018bcfe5-6800-7000-8000-000000000001".into(),
        field: "tenantId",
        value: r#""a\u0000b""#.into(),
        reason: "control characters".into(),
    };
    world
        .cabinet
        .with(|state| state.refused = vec![item.clone()]);
    for has_feed in [false, true] {
        if has_feed {
            world.cabinet.model.begin_feed();
        }
        let number = 2 + u128::from(has_feed);
        world
            .cabinet
            .add(number, &format!("shop-{number}.example.com"));
        Intake::default().round(&world.service).await;
        assert_eq!(phase(&world, number).await, Phase::START);
    }
    assert!(counted(&world, "item_refused") >= 2);
    let status = world.service.cabinet_health.status();
    assert_eq!(status.refused, Some((item, 1)));
    let said = status.check(world.service.now(), HOUR).unwrap_err();
    assert!(
        said.contains("tenantId") && said.contains("018bcfe5"),
        "{said}"
    );
}

#[tokio::test]
async fn names_and_targets_that_cannot_be_used_are_reported_through_the_outbox() {
    let world = World::with_due_domain().await;
    let cases = [
        (2, "*.example.com", TARGET, "NAME_INVALID"),
        (3, "www.platform.net", TARGET, "NAME_BLOCKED"),
        (4, "shop-4.example.com", "no target", "TARGET_NOT_ALLOWED"),
    ];
    for (number, host, target, _) in cases {
        world.cabinet.add(number, host);
        world
            .cabinet
            .edit(id(number), |domain| domain.cname_target = target.into());
    }
    // The Cabinet is asked nothing while they are taken in, so that it delays nobody if it stalls.
    world.cabinet.with(|state| state.fault = Some(away()));
    for (number, ..) in cases {
        take(&world, number).await;
        assert_eq!(phase(&world, number).await, Phase::Failed);
    }
    assert_eq!(world.cabinet.with(|state| state.calls), 0);
    assert_eq!(counted(&world, "name_refused"), 3);
    world.cabinet.with(|state| state.fault = None);
    deliver(&world).await;
    for (number, _, _, code) in cases {
        let reports = world.cabinet.with(|state| state.reported.clone());
        let report = reports
            .into_iter()
            .find(|(domain, _)| *domain == id(number))
            .unwrap()
            .1;
        assert_eq!(report.status, Status::Failed);
        assert_eq!(report.failure.unwrap().code().as_str(), code);
        assert!(report.message.is_some());
    }
    // A mended name is a retry.
    world.cabinet.edit(id(2), |domain| {
        domain.canonical_host = "mended.example.com".into();
        domain.status = Some(Status::PendingDns);
        domain.version += 1;
    });
    world.dns.point("mended.example.com");
    take(&world, 2).await;
    world.settle().await;
    assert_eq!(phase(&world, 2).await.status(), Status::Active);
}

#[tokio::test]
async fn a_target_outside_the_allowed_ones_is_refused() {
    let mut world = World::with_due_domain().await;
    let mut policy = world.service.policy.as_ref().clone();
    policy.names = NameRules {
        targets: vec![NameSuffix::parse("edge.platform.net").unwrap()],
        ..NameRules::default()
    };
    world.service.policy = Arc::new(policy);
    world.cabinet.add(2, "shop-2.example.com");
    world.cabinet.edit(id(2), |domain| {
        domain.cname_target = "anything.evil.example".into();
    });
    take(&world, 2).await;
    let record = world.service.store.domain(id(2)).await.unwrap().unwrap();
    assert!(matches!(
        record.last_failure,
        Some(Failure::TargetNotAllowed { .. })
    ));
    assert_eq!(
        record.next_attempt_at, None,
        "nobody connects to where it leads"
    );
}

#[tokio::test]
async fn another_name_of_a_served_domain_is_issued_for_and_the_old_one_leaves_the_edges() {
    let world = World::with_due_domain().await;
    world.settle().await;
    deliver(&world).await;
    assert!(world.edges.served(HOST).is_some());
    for by_resync in [false, true] {
        let host = format!("renamed-{by_resync}.example.com");
        let old = world.record().await.hostname.to_string();
        world.dns.point(&host);
        world.cabinet.edit(id(1), |domain| {
            domain.canonical_host = host.as_str().into();
            domain.status = Some(Status::PendingDns);
            domain.version += 1;
        });
        if by_resync {
            let now = world.service.now();
            world
                .service
                .store
                .periodic_make_due("cabinet.resync", now)
                .await
                .unwrap();
            assert!(workers::resync(&world.service).await.unwrap());
        } else {
            take(&world, 1).await;
        }
        assert_eq!(
            world.record().await.phase,
            Phase::START,
            "never Active unchecked"
        );
        for _ in 0..20 {
            workers::tick(&world.service, Lane::Removal).await.unwrap();
        }
        world.settle().await;
        deliver(&world).await;
        assert_eq!(world.edges.served(&old), None, "{host}");
        assert!(world.edges.served(&host).is_some());
        assert_eq!(world.cabinet.says(id(1)).status, Some(Status::Active));
        assert!(!world.cabinet.reported(id(1)).contains(&Status::Removed));
        assert_eq!(world.service.store.outbox_next_due().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_domain_that_was_taken_down_as_missing_comes_back_with_the_cabinet() {
    let world = World::with_due_domain().await;
    world.settle().await;
    deliver(&world).await;
    world.cabinet.model.set_missing(id(1), true);
    world.request_removal().await;
    world.settle().await;
    deliver(&world).await;
    assert_eq!(world.record().await.phase, Phase::Gone);
    world.cabinet.model.set_missing(id(1), false);
    let now = world.service.now();
    world
        .service
        .store
        .periodic_make_due("cabinet.resync", now)
        .await
        .unwrap();
    assert!(workers::resync(&world.service).await.unwrap());
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert!(world.edges.served(HOST).is_some());
}

#[tokio::test]
async fn more_removals_than_a_day_brings_wait_for_an_operator() {
    let world = World::with_due_domain().await;
    for number in 2..40 {
        world
            .cabinet
            .add(number, &format!("shop-{number}.example.com"));
        take(&world, number).await;
    }
    for number in 2..40 {
        world.cabinet.edit(id(number), |domain| {
            domain.status = Some(Status::PendingRemoval);
            domain.version += 1;
        });
        take(&world, number).await;
    }
    let removed = async || {
        let mut removed = 0;
        for number in 2..40 {
            removed += u32::from(phase(&world, number).await == Phase::Leaving);
        }
        removed
    };
    assert_eq!(removed().await, 10);
    let status = world.service.cabinet_health.status();
    assert_eq!(status.held_removals, 28);
    let said = status.check(world.service.now(), HOUR).unwrap_err();
    assert!(said.contains("dps removals approve"), "{said}");
    let now = world.service.now();
    let until = workers::approve_removals(world.service.store.as_ref(), "operator", now)
        .await
        .unwrap();
    assert!(until.is_some());
    assert!(
        workers::resync(&world.service).await.unwrap(),
        "it is due at once"
    );
    assert_eq!(removed().await, 38);
    assert_eq!(world.service.cabinet_health.status().held_removals, 0);
}

/// Domains with the numbers of the range, served and reported to the Cabinet.
async fn served(numbers: std::ops::Range<u128>) -> World {
    let world = World::with_due_domain().await;
    for number in numbers {
        world.add(number, &host(number), "acme").await;
    }
    world.settle().await;
    deliver(&world).await;
    world.cabinet.with(|state| state.reported.clear());
    world
}

fn host(number: u128) -> String {
    format!("shop-{number}.example.com")
}

/// Makes a round of the resync now.
async fn resync_now(world: &World) {
    let now = world.service.now();
    let store = &world.service.store;
    store
        .periodic_make_due("cabinet.resync", now)
        .await
        .unwrap();
    assert!(workers::resync(&world.service).await.unwrap());
}

/// How many of the domains the edges serve under their first names, after all work is done.
async fn still_served(world: &World, numbers: std::ops::Range<u128>) -> usize {
    for _ in 0..20 {
        world.advance(Duration::from_secs(60));
        workers::tick(&world.service, Lane::Removal).await.unwrap();
    }
    numbers
        .filter(|number| world.edges.served(&host(*number)).is_some())
        .count()
}

#[tokio::test]
async fn names_that_become_unusable_are_reported_once_and_leave_everything_served() {
    let unusable = [
        "",
        "7",
        "*.example.com",
        "a\u{fffd}.example.com",
        "co.uk",
        HOST,
    ];
    for by_news in [false, true] {
        let world = served(2..27).await;
        for number in 2..27 {
            let wrong = unusable[usize::try_from(number).unwrap() % unusable.len()];
            world.cabinet.edit(id(number), |domain| {
                domain.canonical_host = wrong.into();
                domain.version += u64::from(by_news);
            });
            if by_news {
                take(&world, number).await;
            }
        }
        for _ in 0..3 {
            resync_now(&world).await;
            deliver(&world).await;
        }
        assert_eq!(still_served(&world, 2..27).await, 25, "by news: {by_news}");
        for number in 2..27 {
            let reports = world.cabinet.with(|state| state.reported.clone());
            let reports: Vec<_> = reports
                .into_iter()
                .filter(|(domain, _)| *domain == id(number))
                .collect();
            assert_eq!(reports.len(), 1, "{number}: {reports:?}");
            assert_eq!(reports[0].1.status, Status::Active);
            let code = reports[0].1.failure.as_ref().unwrap().code();
            assert!(code.as_str().starts_with("NAME_"), "{number}: {code}");
            assert!(reports[0].1.message.is_some());
        }
        assert_eq!(world.service.cabinet_health.status().held_removals, 0);

        // Mended without a new version, as a fault of the Cabinet's is.
        for number in 2..27 {
            world.cabinet.edit(id(number), |domain| {
                domain.canonical_host = host(number).as_str().into();
            });
        }
        world.cabinet.with(|state| state.reported.clear());
        for _ in 0..2 {
            resync_now(&world).await;
            deliver(&world).await;
        }
        let reports = world.cabinet.with(|state| state.reported.clone());
        assert_eq!(
            reports.len(),
            25,
            "the end of a failure is reported once, too"
        );
        assert!(
            reports
                .iter()
                .all(|(_, report)| report.failure.is_none() && report.status == Status::Active)
        );
    }
}

#[tokio::test]
async fn a_rename_that_cannot_be_carried_out_leaves_the_old_name_served() {
    let world = served(2..5).await;
    let renames = [
        (2, "new.example.com", "no target", "TARGET_NOT_ALLOWED"),
        (3, "www.platform.net", TARGET, "NAME_BLOCKED"),
        (4, "shop-2.example.com", TARGET, "NAME_ALREADY_CLAIMED"),
    ];
    for (number, name, target, code) in renames {
        world.cabinet.edit(id(number), |domain| {
            domain.canonical_host = name.into();
            domain.cname_target = target.into();
            domain.status = Some(Status::PendingDns);
            domain.version += 1;
        });
        take(&world, number).await;
        deliver(&world).await;
        let (_, report) = world
            .cabinet
            .with(|state| state.reported.last().cloned())
            .unwrap();
        assert_eq!(report.failure.unwrap().code().as_str(), code);
        assert_eq!(world.cabinet.says(id(number)).status, Some(Status::Active));
        // The daily check does not withdraw the refusal.
        world.advance(25 * HOUR);
        world.settle().await;
        deliver(&world).await;
        let record = world
            .service
            .store
            .domain(id(number))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(record.last_failure.unwrap().code().as_str(), code);
    }
    assert_eq!(still_served(&world, 2..5).await, 3);
    // A domain before its first certificate continues as well.
    world.add(9, &host(9), "acme").await;
    world
        .cabinet
        .edit(id(9), |domain| domain.canonical_host = "*".into());
    resync_now(&world).await;
    world.settle().await;
    deliver(&world).await;
    assert_eq!(still_served(&world, 9..10).await, 1);
}

#[tokio::test]
async fn renames_of_served_names_count_as_removals() {
    let world = served(2..27).await;
    for number in 2..27 {
        let name = format!("renamed-{number}.example.com");
        world.dns.point(&name);
        world.cabinet.edit(id(number), |domain| {
            domain.canonical_host = name.as_str().into();
            domain.status = Some(Status::PendingDns);
            domain.version += 1;
        });
        take(&world, number).await;
    }
    for _ in 0..2 {
        resync_now(&world).await;
    }
    assert_eq!(still_served(&world, 2..27).await, 15);
    assert_eq!(world.service.cabinet_health.status().held_removals, 15);
    let (store, now) = (world.service.store.as_ref(), world.service.now());
    workers::approve_removals(store, "operator", now)
        .await
        .unwrap();
    assert!(workers::resync(&world.service).await.unwrap());
    assert_eq!(still_served(&world, 2..27).await, 0);
    assert_eq!(world.service.cabinet_health.status().held_removals, 0);
    world.settle().await;
    for number in 2..27 {
        let name = format!("renamed-{number}.example.com");
        assert!(world.edges.served(&name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn removals_that_are_held_cost_a_poll_nothing_for_a_minute() {
    let world = served(2..40).await;
    for number in 2..40 {
        world.cabinet.edit(id(number), |domain| {
            domain.status = Some(Status::PendingRemoval);
            domain.version += 1;
        });
    }
    let mut intake = Intake::default();
    intake.round(&world.service).await;
    let held = world.service.cabinet_health.status().held_removals;
    assert_eq!(held, 28);
    // An operator's word, without the resync that comes with it: only a check of a removal lets it
    // through.
    let (store, now) = (world.service.store.as_ref(), world.service.now());
    workers::approve_removals(store, "operator", now)
        .await
        .unwrap();
    world.advance(Duration::from_secs(60));
    intake.round(&world.service).await;
    let held = world.service.cabinet_health.status().held_removals;
    assert_eq!(held, 28, "no check was made");
    // Whatever is new of them is checked, and so is everything a minute later.
    world.cabinet.edit(id(39), |domain| domain.version += 1);
    intake.round(&world.service).await;
    let held = world.service.cabinet_health.status().held_removals;
    assert_eq!(held, 27);
    world.advance(Duration::from_secs(1));
    intake.round(&world.service).await;
    assert_eq!(world.service.cabinet_health.status().held_removals, 0);
}

#[tokio::test]
async fn a_served_name_is_not_had_by_a_retry_or_a_removal_of_another_domain() {
    let world = served(2..3).await;
    for (number, status) in [(50, Status::PendingDns), (51, Status::PendingRemoval)] {
        world.advance(Duration::from_secs(1));
        world.cabinet.add(number, &host(2));
        world.cabinet.edit(id(number), |domain| {
            domain.tenant_id = "another".into();
            domain.status = Some(status);
        });
        take(&world, number).await;
        world.settle().await;
    }
    for _ in 0..2 {
        deliver(&world).await;
        world.advance(HOUR);
        assert_eq!(world.cabinet.says(id(50)).status, Some(Status::PendingDns));
        world.cabinet.edit(id(50), |domain| {
            domain.status = Some(Status::PendingDns);
            domain.version += 1;
        });
        take(&world, 50).await;
        world.settle().await;
    }
    // It waits for a proof that its tenant cannot give.
    assert_eq!(phase(&world, 50).await, Phase::START);
    assert_eq!(phase(&world, 51).await, Phase::Gone);
    assert_eq!(phase(&world, 2).await.status(), Status::Active);
    assert_eq!(still_served(&world, 2..3).await, 1);
}

#[tokio::test]
async fn a_feed_that_repeats_itself_or_never_waits_is_slowed_and_logged() {
    let world = World::with_due_domain().await;
    world.cabinet.model.begin_feed();
    let mut intake = Intake::default();
    // It answers at once that there is nothing new.
    assert!(intake.round(&world.service).await >= Duration::from_millis(900));
    assert!(
        world
            .service
            .cabinet_health
            .status()
            .last_good_pass
            .is_some()
    );
    let item = RefusedItem {
        id: "x".into(),
        field: "id",
        value: "7".into(),
        reason: "no UUID".into(),
    };
    // An item on a page whose cursor does not move.
    world.cabinet.with(|state| state.refused = vec![item]);
    let mut pause = Duration::ZERO;
    for _ in 0..3 {
        pause = intake.round(&world.service).await;
    }
    assert!(pause >= Duration::from_millis(900), "{pause:?}");
    assert!(world.service.cabinet_health.status().problem.is_some());
    world.cabinet.with(|state| state.refused.clear());
    intake.round(&world.service).await;
    assert_eq!(world.service.cabinet_health.status().problem, None);
}

#[tokio::test]
async fn a_list_that_goes_round_ends_and_the_other_lists_are_read() {
    let world = World::with_due_domain().await;
    world
        .cabinet
        .with(|state| state.circular = Some(Status::PendingDns));
    for number in 2..6 {
        world
            .cabinet
            .add(number, &format!("shop-{number}.example.com"));
    }
    world
        .cabinet
        .edit(id(5), |domain| domain.status = Some(Status::Issuing));
    let pause = Intake::default().round(&world.service).await;
    assert_eq!(pause, world.service.policy.intake_interval);
    let problem = world.service.cabinet_health.status().problem.unwrap();
    assert!(problem.contains("PendingDns"), "{problem}");
    assert_eq!(phase(&world, 5).await, Phase::START, "of another list");
    let now = world.service.now();
    world
        .service
        .store
        .periodic_make_due("cabinet.resync", now)
        .await
        .unwrap();
    assert!(
        workers::resync(&world.service).await.unwrap(),
        "a round comes to its end"
    );
}

#[tokio::test]
async fn a_report_that_is_never_answered_holds_up_no_other() {
    let world = World::with_due_domain().await;
    let stalled = [2, 3, 4];
    for number in 2..60 {
        world.cabinet.add(number, "*.example.com");
        take(&world, number).await;
    }
    world.cabinet.with(|state| {
        state.stalled = stalled.iter().map(|number| (id(*number), 0)).collect();
    });
    let shutdown = CancellationToken::new();
    let workers = tokio::spawn(dps_application::run(
        world.service.clone(),
        shutdown.clone(),
    ));
    let reported = async || {
        let all = (5..60).all(|number| world.cabinet.reported(id(number)) == [Status::Failed]);
        all.then_some(())
    };
    let bound = Duration::from_secs(60);
    dps_lab::wait::until("the others are reported", bound, reported)
        .await
        .unwrap();
    for number in stalled {
        let tries = world.cabinet.with(|state| state.stalled[&id(number)]);
        assert!(tries <= 1, "its first try is still under way: {tries}");
    }
    workers.abort();
}

#[tokio::test]
async fn a_report_that_is_accepted_without_a_version_is_sent_once() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.cabinet.with(|state| state.unversioned = true);
    deliver(&world).await;
    let statuses = [Status::PendingHttpProbe, Status::Issuing, Status::Active];
    assert_eq!(world.cabinet.reported(id(1)), statuses);
    assert_eq!(world.service.store.outbox_count(9).await.unwrap(), 0);
    assert_eq!(
        world.record().await.cabinet_version,
        world.cabinet.says(id(1)).version
    );
}

#[tokio::test]
async fn versions_that_always_conflict_and_moves_that_are_refused_are_counted() {
    let world = World::with_due_domain().await;
    world.step().await;
    world.cabinet.with(|state| state.always_moved = true);
    let mut reporter = Reporter::default();
    for _ in 0..5 {
        reporter.deliver(&world.service).await.unwrap();
        world.advance(HOUR);
    }
    assert!(counted(&world, "version_conflict") >= 5);
    world.cabinet.with(|state| state.always_moved = false);
    world
        .cabinet
        .edit(id(1), |domain| domain.status = Some(Status::Removed));
    world.settle().await;
    deliver(&world).await;
    assert!(counted(&world, "report_refused") >= 1);
}

/// Each retry checks at once, so that a Cabinet which limits none could have a name checked as
/// often as it likes.
#[tokio::test]
async fn retries_without_end_cause_no_more_than_one_check_in_twenty_seconds() {
    let world = World::with_due_domain().await;
    world.dns.clear(HOST);
    world.settle().await;
    let mut checks = 0;
    for _ in 0..60 {
        let mut domain = world.cabinet.says(world.record().await.id);
        domain.status = Some(Status::PendingDns);
        domain.version = world.record().await.cabinet_version + 1;
        workers::align_domain(&world.service, &domain)
            .await
            .unwrap();
        let record = world.record().await;
        checks += usize::from(
            record
                .next_attempt_at
                .is_some_and(|at| at <= world.service.now()),
        );
        world.settle().await;
        world.advance(Duration::from_secs(1));
    }
    assert!((3..=5).contains(&checks), "{checks} checks in a minute");
}

#[tokio::test]
async fn a_refused_claim_keeps_the_name_from_nobody_once_its_holder_is_removed() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.cabinet.add(2, HOST);
    take(&world, 2).await;
    assert_eq!(
        phase(&world, 2).await,
        Phase::Failed,
        "it is served for somebody else"
    );
    world.change(|record| record.phase = Phase::Gone).await;
    world.cabinet.add(3, HOST);
    take(&world, 3).await;
    assert_eq!(phase(&world, 3).await, Phase::START);
}
