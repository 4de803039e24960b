//! Stories of revocations that operators request.

use std::time::Duration;

use dps_application::operator::jobs::{JobRequest, begin};
use dps_application::operator::revoke::revoke;
use dps_application::operator::{OperatorError, retry};
use dps_application::ports::ca::CaError;
use dps_application::ports::store::StoredCertificate;
use dps_application::workers::{Watch, work_at_job, work_at_revocation};
use dps_domain::action::ActionKind;
use dps_domain::fleet::DomainFilter;
use dps_domain::job::DomainAction;
use dps_domain::lane::Lane;
use dps_domain::ownership::RequireProof;
use dps_domain::record::operator::Requester;
use dps_domain::revocation::{AtCa, RevocationReason};
use dps_domain::{EventKind, Hostname, Status};

use super::fleet::check_edges;
use super::jobs::ends_within;
use super::ownership::{kinds, remove, status};
use super::world::{GRACE, HOST, World};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const COMPROMISED: RevocationReason = RevocationReason::KeyCompromise;

/// A world with one served domain, and the certificate that it serves.
async fn served() -> (World, StoredCertificate) {
    let world = World::with_due_domain().await;
    world.settle().await;
    let certificate = serving(&world).await;
    (world, certificate)
}

async fn serving(world: &World) -> StoredCertificate {
    let id = world.record().await.phase.serving().expect("it is served");
    world.service.store.certificate(id).await.unwrap().unwrap()
}

async fn request(world: &World, reason: RevocationReason) -> Result<(), OperatorError> {
    let by = Requester {
        reason: Some("the key is in a public repository"),
        ..Requester::from("ada")
    };
    let (store, now) = (&*world.service.store, world.service.now());
    let host = Hostname::parse(HOST).unwrap();
    revoke(store, by, now, &host, reason).await.map(|_| ())
}

/// Makes the steps of revocations until none is due.
async fn work_off(world: &World) {
    while work_at_revocation(&world.service).await.unwrap() {}
}

async fn count(world: &World, kind: EventKind) -> usize {
    let kinds = kinds(world, 1).await;
    kinds.into_iter().filter(|seen| *seen == kind).count()
}

fn revoked(world: &World) -> Vec<String> {
    let serials = world.ca.model.revoked_by_request();
    serials.iter().map(u64::to_string).collect()
}

async fn has_key(world: &World, of: &StoredCertificate) -> bool {
    let stored = world.service.store.certificate(of.certificate.id).await;
    !stored.unwrap().unwrap().certificate.key.0.is_empty()
}

#[tokio::test]
async fn a_compromised_key_is_replaced_urgently_then_its_certificate_is_revoked_and_it_is_erased() {
    let (world, old) = served().await;
    request(&world, COMPROMISED).await.unwrap();
    let record = world.record().await;
    assert_eq!(record.lane(), Some(Lane::Urgent));
    assert_eq!(record.phase.status(), Status::Active);
    work_off(&world).await;
    assert_eq!(world.ca.revocations(), 0, "the edges present it");
    assert!(has_key(&world, &old).await, "a restarted edge needs it");
    world.settle().await;
    let new = serving(&world).await;
    assert_ne!(new.certificate.id, old.certificate.id);
    world.advance(MINUTE);
    work_off(&world).await;
    assert_eq!(revoked(&world), [&*old.certificate.details.serial]);
    assert_eq!(world.ca.revoked_for(), Some(COMPROMISED));
    assert!(!has_key(&world, &old).await && has_key(&world, &new).await);
    let requested = world.service.store.revocation(old.certificate.id).await;
    assert_eq!(requested.unwrap().unwrap().at_ca, AtCa::Revoked);
    for kind in [
        EventKind::RevocationRequested,
        EventKind::CertificateRevoked,
        EventKind::KeyErased,
    ] {
        assert_eq!(count(&world, kind).await, 1, "{kind}");
    }
    assert_eq!(status(&world, 1).await, Status::Active);
    let actions = world.service.store.actions(None, 10).await.unwrap();
    let action = &actions.first().expect("the request is recorded").action;
    assert_eq!(action.kind, ActionKind::DomainRevoke);
    assert_eq!(
        action.reason.as_deref(),
        Some("the key is in a public repository")
    );
    let serial = old.certificate.details.serial.as_str();
    assert!(action.before.contains(serial), "{}", action.before);
    assert!(action.after.contains("key-compromise"), "{}", action.after);
    // Nothing is left to do, then and later.
    world.advance(100 * HOUR);
    work_off(&world).await;
    assert_eq!(world.ca.revocations(), 1);
}

#[tokio::test]
async fn other_reasons_keep_the_key_for_its_time_and_the_domain_is_issued_a_new_one_too() {
    for reason in [
        RevocationReason::Unspecified,
        RevocationReason::Superseded,
        RevocationReason::CessationOfOperation,
    ] {
        let (world, old) = served().await;
        request(&world, reason).await.unwrap();
        let again = request(&world, reason).await;
        let refused = matches!(again, Err(OperatorError::NotRevocable { .. }));
        assert!(refused, "{again:?}");
        world.settle().await;
        world.advance(MINUTE);
        work_off(&world).await;
        assert_eq!(revoked(&world), [&*old.certificate.details.serial]);
        assert_eq!(world.ca.revoked_for(), Some(reason));
        assert_ne!(serving(&world).await.certificate.id, old.certificate.id);
        assert!(has_key(&world, &old).await);
        assert_eq!(count(&world, EventKind::KeyErased).await, 0);
    }
}

#[tokio::test]
async fn a_process_that_dies_anywhere_leaves_a_revocation_that_another_ends() {
    let (world, old) = served().await;
    request(&world, COMPROMISED).await.unwrap();
    world.settle().await;
    let mut crashes = 0;
    while !ends_within(crashes, work_at_revocation(&world.service)).await
        || world.ca.revocations() == 0
        || has_key(&world, &old).await
    {
        crashes += 1;
        assert!(crashes < 200, "it does not end");
        world.advance(2 * MINUTE);
    }
    world.advance(2 * MINUTE);
    work_off(&world).await;
    assert!(crashes > 3, "{crashes}");
    assert_eq!(revoked(&world), [&*old.certificate.details.serial]);
    assert!(!has_key(&world, &old).await);
    assert_eq!(count(&world, EventKind::CertificateRevoked).await, 1);
    assert_eq!(count(&world, EventKind::KeyErased).await, 1);
}

#[tokio::test]
async fn an_edge_that_is_away_delays_a_revocation_to_its_bound_and_the_end_of_the_key_not_at_all() {
    let (world, old) = served().await;
    let mut watch = Watch::default();
    check_edges(&world, &mut watch).await;
    world.edges.set_down(1, true);
    check_edges(&world, &mut watch).await;
    world.advance(GRACE + Duration::from_secs(1));
    check_edges(&world, &mut watch).await;
    request(&world, COMPROMISED).await.unwrap();
    world.settle().await;
    assert_ne!(serving(&world).await.certificate.id, old.certificate.id);
    world.advance(MINUTE);
    work_off(&world).await;
    assert_eq!(world.ca.revocations(), 0, "it may present the old one");
    assert!(!has_key(&world, &old).await, "no live edge needs it");
    world.advance(HOUR);
    work_off(&world).await;
    assert_eq!(revoked(&world), [&*old.certificate.details.serial]);
    assert_eq!(status(&world, 1).await, Status::Active);
    // The edge that returns gets the new certificate.
    world.edges.set_down(1, false);
    check_edges(&world, &mut watch).await;
    assert_eq!(world.edges.served_by(1, HOST), world.edges.served(HOST));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_replaced_in_time_is_revoked_while_it_is_served() {
    let (world, old) = served().await;
    world.ca.lose_certificates(true);
    request(&world, COMPROMISED).await.unwrap();
    world.settle().await;
    world.advance(50 * MINUTE);
    work_off(&world).await;
    assert_eq!(world.ca.revocations(), 0);
    world.advance(10 * MINUTE);
    work_off(&world).await;
    assert_eq!(revoked(&world), [&*old.certificate.details.serial]);
    assert_eq!(status(&world, 1).await, Status::Active);
    assert!(has_key(&world, &old).await, "it is served");
    assert_eq!(world.record().await.lane(), Some(Lane::Urgent));
    // The renewal continues, and the key goes when it succeeds.
    world.ca.lose_certificates(false);
    for _ in 0..12 {
        world.advance(2 * HOUR);
        world.settle().await;
        work_off(&world).await;
    }
    assert_ne!(serving(&world).await.certificate.id, old.certificate.id);
    assert!(!has_key(&world, &old).await);
    assert_eq!(world.ca.revocations(), 1);
}

#[tokio::test]
async fn a_ca_that_is_down_is_asked_again_and_one_that_refuses_a_few_times() {
    let (world, _) = served().await;
    request(&world, COMPROMISED).await.unwrap();
    world.settle().await;
    let down = CaError::Unavailable {
        detail: "no answer".into(),
        retry_after: None,
    };
    world.ca.fail_next(vec![down; 20]);
    for _ in 0..25 {
        world.advance(HOUR);
        work_off(&world).await;
    }
    assert_eq!(count(&world, EventKind::RevocationFailed).await, 0);
    assert_eq!(revoked(&world).len(), 1);

    let (world, other) = served().await;
    request(&world, COMPROMISED).await.unwrap();
    world.settle().await;
    let refusal = CaError::Malformed {
        kind: "badRevocationReason".into(),
        detail: "no such reason".into(),
    };
    world.ca.fail_next(vec![refusal; 20]);
    for _ in 0..25 {
        world.advance(HOUR);
        work_off(&world).await;
    }
    assert_eq!(world.ca.revocations(), 8);
    assert_eq!(count(&world, EventKind::RevocationGivenUp).await, 1);
    assert!(
        !has_key(&world, &other).await,
        "the key is erased all the same"
    );
}

#[tokio::test]
async fn the_certificate_of_a_removed_domain_can_be_revoked_and_one_that_never_was_is_refused() {
    let (world, old) = served().await;
    remove(&world, 1).await;
    assert_eq!(status(&world, 1).await, Status::Removed);
    request(&world, COMPROMISED).await.unwrap();
    work_off(&world).await;
    assert_eq!(revoked(&world), [&*old.certificate.details.serial]);
    assert!(!has_key(&world, &old).await);
    assert_eq!(status(&world, 1).await, Status::Removed);

    let world = World::with_due_domain().await;
    let refused = request(&world, COMPROMISED).await;
    let is_refused = matches!(refused, Err(OperatorError::NotRevocable { .. }));
    assert!(is_refused, "{refused:?}");
    let host = Hostname::parse(HOST).unwrap();
    let (store, now) = (&*world.service.store, world.service.now());
    let retried = retry(store, "ada", now, &host, RequireProof::Never).await;
    assert!(retried.is_ok());
}

#[tokio::test]
async fn a_job_revokes_the_certificates_of_its_filter_and_names_them_before() {
    let world = World::with_due_domain().await;
    world.add(2, "two.example.com", "acme").await;
    world.settle().await;
    let old = serving(&world).await;
    let (store, now) = (&*world.service.store, world.service.now());
    let wanted = JobRequest {
        action: DomainAction::revoke(COMPROMISED),
        filter: DomainFilter::default(),
        pace: None,
        most: None,
    };
    let found = dps_application::operator::jobs::preview(
        store,
        now,
        &wanted,
        dps_domain::limits::Limit::NONE,
    );
    let found = found.await.unwrap();
    assert_eq!(found.certificates.len(), 2);
    assert_eq!(found.certificates[HOST], old.certificate.details.serial);
    begin(store, "ada".into(), now, &wanted, 2).await.unwrap();
    while work_at_job(&world.service).await.unwrap() {}
    world.settle().await;
    world.advance(MINUTE);
    work_off(&world).await;
    assert_eq!(revoked(&world).len(), 2);
    assert_ne!(serving(&world).await.certificate.id, old.certificate.id);
}
