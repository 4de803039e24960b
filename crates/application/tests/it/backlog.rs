//! The effect of a backlog in one lane on the others, on both databases.

use std::time::Duration;

use dps_application::ports::WakeSignal;
use dps_application::ports::store::{DomainRecord, RecordWrite};
use dps_application::workers;
use dps_domain::phase::{Lane, Next};
use dps_domain::{
    CertificateId, DnsState, DomainId, Failure, Hostname, Issuance, Phase, Timestamp,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::world::{TARGET, World};

const BACKLOG: u128 = 3_000;

fn record(number: u128, host: &str, due: Timestamp) -> DomainRecord {
    DomainRecord::new(
        DomainId::from_uuid(Uuid::from_u128(number)),
        format!("tenant-{}", number % 50),
        Hostname::parse(host).unwrap(),
        Hostname::parse(TARGET).unwrap(),
        1,
        due,
    )
}

/// A domain that is still broken after so many checks.
fn broken(number: u128, attempt: u32, due: Timestamp) -> DomainRecord {
    DomainRecord {
        attempt,
        last_failure: Some(Failure::DnsNxdomain {}),
        ..record(number, &format!("broken-{number}.example.net"), due)
    }
}

fn quiet(record: DomainRecord) -> RecordWrite {
    RecordWrite::unchecked(record)
}

async fn insert(world: &World, records: Vec<DomainRecord>) {
    let writes: Vec<RecordWrite> = records.into_iter().map(quiet).collect();
    for some in writes.chunks(500) {
        world
            .service
            .store
            .domains_insert(some.to_vec())
            .await
            .unwrap();
    }
}

/// Runs the workers until `story` is over.
async fn while_working<T>(world: &World, story: impl Future<Output = T>) -> T {
    let shutdown = CancellationToken::new();
    let working = tokio::spawn(workers::run(world.service.clone(), shutdown.clone()));
    let result = story.await;
    shutdown.cancel();
    working.await.unwrap();
    result
}

async fn place_of(asked: &mut watch::Receiver<Vec<String>>, host: &str) -> usize {
    let asked = asked.wait_for(|asked| asked.iter().any(|name| name == host));
    let asked = asked.await.unwrap();
    asked.iter().position(|name| name == host).unwrap()
}

/// How many checks of chronic domains were begun between the moment at which something else was due
/// and its own.
struct Overtaken {
    by_signal: usize,
    by_time: usize,
}

async fn overtaken(world: &World) -> Overtaken {
    let now = world.service.now();
    let backlog = (100..100 + BACKLOG).map(|number| broken(number, 5, now));
    insert(world, backlog.collect()).await;
    let later = now + Duration::from_secs(1);
    let serving = CertificateId::from_uuid(Uuid::from_u128(1));
    let urgent = DomainRecord {
        phase: Phase::Live {
            serving,
            not_after: later + Duration::from_secs(3_600),
            dns: DnsState::Here,
            next: Next::Now(Issuance::AwaitingDns),
        },
        urgent_from: Some(now),
        ..record(2, "urgent.example.com", later)
    };
    assert_eq!(urgent.lane(), Some(Lane::Urgent));
    insert(world, vec![urgent]).await;
    let ordered = DomainRecord {
        phase: Phase::Live {
            serving,
            not_after: later + Duration::from_secs(3_600),
            dns: DnsState::Here,
            next: Next::Now(Issuance::AwaitingDns),
        },
        ..record(3, "asked-for.example.com", now)
    };
    assert_eq!(ordered.lane(), Some(Lane::Renewal));
    while_working(world, async {
        let mut asked = world.dns.asked_for();
        asked.wait_for(|asked| asked.len() >= 100).await.unwrap();
        insert(world, vec![ordered]).await;
        let begun = asked.borrow().len();
        world.service.waker.notify(WakeSignal::Lane(Lane::Renewal));
        let by_signal = place_of(&mut asked, "asked-for.example.com").await - begun;
        let begun = asked.borrow().len();
        world.advance(Duration::from_secs(1));
        let by_time = place_of(&mut asked, "urgent.example.com").await - begun;
        Overtaken { by_signal, by_time }
    })
    .await
}

async fn is_not_kept_waiting(world: World) {
    let overtaken = overtaken(&world).await;
    // The pool has eight permits: those that were granted already, and those of the grant under
    // way.
    assert!(
        overtaken.by_signal <= 40,
        "{} before who rang",
        overtaken.by_signal
    );
    assert!(
        overtaken.by_time <= 40,
        "{} before who came due",
        overtaken.by_time
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn work_above_a_backlog_starts_at_the_next_grant_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/store.db", directory.path().display());
    is_not_kept_waiting(World::on(&url).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn work_above_a_backlog_starts_at_the_next_grant_on_postgres() {
    let url = dps_lab::postgres::fresh_database().await.unwrap();
    is_not_kept_waiting(World::on(&url).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn new_domains_are_checked_before_those_that_failed_already() {
    const NEW: u128 = 60;
    let directory = tempfile::tempdir().unwrap();
    let world = World::on(&format!("sqlite://{}/store.db", directory.path().display())).await;
    let now = world.service.now();
    let known = (1_000..1_600).map(|number| broken(number, 1, now - Duration::from_secs(60)));
    insert(&world, known.collect()).await;
    let new = (1..=NEW).map(|number| record(number, &format!("new-{number}.example.com"), now));
    insert(&world, new.collect()).await;
    let asked = while_working(&world, async {
        let is_new = |name: &&String| name.starts_with("new-");
        let mut asked = world.dns.asked_for();
        let all = asked.wait_for(|asked| asked.iter().filter(is_new).count() == NEW as usize);
        all.await.unwrap().clone()
    })
    .await;
    let repeated = asked
        .iter()
        .filter(|name| name.starts_with("broken-"))
        .count();
    assert!(
        repeated <= NEW as usize,
        "{repeated} known ones before {NEW} new ones, of which one permit of four"
    );
}
