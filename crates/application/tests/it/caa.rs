//! CAA records before an order and with the recheck.

use std::time::Duration;

use dps_domain::caa::{CaaAnswer, CaaRecord};
use dps_domain::dns::DnsAnswer;
use dps_domain::{FailureCode, Status};

use super::world::{HOST, World};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn records(value: &str) -> CaaAnswer {
    CaaAnswer::Records(vec![CaaRecord::new(0, "issue", value.as_bytes())])
}

async fn failure(world: &World) -> Option<FailureCode> {
    let record = world.record().await;
    record.last_failure.map(|failure| failure.code())
}

#[tokio::test]
async fn records_that_forbid_an_order_cost_neither_an_order_nor_a_failed_issuance() {
    let world = World::with_due_domain().await;
    world.dns.publish_caa(HOST, records("other.test"));
    world.settle().await;
    assert_eq!(failure(&world).await, Some(FailureCode::CaaForbids));
    assert_eq!(world.ca.orders_for(HOST), 0);
    assert_eq!(world.counters.failed("issuance"), 0);
    world.dns.publish_caa(HOST, records("ca.test"));
    world.advance(DAY / 24);
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert_eq!(world.ca.orders_for(HOST), 1);
}

#[tokio::test]
async fn a_live_domain_hears_within_a_day_of_records_that_forbid_its_renewal() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.dns.publish_caa(HOST, records(";"));
    world.advance(DAY + DAY / 4);
    world.settle().await;
    assert_eq!(failure(&world).await, Some(FailureCode::CaaForbids));
    let record = world.record().await;
    assert_eq!(record.phase.status(), Status::Active);
    assert!(!record.phase.is_moved_away());
    world.dns.publish_caa(HOST, CaaAnswer::None);
    world.advance(DAY + DAY / 4);
    world.settle().await;
    assert_eq!(failure(&world).await, None);
}

#[tokio::test]
async fn a_failed_look_up_keeps_the_first_order_back_but_not_an_urgent_renewal() {
    let world = World::with_due_domain().await;
    let failed = || CaaAnswer::Failed(DnsAnswer::ServFail);
    world.dns.publish_caa(HOST, failed());
    world.settle().await;
    assert_eq!(failure(&world).await, Some(FailureCode::CaaLookupFailed));
    assert_eq!(world.ca.orders_for(HOST), 0);
    world.dns.publish_caa(HOST, CaaAnswer::None);
    world.advance(DAY / 24);
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    world.dns.publish_caa(HOST, failed());
    let urgent_from = world.record().await.urgent_from.unwrap();
    world.advance((urgent_from - DAY).since(world.service.now()));
    world.settle().await;
    assert_eq!(failure(&world).await, Some(FailureCode::CaaLookupFailed));
    assert_eq!(world.ca.orders_for(HOST), 1, "the renewal is not urgent");
    world.advance(2 * DAY);
    world.settle().await;
    assert_eq!(failure(&world).await, None);
    assert_eq!(world.ca.orders_for(HOST), 2);
}

#[tokio::test]
async fn resolvers_that_answer_no_query_keep_no_order_back() {
    let world = World::with_due_domain().await;
    world.step().await;
    world.step().await;
    world.dns.names.set_fault(Some(DnsAnswer::Timeout));
    world.step().await;
    assert_eq!(failure(&world).await, None);
    assert_eq!(world.ca.orders_for(HOST), 1);
}

#[tokio::test]
async fn a_name_that_moved_away_before_its_order_goes_back_to_the_dns_check() {
    let world = World::with_due_domain().await;
    world.step().await;
    world.step().await;
    world.dns.clear(HOST);
    world.dns.publish_caa(HOST, records("other.test"));
    world.step().await;
    assert_eq!(failure(&world).await, Some(FailureCode::DnsNxdomain));
    assert_eq!(world.record().await.phase.status(), Status::PendingDns);
    assert_eq!(world.ca.orders_for(HOST), 0);
}

#[tokio::test]
async fn a_recheck_that_cannot_tell_keeps_the_records_that_were_found() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.dns.publish_caa(HOST, records(";"));
    world.advance(DAY + DAY / 4);
    world.settle().await;
    world
        .dns
        .publish_caa(HOST, CaaAnswer::Failed(DnsAnswer::ServFail));
    world.advance(DAY + DAY / 4);
    world.settle().await;
    assert_eq!(failure(&world).await, Some(FailureCode::CaaForbids));
}
