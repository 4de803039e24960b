//! The certificates of domains that ended are revoked if the operator wants it.

use std::sync::Arc;
use std::time::Duration;

use dps_application::ports::ca::CaError;
use dps_application::workers::{self, Watch};
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, Endpoint, LimitKind};
use dps_domain::{EventKind, Phase, Purpose, Status, Until};

use super::cabinet::id;
use super::fleet::check_edges;
use super::ownership::{check_again, claim, kinds, remove, status};
use super::world::{GRACE, HOST, World};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A world with one served domain whose end revokes its certificate.
async fn served() -> World {
    let mut world = World::with_due_domain().await;
    Arc::make_mut(&mut world.service.policy).revoke_ended = true;
    world.settle().await;
    assert!(world.edges.served(HOST).is_some());
    world
}

fn unavailable() -> CaError {
    CaError::Unavailable {
        detail: "no answer".into(),
        retry_after: None,
    }
}

async fn count(world: &World, kind: EventKind) -> usize {
    let kinds = kinds(world, 1).await;
    kinds.into_iter().filter(|seen| *seen == kind).count()
}

fn revoked(world: &World) -> Vec<u64> {
    world.ca.model.revoked_by_request()
}

#[tokio::test]
async fn a_removed_domains_certificate_is_revoked_only_if_that_is_wanted() {
    for is_wanted in [false, true] {
        let mut world = World::with_due_domain().await;
        Arc::make_mut(&mut world.service.policy).revoke_ended = is_wanted;
        world.settle().await;
        remove(&world, 1).await;
        assert_eq!(status(&world, 1).await, Status::Removed);
        assert_eq!(world.ca.revocations(), usize::from(is_wanted));
        let lines = count(&world, EventKind::CertificateRevoked).await;
        assert_eq!(lines, usize::from(is_wanted));
        assert_eq!(revoked(&world).len(), usize::from(is_wanted));
        world.advance(world.service.policy.quarantine);
        world.settle().await;
        assert!(world.is_forgotten().await);
        assert_eq!(world.ca.revocations(), usize::from(is_wanted));
    }
}

#[tokio::test]
async fn certificates_are_revoked_one_a_step_and_the_removal_lane_makes_none_of_the_steps() {
    let world = served().await;
    while world.ca.orders_for(HOST) < 3 {
        world.advance(DAY);
        world.settle().await;
    }
    let now = world.service.now();
    let valid = world.service.store.certificates_valid(id(1), now, 9);
    let valid = valid.await.unwrap().len();
    assert!(valid > 1, "{valid}");
    world.request_removal().await;
    let removed = workers::tick(&world.service, Lane::Removal).await.unwrap();
    assert_eq!(removed, 1);
    for step in 1..=valid {
        let idle = workers::tick(&world.service, Lane::Removal).await.unwrap();
        assert_eq!(idle, 0);
        world.step().await;
        assert_eq!(
            (world.ca.revocations(), revoked(&world).len()),
            (step, step)
        );
    }
    assert_eq!(world.record().await.revocation, None);
    world.settle().await;
    assert_eq!(world.ca.revocations(), valid);
    assert_eq!(count(&world, EventKind::CertificateRevoked).await, valid);
}

#[tokio::test]
async fn a_step_that_dies_around_the_revocation_is_made_again() {
    let world = served().await;
    world.request_removal().await;
    // Before the request: the removal is recorded, and nothing else.
    workers::tick(&world.service, Lane::Removal).await.unwrap();
    assert_eq!(world.record().await.phase, Phase::Gone);
    assert_eq!(world.ca.revocations(), 0);
    // After the request, and before the outcome is written.
    world.step_and_die().await;
    assert_eq!((world.ca.revocations(), revoked(&world).len()), (1, 1));
    assert!(world.record().await.revocation.is_some());
    world.settle().await;
    assert_eq!((world.ca.revocations(), revoked(&world).len()), (2, 1));
    assert_eq!(world.record().await.revocation, None);
    assert_eq!(count(&world, EventKind::CertificateRevoked).await, 1);
}

#[tokio::test]
async fn a_certificate_is_not_revoked_before_an_edge_that_is_away_has_removed_it() {
    let world = served().await;
    let mut watch = Watch::default();
    check_edges(&world, &mut watch).await;
    world.edges.set_down(1, true);
    check_edges(&world, &mut watch).await;
    world.advance(GRACE + Duration::from_secs(1));
    check_edges(&world, &mut watch).await;
    remove(&world, 1).await;
    assert_eq!(status(&world, 1).await, Status::Removed);
    for _ in 0..3 {
        world.advance(2 * HOUR);
        world.settle().await;
        assert_eq!(world.ca.revocations(), 0);
    }
    world.edges.set_down(1, false);
    check_edges(&world, &mut watch).await;
    assert_eq!(world.edges.served_by(1, HOST), None);
    world.advance(2 * HOUR);
    world.settle().await;
    assert_eq!(revoked(&world).len(), 1);
}

#[tokio::test]
async fn the_certificate_of_a_superseded_claim_is_revoked_once_the_winners_took_its_place() {
    let world = served().await;
    claim(&world, 2, "owner").await;
    world.settle().await;
    world.prove(2).await;
    world.ca.lose_certificates(true);
    check_again(&world).await;
    assert_eq!(status(&world, 1).await, Status::Failed);
    let of_loser = world.edges.served(HOST);
    assert!(of_loser.is_some());
    check_again(&world).await;
    assert_eq!(world.ca.revocations(), 0, "the edges present it");
    world.ca.lose_certificates(false);
    for _ in 0..3 {
        check_again(&world).await;
    }
    assert_eq!(status(&world, 2).await, Status::Active);
    assert_ne!(world.edges.served(HOST), of_loser);
    let gone: Vec<String> = revoked(&world).iter().map(u64::to_string).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone.first(), of_loser.as_ref());
    // The loser may prove the name after all.
    world.cabinet.edit(id(1), |domain| {
        domain.status = Some(Status::PendingDns);
        domain.version += 1;
    });
    let retried = world.cabinet.says(id(1));
    workers::align_domain(&world.service, &retried)
        .await
        .unwrap();
    assert_eq!(status(&world, 1).await, Status::PendingDns);
}

#[tokio::test]
async fn a_ca_that_is_down_or_limits_us_is_no_refusal_however_long_it_lasts() {
    let limited = |until| CaError::RateLimited {
        until,
        detail: "too many requests".into(),
    };
    let unreachable = CaError::Unreachable {
        detail: "no route".into(),
    };
    for error in [unavailable(), unreachable, limited(None)] {
        let world = served().await;
        world.ca.fail_next(vec![error.clone(); 20]);
        remove(&world, 1).await;
        assert_eq!(status(&world, 1).await, Status::Removed);
        for _ in 0..20 {
            world.advance(2 * HOUR);
            world.settle().await;
        }
        assert_eq!(count(&world, EventKind::RevocationFailed).await, 0);
        assert_eq!(count(&world, EventKind::RevocationGivenUp).await, 0);
        assert_eq!(revoked(&world).len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_limit_of_the_ca_is_noted_and_waited_for_until_the_quarantine_ends() {
    let world = served().await;
    let now = world.service.now();
    let until = Until::named(now + HOUR, now, Purpose::Limit);
    world.ca.fail_next([CaError::RateLimited {
        until: Some(until),
        detail: "too many requests".into(),
    }]);
    remove(&world, 1).await;
    let due = world.record().await.next_attempt_at;
    assert!(due >= Some(until.at()), "{due:?}");
    assert_eq!(world.ca.revocations(), 1);
    let blocked = async |endpoint| {
        let kind = LimitKind::Requests(endpoint);
        let key = BucketKey::of_account(kind, world.service.ca.directory_url());
        let bucket = world.service.store.ledger_bucket(&key).await.unwrap();
        bucket.blocked_until >= until.at()
    };
    assert!(blocked(Endpoint::RevokeCert).await);
    assert!(!blocked(Endpoint::Other).await, "orders go on");
    world.advance(2 * HOUR);
    world.settle().await;
    assert_eq!(revoked(&world).len(), 1);
    assert_eq!(count(&world, EventKind::CertificateRevoked).await, 1);

    let world = served().await;
    world.ca.fail_next(vec![unavailable(); 10_000]);
    remove(&world, 1).await;
    world.advance(world.service.policy.quarantine);
    world.settle().await;
    assert!(world.is_forgotten().await);
}

#[tokio::test]
async fn a_ca_that_refuses_delays_no_removal_and_is_asked_a_few_times() {
    let world = served().await;
    let refusal = CaError::Malformed {
        kind: "malformed".into(),
        detail: "no such certificate".into(),
    };
    world.ca.fail_next(vec![refusal; 100]);
    remove(&world, 1).await;
    assert_eq!(status(&world, 1).await, Status::Removed);
    for _ in 0..20 {
        world.advance(2 * HOUR);
        world.settle().await;
    }
    assert_eq!(world.ca.revocations(), 8);
    assert_eq!(count(&world, EventKind::RevocationFailed).await, 7);
    assert_eq!(count(&world, EventKind::RevocationGivenUp).await, 1);
    assert!(world.record().await.revocation.is_none());
    world.advance(world.service.policy.quarantine);
    world.settle().await;
    assert!(world.is_forgotten().await);
}

#[tokio::test]
async fn a_fault_of_our_own_machine_is_no_try_at_the_ca() {
    let world = served().await;
    let ours = CaError::Local {
        detail: "too many open files".into(),
    };
    world.ca.fail_next(vec![ours; 12]);
    remove(&world, 1).await;
    for _ in 0..12 {
        world.advance(HOUR);
        world.settle().await;
    }
    assert_eq!(count(&world, EventKind::MachineFailed).await, 12);
    assert_eq!(count(&world, EventKind::RevocationFailed).await, 0);
    assert_eq!(revoked(&world).len(), 1);
}

#[tokio::test]
async fn a_certificate_that_ended_or_is_of_another_ca_is_not_revoked() {
    let world = served().await;
    world.dns.clear(HOST);
    for _ in 0..150 {
        world.advance(DAY);
        world.settle().await;
    }
    assert_eq!(status(&world, 1).await, Status::Failed);
    assert_eq!(world.record().await.revocation, None);
    assert_eq!(world.ca.revocations(), 0);

    let world = served().await;
    world.ca.become_another();
    remove(&world, 1).await;
    assert_eq!(world.ca.revocations(), 0);
    assert_eq!(count(&world, EventKind::RevocationGivenUp).await, 1);
}

#[tokio::test]
async fn a_domain_that_returns_or_a_setting_that_is_taken_back_ends_the_revocation() {
    let mut world = served().await;
    world.ca.fail_next([unavailable()]);
    remove(&world, 1).await;
    world.cabinet.edit(id(1), |domain| {
        domain.status = Some(Status::PendingDns);
        domain.version += 1;
    });
    let wanted = world.cabinet.says(id(1));
    workers::align_domain(&world.service, &wanted)
        .await
        .unwrap();
    assert_eq!(world.record().await.revocation, None);
    check_again(&world).await;
    assert_eq!(status(&world, 1).await, Status::Active);

    world.ca.fail_next([unavailable()]);
    remove(&world, 1).await;
    Arc::make_mut(&mut world.service.policy).revoke_ended = false;
    check_again(&world).await;
    assert_eq!(world.record().await.revocation, None);
    assert!(revoked(&world).is_empty());
}
