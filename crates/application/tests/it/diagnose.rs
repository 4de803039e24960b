//! Stories of diagnoses: their turns, and a store that does not answer.

use std::time::Duration;

use dps_application::operator::diagnose::{Diagnosis, LONGEST, NotDiagnosed, diagnose};
use dps_domain::Hostname;
use dps_domain::diagnosis::{Check, CheckStatus, Row};
use dps_lab::postgres::{self, Postgres};
use dps_lab::wait;

use super::world::{HOST, World};

const TIMEOUT: Duration = Duration::from_secs(30);

fn host() -> Hostname {
    Hostname::parse(HOST).unwrap()
}

fn of(made: &Diagnosis, check: Check) -> &Row {
    let mut rows = made.rows.iter();
    rows.find(|row| row.check == check).unwrap()
}

#[tokio::test]
async fn five_diagnoses_are_made_in_a_minute_whoever_asks() {
    let world = World::with_due_domain().await;
    let unknown = Hostname::parse("unknown.example.com").unwrap();
    let refused = diagnose(&world.service, &unknown).await;
    assert!(matches!(refused, Err(NotDiagnosed::Unknown(_))));
    for _ in 0..4 {
        let made = diagnose(&world.service, &host()).await.unwrap();
        assert_eq!(of(&made, Check::Store).status, CheckStatus::Ok);
        assert!(made.id.is_some());
    }
    world.advance(Duration::from_secs(20));
    // Turns are the store's, so another process has no more of them.
    let other = world.service.clone();
    let Err(NotDiagnosed::TooMany { after }) = diagnose(&other, &host()).await else {
        panic!("a sixth in a minute")
    };
    assert_eq!(after, Duration::from_secs(40));
    world.advance(after);
    diagnose(&other, &host()).await.unwrap();
}

/// A world on PostgreSQL.
async fn on_postgres() -> (World, &'static Postgres, String) {
    let postgres = postgres::shared().await.unwrap();
    let url = postgres.create_database().await.unwrap();
    let world = World::on(&url).await;
    world.add(1, HOST, "acme").await;
    (world, postgres, url)
}

/// Locks a table until [`unlock`].
async fn lock(postgres: &'static Postgres, url: &str, table: &'static str) {
    let sql = format!(
        "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600) AS held; COMMIT"
    );
    let to = url.to_owned();
    drop(tokio::spawn(
        async move { postgres.execute(&to, &sql).await },
    ));
    let held = format!(
        "SELECT COUNT(*) FROM pg_locks WHERE relation = '{table}'::regclass \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND mode = 'AccessExclusiveLock' AND granted"
    );
    until(postgres, url, &held).await;
}

/// Waits until the query answers that there is one.
async fn until(postgres: &Postgres, url: &str, query: &str) {
    let is_one = async || {
        let answer = postgres.query(url, query).await.unwrap();
        (answer.trim() == "1").then_some(())
    };
    wait::until(query, TIMEOUT, is_one).await.unwrap();
}

/// Ends [`lock`] in this database. Other tests have locks on the same server.
async fn unlock(postgres: &Postgres, url: &str) {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE '%AS held%' \
               AND pid <> pg_backend_pid()";
    postgres.execute(url, end).await.unwrap();
}

/// Diagnoses while a table is locked. The time passes at once when the diagnosis waits for it.
async fn diagnosed_without(table: &'static str) -> Diagnosis {
    let (world, postgres, url) = on_postgres().await;
    lock(postgres, &url, table).await;
    let service = world.service.clone();
    let running = tokio::spawn(async move { diagnose(&service, &host()).await });
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until(postgres, &url, waiting).await;
    let second = diagnose(&world.service, &host()).await;
    assert!(matches!(second, Err(NotDiagnosed::UnderWay(_))));
    tokio::time::pause();
    let made = running.await.unwrap().unwrap();
    tokio::time::resume();
    unlock(postgres, &url).await;
    assert!(made.took <= LONGEST, "{:?}", made.took);
    let first = made.rows.first().unwrap();
    assert_eq!(
        (first.check, first.status),
        (Check::Store, CheckStatus::Failed)
    );
    assert!(first.message.contains("did not answer within 5 s"));
    assert!(first.remedy.is_some());
    assert_eq!(first.failure, None, "no sentence for the customer");
    made
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_all_that_a_diagnosis_says() {
    let made = diagnosed_without("custom_domains").await;
    assert_eq!((made.id, made.rows.len()), (None, 1));
}

#[tokio::test]
async fn a_store_that_does_not_answer_one_check_leaves_the_others() {
    let made = diagnosed_without("issuance_pauses").await;
    assert_eq!(of(&made, Check::Pause).status, CheckStatus::Unfinished);
    assert_eq!(of(&made, Check::Dns).status, CheckStatus::Ok);
}
