//! `dps run` is killed or asked to stop in the middle of an issuance.

use std::time::Duration;

use dps_lab::dns::Fault;

use crate::world::{Options, PATIENCE, World};

/// Where in an issuance the service is killed: after this event of its own log, or as soon as Pebble did something.
enum Moment {
    Resolving,
    Logged(&'static str),
    ValidationBegan,
    Issued,
}

const MOMENTS: [(&str, Moment); 6] = [
    ("resolving.crash.test", Moment::Resolving),
    ("ordered.crash.test", Moment::Logged("order.placed")),
    ("validating.crash.test", Moment::ValidationBegan),
    ("validated.crash.test", Moment::Logged("order.ready")),
    ("issued.crash.test", Moment::Issued),
    ("stored.crash.test", Moment::Logged("certificate.stored")),
];

/// The records under way rest until their leases end, which is why this takes a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_killed_at_any_moment_of_an_issuance_costs_neither_an_order_nor_a_certificate() {
    let options = Options::default().with(&serde_json::json!({ "Workers": { "LeaseDuration": "60s" } }));
    let mut world = World::start(options).await;
    let mut ids = Vec::new();
    for (host, moment) in &MOMENTS {
        let certificates = world.pebble.certificates();
        if matches!(moment, Moment::Resolving) {
            // The step that is killed would else be over in a moment.
            world.zone.set_fault(host, Fault::Slow(Duration::from_secs(2)));
        }
        ids.push(world.add(host).await);
        reached(&mut world, host, moment, certificates).await;
        world.service.kill().unwrap();
        world.zone.clear_fault(host);
        world.restart_service().await;
    }
    for id in &ids {
        // A lease of a minute, and what an issuance takes.
        world
            .wait_longer_for(id, PATIENCE * 2, "Active", |domain| domain["status"] == "Active")
            .await;
    }
    for (host, _) in &MOMENTS {
        world.visit(host).await;
        assert_eq!(
            world.pebble.orders_for(host),
            1,
            "{host}: {}",
            world.service.log_tail()
        );
    }
    assert_eq!(world.pebble.certificates(), MOMENTS.len());
}

async fn reached(world: &mut World, host: &str, moment: &Moment, certificates: usize) {
    let (service, pebble, zone) = (&mut world.service, &world.pebble, &world.zone);
    let log = service.spec().log_path().to_owned();
    let seen = || match moment {
        Moment::Logged(event) => {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            crate::world::Log::parse(&text).count(host, event) > 0
        }
        Moment::Resolving => zone.queries(host) > 0,
        Moment::ValidationBegan => pebble.validations_for(host) > 0,
        Moment::Issued => pebble.certificates() > certificates,
    };
    service
        .wait_until(host, PATIENCE, || std::future::ready(seen()))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_asked_to_stop_finishes_its_step_and_leaves_the_rest_to_its_successor_at_once() {
    let mut world = World::start(Options {
        // Some seconds of validation, so that the wish to stop meets a step under way.
        pebble: |pebble| pebble.pause_before_validation = true,
        ..Options::default()
    })
    .await;
    let host = "drained.crash.test";
    let id = world.add(host).await;
    reached(&mut world, host, &Moment::ValidationBegan, 0).await;
    let status = world.service.terminate(PATIENCE).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", world.service.log_tail());
    let log = world.log();
    assert_eq!(log.count(host, "order.ready"), 1, "{}", world.service.log_tail());
    assert_eq!(
        log.count(host, "certificate.stored"),
        0,
        "the next step began after the wish to stop"
    );
    assert_eq!(log.values("service.drained", "level").count(), 1);

    // Leases last two minutes: whoever goes on within one has not waited for a lease to end.
    world.restart_service().await;
    world.wait_for_status(&id, "Active").await;
    world.visit(host).await;
    assert_eq!(
        (world.pebble.orders_for(host), world.pebble.certificates()),
        (1, 1)
    );
}
