//! Work records and their history.

use dps_application::ports::cabinet::StatusReport;
use dps_application::ports::fleet_view::ListRequest;
use dps_application::ports::store::{DomainRecord, RecordWrite, StoreError};
use dps_domain::fleet::{DomainFilter, FilterText, Place};
use dps_domain::phase::Lane;
use dps_domain::retention::Prunable;
use dps_domain::{
    EventKind, Failure, FailureCode, Issuance, OrderGate, OrderId, Phase, Status, Timestamp,
};
use serde_json::json;
use uuid::Uuid;

use crate::world::{TTL, World, at, event, host, quiet, record, report};

pub(crate) async fn a_record_comes_back_as_it_was_written(world: World) {
    let mut written = record("shop.example");
    written.phase = Phase::Onboarding(Issuance::Validating {
        order: OrderId::from_uuid(Uuid::from_u128(7)),
    });
    written.attempt = 3;
    written.next_attempt_at = Some(Timestamp::from_unix_micros(1_800_000_000_123_456));
    written.failed_validations = 2;
    written.lost_orders = 4;
    written.order_gate = OrderGate::Until(at(9));
    written.last_failure = Some(Failure::DnsWrongTarget {
        more: 0,
        chain: vec!["shop.example".to_owned(), "other.example".to_owned()],
        addresses: vec!["2001:db8::1".parse().unwrap()],
    });
    written.cabinet_version = 42;
    world.insert(&written).await;
    let read = world.read(written.id).await;
    written.revision = read.revision;
    assert_eq!(read, written);
    for gate in [OrderGate::PausedByCa, OrderGate::Open] {
        let mut record = world.read(written.id).await;
        record.order_gate = gate;
        assert!(world.store.domain_update(quiet(record)).await.unwrap());
        assert_eq!(world.read(written.id).await.order_gate, gate);
    }
}

pub(crate) async fn a_revocation_comes_back_with_its_record_and_waits_in_its_lane(world: World) {
    let revocation = serde_json::from_str(r#"{"tries":2,"then":"2100-01-01T00:00:00Z"}"#).unwrap();
    let record = DomainRecord {
        phase: Phase::Failed,
        next_attempt_at: Some(at(0)),
        revocation: Some(revocation),
        ..record("shop.example")
    };
    world.insert(&record).await;
    assert_eq!(world.read(record.id).await.revocation, record.revocation);
    let leases = world.acquire_in(Lane::Chronic, at(1), 1).await;
    assert_eq!(leases[0].record.revocation, record.revocation);
    let without = DomainRecord {
        revocation: None,
        next_attempt_at: None,
        ..leases[0].record.clone()
    };
    let written = world.store.complete(leases[0].token, quiet(without)).await;
    written.unwrap();
    assert_eq!(world.read(record.id).await.revocation, None);
    assert!(world.acquire_in(Lane::Chronic, at(99), 1).await.is_empty());
}

pub(crate) async fn an_id_is_inserted_once(world: World) {
    let first = record("shop.example");
    world.insert(&first).await;
    let mut second = first.clone();
    second.hostname = host("other.example");
    let write = RecordWrite::unchecked(second).with_event(event(EventKind::DomainTakenIn, at(1)));
    assert!(!world.store.domain_insert(write).await.unwrap());
    assert_eq!(world.read(first.id).await.hostname, first.hostname);
    assert_eq!(world.store.events(first.id, 10).await.unwrap(), []);
}

pub(crate) async fn many_are_inserted_in_one_go_each_with_what_goes_along_and_each_id_once(
    world: World,
) {
    let known = record("known.example");
    world.insert(&known).await;
    let new = [record("one.example"), record("two.example")];
    let writes = [&new[0], &known, &new[1], &new[0]].map(|record| {
        RecordWrite::unchecked(record.clone())
            .with_report(report(Status::PendingDns))
            .with_event(event(EventKind::DomainTakenIn, at(1)))
    });
    let inserted = world.store.domains_insert(writes.into()).await.unwrap();
    assert_eq!(inserted, [true, false, true, false]);
    assert_eq!(world.store.events(known.id, 10).await.unwrap(), []);
    for record in new {
        assert_eq!(world.read(record.id).await.hostname, record.hostname);
        assert_eq!(world.store.events(record.id, 10).await.unwrap().len(), 1);
    }
    assert_eq!(world.reports(at(1), 10).await.len(), 2);
}

pub(crate) async fn an_update_needs_the_revision_that_was_read(world: World) {
    let id = world.with_due("shop.example", at(0)).await.id;
    let mut first = world.read(id).await;
    let mut second = first.clone();
    first.tenant_id = "first".into();
    first.cabinet_version = 5;
    second.tenant_id = "second".into();
    assert!(world.store.domain_update(quiet(first)).await.unwrap());
    assert!(!world.store.domain_update(quiet(second)).await.unwrap());
    let read = world.read(id).await;
    assert_eq!(
        (read.tenant_id.as_str(), read.cabinet_version),
        ("first", 5)
    );
}

pub(crate) async fn an_update_takes_the_lease_away(world: World) {
    world.with_due("shop.example", at(0)).await;
    let lease = world.acquire_one(at(0)).await;
    let mut retried = world.read(lease.record.id).await;
    retried.pending_since = at(1);
    assert!(world.store.domain_update(quiet(retried)).await.unwrap());
    let late = world.store.complete(lease.token, quiet(lease.record)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)));
    assert_eq!(
        world.acquire(at(1), 1).await.len(),
        1,
        "the record can be acquired at once"
    );
}

pub(crate) async fn a_word_about_a_domain_does_not_take_an_order_out_of_its_workers_hands(
    world: World,
) {
    let mut ordering = record("shop.example");
    ordering.phase = Phase::Onboarding(Issuance::Ordering);
    ordering.next_attempt_at = Some(at(0));
    world.insert(&ordering).await;
    let lease = async |now| {
        world
            .store
            .acquire_due(Lane::Issuance, at(now), TTL, 1)
            .await
            .unwrap()
    };
    let held = lease(0).await.pop().unwrap();
    let mut nudged = world.read(ordering.id).await;
    nudged.cabinet_version = 7;
    nudged.next_attempt_at = Some(at(1));
    assert!(world.store.domain_update(quiet(nudged)).await.unwrap());
    assert!(
        lease(2).await.is_empty(),
        "a second worker would place a second order"
    );
    world
        .store
        .complete(held.token, quiet(held.record))
        .await
        .unwrap();
    assert_eq!(world.read(ordering.id).await.cabinet_version, 7);

    let held = lease(2).await.pop().unwrap();
    let mut leaving = world.read(ordering.id).await;
    leaving.phase = Phase::Leaving;
    assert!(world.store.domain_update(quiet(leaving)).await.unwrap());
    let late = world.store.complete(held.token, quiet(held.record)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)), "a removal does");
}

pub(crate) async fn the_newest_record_that_is_not_gone_holds_a_hostname(world: World) {
    let name = host("shop.example");
    assert_eq!(world.store.domain_by_hostname(&name).await.unwrap(), None);
    let mut records = Vec::new();
    for (created, phase) in [(1, Phase::Gone), (2, Phase::Failed), (3, Phase::Gone)] {
        let mut record = record("shop.example");
        record.created_at = at(created);
        record.phase = phase;
        world.insert(&record).await;
        records.push(record.id);
    }
    let holder = world
        .store
        .domain_by_hostname(&name)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(holder.id, records[1]);
    let mut gone = holder;
    gone.phase = Phase::Gone;
    assert!(world.store.domain_update(quiet(gone)).await.unwrap());
    let holder = world
        .store
        .domain_by_hostname(&name)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(holder.id, records[2], "all are gone, so the newest answers");
}

pub(crate) async fn a_refused_claim_holds_no_hostname_however_new_it_is(world: World) {
    let name = host("shop.example");
    let moved = Failure::DnsMoved {
        cause: Box::new(Failure::DnsNxdomain {}),
    };
    let mut created = 0;
    let mut insert = async |phase: Phase, failure: Option<Failure>| {
        created += 1;
        let mut record = record("shop.example");
        record.created_at = at(created);
        record.phase = phase;
        record.last_failure = failure;
        world.insert(&record).await;
        record.id
    };
    // From the loosest hold to the firmest, then once more: the newer of the same hold answers.
    let failed = Some(Failure::DnsNxdomain {});
    let mut expected = insert(Phase::Gone, None).await;
    let mut others = Vec::new();
    for (phase, failure) in [
        (Phase::Failed, Some(moved)),
        (Phase::Failed, failed),
        (Phase::Leaving, None),
        (Phase::START, None),
    ] {
        let holder = world
            .store
            .domain_by_hostname(&name)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(holder.id, expected);
        expected = insert(phase, failure).await;
        others.push(
            insert(
                Phase::Failed,
                Some(Failure::NameAlreadyClaimed { proven: false }),
            )
            .await,
        );
        if others.len() == 1 {
            // Neither of the two has a right to it, so the newer answers.
            expected = others[0];
        }
    }
    insert(Phase::Leaving, None).await;
    let holder = world
        .store
        .domain_by_hostname(&name)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        holder.id, expected,
        "the live one, although claims and one that leaves are newer"
    );
}

pub(crate) async fn people_page_through_hostnames_and_search_them_literally(world: World) {
    for name in [
        "c.example",
        "a.shop.example",
        "b-x.example",
        "d.shop.example",
    ] {
        world.insert(&record(name)).await;
    }
    let list = async |contains: Option<&str>, after: Option<&str>, limit| {
        let text = FilterText {
            containing: contains,
            ..FilterText::default()
        };
        let filter = DomainFilter::parse(&text).unwrap();
        let plan = filter.plan(at(0));
        let request = ListRequest {
            filter: &filter,
            now: at(0),
            after: after.map(|name| Place::parse(name, &filter, &plan).unwrap()),
        };
        let page = world.store.fleet_list(&request, limit).await.unwrap();
        page.domains
            .iter()
            .map(|listed| listed.record.hostname.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 2).await, ["a.shop.example", "b-x.example"]);
    assert_eq!(
        list(None, Some("b-x.example"), 9).await,
        ["c.example", "d.shop.example"]
    );
    assert_eq!(
        list(Some("SHOP"), None, 9).await,
        ["a.shop.example", "d.shop.example"]
    );
    for literal in ["%", "_", "!", "\\", "'"] {
        assert_eq!(
            list(Some(literal), None, 9).await,
            [""; 0],
            "{literal} is no wildcard"
        );
    }
}

pub(crate) async fn records_of_one_name_at_the_end_of_a_page_are_not_passed_over(world: World) {
    for name in [
        "a.example",
        "same.example",
        "same.example",
        "same.example",
        "z.example",
    ] {
        world.insert(&record(name)).await;
    }
    let filter = DomainFilter::default();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let request = ListRequest {
            filter: &filter,
            now: at(0),
            after,
        };
        let page = world.store.fleet_list(&request, 2).await.unwrap();
        seen.extend(page.domains.iter().map(|listed| listed.record.id));
        let Some(next) = page.next else { break };
        assert_eq!(
            Place::parse(&next.to_text(&filter), &filter, &filter.plan(at(0))),
            Ok(next.clone()),
            "as a person passes it on"
        );
        after = Some(next);
    }
    let distinct: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (5, 5));
}

pub(crate) async fn what_strangers_say_is_stored_short(world: World) {
    let addresses = (0..4_000).map(|n| std::net::Ipv4Addr::from_bits(n).into());
    let failure = Failure::DnsNoCname {
        addresses: addresses.collect(),
        more: 0,
        is_zone: false,
    };
    let mut long = record("shop.example");
    long.last_failure = Some(failure.clone());
    let report = StatusReport {
        failure: Some(failure.clone()),
        message: Some("x".repeat(100_000)),
        ..report(Status::PendingDns)
    };
    let mut line = event(EventKind::Failed(FailureCode::DnsNoCname), at(0));
    line.detail = json!(failure);
    let write = quiet(long.clone()).with_report(report).with_event(line);
    assert!(world.store.domain_insert(write).await.unwrap());
    let length = |value: serde_json::Value| value.to_string().len();
    let stored = world.read(long.id).await.last_failure.unwrap();
    assert_eq!(stored.code(), failure.code());
    assert!(length(json!(stored)) <= 2_048);
    let line = world.store.events(long.id, 1).await.unwrap().remove(0);
    assert!(line.kind.to_string().len() + line.phase.len() + length(line.detail.clone()) <= 4_096);
    assert_eq!(line.detail["cut"], true);
    let report = world.reports(at(1), 1).await.remove(0).report;
    assert!(length(json!(report)) <= 8_192);
}

pub(crate) async fn history_is_newest_first_and_bounded_per_domain(world: World) {
    let quiet_neighbour = world.with_due("quiet.example", at(0)).await.id;
    let busy = world.with_due("busy.example", at(0)).await.id;
    let write = async |id, n: i64| {
        let write = RecordWrite::unchecked(world.read(id).await)
            .with_event(event(EventKind::OrderPlaced, at(n)));
        assert!(world.store.domain_update(write).await.unwrap());
    };
    write(quiet_neighbour, 0).await;
    for n in 0..205 {
        write(busy, n).await;
    }
    let newest = world.store.events(busy, 2).await.unwrap();
    assert_eq!(
        newest,
        [
            event(EventKind::OrderPlaced, at(204)),
            event(EventKind::OrderPlaced, at(203))
        ]
    );
    let all = world.store.events(busy, 1_000).await.unwrap();
    assert_eq!(all.len(), 200);
    assert_eq!(all.last().unwrap().at, at(5));
    assert_eq!(
        world.store.events(quiet_neighbour, 10).await.unwrap().len(),
        1
    );
}

pub(crate) async fn what_is_confirmed_every_day_is_one_line_of_the_history(world: World) {
    let id = world.with_due("live.example", at(0)).await.id;
    let neighbour = world.with_due("other.example", at(0)).await.id;
    let write = async |id, kind: EventKind, n: i64| {
        let write = RecordWrite::unchecked(world.read(id).await).with_event(event(kind, at(n)));
        assert!(world.store.domain_update(write).await.unwrap());
    };
    write(id, EventKind::Deployed, 0).await;
    for day in 1..=300 {
        write(id, EventKind::DnsConfirmed, day).await;
    }
    write(neighbour, EventKind::DnsConfirmed, 7).await;
    write(id, EventKind::RenewalMoved, 301).await;
    for day in 302..=303 {
        write(id, EventKind::DnsConfirmed, day).await;
    }
    let expected = [
        event(EventKind::DnsConfirmed, at(303)),
        event(EventKind::RenewalMoved, at(301)),
        event(EventKind::DnsConfirmed, at(300)),
        event(EventKind::Deployed, at(0)),
    ];
    assert_eq!(world.store.events(id, 10).await.unwrap(), expected);
    let others = world.store.events(neighbour, 10).await.unwrap();
    assert_eq!(others, [event(EventKind::DnsConfirmed, at(7))]);
}

pub(crate) async fn a_line_of_a_kind_that_a_newer_version_knows_is_shown_as_it_is(world: World) {
    let id = world.with_due("shop.example", at(0)).await.id;
    let write = RecordWrite::unchecked(world.read(id).await)
        .with_event(event(EventKind::OrderPlaced, at(1)));
    assert!(world.store.domain_update(write).await.unwrap());
    world
        .sql("UPDATE domain_events SET kind = 'order.split'")
        .await;
    let line = world.store.events(id, 10).await.unwrap().remove(0);
    assert_eq!(line.kind, EventKind::Unknown);
    assert_eq!(line.detail["kind"], "order.split");
    assert_eq!(line.detail["seen"], json!(["192.0.2.1"]));
}

pub(crate) async fn history_that_is_too_old_is_dropped_in_batches_the_oldest_first(world: World) {
    const DAY: i64 = 24 * 3600;
    let ids = [
        world.with_due("a.example", at(0)).await.id,
        world.with_due("b.example", at(0)).await.id,
    ];
    for day in 0..6 {
        let id = ids[usize::from(day % 2 == 1)];
        let write = RecordWrite::unchecked(world.read(id).await)
            .with_event(event(EventKind::OrderPlaced, at(day * DAY)));
        assert!(world.store.domain_update(write).await.unwrap());
    }
    let days = async |id| -> Vec<Timestamp> {
        let events = world.store.events(id, 10).await.unwrap();
        events.into_iter().map(|event| event.at).collect()
    };
    // By default they are kept for 180 days.
    let now = at(183 * DAY + 1);
    assert_eq!(
        world.prune(Prunable::HistoryLine, at(180 * DAY), 3).await,
        0
    );
    assert_eq!(world.prune(Prunable::HistoryLine, now, 3).await, 3);
    assert_eq!(days(ids[0]).await, [at(4 * DAY)]);
    assert_eq!(days(ids[1]).await, [at(5 * DAY), at(3 * DAY)]);
    assert_eq!(world.prune(Prunable::HistoryLine, now, 3).await, 1);
    assert_eq!(world.prune(Prunable::HistoryLine, now, 3).await, 0);
    // A line written afterwards is the newest, although older lines are gone.
    let write = RecordWrite::unchecked(world.read(ids[0]).await)
        .with_event(event(EventKind::Deployed, at(200 * DAY)));
    assert!(world.store.domain_update(write).await.unwrap());
    assert_eq!(days(ids[0]).await, [at(200 * DAY), at(4 * DAY)]);
}
