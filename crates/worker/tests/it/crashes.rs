//! `dps run` is killed at every named moment of an issuance, or asked to stop in the middle of one.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

use dps_application::crash_point::Effect;

use crate::world::{Log, Options, TIMEOUT, World};

/// The signal of `abort`.
const SIGABRT: i32 = 6;

/// Every moment, as `DPS_CRASH_AT` names it. There are two edges, so what is done at each is also
/// interrupted between the two. The first outcome releases its lease, the third continues with it.
fn moments() -> Vec<String> {
    let mut moments = Vec::new();
    for effect in Effect::ALL {
        for side in ["before", "after"] {
            moments.push(format!("{}.{side}", effect.as_str()));
            if matches!(effect, Effect::EdgeApply | Effect::EdgeRecord) {
                moments.push(format!("{}.{side}:2", effect.as_str()));
            }
            if effect == Effect::OutcomeSave {
                moments.push(format!("{}.{side}:3", effect.as_str()));
            }
        }
    }
    moments
}

fn host_of(moment: &str) -> String {
    format!("{}.crash.test", moment.replace(['.', ':'], "-"))
}

/// Between the CA's answer to new-order and the write of its URL only the CA knows the order. A CA
/// that reuses pending orders, as Let's Encrypt does, gives the same one again; Pebble makes
/// another.
fn is_known_to_the_ca_alone(moment: &str) -> bool {
    matches!(moment, "order.create.after" | "order.save.before")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_killed_at_any_moment_of_an_issuance_costs_neither_an_order_nor_a_certificate() {
    let mut world = World::start(Options {
        more_edges: 1,
        ..Options::default()
    })
    .await;
    let mut ids = BTreeMap::new();
    for moment in moments() {
        world
            .start_service_again_with(&[("DPS_CRASH_AT", &moment)])
            .await;
        let id = world.add(&host_of(&moment)).await;
        let status = world.service.wait_for_exit(TIMEOUT).await.unwrap();
        assert_eq!(
            status.signal(),
            Some(SIGABRT),
            "{moment}: {}",
            world.service.log_tail()
        );
        // Its successor is alone with the file: leases last two minutes, and it waits for none.
        // Before the next moment everything is well again, so that no process dies of two.
        world.start_service_again_with(&[]).await;
        world.wait_for_status(&id, "Active").await;
        ids.insert(moment, id);
    }
    for moment in ids.keys() {
        let host = host_of(moment);
        world.visit(&host).await;
        let allowed = if is_known_to_the_ca_alone(moment) {
            2
        } else {
            1
        };
        let orders = world.pebble.orders_for(&host);
        assert!((1..=allowed).contains(&orders), "{moment}: {orders} orders");
    }
    assert_eq!(world.pebble.certificates(), ids.len());
    let log = Log::parse(&world.cabinet.log_text());
    for (moment, id) in &ids {
        let reported: Vec<&str> = log
            .values_of("domain.status_reported", "domain.id", id, "status")
            .collect();
        assert!(
            reported.is_sorted_by_key(|status| rank(status)),
            "{moment}: {reported:?}"
        );
        assert_eq!(reported.last(), Some(&"Active"), "{moment}");
    }
}

/// The order in which the Cabinet must hear of the statuses.
fn rank(status: &str) -> usize {
    let order = ["PendingDns", "PendingHttpProbe", "Issuing", "Active"];
    order
        .iter()
        .position(|known| *known == status)
        .unwrap_or(order.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_asked_to_stop_finishes_its_step_and_leaves_the_rest_to_its_successor_at_once() {
    let mut world = World::start(Options {
        // Some seconds of validation, so that the request to stop meets a step under way.
        pebble: |pebble| pebble.pause_before_validation = true,
        ..Options::default()
    })
    .await;
    let host = "drained.crash.test";
    let id = world.add(host).await;
    let pebble = &world.pebble;
    let began = || std::future::ready(pebble.validations_for(host) > 0);
    world
        .service
        .wait_until(host, TIMEOUT, began)
        .await
        .unwrap();
    let status = world.service.terminate(TIMEOUT).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", world.service.log_tail());
    let log = world.log();
    assert_eq!(
        log.count(host, "order.ready"),
        1,
        "{}",
        world.service.log_tail()
    );
    assert_eq!(
        log.count(host, "certificate.stored"),
        0,
        "the next step began after the request to stop"
    );
    assert_eq!(log.values("service.drained", "level").count(), 1);

    // Leases last two minutes: a successor that continues within one has not waited for a lease to
    // end.
    world.restart_service().await;
    world.wait_for_status(&id, "Active").await;
    world.visit(host).await;
    assert_eq!(
        (world.pebble.orders_for(host), world.pebble.certificates()),
        (1, 1)
    );
}
