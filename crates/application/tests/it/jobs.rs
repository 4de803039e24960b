//! Stories of jobs: one action of an operator on many domains.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use dps_application::operator::OperatorError;
use dps_application::operator::jobs::{JobRequest, begin, cancel, preview};
use dps_application::workers::work_at_job;
use dps_domain::action::ActionKind;
use dps_domain::fleet::DomainFilter;
use dps_domain::job::{DomainAction, Job, JobState};
use dps_domain::limits::Limit;
use dps_domain::record::{DomainEvent, DomainRecord};
use dps_domain::{DomainId, EventKind, FailureCode, Phase};
use uuid::Uuid;

use super::world::World;

const MINUTE: Duration = Duration::from_secs(60);

/// A world in which the domain 1 is served and these are not found in DNS.
async fn world(missing: std::ops::RangeInclusive<u128>) -> World {
    let world = World::with_due_domain().await;
    for number in missing {
        let host = format!("n{number}.missing.test");
        world.add(number, &host, "acme").await;
        world.dns.clear(&host);
    }
    world.settle().await;
    world
}

fn request(action: DomainAction, code: Option<FailureCode>, pace: Option<u32>) -> JobRequest {
    JobRequest {
        action,
        filter: DomainFilter {
            code,
            ..DomainFilter::default()
        },
        pace,
        most: None,
    }
}

async fn job(world: &World, job: &Job) -> Job {
    world.service.store.job(job.id).await.unwrap().unwrap()
}

/// Works at jobs until none is due.
async fn work_off(world: &World) {
    while work_at_job(&world.service).await.unwrap() {}
}

/// Drops the work when it wakes for the last of so many times, as a crash does. Returns whether it
/// ended before.
pub(crate) async fn ends_within(wakes: usize, work: impl Future) -> bool {
    let (mut work, mut left) = (pin!(work), wakes);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        work.as_mut().poll(context).map(|_| true)
    })
    .await
}

/// The requests of operators in the history of a domain.
async fn requests(world: &World, number: u128, kind: EventKind) -> usize {
    let id = DomainId::from_uuid(Uuid::from_u128(number));
    let events = world.service.store.events(id, 100).await.unwrap();
    events.iter().filter(|event| event.kind == kind).count()
}

#[tokio::test]
async fn a_job_visits_each_domain_of_its_filter_at_its_pace_and_survives_a_crash() {
    let world = world(2..=13).await;
    let (store, now) = (&*world.service.store, world.service.now());
    let wanted = request(
        DomainAction::Retry,
        Some(FailureCode::DnsNxdomain),
        Some(7_200),
    );
    let found = preview(store, now, &wanted, Limit::NONE).await.unwrap();
    assert_eq!((found.domains, found.sample.len()), (12, 10));
    assert_eq!(found.takes, Duration::from_secs(6));
    let too_few = begin(store, "ada".into(), now, &wanted, 11).await;
    let refused = matches!(
        too_few,
        Err(OperatorError::MoreThanConfirmed { domains: 12, .. })
    );
    assert!(refused, "{too_few:?}");
    let begun = begin(store, "ada".into(), now, &wanted, 12).await.unwrap();

    assert!(work_at_job(&world.service).await.unwrap());
    let progress = job(&world, &begun).await.progress;
    assert_eq!((progress.acted, progress.state), (10, JobState::Running));
    assert!(!work_at_job(&world.service).await.unwrap(), "the pace");
    // Records that were retried failed again, and are not visited twice.
    world.settle().await;
    world.advance(MINUTE);
    // A process claims the next batch and dies.
    let (now, minute) = (world.service.now(), world.service.now() + MINUTE);
    assert!(store.job_claim(now, minute).await.unwrap().is_some());
    assert!(!work_at_job(&world.service).await.unwrap());
    world.advance(MINUTE);
    assert!(work_at_job(&world.service).await.unwrap());
    let ended = job(&world, &begun).await.progress;
    assert_eq!(
        (ended.acted, ended.refused, ended.state),
        (12, 0, JobState::Done)
    );
    assert!(!work_at_job(&world.service).await.unwrap());
    for number in 2..=13 {
        let kind = EventKind::RetryByOperator;
        assert_eq!(requests(&world, number, kind).await, 1, "{number}");
    }
    assert_eq!(requests(&world, 1, EventKind::RetryByOperator).await, 0);
    // The job is one action, however many domains it visits.
    let actions = store.actions(None, 100).await.unwrap();
    let kinds: Vec<ActionKind> = actions.iter().map(|one| one.action.kind).collect();
    assert_eq!(kinds, [ActionKind::JobBegin]);
    assert_eq!(actions[0].action.count, Some(12));
    assert_eq!(actions[0].action.subject, "code=DNS_NXDOMAIN");
}

#[tokio::test]
async fn a_job_counts_domains_whose_state_does_not_allow_it_and_can_be_cancelled() {
    let world = world(2..=4).await;
    let (store, now) = (&*world.service.store, world.service.now());
    let wanted = request(DomainAction::Renew, None, None);
    let begun = begin(store, "ada".into(), now, &wanted, 4).await.unwrap();
    work_off(&world).await;
    let ended = job(&world, &begun).await.progress;
    assert_eq!(
        (ended.acted, ended.refused, ended.state),
        (1, 3, JobState::Done)
    );
    world.settle().await;
    assert_eq!(world.ca.orders(), 2);
    assert_eq!(requests(&world, 1, EventKind::RenewalRequested).await, 1);

    let wanted = request(DomainAction::Recheck, None, Some(720));
    let begun = begin(store, "ada".into(), now, &wanted, 4).await.unwrap();
    assert!(work_at_job(&world.service).await.unwrap());
    let cancelled = cancel(store, "oleg".into(), now, begun.id).await.unwrap();
    assert_eq!(cancelled.progress.state, JobState::Cancelled);
    world.advance(60 * MINUTE);
    assert!(!work_at_job(&world.service).await.unwrap());
    let again = cancel(store, "oleg".into(), now, begun.id).await;
    assert!(matches!(again, Err(OperatorError::JobEnded(_))));
}

#[tokio::test]
async fn a_job_pauses_and_resumes_hostnames() {
    let world = world(2..=4).await;
    let (store, now) = (&*world.service.store, world.service.now());
    for (action, paused) in [(DomainAction::Pause, 3), (DomainAction::Resume, 0)] {
        let wanted = request(action, Some(FailureCode::DnsNxdomain), None);
        begin(store, "ada".into(), now, &wanted, 3).await.unwrap();
        work_off(&world).await;
        assert_eq!(store.pauses(None, 10).await.unwrap().len(), paused);
    }
}

#[tokio::test]
async fn a_crash_at_any_moment_of_a_batch_neither_skips_a_domain_nor_acts_twice() {
    let world = world(2..=4).await;
    let store = &*world.service.store;
    let wanted = request(DomainAction::Retry, Some(FailureCode::DnsNxdomain), None);
    let mut crashes = 0;
    loop {
        world.advance(MINUTE);
        world.settle().await;
        let now = world.service.now();
        let begun = begin(store, "ada".into(), now, &wanted, 3).await.unwrap();
        world.advance(Duration::from_secs(1));
        let is_whole = ends_within(crashes, work_at_job(&world.service)).await;
        // Records that were retried fail again before the next replica comes.
        world.settle().await;
        world.advance(2 * MINUTE);
        work_off(&world).await;
        let ended = job(&world, &begun).await.progress;
        assert_eq!(
            (ended.state, ended.acted, ended.refused),
            (JobState::Done, 3, 0),
            "crash {crashes}"
        );
        for number in 2..=4 {
            let id = DomainId::from_uuid(Uuid::from_u128(number));
            let events = store.events(id, 100).await.unwrap();
            let of_job = |event: &&DomainEvent| event.detail["job"] == begun.id.to_string();
            let acted = events.iter().filter(of_job).count();
            assert_eq!(acted, 1, "crash {crashes}, domain {number}");
        }
        if is_whole {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 10, "{crashes}");
}

#[tokio::test]
async fn a_domain_that_moves_in_the_order_of_the_filter_is_acted_on_once() {
    let world = world(2..=3).await;
    let store = &*world.service.store;
    let is_failed = |record: &DomainRecord| record.phase == Phase::Failed;
    while world
        .records()
        .await
        .iter()
        .filter(|one| is_failed(one))
        .count()
        < 2
    {
        world.advance(24 * 60 * MINUTE);
        world.settle().await;
    }
    for number in 4..=5 {
        let host = format!("n{number}.missing.test");
        world.add(number, &host, "acme").await;
        world.dns.clear(&host);
    }
    world.settle().await;
    let now = world.service.now();
    // One domain at a time: those that failed come first, and are pending when the others come.
    let wanted = request(
        DomainAction::Retry,
        Some(FailureCode::DnsNxdomain),
        Some(720),
    );
    let begun = begin(store, "ada".into(), now, &wanted, 4).await.unwrap();
    for _ in 0..20 {
        world.advance(Duration::from_secs(5));
        work_at_job(&world.service).await.unwrap();
        world.settle().await;
    }
    let ended = job(&world, &begun).await.progress;
    assert_eq!((ended.state, ended.acted), (JobState::Done, 4));
    for number in 2..=5 {
        let retries = requests(&world, number, EventKind::RetryByOperator).await;
        assert_eq!(retries, 1, "{number}");
    }
}

#[tokio::test]
async fn two_replicas_share_jobs_and_a_batch_is_bounded_however_many_domains_match() {
    let world = World::with_due_domain().await;
    for number in 2..=230 {
        let host = format!("n{number}.missing.test");
        world.add(number, &host, "acme").await;
    }
    let store = &*world.service.store;
    let now = world.service.now();
    let wanted = request(DomainAction::Retry, None, None);
    let begun = begin(store, "ada".into(), now, &wanted, 230).await.unwrap();
    let mut visited = vec![];
    loop {
        let replicas = (work_at_job(&world.service), work_at_job(&world.service));
        let (one, other) = tokio::join!(replicas.0, replicas.1);
        assert!(!(one.unwrap() && other.unwrap()), "both worked at one job");
        let progress = job(&world, &begun).await.progress;
        visited.push(progress.acted);
        if progress.state == JobState::Done {
            break;
        }
        world.advance(Duration::from_secs(1));
    }
    assert_eq!(visited, [100, 200, 230]);
    // Two jobs are worked at in turns, the one that waits longest first.
    let now = world.service.now();
    let jobs = [
        begin(store, "ada".into(), now, &wanted, 230).await.unwrap(),
        begin(store, "oleg".into(), now, &wanted, 230)
            .await
            .unwrap(),
    ];
    for _ in 0..2 {
        assert!(work_at_job(&world.service).await.unwrap());
    }
    // The second finds that the first has just requested the checks.
    for begun in &jobs {
        let progress = job(&world, begun).await.progress;
        assert_eq!(progress.acted + progress.refused, 100);
    }
}
