//! Jobs: one action of an operator on many domains.

use std::time::Duration;

use dps_domain::action::{ActionKind, ActionScope};
use dps_domain::fleet::{DomainFilter, NameFilter};
use dps_domain::job::{Batch, DomainAction, Job, JobProgress, JobState};
use dps_domain::retention::Prunable;
use dps_domain::{FailureCode, JobId, Timestamp};
use uuid::Uuid;

use crate::actions::action;
use crate::world::{World, at};

const DAY: Duration = Duration::from_secs(86_400);

fn job(second: i64) -> Job {
    Job {
        id: JobId::from_uuid(Uuid::nil()),
        action: DomainAction::Renew,
        filter: DomainFilter {
            name: Some(NameFilter::Below("shop.example".to_owned())),
            code: Some(FailureCode::DnsNxdomain),
            expires_within: Some(7 * DAY),
            ..DomainFilter::default()
        },
        who: "ada@desk".to_owned(),
        role: "Operator".to_owned(),
        reason: Some("the key is known".to_owned()),
        pace: Some(500),
        most: Some(70),
        expected: 60,
        created_at: at(second),
        progress: JobProgress {
            state: JobState::Running,
            place: None,
            acted: 0,
            refused: 0,
            due_at: at(second),
            written_at: at(second),
            ended_at: None,
        },
    }
}

async fn insert(world: &World, second: i64) -> Job {
    let mut job = job(second);
    let begin = action(ActionKind::JobBegin, ActionScope::Filter, "all", at(second));
    job.id = world.store.job_insert(&job, &begin).await.unwrap();
    job
}

async fn claim(world: &World, now: Timestamp) -> Option<Job> {
    world.store.job_claim(now, now + DAY).await.unwrap()
}

pub(crate) async fn a_job_is_worked_at_by_one_process_and_continues_at_its_place(world: World) {
    let store = &world.store;
    let job = insert(&world, 10).await;
    assert_eq!(store.job(job.id).await.unwrap(), Some(job.clone()));
    assert_eq!(claim(&world, at(9)).await, None, "not due");
    let mut expected = job.clone();
    expected.progress.due_at = at(10) + DAY;
    let claimed = claim(&world, at(10)).await.unwrap();
    assert_eq!(claimed, expected);
    assert_eq!(claim(&world, at(10)).await, None, "claimed");

    world.with_due("www.shop.example", at(0)).await;
    let plan = job.filter.plan(job.created_at);
    let record = world.acquire_one(at(0)).await.record;
    let batch = Batch {
        acted: 3,
        refused: 1,
        next: Some(plan.order.place_of(&record)),
    };
    let progress = claimed.after(batch, at(20));
    let running = Some(JobState::Running);
    let advanced = store.job_advance(&claimed, &progress).await.unwrap();
    assert_eq!(advanced, running);
    let stale = store.job_advance(&claimed, &progress).await.unwrap();
    assert_eq!(stale, None);
    let continued = store.job(job.id).await.unwrap().unwrap();
    assert_eq!(continued.progress, progress);

    // One whose process died continues after its time, and the dead one writes nothing.
    let dead = claim(&world, progress.due_at).await.unwrap();
    let again = claim(&world, progress.due_at + DAY).await.unwrap();
    assert_eq!(again.progress.place, progress.place);
    let stale = store.job_advance(&dead, &progress).await.unwrap();
    assert_eq!(stale, None);
    let last = Batch {
        acted: 2,
        refused: 0,
        next: None,
    };
    let done = again.after(last, at(50));
    let ended = store.job_advance(&again, &done).await.unwrap();
    assert_eq!(ended, Some(JobState::Done));
    assert_eq!(claim(&world, at(50) + 9 * DAY).await, None, "ended");
}

pub(crate) async fn jobs_are_listed_cancelled_and_go_400_days_after_they_ended(world: World) {
    let store = &world.store;
    let jobs = [
        insert(&world, 1).await,
        insert(&world, 2).await,
        insert(&world, 3).await,
    ];
    let page = store.jobs(None, 2).await.unwrap();
    assert_eq!(page, [jobs[2].clone(), jobs[1].clone()]);
    let page = store.jobs(Some(jobs[1].id), 2).await.unwrap();
    assert_eq!(page, [jobs[0].clone()]);

    let cancel = action(ActionKind::JobCancel, ActionScope::Filter, "all", at(9));
    let claimed = claim(&world, at(5)).await.unwrap();
    assert_eq!(claimed.id, jobs[0].id, "the one that is due longest");
    assert!(store.job_cancel(jobs[0].id, &cancel).await.unwrap());
    assert!(!store.job_cancel(jobs[0].id, &cancel).await.unwrap());
    // The batch under way is counted, and the job stays cancelled.
    let batch = Batch {
        acted: 7,
        refused: 0,
        next: None,
    };
    let progress = claimed.after(batch, at(20));
    let state = store.job_advance(&claimed, &progress).await.unwrap();
    assert_eq!(state, Some(JobState::Cancelled));
    let cancelled = store.job(jobs[0].id).await.unwrap().unwrap().progress;
    assert_eq!(
        (cancelled.state, cancelled.ended_at, cancelled.acted),
        (JobState::Cancelled, Some(at(9)), 7)
    );
    assert_eq!(store.actions(None, 10).await.unwrap().len(), 4);

    // A job that runs stays, however old it is.
    let now = at(3) + 401 * DAY;
    assert_eq!(world.prune(Prunable::Job, now, 10).await, 1);
    assert_eq!(world.prune(Prunable::Job, now, 10).await, 0);
    assert_eq!(store.jobs(None, 10).await.unwrap().len(), 2);
}
