//! Stories of orders that lead to no certificate, whatever the reason.

use std::sync::Arc;
use std::time::Duration;

use dps_application::ports::ca::CaError;
use dps_domain::phase::{Issuance, Next, Phase};
use dps_domain::renewal::{WaitCause, longest_wait};
use dps_domain::{Failure, Status, Timestamp};

use super::ca::Trouble;
use super::world::{HOST, World};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The pause before the next order doubles from two minutes to six hours.
const MOST_IN_A_DAY: usize = 12;

async fn world() -> World {
    let mut world = World::with_due_domain().await;
    let policy = Arc::make_mut(&mut world.service.policy);
    policy.issuance.max_backoff = 6 * HOUR;
    // A step asks once: the clock of these stories stands still while it waits.
    policy.ca_timeout = Duration::ZERO;
    world
}

/// Works until `end`, as often as the domain is due.
async fn work_until(world: &World, end: Timestamp) {
    loop {
        world.settle().await;
        let record = world.record().await;
        let now = world.service.now();
        let due = record.next_attempt_at.expect("the domain is tried on");
        if let Phase::Live {
            not_after,
            next: Next::Now(_),
            ..
        } = record.phase
        {
            let longest = longest_wait(not_after, now, WaitCause::Others).unwrap();
            assert!(
                due <= now + longest,
                "{due} is too late at {now}: {record:?}"
            );
        }
        if due >= end {
            break;
        }
        world.advance(due.since(now));
    }
    world.advance(end.since(world.service.now()));
}

#[tokio::test]
async fn a_ca_that_loses_every_order_gets_few_and_ever_fewer_of_a_domain() {
    for trouble in Trouble::ALL {
        let world = world().await;
        world.ca.trouble(Some(trouble));
        let start = world.service.now();
        work_until(&world, start + DAY).await;
        let first_day = world.ca.orders_for(HOST);
        assert!(
            (1..=MOST_IN_A_DAY).contains(&first_day),
            "{trouble:?}: {first_day}"
        );
        let record = world.record().await;
        assert!(record.last_failure.is_some(), "{trouble:?}: {record:?}");
        work_until(&world, start + 2 * DAY).await;
        let second_day = world.ca.orders_for(HOST) - first_day;
        assert!(second_day <= MOST_IN_A_DAY / 2, "{trouble:?}: {second_day}");
        world.ca.trouble(None);
        world.ca.model.forget_unfinished();
        work_until(&world, start + 3 * DAY).await;
        let record = world.record().await;
        assert_eq!(
            record.phase.status(),
            Status::Active,
            "{trouble:?}: {record:?}"
        );
        assert_eq!(
            (record.lost_orders, record.last_failure),
            (0, None),
            "{trouble:?}"
        );
    }
}

#[tokio::test]
async fn other_faults_between_the_orders_do_not_shorten_the_pause() {
    let world = world().await;
    world.ca.trouble(Some(Trouble::InvalidAtFinalize));
    let end = world.service.now() + DAY;
    let mut lost = 0;
    while world.service.now() < end {
        world.settle().await;
        let record = world.record().await;
        if record.lost_orders > lost {
            // Before the pause is over, the resolvers are away and somebody asks for another try.
            lost = record.lost_orders;
            world.dns.set_dead(true);
            world.change(|record| record.attempt = 0).await;
            world.settle().await;
            world.dns.set_dead(false);
        }
        let due = world.record().await.next_attempt_at.unwrap();
        world.advance(due.since(world.service.now()));
    }
    let orders = world.ca.orders_for(HOST);
    assert!((1..=MOST_IN_A_DAY).contains(&orders), "{orders}");
}

#[tokio::test]
async fn a_renewal_whose_orders_are_lost_is_tried_in_time_and_with_few_orders() {
    for trouble in Trouble::ALL {
        let world = world().await;
        world.ca.model.issue_for(6 * DAY);
        world.settle().await;
        let Phase::Live {
            not_after,
            next: Next::At(renew_at),
            ..
        } = world.record().await.phase
        else {
            panic!("not live")
        };
        world.ca.trouble(Some(trouble));
        work_until(&world, renew_at).await;
        let before = world.ca.orders_for(HOST);
        work_until(&world, renew_at + DAY).await;
        let orders = world.ca.orders_for(HOST) - before;
        assert!(
            (1..=MOST_IN_A_DAY).contains(&orders),
            "{trouble:?}: {orders}"
        );
        let record = world.record().await;
        assert_eq!(record.phase.status(), Status::Active);
        world.ca.trouble(None);
        world.ca.model.forget_unfinished();
        work_until(&world, renew_at + 2 * DAY).await;
        let renewed = world.record().await.phase.certificate_not_after();
        assert!(
            renewed > Some(not_after),
            "{trouble:?}: {:?}",
            world.record().await
        );
    }
}

#[tokio::test]
async fn the_cabinet_reads_the_fault_of_the_ca_until_a_certificate_is_stored() {
    let world = world().await;
    world.ca.trouble(Some(Trouble::InvalidAtFinalize));
    world.settle().await;
    let lost = world.record().await;
    assert!(matches!(
        lost.last_failure,
        Some(Failure::AcmeCaUnavailable { .. })
    ));
    world.ca.trouble(None);
    world.advance(lost.next_attempt_at.unwrap().since(world.service.now()));
    for issuance in ["awaitingHttpProbe", "ordering", "validating", "finalizing"] {
        world.step().await;
        let record = world.record().await;
        assert_eq!(record.phase.name(), issuance);
        assert_eq!(record.last_failure, lost.last_failure);
    }
    world.step().await;
    let record = world.record().await;
    assert!(matches!(
        record.phase.issuance(),
        Some(Issuance::Deploying { .. })
    ));
    assert_eq!(record.last_failure, None);
}

#[tokio::test]
async fn the_challenge_of_an_order_that_the_ca_gave_up_is_withdrawn_at_once() {
    let gone = CaError::OrderGone {
        detail: "HTTP 404".into(),
    };
    let rejected = CaError::RejectedIdentifier {
        detail: "no".into(),
    };
    let invalid = CaError::Validation {
        sub_cause: "dns".into(),
        detail: "no".into(),
    };
    for error in [gone, rejected, invalid] {
        let world = world().await;
        for _ in 0..3 {
            world.step().await;
        }
        let Some(Issuance::Validating { order }) = world.record().await.phase.issuance().cloned()
        else {
            panic!("no order")
        };
        world.ca.fail_at_orders(error.clone());
        world.step().await;
        assert_eq!(world.edges.challenges(), 0, "{error:?}");
        let stored = world.service.store.challenge(order).await.unwrap();
        assert_eq!(stored, None, "{error:?}");
        let order = world.service.store.order(order).await.unwrap().unwrap();
        assert!(!order.open, "{error:?}");
    }
}

#[tokio::test]
async fn an_order_that_takes_long_is_polled_ever_less_often() {
    let world = world().await;
    world.ca.trouble(Some(Trouble::ProcessingForLong));
    let start = world.service.now();
    work_until(&world, start + HOUR).await;
    assert_eq!(world.ca.orders_for(HOST), 1);
    let polls = world.ca.polls();
    assert!((30..=90).contains(&polls), "{polls} polls in an hour");
}
