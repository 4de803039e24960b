//! Stories of issuance that an operator paused.

use std::time::Duration;

use dps_application::operator::{OperatorError, diagnose, pauses};
use dps_application::survey::Surveyor;
use dps_domain::diagnosis::{Check, CheckStatus, Row};
use dps_domain::pause::PauseScope;
use dps_domain::phase::Next;
use dps_domain::{EventKind, FailureCode, Hostname, Phase, Status};

use super::world::{HOST, World};

const HOUR: Duration = Duration::from_secs(3_600);

async fn pause(world: &World, scope: &PauseScope) -> Result<(), OperatorError> {
    let (store, now) = (&*world.service.store, world.service.now());
    pauses::pause(store, "ada".into(), now, scope).await
}

async fn resume(world: &World, scope: &PauseScope) -> u64 {
    let (store, now) = (&*world.service.store, world.service.now());
    let done = pauses::resume(store, "ada".into(), now, scope, &|| true).await;
    let done = done.unwrap();
    assert!(done.is_complete);
    done.woken
}

async fn code(world: &World) -> Option<FailureCode> {
    let failure = world.record().await.last_failure;
    failure.map(|failure| failure.code())
}

/// The row of a diagnosis about pauses.
async fn diagnosed(world: &World) -> Row {
    let host = Hostname::parse(HOST).unwrap();
    let made = diagnose::diagnose(&world.service, &host).await.unwrap();
    let mut rows = made.rows.into_iter();
    rows.find(|row| row.check == Check::Pause).unwrap()
}

#[tokio::test]
async fn a_diagnosis_knows_a_pause_before_an_order_is_tried_and_its_end_at_once() {
    let world = World::with_due_domain().await;
    assert_eq!(diagnosed(&world).await.status, CheckStatus::Ok);
    pause(&world, &PauseScope::All).await.unwrap();
    assert_eq!(code(&world).await, None, "nothing was tried");
    let row = diagnosed(&world).await;
    assert_eq!(row.status, CheckStatus::Failed);
    let failure = row.failure.map(|failure| failure.code());
    assert_eq!(failure, Some(FailureCode::IssuancePaused));
    assert_eq!(row.details["pauses"][0]["who"], "ada");
    let remedy = row.remedy.unwrap();
    assert!(remedy.starts_with("Issuance for every domain has been paused"));
    assert!(remedy.ends_with("`dps issuance resume` ends the pause."));
    world.settle().await;
    assert_eq!(code(&world).await, Some(FailureCode::IssuancePaused));
    resume(&world, &PauseScope::All).await;
    assert_eq!(code(&world).await, Some(FailureCode::IssuancePaused));
    assert_eq!(diagnosed(&world).await.status, CheckStatus::Ok);
}

#[tokio::test]
async fn a_first_order_waits_for_the_end_of_a_pause_and_costs_no_attempt() {
    let world = World::with_due_domain().await;
    let tenant = PauseScope::Tenant(world.record().await.tenant_id);
    pause(&world, &tenant).await.unwrap();
    world.settle().await;
    for _ in 0..6 {
        assert_eq!(code(&world).await, Some(FailureCode::IssuancePaused));
        let record = world.record().await;
        assert_eq!((record.attempt, world.ca.orders()), (0, 0));
        assert_eq!(record.phase.status(), Status::Issuing);
        world.advance(5 * HOUR);
        world.settle().await;
    }
    // It stays one line of the history, and the Cabinet reads why.
    let id = world.record().await.id;
    let events = world.service.store.events(id, 50).await.unwrap();
    let paused = EventKind::Failed(FailureCode::IssuancePaused);
    let lines = events.iter().filter(|event| event.kind == paused);
    assert_eq!(lines.count(), 1);
    let (store, now) = (&*world.service.store, world.service.now());
    let status = pauses::status(store, now).await.unwrap();
    assert_eq!((status.waiting.first, status.waiting.renewals), (1, 0));
    assert_eq!(status.pauses[0].scope, tenant);

    assert_eq!(resume(&world, &tenant).await, 1);
    world.settle().await;
    assert_eq!(world.ca.orders(), 1);
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert_eq!(code(&world).await, None);
}

#[tokio::test]
async fn a_paused_renewal_is_not_ordered_even_when_it_is_urgent_and_is_in_time_after_the_pause() {
    let world = World::with_due_domain().await;
    world.settle().await;
    let Phase::Live {
        next: Next::At(at),
        not_after,
        ..
    } = world.record().await.phase
    else {
        panic!("not live")
    };
    pause(&world, &PauseScope::All).await.unwrap();
    world.advance(at.since(world.service.now()));
    world
        .change(|record| record.next_attempt_at = Some(at))
        .await;
    world.settle().await;
    assert_eq!(code(&world).await, Some(FailureCode::IssuancePaused));
    let urgent_from = world.record().await.urgent_from.unwrap();
    while world.service.now() < urgent_from {
        world.advance(6 * HOUR);
        world.settle().await;
    }
    assert_eq!(
        world.ca.orders_for(HOST),
        1,
        "no renewal overrides the pause"
    );
    let (store, now) = (&*world.service.store, world.service.now());
    let status = pauses::status(store, now).await.unwrap();
    let waiting = status.waiting;
    assert_eq!((waiting.first, waiting.renewals, waiting.urgent), (0, 1, 1));
    assert_eq!((waiting.ended, waiting.soonest_end), (0, Some(not_after)));
    // The wait is never longer than what the certificate allows.
    let next = world.record().await.next_attempt_at.unwrap();
    assert!(next < not_after);

    // Another pause still covers the name.
    let domain = PauseScope::Domain(Hostname::parse(HOST).unwrap());
    pause(&world, &domain).await.unwrap();
    assert_eq!(resume(&world, &PauseScope::All).await, 1);
    world.settle().await;
    assert_eq!(world.ca.orders_for(HOST), 1);
    assert_eq!(resume(&world, &domain).await, 1);
    world.settle().await;
    assert_eq!(world.ca.orders_for(HOST), 2);
    assert!(world.record().await.phase.certificate_not_after() > Some(not_after));
    assert_eq!(code(&world).await, None);
}

#[tokio::test]
async fn a_second_end_of_a_pause_completes_one_that_was_cut_short() {
    let world = World::with_due_domain().await;
    let domain = PauseScope::Domain(Hostname::parse(HOST).unwrap());
    let (store, now) = (&*world.service.store, world.service.now());
    let end = async |scope: &PauseScope, is_in_time: bool| {
        pauses::resume(store, "ada".into(), now, scope, &|| is_in_time).await
    };
    pause(&world, &PauseScope::All).await.unwrap();
    world.settle().await;
    let cut_short = end(&PauseScope::All, false).await.unwrap();
    assert_eq!((cut_short.woken, cut_short.is_complete), (0, false));
    world.settle().await;
    assert_eq!(world.ca.orders(), 0);

    // Another pause covers the order.
    pause(&world, &domain).await.unwrap();
    let refused = end(&PauseScope::All, true).await;
    assert!(matches!(refused, Err(OperatorError::NotPaused(_))));
    let cut_short = end(&domain, false).await.unwrap();
    assert_eq!((cut_short.woken, cut_short.is_complete), (0, false));

    let completed = end(&PauseScope::All, true).await.unwrap();
    assert_eq!((completed.woken, completed.is_complete), (1, true));
    let refused = end(&PauseScope::All, true).await;
    assert!(matches!(refused, Err(OperatorError::NotPaused(_))));
    world.settle().await;
    assert_eq!(world.ca.orders(), 1);
}

#[tokio::test]
async fn a_certificate_that_ended_while_its_renewal_was_paused_stays_counted() {
    let world = World::with_due_domain().await;
    world.settle().await;
    let not_after = world.record().await.phase.certificate_not_after().unwrap();
    pause(&world, &PauseScope::All).await.unwrap();
    while world.service.now() <= not_after {
        world.advance(6 * HOUR);
        world.settle().await;
    }
    let phase = world.record().await.phase;
    assert!(matches!(phase, Phase::Expired { .. }), "{phase:?}");
    assert_eq!(code(&world).await, Some(FailureCode::IssuancePaused));
    let (store, now) = (&*world.service.store, world.service.now());
    let waiting = pauses::status(store, now).await.unwrap().waiting;
    assert_eq!((waiting.first, waiting.renewals, waiting.ended), (0, 0, 1));
    let survey = Surveyor::default().advance(store, now).await.unwrap();
    assert_eq!(survey.unwrap().late_paused, 1);
}

#[tokio::test]
async fn a_pause_of_nobody_and_the_end_of_none_are_refused() {
    let world = World::with_due_domain().await;
    let nobody = PauseScope::Tenant("nobody".to_owned());
    let refused = pause(&world, &nobody).await;
    assert!(matches!(refused, Err(OperatorError::UnknownTenant(_))));
    let missing = PauseScope::Domain(Hostname::parse("missing.example").unwrap());
    let refused = pause(&world, &missing).await;
    assert!(matches!(refused, Err(OperatorError::Unknown(_))));
    let (store, now) = (&*world.service.store, world.service.now());
    let refused = pauses::resume(store, "ada".into(), now, &PauseScope::All, &|| true).await;
    assert!(matches!(refused, Err(OperatorError::NotPaused(_))));
    assert_eq!(store.actions(None, 10).await.unwrap(), []);
}
