//! The stories.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dps_application::Resolvers;
use dps_application::ports::Clock;
use dps_application::ports::ca::CaError;
use dps_application::ports::store::{DomainRecord, RecordWrite, StoreError};
use dps_application::steps;
use dps_application::workers::{Delivered, Reporter};
use dps_domain::dns::DnsAnswer;
use dps_domain::inventory::InventoryDigest;
use dps_domain::outcome::Outcome;
use dps_domain::phase::{Next, Phase};
use dps_domain::sentence::last_sentence;
use dps_domain::{
    DnsState, Event, EventKind, Failure, FailureCode, Purpose, Status, Timestamp, Until,
};
use tokio_util::sync::CancellationToken;

use super::ca::Slip;
use super::world::{HOST, LEASE, World};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_domain_with_right_dns_is_live_without_waiting_for_any_interval() {
    let world = World::with_due_domain().await;
    let began = world.service.now();
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert_eq!(world.service.now(), began);
    assert!(world.edges.served(HOST).is_some());
    assert_eq!(world.edges.challenges(), 0, "tokens are withdrawn");
    assert_eq!(
        world.counters.0.lock().unwrap().get(&("issuance", true)),
        Some(&1)
    );
}

#[tokio::test]
async fn a_process_that_dies_after_any_step_costs_no_second_order_and_no_second_certificate() {
    for steps_before in 0..6 {
        let world = World::with_due_domain().await;
        for _ in 0..steps_before {
            world.step().await;
        }
        world.step_and_die().await;
        world.settle().await;
        assert_eq!(
            world.record().await.phase.status(),
            Status::Active,
            "died at step {steps_before}"
        );
        assert_eq!(world.ca.orders_for(HOST), 1, "died at step {steps_before}");
        assert_eq!(world.ca.accounts(), 1);
    }
}

#[tokio::test]
async fn a_renewal_replaces_the_certificate_while_the_old_one_is_served() {
    let world = World::with_due_domain().await;
    world.settle().await;
    let first = world.edges.served(HOST).unwrap();
    let Phase::Live {
        next: Next::At(at), ..
    } = world.record().await.phase
    else {
        panic!("not live")
    };
    world.advance(at.since(world.service.now()));
    world.step().await;
    assert_eq!(world.edges.served(HOST).as_ref(), Some(&first));
    world.settle().await;
    let second = world.edges.served(HOST).unwrap();
    assert_ne!(first, second);
    assert_eq!(world.ca.orders_for(HOST), 2);
    assert_eq!(
        world.counters.0.lock().unwrap().get(&("renewal", true)),
        Some(&1)
    );
}

#[tokio::test]
async fn a_moved_away_domain_is_never_ordered_for_and_revives_when_dns_returns() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.dns.clear(HOST);
    world.advance(70 * DAY);
    world.settle().await;
    world.until_moved_away().await;
    for _ in 0..10 {
        world.settle().await;
        let record = world.record().await;
        assert_eq!(record.phase.status(), Status::Active);
        assert_eq!(record.last_failure.unwrap().code(), FailureCode::DnsMoved);
        world.advance(DAY);
    }
    assert_eq!(world.ca.orders_for(HOST), 1);
    assert!(
        world.edges.served(HOST).is_some(),
        "what was served is served"
    );
    let counted = |name| {
        world
            .counters
            .0
            .lock()
            .unwrap()
            .get(&(name, false))
            .copied()
    };
    assert_eq!(counted("verification"), Some(1), "it moved away once");
    assert_eq!(counted("renewal"), None, "the CA was not asked");
    // Resolvers that are away say nothing about it.
    let moved_away = world.record().await;
    world.dns.set_dead(true);
    for _ in 0..10 {
        world.settle().await;
        world.advance(DAY);
    }
    let blind = world.record().await;
    assert_eq!(blind.last_failure, moved_away.last_failure);
    assert_eq!(blind.attempt, moved_away.attempt);
    world.dns.set_dead(false);
    world.dns.point(HOST);
    world.settle().await;
    let code = world.record().await.last_failure.unwrap().code();
    assert_eq!(code, FailureCode::DnsOwnershipRequired);
    world.prove(1).await;
    world.advance(DAY);
    world.settle().await;
    assert_eq!(world.ca.orders_for(HOST), 2);
    assert_eq!(world.record().await.last_failure, None);
}

#[tokio::test]
async fn a_certificate_that_ends_leaves_every_edge_and_its_domain_is_failed_until_dns_returns() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.dns.clear(HOST);
    for _ in 0..91 {
        world.advance(DAY);
        world.settle().await;
    }
    let record = world.record().await;
    assert_eq!(record.phase.status(), Status::Failed);
    assert_eq!(record.last_failure.unwrap().code(), FailureCode::DnsMoved);
    assert!(record.phase.certificate_not_after().unwrap() <= world.service.now());
    for edge in [0, 1] {
        assert_eq!(world.edges.served_by(edge, HOST), None, "edge {edge}");
    }
    assert!(
        world
            .service
            .store
            .deployments(record.id)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(record.next_attempt_at.unwrap() <= world.service.now() + DAY);
    assert_eq!(world.ca.orders_for(HOST), 1);

    world.dns.point(HOST);
    world.advance(DAY);
    world.settle().await;
    world.prove(1).await;
    world.advance(DAY);
    world.settle().await;
    let record = world.record().await;
    assert_eq!(
        (record.phase.status(), record.last_failure),
        (Status::Active, None)
    );
    assert!(world.edges.served(HOST).is_some());

    world.dns.clear(HOST);
    for _ in 0..130 {
        world.advance(DAY);
        world.settle().await;
    }
    let released = world.record().await;
    assert_eq!(
        (released.phase, released.next_attempt_at),
        (Phase::Failed, None)
    );
}

#[tokio::test]
async fn resolvers_that_fail_and_servers_that_do_not_answer_are_no_evidence_of_a_move() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.dns.clear(HOST);
    world.advance(DAY + DAY / 4);
    world.settle().await;
    let DnsState::SeenElsewhere { observations, .. } = world.record().await.phase.dns().unwrap()
    else {
        panic!("{:?}", world.record().await.phase);
    };
    assert_eq!(observations, 1);
    for fault in [DnsAnswer::Timeout, DnsAnswer::ServFail] {
        world.dns.names.set_fault(Some(fault));
        for _ in 0..30 {
            world.advance(DAY / 10);
            world.settle().await;
        }
        let phase = world.record().await.phase;
        let seen = matches!(
            phase.dns(),
            Some(DnsState::SeenElsewhere {
                observations: 1,
                ..
            })
        );
        assert!(seen, "{phase:?}");
    }
    world.dns.names.set_fault(None);
    world.dns.point(HOST);
    world.advance(DAY / 4);
    world.settle().await;
    let record = world.record().await;
    assert_eq!(record.phase.dns(), Some(DnsState::Here));
    assert_eq!(record.last_failure, None);
    let moved = EventKind::Failed(FailureCode::DnsMoved);
    let history = world.service.store.events(record.id, 1_000).await.unwrap();
    assert!(history.iter().all(|event| event.kind != moved));
}

#[tokio::test]
async fn an_ended_domain_leaves_every_edge_with_the_digest_that_is_desired() {
    let world = World::with_due_domain().await;
    world.add(2, "other.example.com", "acme").await;
    world.settle().await;
    world.dns.clear(HOST);
    for _ in 0..91 {
        world.advance(DAY);
        world.settle().await;
    }
    assert_eq!(world.record().await.phase.name(), "expired");
    let now = world.service.now();
    let desired = world.service.store.desired(None, now, 100).await.unwrap();
    let mut digest = InventoryDigest::default();
    for dps_application::ports::store::Desired { entry, .. } in &desired {
        digest.toggle(&entry.hostname, &entry.fingerprint, entry.generation);
    }
    assert_eq!(desired.len(), 1, "the ended domain is not desired");
    for edge in world.edges.ports() {
        let held = edge.inventory(None, 1).await.unwrap();
        assert_eq!(held.digest, digest.to_hex(), "{}", edge.name());
    }
}

#[tokio::test]
async fn a_row_of_an_older_version_that_is_live_with_an_ended_certificate_leaves_the_edges_by_itself()
 {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.dns.clear(HOST);
    world.advance(100 * DAY);
    // As it was stored: live, and due for a check a day after the last one.
    world
        .change(|record| {
            record.last_failure = Some(Failure::DnsMoved {
                cause: Box::new(Failure::DnsNxdomain {}),
            });
        })
        .await;
    world.settle().await;
    let record = world.record().await;
    assert_eq!(
        (record.phase.status(), record.phase.name()),
        (Status::Failed, "expired")
    );
    assert_eq!(world.edges.served(HOST), None);
}

#[tokio::test]
async fn a_certificate_that_ends_during_an_outage_of_the_ca_is_replaced_as_soon_as_it_is_back() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world
        .ca
        .fail_next((0..100_000).map(|_| CaError::Unavailable {
            detail: "away".into(),
            retry_after: None,
        }));
    for _ in 0..4 * 91 {
        world.advance(DAY / 4);
        world.settle().await;
    }
    let record = world.record().await;
    assert_eq!(record.phase.status(), Status::Failed);
    assert_eq!(
        record.last_failure.unwrap().code(),
        FailureCode::AcmeCaUnavailable
    );
    assert_eq!(world.edges.served(HOST), None);
    world.ca.fail_no_more();
    world.advance(DAY / 4);
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert!(world.edges.served(HOST).is_some());
}

#[tokio::test]
async fn a_removal_takes_down_what_its_domain_was_served_with_and_no_later_claim_of_the_name() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.request_removal().await;
    // Leased, and suspended until the name belongs to somebody else.
    let suspended = world.lease().await;
    let record = &suspended.record;
    let generation = world
        .service
        .store
        .generation_held(record.id, suspended.token)
        .await
        .unwrap();
    assert!(generation.is_some());
    world.advance(LEASE + Duration::from_secs(1));
    world.settle().await;
    assert_eq!(world.edges.served(HOST), None);
    world.add(2, HOST, "somebody else").await;
    world.settle().await;
    world.prove(2).await;
    world.advance(Duration::from_secs(3600));
    world.settle().await;
    let theirs = world.edges.served(HOST).unwrap();

    let woken = steps::step(
        &world.service,
        record,
        suspended.token,
        tokio::time::Instant::now() + LEASE,
        &steps::Evidence::default(),
    )
    .await;
    assert!(matches!(woken, Outcome::Failed { .. }), "{woken:?}");
    assert_eq!(world.edges.served(HOST), Some(theirs.clone()));
    // The worker had read its generation before it was suspended.
    for edge in world.service.fleet.members().iter() {
        edge.undeploy(&record.hostname, generation).await.unwrap();
    }
    assert_eq!(world.edges.served(HOST), Some(theirs));
}

#[tokio::test]
async fn a_removal_by_a_refused_claimant_does_not_take_the_holder_down() {
    let world = World::with_due_domain().await;
    world.settle().await;
    let served = world.edges.served(HOST);
    world.advance(DAY);
    world.add(2, HOST, "somebody else").await;
    world
        .change_of(2, |record| record.phase = Phase::Leaving)
        .await;
    world.settle().await;
    assert_eq!(world.edges.served(HOST), served);
}

#[tokio::test]
async fn a_name_with_more_addresses_than_any_fleet_has_is_given_up_in_time() {
    let world = World::with_due_domain().await;
    let many = (0..65).map(|n| Ipv4Addr::new(198, 51, 100, n).into());
    world.dns.point_at(HOST, many.collect());
    for _ in 0..9 {
        world.settle().await;
        world.advance(DAY);
    }
    let record = world.record().await;
    assert_eq!(record.phase.status(), Status::Failed);
    assert_eq!(
        record.last_failure.unwrap().code(),
        FailureCode::DnsStrayAddress
    );
    assert_eq!(world.ca.orders_for(HOST), 0);
}

#[tokio::test]
async fn an_outage_of_resolvers_ca_and_edges_never_fails_a_domain() {
    let world = World::with_due_domain().await;
    world.dns.set_dead(true);
    for _ in 0..30 {
        world.settle().await;
        world.advance(DAY);
    }
    assert_eq!(world.record().await.phase.status(), Status::PendingDns);
    world.dns.set_dead(false);
    let outage = || CaError::Unavailable {
        detail: "503".into(),
        retry_after: None,
    };
    world.ca.fail_next((0..40).map(|_| outage()));
    world.edges.set_down(1, true);
    for _ in 0..60 {
        world.settle().await;
        world.advance(DAY);
    }
    assert_ne!(world.record().await.phase.status(), Status::Failed);
    world.edges.set_down(1, false);
    for _ in 0..60 {
        world.settle().await;
        world.advance(DAY);
    }
    assert_eq!(world.record().await.phase.status(), Status::Active);
}

#[tokio::test]
async fn an_attempt_failed_only_if_the_ca_or_an_edge_answered() {
    let world = World::with_due_domain().await;
    let detail = || "words".to_owned();
    let failed = || world.counters.failed("issuance");
    world
        .ca
        .fail_next((0..5).map(|_| CaError::Unreachable { detail: detail() }));
    for _ in 0..5 {
        world.settle().await;
        world.advance(DAY);
    }
    assert_eq!(failed(), 0, "nobody answered");
    world.ca.fail_next([CaError::Unavailable {
        detail: detail(),
        retry_after: None,
    }]);
    world.edges.set_down(0, true);
    world.edges.set_down(1, true);
    for _ in 0..5 {
        world.settle().await;
        world.advance(DAY);
    }
    let of_ca = failed();
    assert!(of_ca <= 1, "{of_ca}: edges that are away count nothing");
    for edge in 0..2 {
        world.edges.set_down(edge, false);
    }
    for _ in 0..5 {
        world.settle().await;
        world.advance(DAY);
    }
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert_eq!(failed(), 1, "the CA said no once");
}

#[tokio::test]
async fn active_needs_every_live_edge() {
    let world = World::with_due_domain().await;
    for _ in 0..5 {
        world.step().await;
    }
    world.edges.set_down(1, true);
    world.step().await;
    let record = world.record().await;
    assert_eq!(record.phase.status(), Status::Issuing);
    assert_eq!(
        record.last_failure.unwrap().code(),
        FailureCode::EdgeUnreachable
    );
    world.edges.set_down(1, false);
    world.advance(Duration::from_secs(60));
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert_eq!(world.ca.orders_for(HOST), 1);
}

#[tokio::test]
async fn a_customer_who_never_points_fails_after_seven_days_and_not_before() {
    let world = World::with_due_domain().await;
    world.dns.clear(HOST);
    let mut hours = 0;
    while world.record().await.phase.status() == Status::PendingDns {
        world.settle().await;
        world.advance(DAY / 24);
        hours += 1;
        assert!(hours < 24 * 9, "never gives up");
    }
    assert!(hours >= 24 * 7, "gave up after {hours} hours");
    assert_eq!(world.record().await.phase.status(), Status::Failed);
    assert_eq!(
        world.ca.orders_for(HOST),
        0,
        "nothing was ordered for a name that does not point at us"
    );
}

#[tokio::test]
async fn the_ca_is_asked_again_exactly_when_it_said() {
    let world = World::with_due_domain().await;
    for _ in 0..2 {
        world.step().await;
    }
    let until = world.service.now() + Duration::from_secs(777);
    // The account exists by then; the limit hits the new order.
    world.ca.fail_next([CaError::RateLimited {
        until: Some(Until::named(until, world.service.now(), Purpose::Limit)),
        detail: "too many new orders".into(),
    }]);
    world.step().await;
    let record = world.record().await;
    assert_eq!(record.next_attempt_at, Some(until));
    assert_eq!(
        record.last_failure.unwrap().code(),
        FailureCode::AcmeRateLimited
    );
    world.advance(Duration::from_secs(777));
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
}

/// Has our own pacing hold the next call for so long, and takes the step.
async fn held_for(world: &World, wait: Duration) -> DomainRecord {
    let until = world.service.now() + wait;
    world.ca.fail_next([CaError::Paced {
        until: Until::named(until, world.service.now(), Purpose::Limit),
    }]);
    world.step().await;
    world.record().await
}

#[tokio::test]
async fn what_our_own_pacing_holds_is_no_attempt_and_no_outage_of_the_ca() {
    let world = World::with_due_domain().await;
    for _ in 0..2 {
        world.step().await;
    }
    let before = world.record().await;
    let minute = Duration::from_secs(60);
    for wait in [minute, minute / 2] {
        let record = held_for(&world, wait).await;
        assert_eq!(record.attempt, before.attempt);
        assert_eq!(record.last_failure, None);
        assert_eq!(record.next_attempt_at, Some(world.service.now() + wait));
        world.advance(wait);
    }
    // The ledger holds it for as long as a limit of the CA lasts: the customer reads that we wait.
    let record = held_for(&world, 20 * minute).await;
    assert_eq!(record.attempt, before.attempt);
    assert_eq!(
        record.last_failure.unwrap().code(),
        FailureCode::AcmeRateLimited
    );
    assert_eq!(
        record.next_attempt_at,
        Some(world.service.now() + 20 * minute)
    );
    world.advance(20 * minute);
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    let counters = world.counters.0.lock().unwrap();
    assert_eq!(counters.get(&("issuance", false)), None);
    assert_eq!(counters.get(&("issuance", true)), Some(&1));
}

#[tokio::test]
async fn a_ca_that_forgot_the_account_gets_it_registered_again() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.ca.model.forget_account();
    world.advance(70 * DAY);
    world.settle().await;
    assert_eq!(
        world.record().await.last_failure.unwrap().code(),
        FailureCode::AcmeAccount
    );
    world.advance(DAY / 24);
    world.settle().await;
    assert_eq!(world.record().await.last_failure, None);
    assert_eq!(world.ca.orders_for(HOST), 2);
}

#[tokio::test]
async fn a_customer_who_leaves_hears_of_it_within_a_day_and_of_the_return_too() {
    let world = World::with_due_domain().await;
    world.settle().await;
    for _ in 0..5 {
        world.advance(DAY);
        world.settle().await;
        assert_eq!(world.record().await.last_failure, None);
    }
    world.dns.clear(HOST);
    world.advance(DAY + DAY / 4);
    world.settle().await;
    let record = world.record().await;
    let first = record.last_failure.unwrap().code();
    assert_eq!(first, FailureCode::DnsNxdomain, "one check is no move");
    world.until_moved_away().await;
    let record = world.record().await;
    assert_eq!(record.last_failure.unwrap().code(), FailureCode::DnsMoved);
    assert!(
        record.next_attempt_at.unwrap() <= world.service.now() + DAY / 24,
        "checked again soon"
    );
    world.dns.set_dead(true);
    world.advance(DAY);
    world.settle().await;
    world.dns.set_dead(false);
    world.dns.point(HOST);
    world.advance(DAY / 2);
    world.settle().await;
    let record = world.record().await;
    assert_eq!(
        (record.last_failure, record.phase.status()),
        (None, Status::Active)
    );
    assert_eq!(world.ca.orders_for(HOST), 1, "a check orders nothing");
}

#[tokio::test]
async fn a_removed_domain_leaves_every_edge_and_is_forgotten_after_its_quarantine() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.request_removal().await;
    world.settle().await;
    assert_eq!(world.record().await.phase, Phase::Gone);
    assert_eq!(world.edges.served(HOST), None);
    world.advance(29 * DAY);
    world.settle().await;
    assert!(!world.is_forgotten().await);
    world.advance(2 * DAY);
    world.settle().await;
    assert!(world.is_forgotten().await);
}

#[tokio::test]
async fn a_worker_that_deploys_after_the_removal_cleans_up_after_itself() {
    let world = World::with_due_domain().await;
    for _ in 0..5 {
        world.step().await;
    }
    let held = world.lease().await;
    world.request_removal().await;
    world.settle().await;
    assert_eq!(world.record().await.phase, Phase::Gone);
    let _lost = steps::step(
        &world.service,
        &held.record,
        held.token,
        tokio::time::Instant::now() + LEASE,
        &steps::Evidence::default(),
    )
    .await;
    assert_eq!(world.edges.served(HOST), None);
}

fn not_answered(sub_cause: &str) -> Failure {
    Failure::AcmeValidationFailed {
        sub_cause: sub_cause.into(),
        detail: "198.51.100.1: not what was expected".into(),
        reached_by_us: false,
    }
}

#[tokio::test]
async fn a_validation_that_may_have_met_a_short_outage_of_ours_is_repeated_at_once_without_a_report()
 {
    for sub_cause in ["connection", "unauthorized", "incorrectResponse"] {
        let world = World::with_due_domain().await;
        for _ in 0..3 {
            world.step().await;
        }
        world.ca.model.invalidate_all(&not_answered(sub_cause));
        world.step().await;
        let record = world.record().await;
        assert_eq!(record.last_failure, None);
        assert_eq!(record.failed_validations, 1, "the CA counts it");
        world.settle().await;
        let record = world.record().await;
        assert_eq!(record.phase.status(), Status::Active);
        assert_eq!(record.failed_validations, 0);
        assert_eq!(world.ca.orders_for(HOST), 2);
    }
}

#[tokio::test]
async fn a_ca_that_sees_another_dns_than_we_do_is_believed_the_second_time() {
    let world = World::with_due_domain().await;
    for _ in 0..2 {
        for _ in 0..3 {
            world.step().await;
        }
        world.ca.model.invalidate_all(&not_answered("connection"));
        world.step().await;
    }
    let record = world.record().await;
    let Some(Failure::AcmeValidationFailed {
        sub_cause,
        reached_by_us,
        ..
    }) = &record.last_failure
    else {
        panic!("{:?}", record.last_failure);
    };
    assert_eq!(sub_cause, "connection");
    assert!(reached_by_us, "the customer reads that only the CA fails");
    assert_eq!(record.failed_validations, 2);
    assert!(
        record.order_gate.holds_back(world.service.now()).is_some(),
        "the name is paused"
    );
    assert_eq!(world.ca.orders_for(HOST), 2);
}

#[tokio::test]
async fn what_the_ca_says_of_dns_itself_is_believed_at_once() {
    let world = World::with_due_domain().await;
    for _ in 0..3 {
        world.step().await;
    }
    world.ca.model.invalidate_all(&not_answered("dns"));
    world.step().await;
    let code = world.record().await.last_failure.unwrap().code();
    assert_eq!(code, FailureCode::AcmeValidationFailed);
}

#[tokio::test]
async fn a_caa_record_to_add_is_named_alike_in_the_report_and_on_the_command_line() {
    let world = World::with_due_domain().await;
    for _ in 0..3 {
        world.step().await;
    }
    world.ca.model.invalidate_all(&not_answered("caa"));
    world.step().await;
    let mut reporter = Reporter::default();
    while reporter.deliver(&world.service).await.unwrap() != Delivered::Some(0) {}
    let record = world.record().await;
    let reports = world.cabinet.with(|state| state.reported.clone());
    let message = reports
        .last()
        .and_then(|(_, report)| report.message.clone());
    assert!(
        message.as_deref().unwrap().contains("ca.test"),
        "{message:?}"
    );
    let events = world.service.store.events(record.id, 10).await.unwrap();
    assert_eq!(
        last_sentence(&record, &world.service.policy, &events),
        message
    );
}

#[tokio::test]
async fn a_fault_of_our_own_machine_is_no_attempt_and_reported_to_no_customer() {
    let famine = || {
        Some(DnsAnswer::Local {
            detail: "Too many open files".into(),
        })
    };
    let world = World::with_due_domain().await;
    world.dns.names.set_fault(famine());
    for _ in 0..10 {
        world.step().await;
        let record = world.record().await;
        assert_eq!((record.attempt, record.last_failure), (0, None));
        world.advance(DAY / 24 / 60);
    }
    assert_eq!(world.service.store.outbox_oldest().await.unwrap(), None);
    assert!(world.counters.failed("dns") >= 10);
    world.dns.names.set_fault(None);
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);

    // Its renewal waits, and nobody says that it moved.
    world.dns.names.set_fault(famine());
    world
        .change(|record| record.phase = record.phase.clone().apply(Event::RenewalDue).unwrap())
        .await;
    for _ in 0..5 {
        world.step().await;
        assert_eq!(world.record().await.last_failure, None);
        world.advance(DAY / 24 / 60);
    }
    world.dns.names.set_fault(None);
    world.settle().await;
    assert_eq!(world.ca.model.valid_orders(), 2);
}

#[tokio::test]
async fn a_resolver_without_answers_is_passed_over_until_it_answers() {
    let mut world = World::with_due_domain().await;
    let unreachable = Arc::new(world.other_dns());
    unreachable.set_dead(true);
    let both = vec![Arc::clone(&world.dns) as _, Arc::clone(&unreachable) as _];
    world.service.resolvers = Arc::new(Resolvers::new(both));
    world.dns.clear(HOST);
    let check = async || {
        world.change(|_| {}).await;
        world.step().await;
    };
    for _ in 0..3 {
        check().await;
    }
    let problems = || {
        let status = world.service.resolvers.status();
        status
            .iter()
            .filter(|resolver| resolver.problem.is_some())
            .count()
    };
    assert_eq!(problems(), 1);
    let asked = unreachable.asked();
    for _ in 0..10 {
        check().await;
    }
    assert_eq!(unreachable.asked(), asked, "checks do not wait for it");
    unreachable.set_dead(false);
    unreachable.point(HOST);
    world.advance(Duration::from_secs(6));
    check().await;
    while problems() > 0 {
        tokio::task::yield_now().await;
    }
    check().await;
    let code = world.record().await.last_failure.unwrap().code();
    assert_eq!(code, FailureCode::DnsPropagating, "it is believed again");
}

#[tokio::test]
async fn the_end_of_an_outage_of_ours_brings_everybody_forward_within_seconds() {
    let world = World::with_due_domain().await;
    for number in 2..=20 {
        world
            .add(number, &format!("shop{number}.example.com"), "acme")
            .await;
    }
    world.dns.set_dead(true);
    for _ in 0..10 {
        world.settle().await;
        world.advance(Duration::from_secs(120));
    }
    let now = world.service.now();
    let in_minutes = now + Duration::from_secs(60);
    let due = |record: &DomainRecord| record.next_attempt_at.unwrap();
    let late = world
        .records()
        .await
        .iter()
        .filter(|record| due(record) > in_minutes)
        .count();
    assert!(late > 10, "only {late} wait for longer than a minute");
    world.dns.set_dead(false);
    world.change(|_| {}).await;
    world.step().await;
    let soon = now + Duration::from_secs(2);
    while world
        .records()
        .await
        .iter()
        .any(|record| due(record) > soon)
    {
        tokio::task::yield_now().await;
    }
    world.advance(Duration::from_secs(2));
    world.settle().await;
    let all = world.records().await;
    assert!(
        all.iter()
            .all(|record| record.phase.status() == Status::Active),
        "{all:?}"
    );
}

#[tokio::test]
async fn while_no_resolver_works_one_check_asks_and_the_others_learn_of_it_at_once() {
    let world = World::with_due_domain().await;
    world.dns.set_dead(true);
    for _ in 0..3 {
        world.change(|_| {}).await;
        world.step().await;
    }
    let asked = world.dns.asked();
    for _ in 0..10 {
        world.change(|_| {}).await;
        world.step().await;
        let code = world.record().await.last_failure.unwrap().code();
        assert_eq!(code, FailureCode::DnsTimeout);
    }
    assert_eq!(world.dns.asked(), asked);
    world.dns.set_dead(false);
    world.advance(Duration::from_secs(6));
    world.change(|_| {}).await;
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
}

#[tokio::test]
async fn an_order_that_the_ca_finalized_for_another_worker_is_gone_on_with() {
    let world = World::with_due_domain().await;
    for _ in 0..4 {
        world.step().await;
    }
    world.ca.slip(Slip::OthersFinalizeFirst);
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert_eq!(world.ca.orders_for(HOST), 1);
}

#[tokio::test]
async fn a_certificate_that_the_ca_cannot_find_yet_is_asked_for_again_and_not_ordered_again() {
    let world = World::with_due_domain().await;
    for _ in 0..4 {
        world.step().await;
    }
    world.ca.slip(Slip::CertificateElsewhere);
    world.step().await;
    let failure = world.record().await.last_failure.unwrap();
    assert_eq!(failure.code(), FailureCode::AcmeCaUnavailable);
    world.advance(DAY / 24);
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert_eq!(world.ca.orders_for(HOST), 1);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_had_for_a_day_is_ordered_anew() {
    let world = World::with_due_domain().await;
    world.ca.lose_certificates(true);
    for hour in 0..24 {
        world.settle().await;
        assert_eq!(world.ca.orders_for(HOST), 1, "it is paid for, hour {hour}");
        world.advance(DAY / 24);
    }
    world.settle().await;
    let failure = world.record().await.last_failure.unwrap();
    assert_eq!(failure.code(), FailureCode::Internal);
    world.ca.lose_certificates(false);
    world.advance(DAY / 24);
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert_eq!(world.ca.orders_for(HOST), 2);
}

#[tokio::test]
async fn a_renewal_whose_certificate_cannot_be_had_leaves_time_for_another_order() {
    let world = World::with_due_domain().await;
    world.ca.model.issue_for(DAY / 2);
    world.settle().await;
    world.ca.lose_certificates(true);
    let ends = world.service.now() + DAY / 2;
    while world.ca.orders_for(HOST) < 3 {
        world.advance(Duration::from_secs(60));
        world.settle().await;
        assert!(
            world.service.now() < ends,
            "the certificate that is served has ended"
        );
    }
    world.ca.lose_certificates(false);
    while matches!(
        world.record().await.phase,
        Phase::Live {
            next: Next::Now(_),
            ..
        }
    ) {
        world.advance(Duration::from_secs(60));
        world.settle().await;
        assert!(
            world.service.now() < ends,
            "the certificate that is served has ended"
        );
    }
}

/// A clock that is ahead, or a CA that backdates, makes a certificate older than it is.
#[tokio::test]
async fn a_certificate_that_seems_old_when_it_is_issued_is_not_renewed_at_once() {
    let world = World::with_due_domain().await;
    world.ca.model.backdate(DAY * 50 / 100);
    world.ca.model.issue_for(DAY);
    world.settle().await;
    let issued_at = world.service.now();
    for _ in 0..24 {
        world.advance(Duration::from_secs(3_600));
        world.settle().await;
    }
    let orders = world.ca.orders_for(HOST);
    let lived = world.service.now().since(issued_at);
    assert!(
        orders <= 1 + usize::try_from(lived.as_secs() * 20 / DAY.as_secs()).unwrap(),
        "{orders} orders in {lived:?}"
    );
    let Phase::Live {
        next: Next::At(renew_at),
        ..
    } = world.record().await.phase
    else {
        panic!("not live");
    };
    assert!(renew_at > world.service.now());
}

#[tokio::test]
async fn a_worker_that_slept_through_its_lease_disturbs_nobody_when_it_wakes() {
    for steps_before in 0..6 {
        let world = World::with_due_domain().await;
        for _ in 0..steps_before {
            world.step().await;
        }
        let slept = world.lease().await;
        // Nobody would close an order that is stored so late.
        let is_refused = slept.record.phase.issuance() == Some(&dps_domain::Issuance::Ordering);
        world.advance(LEASE + Duration::from_secs(1));
        world.settle().await;
        let (record, served) = (world.record().await, world.edges.served(HOST));
        assert_eq!(record.phase.status(), Status::Active);
        // The actions of a suspended machine that continues, before any of its timers can stop it.
        let outcome = steps::step(
            &world.service,
            &slept.record,
            slept.token,
            tokio::time::Instant::now() + LEASE,
            &steps::Evidence::default(),
        )
        .await;
        let is_made = matches!(outcome, Outcome::Moved { .. });
        assert_eq!(is_made, !is_refused, "{outcome:?}");
        let write = RecordWrite::unchecked(slept.record);
        let late = world.service.store.complete(slept.token, write).await;
        assert!(matches!(late, Err(StoreError::LeaseLost)), "{late:?}");
        world.settle().await;
        assert_eq!(world.record().await, record, "slept at step {steps_before}");
        assert_eq!(world.edges.served(HOST), served);
        assert_eq!(
            world.ca.model.valid_orders(),
            1,
            "slept at step {steps_before}"
        );
    }
}

/// A clock that requests the stop once a condition holds.
struct StopsOnce<F>(Timestamp, F, CancellationToken);

impl<F: Fn() -> bool + Send + Sync> Clock for StopsOnce<F> {
    fn now(&self) -> Timestamp {
        if self.1() {
            self.2.cancel();
        }
        self.0
    }
}

/// Lets the whole service work until something is so, and then finish what it began.
async fn run_until(world: &World, so: impl Fn() -> bool + Send + Sync + 'static) {
    let (mut service, shutdown) = (world.service.clone(), CancellationToken::new());
    service.clock = Arc::new(StopsOnce(service.now(), so, shutdown.clone()));
    dps_application::run(service, shutdown).await;
}

#[tokio::test]
async fn a_worker_that_is_stopped_gives_back_what_it_has_not_begun() {
    let world = World::with_due_domain().await;
    let before = world.record().await;
    // The request to stop comes while the store is asked for work.
    run_until(&world, || true).await;
    let after = world.record().await;
    assert_eq!((after.attempt, &after.phase), (0, &before.phase));
    assert_eq!(
        world.lease().await.record.attempt,
        1,
        "nobody need wait for a lease to end"
    );
}

#[tokio::test]
async fn a_worker_that_is_stopped_at_any_moment_leaves_the_next_step_to_others_at_once() {
    for moment in 1.. {
        let world = World::with_due_domain().await;
        let reads = AtomicU32::new(0);
        run_until(&world, move || {
            reads.fetch_add(1, Ordering::Relaxed) >= moment
        })
        .await;
        let after = world.record().await;
        if after.phase.status() == Status::Active {
            assert!(moment > 20, "it was not stopped anywhere");
            return;
        }
        let next = world.lease().await.record;
        assert_eq!(next.attempt, 1, "stopped at read {moment}: {after:?}");
    }
}

#[tokio::test]
async fn what_follows_in_the_same_lane_is_done_under_the_same_permit() {
    let world = World::with_due_domain().await;
    let edges = world.edges.clone();
    run_until(&world, move || edges.served(HOST).is_some()).await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    let begun = world.counters.0.lock().unwrap()[&("issuance begun", true)];
    assert_eq!(begun, 1, "for order, validation, issue and deployment");
    assert_eq!(world.ca.orders_for(HOST), 1);
}
