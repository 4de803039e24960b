//! Several tenants claim one hostname: who gets it, and what the others read.

use std::sync::Arc;
use std::time::Duration;

use dps_application::operator::{self, OperatorError, Target, WhichClaim};
use dps_application::ports::cabinet::CabinetDomain;
use dps_application::ports::store::{DomainRecord, RecordWrite};
use dps_application::{steps, workers};
use dps_domain::dns::DnsAnswer;
use dps_domain::lane::Lane;
use dps_domain::outcome::Outcome;
use dps_domain::ownership::{Basis, RequireProof};
use dps_domain::record::missing;
use dps_domain::{EventKind, Failure, FailureCode, Hostname, NameSuffix, Ownership, Phase, Status};

use super::cabinet::id;
use super::world::{HOST, LEASE, World};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A domain that the Cabinet has of a tenant, taken in.
pub(super) async fn claim(world: &World, number: u128, tenant: &str) {
    world.cabinet.add(number, HOST);
    world
        .cabinet
        .edit(id(number), |domain| domain.tenant_id = tenant.into());
    let domain = world.cabinet.says(id(number));
    workers::align_domain(&world.service, &domain)
        .await
        .unwrap();
}

async fn phase_and_code(world: &World, number: u128) -> (Phase, Option<FailureCode>) {
    let record = world.service.store.domain(id(number)).await.unwrap();
    let record = record.unwrap();
    let code = record.last_failure.as_ref().map(Failure::code);
    (record.phase, code)
}

pub(super) async fn status(world: &World, number: u128) -> Status {
    phase_and_code(world, number).await.0.status()
}

pub(super) async fn kinds(world: &World, number: u128) -> Vec<EventKind> {
    let events = world.service.store.events(id(number), 50).await.unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

pub(super) async fn remove(world: &World, number: u128) {
    world.cabinet.edit(id(number), |domain| {
        domain.status = Some(Status::PendingRemoval);
        domain.version += 1;
    });
    let domain = world.cabinet.says(id(number));
    workers::align_domain(&world.service, &domain)
        .await
        .unwrap();
    world.settle().await;
}

/// A change by the customer in the Cabinet, taken in.
async fn change(world: &World, number: u128, alter: impl FnOnce(&mut CabinetDomain)) {
    world.cabinet.edit(id(number), |domain| {
        alter(domain);
        domain.version += 1;
    });
    let domain = world.cabinet.says(id(number));
    workers::align_domain(&world.service, &domain)
        .await
        .unwrap();
    world.settle().await;
}

pub(super) async fn check_again(world: &World) {
    world.advance(2 * HOUR);
    world.settle().await;
}

fn counted(world: &World, name: &'static str) -> u32 {
    let counters = world.counters.0.lock().unwrap();
    counters.get(&(name, true)).copied().unwrap_or(0)
}

const ASKED: Option<FailureCode> = Some(FailureCode::DnsOwnershipRequired);

#[tokio::test]
async fn a_squatter_loses_the_name_to_the_owners_proof_within_one_check() {
    let world = World::with_due_domain().await;
    world.settle().await;
    let squatted = world.edges.served(HOST);
    assert!(squatted.is_some(), "nobody contested the squatter");

    claim(&world, 2, "owner").await;
    world.settle().await;
    assert_eq!(phase_and_code(&world, 2).await, (Phase::START, ASKED));
    assert_eq!(status(&world, 1).await, Status::Active);
    assert!(kinds(&world, 2).await.contains(&EventKind::ClaimContested));
    assert_eq!(counted(&world, "contested"), 1);

    world.prove(2).await;
    world.advance(2 * HOUR);
    world.settle().await;
    assert_eq!(status(&world, 2).await, Status::Active);
    let taken = Some(FailureCode::NameAlreadyClaimed);
    assert_eq!(phase_and_code(&world, 1).await, (Phase::Failed, taken));
    assert!(kinds(&world, 1).await.contains(&EventKind::ClaimSuperseded));
    assert_eq!(counted(&world, "superseded"), 1);
    let served = world.edges.served(HOST);
    assert!(served.is_some() && served != squatted);

    world.deliver().await;
    let reported = world.cabinet.with(|traffic| traffic.reported.clone());
    let reported = reported.into_iter().rfind(|(domain, _)| *domain == id(1));
    let message = reported.unwrap().1.message.unwrap();
    assert!(message.contains("has proven that"), "{message}");
}

/// A second tenant's domain of a name of its own, served, that is renamed to the hostname.
async fn renamed_to_contested_name(world: &World) {
    let own = "free.example.com";
    world.dns.point(own);
    claim_with_target(world, 2, ("another", own, super::world::TARGET)).await;
    assert_eq!(status(world, 2).await, Status::Active);
    assert_eq!(counted(world, "contested"), 0);
    change(world, 2, |domain| domain.canonical_host = HOST.into()).await;
}

/// The number of lines about a contest in the history of a domain.
async fn contests(world: &World, number: u128) -> usize {
    let kinds = kinds(world, number).await;
    let contests = kinds
        .iter()
        .filter(|kind| **kind == EventKind::ClaimContested);
    contests.count()
}

#[tokio::test]
async fn a_rename_to_a_contested_name_is_counted_and_in_the_history() {
    let world = World::with_due_domain().await;
    world.settle().await;
    renamed_to_contested_name(&world).await;
    assert_eq!(phase_and_code(&world, 2).await, (Phase::START, ASKED));
    assert_eq!(contests(&world, 2).await, 1);
    assert_eq!(counted(&world, "contested"), 1);
    let events = world.service.store.events(id(2), 50).await.unwrap();
    let line = events
        .iter()
        .find(|event| event.kind == EventKind::ClaimContested);
    let detail = &line.unwrap().detail;
    assert_eq!(detail["contestedAfter"], "name.changed");
    assert_eq!(detail["canonicalHost"], HOST);
    // Checks of the name, and news that change nothing, are no further contest.
    check_again(&world).await;
    change(&world, 2, |_| {}).await;
    assert_eq!(contests(&world, 2).await, 1);
    assert_eq!(counted(&world, "contested"), 1);
    assert_eq!(status(&world, 1).await, Status::Active);
}

#[tokio::test]
async fn a_removed_domain_that_returns_to_a_contested_name_is_counted_and_in_the_history() {
    let world = World::with_due_domain().await;
    world.settle().await;
    claim(&world, 2, "another").await;
    world.settle().await;
    assert_eq!(counted(&world, "contested"), 1);
    remove(&world, 2).await;
    assert_eq!(status(&world, 2).await, Status::Removed);
    let pending = Some(Status::PendingDns);
    change(&world, 2, |domain| domain.status = pending).await;
    assert_eq!(phase_and_code(&world, 2).await, (Phase::START, ASKED));
    assert_eq!(contests(&world, 2).await, 2);
    assert_eq!(counted(&world, "contested"), 2);
    assert_eq!(contests(&world, 1).await, 0);

    // Nobody else has the name any more.
    remove(&world, 1).await;
    remove(&world, 2).await;
    world.advance(world.service.policy.quarantine + DAY);
    world.settle().await;
    claim(&world, 3, "another").await;
    world.settle().await;
    assert_eq!(contests(&world, 3).await, 0);
    assert_eq!(counted(&world, "contested"), 2);
}

#[tokio::test]
async fn a_retry_of_a_lost_claim_is_counted_and_stays_a_request_for_a_check() {
    let world = World::with_due_domain().await;
    world.settle().await;
    claim(&world, 2, "owner").await;
    world.settle().await;
    world.prove(2).await;
    check_again(&world).await;
    assert_eq!(status(&world, 1).await, Status::Failed);
    world.deliver().await;
    let pending = Some(Status::PendingDns);
    change(&world, 1, |domain| domain.status = pending).await;
    let events = world.service.store.events(id(1), 50).await.unwrap();
    let line = events
        .iter()
        .find(|event| event.kind == EventKind::RetryRequested);
    let detail = &line.unwrap().detail;
    assert_eq!(detail["contestedAfter"], "retry.requested");
    assert_eq!(counted(&world, "contested"), 2);
}

#[tokio::test]
async fn an_owner_who_proved_and_lost_the_proof_keeps_a_name_that_is_served() {
    let world = World::with_due_domain().await;
    claim(&world, 2, "another").await;
    world.settle().await;
    world.prove(1).await;
    check_again(&world).await;
    assert_eq!(status(&world, 1).await, Status::Active);
    world.dns.publish_proof(HOST, &[]);
    for _ in 0..70 {
        world.advance(DAY);
        world.settle().await;
    }
    assert_eq!(status(&world, 1).await, Status::Active, "and renewed");
    assert_eq!(world.ca.orders_for(HOST), 2);
}

#[tokio::test]
async fn a_removed_name_is_kept_for_its_tenant_who_returns_at_once() {
    let world = World::with_due_domain().await;
    world.settle().await;
    remove(&world, 1).await;
    assert_eq!(status(&world, 1).await, Status::Removed);
    claim(&world, 2, "another").await;
    world.settle().await;
    assert_eq!(phase_and_code(&world, 2).await, (Phase::START, ASKED));
    claim(&world, 3, "acme").await;
    world.settle().await;
    assert_eq!(status(&world, 3).await, Status::Active);
    check_again(&world).await;
    assert_eq!(phase_and_code(&world, 2).await, (Phase::START, ASKED));
}

#[tokio::test]
async fn after_the_quarantine_a_name_without_a_proof_in_its_dns_is_free() {
    let world = World::with_due_domain().await;
    world.settle().await;
    remove(&world, 1).await;
    world.advance(world.service.policy.quarantine + DAY);
    world.settle().await;
    assert!(world.is_forgotten().await);
    claim(&world, 2, "another").await;
    world.settle().await;
    assert_eq!(status(&world, 2).await, Status::Active);
}

#[tokio::test]
async fn a_proof_of_a_claim_that_is_forgotten_still_keeps_others_out() {
    let world = World::with_due_domain().await;
    claim(&world, 2, "another").await;
    world.settle().await;
    world.prove(1).await;
    check_again(&world).await;
    remove(&world, 1).await;
    remove(&world, 2).await;
    world.advance(world.service.policy.quarantine + DAY);
    world.settle().await;
    claim(&world, 3, "third").await;
    world.settle().await;
    assert_eq!(phase_and_code(&world, 3).await, (Phase::START, ASKED));
    world.prove(3).await;
    check_again(&world).await;
    assert_eq!(status(&world, 3).await, Status::Active);
}

#[tokio::test]
async fn an_old_proof_brings_no_name_back_from_a_later_owner() {
    let mut world = World::with_due_domain().await;
    Arc::make_mut(&mut world.service.policy).ownership.require = RequireProof::Always;
    world.settle().await;
    let value_of = async |number| {
        let record = world.service.store.domain(id(number)).await.unwrap();
        let ownership = record.unwrap().ownership;
        ownership.required().unwrap().as_str().to_owned()
    };
    let sellers = value_of(1).await;
    world.prove(1).await;
    check_again(&world).await;
    assert_eq!(status(&world, 1).await, Status::Active);
    claim(&world, 2, "buyer").await;
    world.settle().await;
    let buyers = value_of(2).await;
    // The seller's value stays in the zone, beside the buyer's.
    world.dns.publish_proof(HOST, &[&sellers, &buyers]);
    check_again(&world).await;
    assert_eq!(status(&world, 2).await, Status::Active);
    assert_eq!(status(&world, 1).await, Status::Failed);
    for _ in 0..3 {
        world.cabinet.edit(id(1), |domain| {
            domain.status = Some(Status::PendingDns);
            domain.version += 1;
        });
        let domain = world.cabinet.says(id(1));
        workers::align_domain(&world.service, &domain)
            .await
            .unwrap();
        check_again(&world).await;
        assert_eq!(phase_and_code(&world, 1).await, (Phase::START, ASKED));
        assert_eq!(status(&world, 2).await, Status::Active);
    }
}

#[tokio::test]
async fn a_claim_without_a_proof_lapses_and_contests_nothing_any_more() {
    let world = World::with_due_domain().await;
    claim(&world, 2, "another").await;
    for _ in 0..9 {
        world.advance(DAY);
        world.settle().await;
    }
    for number in [1, 2] {
        assert_eq!(
            phase_and_code(&world, number).await,
            (Phase::Failed, ASKED),
            "{number}"
        );
    }
    claim(&world, 3, "third").await;
    world.settle().await;
    assert_eq!(status(&world, 3).await, Status::Active);
}

#[tokio::test]
async fn a_proof_can_be_required_always_and_never() {
    for (require, code) in [(RequireProof::Always, ASKED), (RequireProof::Never, None)] {
        let mut world = World::with_due_domain().await;
        Arc::make_mut(&mut world.service.policy).ownership.require = require;
        world.settle().await;
        assert_eq!(phase_and_code(&world, 1).await.1, code, "{require:?}");
        claim(&world, 2, "another").await;
        if require == RequireProof::Never {
            let taken = Some(FailureCode::NameAlreadyClaimed);
            assert_eq!(phase_and_code(&world, 2).await, (Phase::Failed, taken));
            continue;
        }
        world.prove(1).await;
        check_again(&world).await;
        assert_eq!(status(&world, 1).await, Status::Active);
        let held = world.record().await.ownership;
        let is_by_txt = matches!(
            held,
            Ownership::Held {
                basis: Basis::Txt,
                ..
            }
        );
        assert!(is_by_txt, "{held:?}");
    }
}

#[tokio::test]
async fn resolvers_that_do_not_answer_lose_no_claim_and_blame_nobody() {
    let world = World::with_due_domain().await;
    claim(&world, 2, "another").await;
    world.settle().await;
    let asked = phase_and_code(&world, 1).await;
    assert_eq!(asked, (Phase::START, ASKED));
    let before = world.record().await.ownership;
    world.dns.set_dead(true);
    check_again(&world).await;
    let code = phase_and_code(&world, 1).await.1.unwrap();
    assert_eq!(code, FailureCode::DnsTimeout);
    world.dns.set_dead(false);
    assert_eq!(world.record().await.ownership, before, "the same value");
    world.prove(1).await;
    check_again(&world).await;
    assert_eq!(status(&world, 1).await, Status::Active);
}

#[tokio::test]
async fn a_claim_is_not_decided_while_no_query_for_a_proof_is_answered() {
    let world = World::with_due_domain().await;
    let stale = "dps-verify=00000000000000000000000000000007";
    world.dns.publish_proof(HOST, &[stale]);
    for (fault, code) in [
        (DnsAnswer::Timeout, FailureCode::DnsTimeout),
        (DnsAnswer::ServFail, FailureCode::DnsServfail),
        (DnsAnswer::Refused, FailureCode::DnsServfail),
    ] {
        world.dns.fail_proofs(Some(fault));
        check_again(&world).await;
        assert_eq!(phase_and_code(&world, 1).await, (Phase::START, Some(code)));
        assert_eq!(world.ca.orders_for(HOST), 0);
        // The name itself is answered, so the sentence names the query that is not.
        world.deliver().await;
        let reported = world.cabinet.with(|traffic| traffic.reported.clone());
        let message = reported.last().unwrap().1.message.clone().unwrap();
        let query = format!("TXT records of _dps-challenge.{HOST}");
        assert!(message.contains(&query), "{message}");
    }
    world.dns.fail_proofs(None);
    check_again(&world).await;
    assert_eq!(phase_and_code(&world, 1).await, (Phase::START, ASKED));
}

#[tokio::test]
async fn a_query_for_a_proof_that_our_machine_cannot_send_is_told_to_nobody() {
    let world = World::with_due_domain().await;
    world.dns.fail_proofs(Some(DnsAnswer::Local {
        detail: "too many open files".into(),
    }));
    check_again(&world).await;
    assert_eq!(phase_and_code(&world, 1).await, (Phase::START, None));
    assert!(kinds(&world, 1).await.contains(&EventKind::MachineFailed));
    world.dns.fail_proofs(None);
    check_again(&world).await;
    assert_eq!(status(&world, 1).await, Status::Active);
    // A served domain that nobody contests is not asked anew.
    world.dns.fail_proofs(Some(DnsAnswer::Timeout));
    for _ in 0..70 {
        world.advance(DAY);
        world.settle().await;
        assert_eq!(status(&world, 1).await, Status::Active);
    }
    assert_eq!(world.ca.orders_for(HOST), 2, "and renewed");
}

#[tokio::test]
async fn removed_claims_of_one_tenant_do_not_hide_that_another_had_the_name() {
    let world = World::with_due_domain().await;
    world.settle().await;
    remove(&world, 1).await;
    for number in 100..180 {
        let mut record = world.record().await;
        record.id = id(number);
        record.tenant_id = "evil".into();
        record.phase = Phase::Gone;
        record.ownership = Ownership::Open;
        record.created_at = world.service.now() + HOUR;
        let write = RecordWrite::unchecked(record);
        assert!(world.service.store.domain_insert(write).await.unwrap());
    }
    claim(&world, 2, "evil").await;
    world.settle().await;
    assert_eq!(phase_and_code(&world, 2).await, (Phase::START, ASKED));
}

#[tokio::test]
async fn a_proof_ends_more_claims_than_are_read_at_once() {
    let world = World::with_due_domain().await;
    world.settle().await;
    for number in 100..180 {
        world.dns.point(HOST);
        claim(&world, number, &format!("evil-{number}")).await;
    }
    claim(&world, 2, "owner").await;
    world.settle().await;
    world.prove(2).await;
    check_again(&world).await;
    assert_eq!(status(&world, 2).await, Status::Active);
    assert_eq!(status(&world, 1).await, Status::Failed);
    for number in 100..180 {
        let taken = Some(FailureCode::NameAlreadyClaimed);
        assert_eq!(phase_and_code(&world, number).await, (Phase::Failed, taken));
    }
}

#[tokio::test]
async fn the_next_tenant_of_a_name_waits_until_the_last_one_left_the_edges() {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.dns.point("other.example.com");
    world.cabinet.edit(id(1), |domain| {
        domain.canonical_host = "other.example.com".into();
        domain.version += 1;
    });
    let renamed = world.cabinet.says(id(1));
    workers::align_domain(&world.service, &renamed)
        .await
        .unwrap();
    // The take-down is due, and not made yet.
    claim(&world, 2, "another").await;
    workers::tick(&world.service, Lane::Verification)
        .await
        .unwrap();
    assert!(kinds(&world, 2).await.contains(&EventKind::ClaimWaiting));
    world.settle().await;
    check_again(&world).await;
    assert_eq!(phase_and_code(&world, 2).await, (Phase::START, ASKED));
    world.prove(2).await;
    check_again(&world).await;
    assert_eq!(status(&world, 2).await, Status::Active);
    assert!(world.edges.served(HOST).is_some());
    assert!(world.edges.served("other.example.com").is_some());
}

#[tokio::test]
async fn an_order_that_a_superseded_claim_placed_too_late_is_not_kept() {
    let world = World::with_due_domain().await;
    world.step().await;
    world.step().await;
    let lease = world.lease().await;
    claim(&world, 2, "owner").await;
    world.settle().await;
    world.prove(2).await;
    world.advance(LEASE / 2);
    world.settle().await;
    assert_eq!(status(&world, 1).await, Status::Failed);
    // The first tenant's step is still under way, and its order is placed only now.
    let deadline = tokio::time::Instant::now() + LEASE;
    let evidence = steps::Evidence::default();
    let step = steps::step(
        &world.service,
        &lease.record,
        lease.token,
        deadline,
        &evidence,
    );
    let late = step.await;
    assert!(matches!(late, Outcome::Failed { .. }), "{late:?}");
    assert_eq!(world.ca.orders_for(HOST), 2);
    let open = world.service.store.order_open(id(1)).await.unwrap();
    assert_eq!(open, None);
    assert_eq!(status(&world, 2).await, Status::Active);
}

/// An operator requests a retry of a claim of the hostname; of any, if `number` is absent.
async fn retried(world: &World, number: Option<u128>) -> Result<DomainRecord, OperatorError> {
    let host = Hostname::parse(HOST).unwrap();
    let target = Target {
        claim: WhichClaim {
            id: number.map(id),
            tenant: None,
        },
        ..Target::from(&host)
    };
    let (store, now) = (world.service.store.as_ref(), world.service.now());
    let require = world.service.policy.ownership.require;
    operator::retry(store, "operator", now, target, require).await
}

#[tokio::test]
async fn an_operator_names_one_of_several_claims_of_a_name() {
    let world = World::with_due_domain().await;
    world.settle().await;
    claim(&world, 2, "owner").await;
    world.settle().await;
    let refused = retried(&world, None).await.unwrap_err();
    assert!(matches!(refused, OperatorError::SeveralClaims { .. }));
    let (text, ids) = (refused.to_string(), [id(1), id(2)]);
    for part in ids.map(|id| id.to_string()).iter().map(String::as_str) {
        assert!(text.contains(part), "{text}");
    }
    assert!(text.contains("of tenant \"owner\" (PendingDns)"), "{text}");

    retried(&world, Some(2)).await.unwrap();
    let by_operator = EventKind::RetryByOperator;
    assert!(kinds(&world, 2).await.contains(&by_operator));
    assert!(!kinds(&world, 1).await.contains(&by_operator));
    let host = Hostname::parse(HOST).unwrap();
    let of = |tenant| Target {
        claim: WhichClaim {
            id: None,
            tenant: Some(tenant),
        },
        ..Target::from(&host)
    };
    let (store, now) = (world.service.store.as_ref(), world.service.now());
    let renewed = operator::renew(store, "operator", now, of("acme")).await;
    assert_eq!(renewed.unwrap().id, id(1));
    let unknown = operator::renew(store, "operator", now, of("nobody")).await;
    assert!(matches!(unknown, Err(OperatorError::NoSuchClaim(_))));
}

#[tokio::test]
async fn of_an_operators_retries_in_a_row_one_is_granted_in_twenty_seconds() {
    let world = World::with_due_domain().await;
    world.dns.clear(HOST);
    let mut granted = 0;
    for _ in 0..5 {
        match retried(&world, None).await {
            Ok(_) => granted += 1,
            Err(OperatorError::TooSoon { wait, .. }) => {
                assert_eq!(wait, Duration::from_secs(20));
            }
            Err(error) => panic!("{error}"),
        }
        world.settle().await;
    }
    assert_eq!(granted, 1);
    world.advance(Duration::from_secs(20));
    assert!(retried(&world, None).await.is_ok());
}

#[tokio::test]
async fn an_operators_retry_lets_a_claim_that_lost_its_name_prove_it_again() {
    let world = World::with_due_domain().await;
    world.settle().await;
    claim(&world, 2, "owner").await;
    world.settle().await;
    world.prove(2).await;
    check_again(&world).await;
    assert_eq!(status(&world, 1).await, Status::Failed);
    remove(&world, 2).await;
    retried(&world, Some(1)).await.unwrap();
    world.settle().await;
    assert_eq!(phase_and_code(&world, 1).await, (Phase::START, ASKED));
    world.prove(1).await;
    check_again(&world).await;
    assert_eq!(status(&world, 1).await, Status::Active);
}

#[tokio::test]
async fn without_proofs_an_operators_retry_gives_no_name_to_a_second_tenant() {
    let mut world = World::with_due_domain().await;
    Arc::make_mut(&mut world.service.policy).ownership.require = RequireProof::Never;
    world.settle().await;
    claim(&world, 2, "another").await;
    let refused = retried(&world, Some(2)).await;
    assert!(matches!(refused, Err(OperatorError::NotWaiting { .. })));
}

/// Every name below this suffix is the target of one domain from now on.
fn make_targets_unique(world: &mut World) {
    let suffix = NameSuffix::parse("own.platform.net").unwrap();
    Arc::make_mut(&mut world.service.policy)
        .ownership
        .unique_targets = vec![suffix];
}

/// The owner of the name points it at a target.
fn point_at_target(world: &World, host: &str, target: &str) {
    world.dns.point(host);
    let names = &world.dns.names;
    let number = names.book.number(host).unwrap();
    names.point_through(number, vec![target.to_owned()]);
}

/// A domain with this target, as a Cabinet has it that lets its tenants choose, taken in.
async fn claim_with_target(
    world: &World,
    number: u128,
    (tenant, host, target): (&str, &str, &str),
) {
    world.cabinet.add(number, host);
    world.cabinet.edit(id(number), |domain| {
        domain.tenant_id = tenant.into();
        domain.cname_target = target.into();
    });
    let domain = world.cabinet.says(id(number));
    workers::align_domain(&world.service, &domain)
        .await
        .unwrap();
    world.settle().await;
}

const REFUSED: (Phase, Option<FailureCode>) = (Phase::Failed, Some(FailureCode::TargetNotAllowed));

#[tokio::test]
async fn the_target_of_another_tenant_is_refused_also_after_its_domain_was_forgotten() {
    let mut world = World::with_due_domain().await;
    make_targets_unique(&mut world);
    let (host, other) = ("www.victim.test", "shop.victim.test");
    let target = "a1.own.platform.net";
    point_at_target(&world, host, target);
    point_at_target(&world, other, target);
    claim_with_target(&world, 2, ("victim", host, target)).await;
    assert_eq!(status(&world, 2).await, Status::Active);
    // Another name of the victim leads there as well.
    claim_with_target(&world, 3, ("evil", other, target)).await;
    assert_eq!(phase_and_code(&world, 3).await, REFUSED);
    // So does one whose target is changed later.
    claim_with_target(&world, 4, ("evil", other, "b2.own.platform.net")).await;
    world.cabinet.edit(id(4), |domain| {
        domain.cname_target = target.into();
        domain.version += 1;
    });
    let changed = world.cabinet.says(id(4));
    workers::align_domain(&world.service, &changed)
        .await
        .unwrap();
    world.settle().await;
    let (phase, code) = phase_and_code(&world, 4).await;
    assert_eq!(phase, Phase::START);
    assert!(
        matches!(
            code,
            Some(FailureCode::TargetNotAllowed | FailureCode::DnsWrongTarget)
        ),
        "{code:?}"
    );

    remove(&world, 2).await;
    world.advance(world.service.policy.quarantine + DAY);
    world.settle().await;
    assert!(world.service.store.domain(id(2)).await.unwrap().is_none());
    claim_with_target(&world, 5, ("evil", host, target)).await;
    assert_eq!(phase_and_code(&world, 5).await, REFUSED);
    claim_with_target(&world, 6, ("victim", host, target)).await;
    assert_eq!(status(&world, 6).await, Status::Active);
}

#[tokio::test]
async fn a_claim_that_was_taken_in_with_the_target_of_another_tenant_must_be_proven() {
    let mut world = World::with_due_domain().await;
    make_targets_unique(&mut world);
    let target = "a1.own.platform.net";
    point_at_target(&world, HOST, target);
    let (store, now) = (&world.service.store, world.service.now());
    let target = Hostname::parse(target).unwrap();
    store.target_note(&target, "victim", now).await.unwrap();
    let hostile = target.clone();
    world.change(|record| record.cname_target = hostile).await;
    world.settle().await;
    assert_eq!(phase_and_code(&world, 1).await, (Phase::START, ASKED));
    world.prove(1).await;
    check_again(&world).await;
    assert_eq!(status(&world, 1).await, Status::Active);
}

#[tokio::test]
async fn a_domain_that_moved_away_does_not_return_through_a_target_that_is_not_its_own() {
    let mut world = World::with_due_domain().await;
    world.settle().await;
    make_targets_unique(&mut world);
    world.dns.clear(HOST);
    world.advance(2 * DAY);
    world.settle().await;
    world.until_moved_away().await;
    point_at_target(&world, HOST, "unknown.own.platform.net");
    world.advance(DAY);
    world.settle().await;
    assert!(world.record().await.phase.is_moved_away());
    let own = super::world::TARGET;
    point_at_target(&world, HOST, own);
    world.advance(DAY);
    world.settle().await;
    assert!(!world.record().await.phase.is_moved_away());
}

#[tokio::test]
async fn a_served_domain_may_point_at_an_old_target_and_not_at_another_tenants() {
    let mut world = World::with_due_domain().await;
    world.settle().await;
    make_targets_unique(&mut world);
    point_at_target(&world, HOST, "old.own.platform.net");
    for _ in 0..70 {
        world.advance(DAY);
        world.settle().await;
        let record = world.record().await;
        assert!(record.phase.is_live() && record.last_failure.is_none());
    }
    assert_eq!(world.ca.orders_for(HOST), 2, "it was renewed");
    let theirs = "v2.own.platform.net";
    claim_with_target(&world, 2, ("victim", "www.victim.test", theirs)).await;
    point_at_target(&world, HOST, theirs);
    world.advance(2 * DAY);
    world.settle().await;
    world.until_moved_away().await;
    assert_eq!(status(&world, 1).await, Status::Active, "until its end");
}

/// A domain that was served and has just moved away.
async fn moved_away() -> World {
    let world = World::with_due_domain().await;
    world.settle().await;
    world.dns.clear(HOST);
    world.advance(2 * DAY);
    world.settle().await;
    world.until_moved_away().await;
    world
}

/// A domain that was served and is elsewhere for ten days, while another tenant claims its name.
async fn sold_name() -> World {
    let world = moved_away().await;
    for _ in 0..20 {
        world.advance(12 * HOUR);
        world.settle().await;
    }
    claim(&world, 2, "buyer").await;
    world.settle().await;
    world
}

/// The name leads to the platform again, by address, and the buyer alone proves it.
async fn buyer_alone_is_served(world: &World, seller: u128) {
    world.dns.point(HOST);
    for _ in 0..3 {
        check_again(world).await;
    }
    assert_eq!(phase_and_code(world, seller).await, (Phase::START, ASKED));
    assert_eq!(world.ca.orders_for(HOST), 1, "the seller's of then");
    world.prove(2).await;
    check_again(world).await;
    assert_eq!(status(world, 2).await, Status::Active);
}

#[tokio::test]
async fn a_moved_away_domain_that_is_removed_and_added_again_must_be_proven() {
    let world = sold_name().await;
    remove(&world, 1).await;
    claim(&world, 3, "acme").await;
    world.settle().await;
    buyer_alone_is_served(&world, 3).await;
}

#[tokio::test]
async fn a_moved_away_domain_that_is_removed_and_wanted_again_must_be_proven() {
    let world = sold_name().await;
    remove(&world, 1).await;
    world.settle().await;
    change(&world, 1, |domain| domain.status = Some(Status::PendingDns)).await;
    buyer_alone_is_served(&world, 1).await;
}

#[tokio::test]
async fn a_moved_away_domain_that_the_cabinet_lost_must_be_proven_when_it_is_back() {
    let world = sold_name().await;
    let before = world.record().await;
    assert!(before.phase.is_moved_away() && before.ownership.is_held());
    let since = world.service.now();
    let taken_down = missing::take_down(&before, since, since, "replica").unwrap();
    assert!(!taken_down.record().ownership.is_held());
}

#[tokio::test]
async fn a_short_move_needs_no_proof_unless_the_dns_names_a_claim_of_another_tenant() {
    for is_named in [false, true] {
        let world = moved_away().await;
        claim(&world, 2, "buyer").await;
        world.dns.point(HOST);
        world.settle().await;
        if is_named {
            world.prove(2).await;
            remove(&world, 2).await;
        }
        check_again(&world).await;
        let (phase, code) = phase_and_code(&world, 1).await;
        assert_eq!(phase.is_moved_away(), is_named, "{code:?}");
        assert_eq!(code == ASKED, is_named, "{code:?}");
    }
}
