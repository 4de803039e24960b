//! Lists and counts of the fleet, against what the pure functions say of each record.

use std::collections::BTreeMap;
use std::time::Duration;

use dps_application::operator::fleet;
use dps_application::ports::fleet_view::{ListRequest, TenantPage, WINDOW};
use dps_application::ports::store::{Deployed, DomainRecord};
use dps_domain::fleet::{DomainFilter, DomainState, EdgeFilter, NameFilter, Place, StateCount};
use dps_domain::lane::Lane;
use dps_domain::phase::Next;
use dps_domain::retention::Prunable;
use dps_domain::{
    Actor, CertificateId, DnsState, DomainId, Failure, FailureCode, Issuance, LeaseToken, Phase,
    Status, Timestamp,
};
use uuid::Uuid;

use crate::world::{TTL, World, at, host, number, quiet, record};

const DAY: Duration = Duration::from_secs(86_400);
const EDGE: &str = "https://edge-1:9403";
const NAMES: [&str; 6] = [
    "shop.example",
    "www.shop.example",
    "a.b.shop.example",
    "myshop.example",
    "shop.example.com",
    "other.example",
];

fn phases() -> Vec<Phase> {
    let live = |days: u32, dns| Phase::Live {
        serving: CertificateId::from_uuid(Uuid::from_u128(u128::from(days))),
        not_after: at(0) + DAY * days,
        dns,
        next: Next::At(at(0)),
    };
    vec![
        Phase::START,
        Phase::Onboarding(Issuance::AwaitingHttpProbe),
        Phase::Onboarding(Issuance::Ordering),
        live(3, DnsState::Here),
        live(30, DnsState::Here),
        live(4, DnsState::MovedAway { since: at(0) }),
        Phase::Failed,
        Phase::Leaving,
        Phase::Gone,
        Phase::Expired {
            certificate: CertificateId::from_uuid(Uuid::from_u128(9)),
            not_after: at(-1),
            dns: DnsState::Here,
            issuance: Issuance::AwaitingDns,
        },
    ]
}

fn failures() -> Vec<Option<Failure>> {
    let timeout = |resolver_outage| Failure::DnsTimeout {
        resolvers: vec![],
        resolver_outage,
        txt_name: String::new(),
    };
    vec![
        None,
        Some(Failure::DnsNxdomain {}),
        Some(timeout(true)),
        Some(timeout(false)),
        Some(Failure::AcmeCaUnavailable {
            detail: String::new(),
        }),
    ]
}

/// A record of every phase with every failure, spread over names and tenants.
async fn fleet_of(world: &World) -> Vec<DomainRecord> {
    let mut records = Vec::new();
    for (index, phase) in phases().into_iter().enumerate() {
        for (nth, failure) in failures().into_iter().enumerate() {
            let mut record = record(NAMES[(index + nth) % NAMES.len()]);
            record.tenant_id = format!("tenant-{}", nth % 3);
            record.phase = phase.clone();
            record.last_failure = failure;
            world.insert(&record).await;
            records.push(world.read(record.id).await);
        }
    }
    records
}

/// Filters of one part each, and of two each.
fn filters() -> Vec<DomainFilter> {
    let name = |name| DomainFilter {
        name: Some(name),
        ..DomainFilter::default()
    };
    let mut parts = vec![
        name(NameFilter::Exact(host("shop.example"))),
        name(NameFilter::Prefix("s".into())),
        name(NameFilter::Below("shop.example".into())),
        name(NameFilter::Below("example".into())),
        name(NameFilter::Contains("SHOP".into())),
    ];
    let one = |change: &dyn Fn(&mut DomainFilter)| {
        let mut filter = DomainFilter::default();
        change(&mut filter);
        filter
    };
    parts.push(one(&|filter| filter.tenant = Some("tenant-1".into())));
    for status in Status::ALL {
        parts.push(one(&|filter| filter.status = Some(status)));
    }
    for code in [FailureCode::DnsTimeout, FailureCode::DnsNxdomain] {
        parts.push(one(&|filter| filter.code = Some(code)));
    }
    for actor in Actor::ALL {
        parts.push(one(&|filter| filter.actor = Some(actor)));
    }
    parts.push(one(&|filter| filter.expires_within = Some(DAY * 7)));
    parts.push(one(&|filter| {
        filter.edge = Some(EdgeFilter::Serving(EDGE.into()));
    }));
    parts.push(one(&|filter| {
        filter.edge = Some(EdgeFilter::Pending(EDGE.into()));
    }));
    let both = |one: &DomainFilter, other: &DomainFilter| DomainFilter {
        name: one.name.clone().or_else(|| other.name.clone()),
        tenant: one.tenant.clone().or_else(|| other.tenant.clone()),
        status: one.status.or(other.status),
        code: one.code.or(other.code),
        actor: one.actor.or(other.actor),
        expires_within: one.expires_within.or(other.expires_within),
        edge: one.edge.clone().or_else(|| other.edge.clone()),
    };
    let mut filters = vec![DomainFilter::default()];
    for (index, part) in parts.iter().enumerate() {
        filters.push(part.clone());
        filters.extend(parts[index + 1..].iter().map(|other| both(part, other)));
    }
    filters
}

async fn listed(world: &World, filter: &DomainFilter, limit: u32) -> Vec<DomainId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let request = ListRequest {
            filter,
            now: at(0),
            after,
        };
        let page = world.store.fleet_list(&request, limit).await.unwrap();
        assert!(page.domains.len() <= limit as usize);
        ids.extend(page.domains.iter().map(|listed| listed.record.id));
        match page.next {
            Some(next) => after = Some(next),
            None => return ids,
        }
    }
}

fn counted<'a>(records: impl Iterator<Item = &'a DomainRecord>) -> Vec<StateCount> {
    let mut counts: BTreeMap<DomainState, u64> = BTreeMap::new();
    for record in records {
        *counts.entry(DomainState::of(record)).or_default() += 1;
    }
    let counts = counts.into_iter();
    counts
        .map(|(state, domains)| StateCount { state, domains })
        .collect()
}

pub(crate) async fn every_filter_lists_and_counts_what_it_says_page_by_page(world: World) {
    let records = fleet_of(&world).await;
    world
        .store
        .edges_put_listed(&[EDGE.to_owned()], at(0))
        .await
        .unwrap();
    let served = records.iter().filter(|record| record.phase.is_live());
    let presenting: Vec<&DomainRecord> = served.step_by(2).collect();
    let deployed: Vec<Deployed> = presenting
        .iter()
        .map(|record| Deployed {
            domain_id: record.id,
            certificate_id: record.phase.serving().unwrap(),
            generation: 1,
        })
        .collect();
    world
        .store
        .edge_store_deployed(EDGE, &deployed, at(0))
        .await
        .unwrap();
    for filter in filters() {
        let presents = |record: &DomainRecord, edge: &str| {
            edge == EDGE && presenting.iter().any(|one| one.id == record.id)
        };
        let wanted = records
            .iter()
            .filter(|record| filter.matches(record, at(0), |edge| presents(record, edge)));
        let order = filter.plan(at(0)).order;
        let mut wanted: Vec<(Place, &DomainRecord)> = wanted
            .map(|record| (order.place_of(record), record))
            .collect();
        wanted.sort_by(|(one, _), (other, _)| one.cmp(other));
        let ids: Vec<DomainId> = wanted.iter().map(|(_, record)| record.id).collect();
        for limit in [3, 1_000] {
            assert_eq!(listed(&world, &filter, limit).await, ids, "{filter:?}");
        }
        let expected = counted(wanted.iter().map(|(_, record)| *record));
        for by_tenant in [false, true] {
            let count = fleet::count(&*world.store, &filter, at(0), by_tenant)
                .await
                .unwrap();
            assert_eq!(count.states, expected, "{filter:?}");
            let tenants: u64 = count.tenants.values().sum();
            assert_eq!(tenants, if by_tenant { count.total() } else { 0 });
        }
    }
}

pub(crate) async fn a_status_is_kept_with_the_time_at_which_it_began(world: World) {
    let since = async || {
        let page = fleet::list(&*world.store, &DomainFilter::default(), at(0), None, 9)
            .await
            .unwrap();
        page.domains[0].status_since
    };
    world.with_due("shop.example", at(0)).await;
    assert_eq!(since().await, at(0));
    let mut lease = world.acquire_one(at(10)).await;
    lease.record.last_failure = Some(Failure::DnsNxdomain {});
    lease.record.next_attempt_at = Some(at(15));
    lease.record.updated_at = at(10);
    let write = quiet(lease.record);
    world.store.complete(lease.token, write).await.unwrap();
    assert_eq!(since().await, at(0), "another failure is no other status");
    let mut lease = world.acquire_in(Lane::Retry, at(20), 1).await.remove(0);
    lease.record.phase = Phase::Onboarding(Issuance::AwaitingHttpProbe);
    lease.record.updated_at = at(20);
    let next = LeaseToken::from_uuid(Uuid::from_u128(number()));
    let write = quiet(lease.record);
    let lease = world
        .store
        .complete_and_extend(lease.token, &write, next, TTL)
        .await
        .unwrap();
    assert_eq!(since().await, at(20));
    let mut record = world.read(lease.record.id).await;
    record.phase = Phase::Failed;
    record.updated_at = at(30);
    assert!(world.store.domain_update(quiet(record)).await.unwrap());
    assert_eq!(since().await, at(30));
}

/// Numbers that look random and are the same in each run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

async fn all(world: &World) -> Vec<DomainRecord> {
    let page = fleet::list(&*world.store, &DomainFilter::default(), at(0), None, 1_000)
        .await
        .unwrap();
    assert!(page.next.is_none());
    page.domains.into_iter().map(|one| one.record).collect()
}

pub(crate) async fn counts_equal_a_recount_after_random_writes(world: World) {
    let (phases, failures, mut draw) = (phases(), failures(), Draw(7));
    let mut now = 0;
    for _ in 0..150 {
        now += 1;
        let records = all(&world).await;
        let phase = phases[draw.below(phases.len())].clone();
        let last_failure = failures[draw.below(failures.len())].clone();
        let change = |record: DomainRecord| DomainRecord {
            phase: phase.clone(),
            last_failure: last_failure.clone(),
            next_attempt_at: Some(at(now)),
            updated_at: at(now),
            ..record
        };
        let name = NAMES[draw.below(NAMES.len())];
        match draw.below(5) {
            0 | 1 => world.insert(&change(record(name))).await,
            2 if !records.is_empty() => {
                let mut record = change(records[draw.below(records.len())].clone());
                record.hostname = host(name);
                record.tenant_id = format!("tenant-{}", draw.below(4));
                assert!(world.store.domain_update(quiet(record)).await.unwrap());
            }
            _ => {
                let lanes = Lane::ALL;
                let lane = lanes[draw.below(lanes.len())];
                for lease in world.acquire_in(lane, at(now + 100_000), 2).await {
                    if draw.below(4) == 0 {
                        let (id, token) = (lease.record.id, lease.token);
                        world.store.domain_forget(id, token).await.unwrap();
                    } else {
                        let write = quiet(change(lease.record));
                        world.store.complete(lease.token, write).await.unwrap();
                    }
                }
            }
        }
    }
    let records = all(&world).await;
    assert!(records.len() > 20);
    let expected = counted(records.iter());
    assert_eq!(world.store.fleet_recount().await.unwrap(), expected);
    world.store.fleet_counts_store(at(now)).await.unwrap();
    let kept = world.store.fleet_counts().await.unwrap().unwrap();
    assert_eq!((kept.counted_at, kept.counts), (at(now), expected));
    for tenant in 0..4 {
        let filter = DomainFilter {
            tenant: Some(format!("tenant-{tenant}")),
            ..DomainFilter::default()
        };
        let of_tenant = records
            .iter()
            .filter(|record| Some(&record.tenant_id) == filter.tenant.as_ref());
        let count = fleet::count(&*world.store, &filter, at(0), false).await;
        assert_eq!(count.unwrap().states, counted(of_tenant), "{tenant}");
    }
}

pub(crate) async fn counts_are_kept_once_an_hour_for_thirty_days(world: World) {
    assert_eq!(world.store.fleet_counts().await.unwrap(), None);
    // Stories begin at a full hour.
    let begin =
        Timestamp::from_unix_micros(at(0).unix_micros().div_euclid(3_600_000_000) * 3_600_000_000);
    let hour = Duration::from_secs(3_600);
    let count = async |when: Timestamp| world.store.fleet_counts_store(when).await.unwrap();
    count(begin).await;
    let kept = world.store.fleet_counts().await.unwrap().unwrap();
    assert_eq!((kept.counted_at, kept.counts), (begin, vec![]));
    world.with_due("shop.example", at(0)).await;
    count(begin + hour - Duration::from_secs(1)).await;
    world.with_due("www.shop.example", at(0)).await;
    count(begin + hour).await;
    let since = async |from: Timestamp| {
        let hours = world.store.fleet_counts_since(from).await.unwrap();
        let totals = hours
            .iter()
            .map(|hour| hour.counts.iter().map(|one| one.domains).sum::<u64>());
        totals.collect::<Vec<_>>()
    };
    assert_eq!(since(begin).await, [1, 2], "the newest of each hour");
    assert_eq!(since(begin + hour).await, [2]);
    let later = begin + DAY * 30;
    assert_eq!(world.prune(Prunable::FleetCount, later, 100).await, 0);
    let gone = world
        .prune(Prunable::FleetCount, later + Duration::from_secs(1), 100)
        .await;
    assert!(gone > 0);
    assert_eq!(since(begin).await, [2]);
}

pub(crate) async fn a_step_that_is_put_off_or_forgotten_is_counted_as_such(world: World) {
    let stored = world.with_due("shop.example", at(0)).await;
    let lease = world.acquire_one(at(1)).await;
    assert_eq!(world.store.fleet_recount().await.unwrap().len(), 1);
    world
        .store
        .domain_forget(stored.id, lease.token)
        .await
        .unwrap();
    assert_eq!(world.store.fleet_recount().await.unwrap(), []);
    assert_eq!(listed(&world, &DomainFilter::default(), 9).await, []);
}

/// Asserts that the columns of a record, and its rows in the indexes, follow from it.
async fn columns_follow(world: &World, record: &DomainRecord) {
    let state = DomainState::of(record);
    let (actor, code) = (state.actor_text(), state.code_text());
    let (status, reversed) = (state.status, record.hostname.reversed());
    let same =
        |table: &str, condition: &str| format!("SELECT COUNT(*) FROM {table} WHERE {condition}");
    let state = format!("status = '{status}' AND actor = '{actor}' AND failure_code = '{code}'");
    let (id, name, tenant) = (record.id, &record.hostname, &record.tenant_id);
    for query in [
        same(
            "custom_domains",
            &format!("id = '{id}' AND {state} AND hostname_reversed = '{reversed}'"),
        ),
        same(
            "domain_states",
            &format!("domain_id = '{id}' AND {state} AND name = '{name}'"),
        ),
        same("domain_states", &format!("domain_id = '{id}'")),
        same(
            "domain_names",
            &format!(
                "domain_id = '{id}' AND tenant = '{tenant}' AND name = '{name}' AND reversed = '{reversed}'"
            ),
        ),
        same("domain_names", &format!("domain_id = '{id}'")),
    ] {
        assert_eq!(world.count(&query).await, 1, "{query}");
    }
}

pub(crate) async fn an_outcome_writes_the_state_also_of_a_row_that_has_another(world: World) {
    // As a version leaves a row that does not know the columns.
    let stale = "UPDATE custom_domains SET status = 'Issuing', actor = 'operator', failure_code = 'INTERNAL', \
                 hostname_reversed = 'other.'";
    let id = world.with_due("shop.example", at(0)).await.id;
    let (phases, failures, mut draw) = (phases(), failures(), Draw(11));
    for round in 0..40 {
        let mut token = world.lease_of(id).await;
        if draw.below(3) == 0 {
            world.sql(stale).await;
        }
        let mut outcome = world.read(id).await;
        if draw.below(2) == 0 {
            outcome.phase = phases[draw.below(phases.len())].clone();
            outcome.last_failure = failures[draw.below(failures.len())].clone();
        }
        outcome.next_attempt_at = Some(at(0));
        if draw.below(2) == 0 {
            let next = LeaseToken::from_uuid(Uuid::from_u128(round));
            let (write, store) = (quiet(outcome.clone()), &world.store);
            let extended = store.complete_and_extend(token, &write, next, TTL).await;
            columns_follow(&world, &extended.unwrap().record).await;
            token = next;
        }
        world.store.complete(token, quiet(outcome)).await.unwrap();
        columns_follow(&world, &world.read(id).await).await;
    }
}

pub(crate) async fn the_columns_of_a_record_follow_from_it(world: World) {
    let records = fleet_of(&world).await;
    let (phases, failures, mut draw) = (phases(), failures(), Draw(3));
    for record in records.iter().step_by(5) {
        columns_follow(&world, record).await;
        let mut changed = record.clone();
        changed.phase = phases[draw.below(phases.len())].clone();
        changed.last_failure = failures[draw.below(failures.len())].clone();
        changed.hostname = host(NAMES[draw.below(NAMES.len())]);
        changed.tenant_id = format!("tenant-{}", draw.below(9));
        assert!(world.store.domain_update(quiet(changed)).await.unwrap());
        columns_follow(&world, &world.read(record.id).await).await;
    }
    // A row that cannot be read is put off with another failure.
    let unreadable = world.with_due("unreadable.example", at(0)).await;
    world
        .sql(&format!(
            "UPDATE custom_domains SET phase = '{{' WHERE id = '{}'",
            unreadable.id
        ))
        .await;
    assert_eq!(world.acquire(at(1), 9).await.len(), 0);
    let put_off = "SELECT COUNT(*) FROM domain_states WHERE failure_code = 'INTERNAL' AND actor = 'operator' \
                   AND name = 'unreadable.example'";
    assert_eq!(world.count(put_off).await, 1);
}

pub(crate) async fn a_record_of_an_earlier_version_gets_its_state_with_the_next_count(
    world: World,
) {
    let old = world.with_due("old.shop.example", at(0)).await;
    world.with_due("new.shop.example", at(0)).await;
    // As a replica that does not know the columns writes it.
    let without = "UPDATE custom_domains SET status = '', actor = '', failure_code = '', status_since = 0, \
                   hostname_reversed = ''";
    world
        .sql(&format!("{without} WHERE id = '{}'", old.id))
        .await;
    for _ in 0..2 {
        world.store.fleet_counts_store(at(0)).await.unwrap();
        let kept = world.store.fleet_counts().await.unwrap().unwrap();
        assert_eq!(kept.counts.iter().map(|one| one.domains).sum::<u64>(), 2);
    }
    let below = DomainFilter {
        name: Some(NameFilter::Below("shop.example".into())),
        status: Some(Status::PendingDns),
        ..DomainFilter::default()
    };
    assert_eq!(listed(&world, &below, 9).await.len(), 2);
}

pub(crate) async fn a_list_that_passes_over_many_goes_on_from_window_to_window(world: World) {
    let template = world.with_due("template.example", at(0)).await;
    let rows = WINDOW * 2 + 500;
    world
        .sql(&format!(
            "INSERT INTO custom_domains (id, hostname, hostname_reversed, tenant_id, status, cname_target, phase, attempt, \
             pending_since, failed_validations, order_not_before, cabinet_version, revision, created_at, updated_at) \
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows}) \
             SELECT '00000000-0000-4000-8000-' || SUBSTR(CAST(1000000000000 + n AS TEXT), 2), \
             'host-' || SUBSTR(CAST(100000 + n AS TEXT), 2) || '.example', \
             'example.host-' || SUBSTR(CAST(100000 + n AS TEXT), 2) || '.', \
             CASE WHEN n % 10000 = 0 THEN 'rare' ELSE tenant_id END, status, cname_target, phase, attempt, pending_since, \
             failed_validations, order_not_before, cabinet_version, revision, created_at, updated_at \
             FROM custom_domains CROSS JOIN n WHERE id = '{}'",
            template.id
        ))
        .await;
    let filter = DomainFilter {
        status: Some(Status::PendingDns),
        name: Some(NameFilter::Contains("0000.".into())),
        ..DomainFilter::default()
    };
    let request = ListRequest {
        filter: &filter,
        now: at(0),
        after: None,
    };
    let first = world.store.fleet_list(&request, 100).await.unwrap();
    assert_eq!(first.domains.len(), 1);
    assert!(first.next.is_some(), "the window ends before the list");
    let page = fleet::list(&*world.store, &filter, at(0), None, 100)
        .await
        .unwrap();
    assert_eq!((page.domains.len(), page.next), (2, None));
    let two = fleet::list(&*world.store, &filter, at(0), None, 2)
        .await
        .unwrap();
    assert_eq!(two.domains.len(), 2);
    let count = fleet::count(&*world.store, &filter, at(0), true)
        .await
        .unwrap();
    assert_eq!(count.total(), 2);
    assert_eq!(count.tenants.len(), 1);
    assert_eq!(count.tenants["rare"], 2);
}

pub(crate) async fn tenants_are_listed_in_pages_with_their_domains_by_state(world: World) {
    let store = &world.store;
    assert_eq!(
        store.fleet_tenants("", 10).await.unwrap(),
        TenantPage::default()
    );
    for (tenant, number) in [("ann", 3), ("bob", 1), ("eve", 2)] {
        for index in 0..number {
            let mut record = record(&format!("{tenant}-{index}.example"));
            tenant.clone_into(&mut record.tenant_id);
            if index == 1 {
                record.phase = Phase::Failed;
            }
            assert!(store.domain_insert(quiet(record)).await.unwrap());
        }
    }
    let mut seen = vec![];
    let mut after = String::new();
    loop {
        let page = store.fleet_tenants(&after, 2).await.unwrap();
        for tenant in page.tenants {
            assert!(tenant.is_complete);
            let failed = tenant.counts.iter();
            let failed = failed.filter(|count| count.state.status == Status::Failed);
            let failed: u64 = failed.map(|count| count.domains).sum();
            let all: u64 = tenant.counts.iter().map(|count| count.domains).sum();
            seen.push((tenant.tenant, all, failed));
        }
        let Some(next) = page.next else { break };
        assert_eq!(seen.len(), 2);
        after = next;
    }
    let expected = [("ann", 3, 1), ("bob", 1, 0), ("eve", 2, 1)];
    assert_eq!(
        seen,
        expected.map(|(name, all, failed)| (name.to_owned(), all, failed))
    );
}
