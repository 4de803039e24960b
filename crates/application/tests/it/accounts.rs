//! One registration of the CA account, however many domains and replicas need it.

use std::sync::Arc;
use std::time::Duration;

use dps_application::ca::account::{AccountError, account, register_again};
use dps_application::ports::ca::CaError;
use dps_domain::limits::{BucketKey, CaLimits, Limit, LimitKind};
use dps_domain::{FailureCode, Purpose, Status, Until};
use futures_util::future::join_all;

use super::world::{HOST, World};

const MINUTE: Duration = Duration::from_secs(60);

async fn with_forty_domains() -> World {
    let world = World::with_due_domain().await;
    for number in 2..=40 {
        world
            .add(number, &format!("shop-{number}.example.com"), "acme")
            .await;
    }
    world
}

#[tokio::test]
async fn forty_domains_that_are_ready_at_the_first_start_register_one_account() {
    let world = with_forty_domains().await;
    world.settle().await;
    assert_eq!(world.ca.registrations(), 1);
    let records = world.records().await;
    assert_eq!(records.len(), 40);
    assert!(
        records
            .iter()
            .all(|record| record.phase.status() == Status::Active)
    );
}

#[tokio::test]
async fn replicas_that_need_the_account_at_the_same_time_register_one() {
    let world = World::with_due_domain().await;
    let mut other = world.service.clone();
    other.replica = "replica-2".into();
    let replicas = [&world.service, &other];
    let accounts = join_all((0..40).map(|number| account(replicas[number % 2]))).await;
    assert_eq!(world.ca.registrations(), 1);
    let urls: Vec<String> = accounts
        .into_iter()
        .map(|account| account.unwrap().url)
        .collect();
    assert!(urls.iter().all(|url| *url == urls[0]));
}

#[tokio::test]
async fn a_refused_registration_is_known_to_all_and_retried_once_after_a_pause() {
    let world = with_forty_domains().await;
    world.ca.fail_next([CaError::Account {
        detail: "externalAccountRequired".into(),
    }]);
    world.settle().await;
    assert_eq!(world.ca.registrations(), 1);
    for record in world.records().await {
        let failure = record.last_failure.expect("every domain has a failure");
        assert_eq!(failure.code(), FailureCode::AcmeAccount);
    }
    world.advance(10 * MINUTE);
    world.settle().await;
    assert_eq!(world.ca.registrations(), 2);
    assert!(world.edges.served(HOST).is_some());
}

#[tokio::test]
async fn a_registration_that_was_not_sent_blocks_nobody_and_takes_no_token() {
    let mut world = World::with_due_domain().await;
    let limit = Limit::per(10, 10 * MINUTE);
    world.service.limits = Arc::new(CaLimits::default().with(LimitKind::NewAccounts, limit));
    let now = world.service.now();
    let bucket = BucketKey::of_account(LimitKind::NewAccounts, world.service.ca.directory_url());
    let tokens = async || {
        let bucket = world.service.store.ledger_bucket(&bucket).await.unwrap();
        bucket.tokens(&world.service.limits.get(LimitKind::NewAccounts), now)
    };
    let before = tokens().await;
    assert!(before > 0);
    world.ca.fail_next([
        CaError::Local {
            detail: "Too many open files".into(),
        },
        CaError::Paced {
            until: Until::named(now + MINUTE, now, Purpose::Limit),
        },
    ]);
    for _ in 0..2 {
        let error = account(&world.service).await.unwrap_err();
        assert!(matches!(error, AccountError::Ca(_)), "{error}");
        assert_eq!(tokens().await, before);
    }
    account(&world.service).await.unwrap();
    assert_eq!(tokens().await, before - 1);
}

#[tokio::test]
async fn a_lost_account_is_registered_again_once_for_all_that_met_it() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.ca.model.forget_account();
    let again = join_all((0..40).map(|_| register_again(&world.service))).await;
    assert!(again.iter().all(Result::is_ok));
    assert_eq!(world.ca.registrations(), 2);
    world.advance(2 * MINUTE);
    register_again(&world.service).await.unwrap();
    assert_eq!(world.ca.registrations(), 3);
}

#[tokio::test]
async fn the_reason_of_a_failed_registration_stays_the_cas() {
    let world = World::with_due_domain().await;
    world.ca.fail_next([CaError::Unavailable {
        detail: "HTTP 503".into(),
        retry_after: None,
    }]);
    let first = account(&world.service).await.unwrap_err();
    assert!(matches!(
        first,
        AccountError::Ca(CaError::Unavailable { .. })
    ));
    let second = account(&world.service).await.unwrap_err();
    assert!(
        matches!(&second, AccountError::Blocked { failure, until }
            if failure.code() == FailureCode::AcmeCaUnavailable && *until == world.service.now() + MINUTE),
        "{second}"
    );
    assert_eq!(world.ca.registrations(), 1);
}
