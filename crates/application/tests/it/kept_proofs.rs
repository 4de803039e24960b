//! A Cabinet that accepts a report, and does not keep its TXT record for the customer.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::Status;
use dps_domain::ownership::RequireProof;
use dps_simulation::models::cabinet::Habits;

use super::cabinet::{HABITS, id};
use super::world::World;

/// A domain that must be proven by a TXT record, reported to a Cabinet that may not keep it.
async fn reported(keeps_proofs: bool) -> World {
    let habits = Habits {
        keeps_proofs,
        ..HABITS
    };
    let mut world = World::with_habits(habits).await;
    Arc::make_mut(&mut world.service.policy).ownership.require = RequireProof::Always;
    world.settle().await;
    assert!(!world.service.cabinet_health.status().drops_proofs);
    world.deliver().await;
    world
}

#[tokio::test]
async fn a_cabinet_that_keeps_no_proofs_is_noticed_and_everything_else_works() {
    let world = reported(false).await;
    let status = world.service.cabinet_health.status();
    assert!(status.drops_proofs, "{status:?}");
    let now = world.service.now();
    assert_eq!(status.check(now, Duration::from_secs(60)), Ok(()));

    // The customer still finds the record in the sentence.
    let record = world.record().await;
    let value = record.ownership.required().unwrap().as_str();
    let reported = world.cabinet.with(|traffic| traffic.reported.clone());
    let message = reported.last().unwrap().1.message.as_deref().unwrap();
    assert!(message.contains(value), "{message}");
    world.prove(1).await;
    world.advance(Duration::from_secs(2 * 3600));
    world.settle().await;
    world.deliver().await;
    assert_eq!(world.cabinet.says(id(1)).status, Some(Status::Active));

    // A report without a record says nothing about records.
    assert!(world.service.cabinet_health.status().drops_proofs);
}

#[tokio::test]
async fn a_cabinet_that_keeps_proofs_is_not_complained_about() {
    let world = reported(true).await;
    let status = world.service.cabinet_health.status();
    assert!(!status.drops_proofs, "{status:?}");
}
