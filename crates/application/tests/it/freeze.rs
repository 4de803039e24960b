//! Stories of renewals that a freeze delays.

use std::sync::Arc;
use std::time::Duration;

use dps_application::operator::renew;
use dps_application::operator::revoke::revoke;
use dps_domain::renewal::freeze::{FreezeWindow, RenewalFreeze};
use dps_domain::revocation::RevocationReason;
use dps_domain::{EventKind, Hostname, Timestamp};

use super::world::{HOST, World};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A live domain with a certificate of 45 days, and the end of a freeze of so many days. The freeze
/// begins now, and the renewal is due.
async fn frozen_for(days: u32) -> (World, Timestamp) {
    let mut world = World::with_certificate_for(DAY * 45).await;
    let from = world.renew_at().await;
    let until = from + DAY * days;
    let window = FreezeWindow {
        from,
        until,
        reason: Some("year's end".to_owned()),
    };
    let policy = Arc::make_mut(&mut world.service.policy);
    policy.freeze = RenewalFreeze::new(vec![window]).unwrap();
    world.live_until(from).await;
    (world, until)
}

#[tokio::test]
async fn a_due_renewal_waits_for_the_end_of_a_freeze_and_its_domain_is_checked_meanwhile() {
    let (world, until) = frozen_for(7).await;
    world.settle().await;
    let moved = world.renew_at().await;
    assert_eq!(moved, until, "the first that was held back begins first");
    let lines = world.history(EventKind::RenewalFrozen).await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["renewAt"], moved.to_string());
    assert_eq!(lines[0]["frozenUntil"], until.to_string());
    assert_eq!(lines[0]["reason"], "year's end");
    let checks = world.dns.asked();
    world.live_until(until).await;
    assert_eq!(world.certificates(), 1, "none is ordered in the freeze");
    let checked = world.dns.asked() - checks;
    assert!(checked >= 6, "{checked} checks in 7 days");
    world.settle().await;
    assert_eq!(world.certificates(), 2);
}

#[tokio::test]
async fn a_renewal_does_not_wait_for_a_freeze_until_it_is_urgent() {
    let (world, until) = frozen_for(20).await;
    world.settle().await;
    let (moved, record) = (world.renew_at().await, world.record().await);
    let urgent_from = record.urgent_from.unwrap();
    assert!(moved < urgent_from && urgent_from < until, "{moved}");
    world.live_until(moved).await;
    world.settle().await;
    assert_eq!(world.certificates(), 2);
}

#[tokio::test]
async fn a_freeze_holds_back_neither_an_operator_nor_a_replacement_nor_a_first_issuance() {
    let host = Hostname::parse(HOST).unwrap();
    for action in ["renew", "revoke", "replace"] {
        let (world, _) = frozen_for(7).await;
        world.settle().await;
        assert_eq!(world.certificates(), 1);
        let (store, now) = (&*world.service.store, world.service.now());
        match action {
            "renew" => drop(renew(store, "ada", now, &host).await.unwrap()),
            "revoke" => {
                let reason = RevocationReason::KeyCompromise;
                drop(revoke(store, "ada", now, &host, reason).await.unwrap());
            }
            _ => {
                world.suggest(now - DAY * 2, now - DAY, HOUR);
                world.poll_now().await;
            }
        }
        world.settle().await;
        assert_eq!(world.certificates(), 2, "{action}");
    }
    let (world, _) = frozen_for(7).await;
    world.add(2, "new.example.com", "acme").await;
    world.settle().await;
    assert_eq!(world.ca.orders_for("new.example.com"), 1);
}

#[tokio::test]
async fn a_domain_that_moved_away_is_checked_at_its_own_pace_in_a_freeze() {
    let (world, until) = frozen_for(7).await;
    world.dns.clear(HOST);
    world.live_until(world.service.now() + DAY).await;
    world.until_moved_away().await;
    let before = world.record().await;
    world.live_until(until).await;
    let record = world.record().await;
    assert!(record.phase.is_moved_away());
    assert_eq!(record.last_failure, before.last_failure);
    let pause = record.next_attempt_at.unwrap().since(record.updated_at);
    assert!(pause <= HOUR * 7, "{pause:?}");
}
