//! Stories of a CA with limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dps_application::operator::limits as limits_of_operator;
use dps_application::ports::ca::CaError;
use dps_application::workers;
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, CaLimits, Limit, LimitKind};
use dps_domain::ownership::RequireProof;
use dps_domain::phase::{Issuance, Next, Phase};
use dps_domain::{
    EventKind, Failure, FailureCode, Hostname, OrderGate, Purpose, Status, Timestamp, Until,
};

use super::cabinet::id;
use super::world::{HOST, World};

const CA: &str = "https://ca.test/dir";
const HOUR: Duration = Duration::from_secs(3_600);

fn limits() -> CaLimits {
    CaLimits::default()
        .with(LimitKind::NewOrders, Limit::per(300, 3 * HOUR))
        .with(LimitKind::RegisteredDomain, Limit::per(50, 168 * HOUR))
        .with(LimitKind::ExactSet, Limit::per(5, 168 * HOUR))
        .with(LimitKind::FailedValidations, Limit::per(5, HOUR))
        .with(
            LimitKind::ConsecutiveFailures,
            Limit::bursting(1_152, 1, 24 * HOUR),
        )
        .with(LimitKind::NewAccounts, Limit::per(10, 3 * HOUR))
}

async fn limited_world() -> World {
    let mut world = World::with_due_domain().await;
    world.service.limits = Arc::new(limits());
    world
}

fn key(kind: LimitKind) -> BucketKey {
    BucketKey::of_order(kind, CA, &Hostname::parse(HOST).unwrap())
}

async fn spent(world: &World, kind: LimitKind) -> u32 {
    let bucket = world.service.store.ledger_bucket(&key(kind)).await.unwrap();
    let now = world.service.now();
    limits().get(kind).burst - bucket.tokens(&limits().get(kind), now)
}

/// Others took whatever there was.
async fn use_up(world: &World, kind: LimitKind) {
    let (key, limit, now) = (key(kind), limits().get(kind), world.service.now());
    let taken = world.service.store.ledger_take(&key, &limit, now, u32::MAX);
    assert!(taken.await.unwrap().count > 0);
}

fn until(failure: Option<&Failure>) -> Timestamp {
    match failure {
        Some(Failure::AcmeRateLimited {
            until: Some(at), ..
        }) => *at,
        other => panic!("not limited: {other:?}"),
    }
}

#[tokio::test]
async fn a_first_certificate_costs_one_of_each_that_the_ca_counts_and_a_success_no_failure() {
    let world = limited_world().await;
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    for (kind, expected) in [
        (LimitKind::NewOrders, 1),
        (LimitKind::RegisteredDomain, 1),
        (LimitKind::ExactSet, 1),
        (LimitKind::FailedValidations, 0),
        (LimitKind::ConsecutiveFailures, 0),
        (LimitKind::NewAccounts, 1),
    ] {
        assert_eq!(spent(&world, kind).await, expected, "{kind}");
    }
}

#[tokio::test]
async fn a_renewal_of_the_same_name_costs_no_order_and_no_certificate_of_the_domain() {
    let world = limited_world().await;
    world.settle().await;
    use_up(&world, LimitKind::RegisteredDomain).await;
    let Phase::Live {
        next: Next::At(at), ..
    } = world.record().await.phase
    else {
        panic!("not live")
    };
    world.advance(at.since(world.service.now()));
    world.settle().await;
    assert_eq!(world.ca.orders_for(HOST), 2);
    assert_eq!(
        spent(&world, LimitKind::NewOrders).await,
        0,
        "the first is long forgiven"
    );
    assert_eq!(spent(&world, LimitKind::ExactSet).await, 1);
}

#[tokio::test]
async fn a_domain_behind_a_used_up_limit_says_until_when_sends_nothing_and_continues_by_itself() {
    let world = limited_world().await;
    use_up(&world, LimitKind::RegisteredDomain).await;
    world.settle().await;
    let waiting = world.record().await;
    let slot = until(waiting.last_failure.as_ref());
    assert_eq!(waiting.next_attempt_at, Some(slot));
    assert_eq!(waiting.phase.status(), Status::Issuing);
    assert_eq!(waiting.attempt, 0, "to wait is no attempt");
    assert_eq!(world.ca.orders_for(HOST), 0);
    let counted = |name| {
        world
            .counters
            .0
            .lock()
            .unwrap()
            .get(&(name, false))
            .copied()
    };
    assert_eq!(counted("issuance"), None, "nothing was asked of the CA");
    assert_eq!(counted("registered_domain"), Some(1));
    world.advance(slot.since(world.service.now()));
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
}

#[tokio::test]
async fn a_failed_validation_is_counted_and_gives_the_others_back() {
    let world = limited_world().await;
    for _ in 0..3 {
        world.step().await;
    }
    world
        .ca
        .model
        .invalidate_all(&Failure::AcmeValidationFailed {
            sub_cause: "dns".into(),
            detail: "no".into(),
            reached_by_us: false,
        });
    world.step().await;
    for (kind, expected) in [
        (LimitKind::NewOrders, 1),
        (LimitKind::FailedValidations, 1),
        (LimitKind::ConsecutiveFailures, 1),
        (LimitKind::RegisteredDomain, 0),
        (LimitKind::ExactSet, 0),
    ] {
        assert_eq!(spent(&world, kind).await, expected, "{kind}");
    }
}

#[tokio::test]
async fn a_validation_that_is_repeated_once_counts_as_failed_all_the_same() {
    let world = limited_world().await;
    for _ in 0..3 {
        world.step().await;
    }
    world
        .ca
        .model
        .invalidate_all(&Failure::AcmeValidationFailed {
            sub_cause: "connection".into(),
            detail: "no".into(),
            reached_by_us: false,
        });
    world.step().await;
    assert_eq!(
        world.record().await.last_failure,
        None,
        "nothing is reported"
    );
    for kind in [LimitKind::FailedValidations, LimitKind::ConsecutiveFailures] {
        assert_eq!(spent(&world, kind).await, 1, "{kind}");
    }
}

#[tokio::test]
async fn however_often_a_retry_is_forced_no_more_validations_fail_than_the_ca_allows() {
    let world = limited_world().await;
    for _ in 0..60 {
        // The customer forgets the pause and requests a retry, every minute of an hour.
        world
            .change(|record| {
                record.order_gate = OrderGate::Open;
                record.phase = Phase::START;
            })
            .await;
        for _ in 0..3 {
            world.step().await;
        }
        world
            .ca
            .model
            .invalidate_all(&Failure::AcmeValidationFailed {
                sub_cause: "dns".into(),
                detail: "no".into(),
                reached_by_us: false,
            });
        world.settle().await;
        world.advance(Duration::from_secs(60));
    }
    // Five at once, and one more each twelve minutes.
    assert!(
        (5..=9).contains(&world.ca.orders_for(HOST)),
        "{}",
        world.ca.orders_for(HOST)
    );
}

#[tokio::test]
async fn a_refused_order_is_given_back_and_blocks_everybody_with_the_same_limit() {
    for known in [true, false] {
        let mut world = limited_world().await;
        if !known {
            world.service.limits = Arc::default();
        }
        world.step().await;
        world.step().await;
        // The account exists, so that the next call is the order.
        dps_application::ca::account::account(&world.service)
            .await
            .unwrap();
        let now = world.service.now();
        let retry_after = now + HOUR;
        world.ca.fail_next([CaError::RateLimited {
            until: Some(Until::named(retry_after, now, Purpose::Limit)),
            detail: "too many new orders from this account".into(),
        }]);
        world.step().await;
        let record = world.record().await;
        assert_eq!(until(record.last_failure.as_ref()), retry_after);
        let due = record.next_attempt_at.unwrap();
        assert!(
            due >= retry_after && due <= retry_after + Duration::from_secs(60),
            "{due}"
        );
        if known {
            assert_eq!(spent(&world, LimitKind::ExactSet).await, 0);
        }
        // A domain that comes meanwhile is not ordered for.
        world
            .change(|record| record.next_attempt_at = Some(now))
            .await;
        world.settle().await;
        let again = world.record().await;
        assert!(until(again.last_failure.as_ref()) >= retry_after);
        assert_eq!(again.phase.status(), Status::Issuing);
        assert_eq!(world.ca.orders_for(HOST), 0);
        world.advance(2 * HOUR);
        world.settle().await;
        assert_eq!(
            world.record().await.phase.status(),
            Status::Active,
            "known: {known}"
        );
    }
}

#[tokio::test]
async fn an_order_whose_step_died_is_not_paid_for_twice() {
    let world = limited_world().await;
    world.step().await;
    world.step().await;
    // Dies after the debit and the order, before its outcome.
    world.step_and_die().await;
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    for kind in [LimitKind::RegisteredDomain, LimitKind::ExactSet] {
        assert_eq!(spent(&world, kind).await, 1, "{kind}");
    }
}

#[tokio::test]
async fn a_name_that_the_ca_paused_is_not_ordered_for_until_somebody_asks_for_a_retry() {
    let world = limited_world().await;
    world.settle().await;
    let Phase::Live {
        next: Next::At(at), ..
    } = world.record().await.phase
    else {
        panic!("not live")
    };
    world.advance(at.since(world.service.now()));
    world
        .change(|record| record.next_attempt_at = Some(at))
        .await;
    for _ in 0..2 {
        world.step().await;
    }
    world.ca.fail_next([CaError::Paused {
        unpause_url: Some("https://ca.test/unpause".into()),
        detail: "paused".into(),
    }]);
    world.step().await;
    assert_eq!(
        world
            .record()
            .await
            .last_failure
            .map(|failure| failure.code()),
        Some(FailureCode::AcmePaused)
    );
    for _ in 0..8 {
        world.advance(7 * HOUR);
        world.settle().await;
        assert_eq!(world.ca.orders_for(HOST), 1, "no timer asks the CA");
    }
    let host = Hostname::parse(HOST).unwrap();
    let (store, now) = (&*world.service.store, world.service.now());
    dps_application::operator::retry(store, "operator", now, &host, RequireProof::default())
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(world.ca.orders_for(HOST), 2);
    assert_eq!(world.record().await.last_failure, None);
}

#[tokio::test]
async fn first_issues_beyond_the_accounts_orders_queue_and_get_what_comes_in_turn() {
    let mut world = World::with_due_domain().await;
    let rate = Limit::bursting(3, 1, Duration::from_secs(60));
    world.service.limits = Arc::new(CaLimits::default().with(LimitKind::NewOrders, rate));
    for n in 2..=6 {
        world.add(n, &format!("shop-{n}.example.com"), "big").await;
    }
    world.settle().await;
    let active = async || {
        let all = world.records().await;
        all.iter()
            .filter(|record| record.phase.status() == Status::Active)
            .count()
    };
    assert_eq!(active().await, 3);
    let waiting: Vec<_> = world
        .records()
        .await
        .into_iter()
        .filter(|record| record.phase == Phase::Onboarding(Issuance::Queued))
        .collect();
    assert_eq!(waiting.len(), 3);
    let mut turns: Vec<_> = waiting
        .iter()
        .map(|record| until(record.last_failure.as_ref()))
        .collect();
    turns.sort_unstable();
    // A minute after the burst and its margin, then one each minute.
    let first = world.service.now() + Duration::from_secs(120);
    assert_eq!(
        turns,
        [0, 1, 2].map(|n| first + Duration::from_secs(60) * n)
    );
    assert!(
        waiting.iter().all(|record| record.attempt == 0),
        "to queue is no attempt"
    );
    // Another tenant, much later than those who wait, is after them but not after all of the big
    // one.
    world.add(7, "small.example.com", "small").await;
    world.settle().await;
    assert_eq!(active().await, 3);
    world.advance(Duration::from_secs(120));
    world.settle().await;
    assert_eq!(active().await, 4);
    world.advance(Duration::from_secs(60));
    world.settle().await;
    assert_eq!(active().await, 5);
    let small = world
        .records()
        .await
        .into_iter()
        .find(|record| record.tenant_id == "small");
    assert_eq!(
        small.unwrap().phase.status(),
        Status::Active,
        "tenants take turns"
    );
    world.advance(Duration::from_secs(600));
    world.settle().await;
    assert_eq!(active().await, 7);
}

#[tokio::test]
async fn what_the_ca_named_by_mistake_can_be_seen_and_lifted_and_what_waits_continues() {
    let world = limited_world().await;
    for _ in 0..2 {
        world.step().await;
    }
    dps_application::ca::account::account(&world.service)
        .await
        .unwrap();
    let now = world.service.now();
    world.ca.fail_next([CaError::RateLimited {
        until: Some(Until::named(now + 400 * HOUR, now, Purpose::Limit)),
        detail:
            "too many certificates (50) already issued for \"example.com\" in the last 168h0m0s"
                .into(),
    }]);
    world.step().await;
    let waiting = world.record().await;
    assert_eq!(
        until(waiting.last_failure.as_ref()),
        now + 168 * HOUR,
        "a week at most"
    );
    let store = &*world.service.store;
    let (kind, limits) = (LimitKind::RegisteredDomain, limits());
    let shown = limits_of_operator::show(store, (CA, &limits), now)
        .await
        .unwrap();
    let blocked = shown.iter().find(|state| state.kind == kind).unwrap();
    assert_eq!(blocked.subject.as_deref(), Some("example.com"));
    assert_eq!(blocked.blocked_until, Some(now + 168 * HOUR));
    let lift = async |name| {
        let by = ("operator", now);
        let lifted = limits_of_operator::lift(store, by, CA, (kind, Some(name)), &|| true);
        lifted.await.unwrap()
    };
    let others = lift("example.net").await;
    assert_eq!((others.buckets.len(), others.woken), (0, 0));
    let lifted = lift("example.com").await;
    assert_eq!((lifted.buckets.len(), lifted.woken), (1, 1));
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    let events = store.events(waiting.id, 1_000).await.unwrap();
    let noted = events
        .iter()
        .filter(|event| event.kind == EventKind::LimitLifted);
    assert_eq!(noted.count(), 1);
}

#[tokio::test]
async fn a_lift_that_was_cut_short_is_completed_by_a_second_one() {
    let world = limited_world().await;
    use_up(&world, LimitKind::RegisteredDomain).await;
    world.settle().await;
    let (store, now) = (&*world.service.store, world.service.now());
    let lift = async |is_in_time: &(dyn Fn() -> bool + Sync)| {
        let of = (LimitKind::RegisteredDomain, None);
        let lifted = limits_of_operator::lift(store, ("operator", now), CA, of, is_in_time);
        lifted.await.unwrap()
    };
    let nothing = lift(&|| false).await;
    assert_eq!((nothing.buckets.len(), nothing.woken), (0, 0));
    assert!(!nothing.is_complete);
    let calls = AtomicU32::new(0);
    let bucket_alone = lift(&|| calls.fetch_add(1, Ordering::Relaxed) < 1).await;
    assert_eq!((bucket_alone.buckets.len(), bucket_alone.woken), (1, 0));
    assert!(!bucket_alone.is_complete);
    let rest = lift(&|| true).await;
    assert_eq!((rest.buckets.len(), rest.woken), (0, 1));
    assert!(rest.is_complete);
}

#[tokio::test]
async fn a_turn_that_cannot_be_used_is_given_back() {
    let world = limited_world().await;
    use_up(&world, LimitKind::RegisteredDomain).await;
    world.step().await;
    world.step().await;
    world
        .change(|record| record.phase = Phase::Onboarding(Issuance::Queued))
        .await;
    world.step().await;
    let waiting = world.record().await;
    let slot = until(waiting.last_failure.as_ref());
    assert_eq!(waiting.phase, Phase::Onboarding(Issuance::Queued));
    assert_eq!(waiting.next_attempt_at, Some(slot));
    assert_eq!(spent(&world, LimitKind::NewOrders).await, 0);
    world.advance(slot.since(world.service.now()));
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
}

/// A world of which the account has twenty orders in three hours, and each tenant five unproven
/// ones.
async fn world_of_twenty_orders() -> World {
    let mut world = World::with_due_domain().await;
    let limits = CaLimits::default().with(LimitKind::NewOrders, Limit::per(20, 3 * HOUR));
    world.service.limits = Arc::new(limits.with_tenants_part());
    world
}

async fn active(world: &World, tenant: &str) -> usize {
    let records = world.records().await;
    let active = |record: &&dps_application::ports::store::DomainRecord| {
        record.tenant_id == tenant && record.phase.status() == Status::Active
    };
    records.iter().filter(active).count()
}

#[tokio::test]
async fn a_tenant_whose_names_the_ca_sees_elsewhere_leaves_the_accounts_orders_to_others() {
    let world = world_of_twenty_orders().await;
    world.ca.sees_elsewhere(".evil.test");
    for n in 0..40 {
        world
            .add(1_000 + n, &format!("shop-{n}.evil.test"), "evil")
            .await;
    }
    for _ in 0..20 {
        world.settle().await;
        world.advance(Duration::from_secs(30));
    }
    let spent_by_evil = world.ca.orders() - world.ca.orders_for(HOST);
    assert!(
        (2..=6).contains(&spent_by_evil),
        "{spent_by_evil} orders of twenty"
    );
    for n in 0..8 {
        world
            .add(2_000 + n, &format!("shop-{n}.honest.test"), "honest")
            .await;
    }
    for _ in 0..3 {
        world.settle().await;
        world.advance(Duration::from_secs(60));
    }
    assert_eq!(
        active(&world, "honest").await,
        8,
        "nobody waits for others' failures"
    );

    let now = world.service.now();
    let records = world.records().await;
    let waits = |record: &&dps_application::ports::store::DomainRecord| matches!(&record.last_failure, Some(Failure::AcmeRateLimited { detail, .. }) if detail.contains("UnprovenOrders"));
    let waiting: Vec<_> = records.iter().filter(waits).collect();
    assert!(waiting.len() >= 30, "{}", waiting.len());
    for record in waiting {
        assert_eq!(record.tenant_id, "evil");
        assert_eq!(record.phase.status(), Status::Issuing, "it is not given up");
        let longest = world.service.policy.issuance.max_backoff * 2;
        assert!(record.next_attempt_at.is_some_and(|at| at <= now + longest));
    }
    assert!(
        world
            .counters
            .0
            .lock()
            .unwrap()
            .contains_key(&("unproven_orders", false)),
        "the operator sees it"
    );
}

#[tokio::test]
async fn a_tenant_whose_orders_succeed_has_all_that_the_account_has() {
    let world = world_of_twenty_orders().await;
    for n in 0..18 {
        world
            .add(1_000 + n, &format!("shop-{n}.honest.test"), "honest")
            .await;
    }
    for _ in 0..6 {
        world.settle().await;
        world.advance(Duration::from_secs(30));
    }
    assert_eq!(active(&world, "honest").await, 18);
}

#[tokio::test]
async fn a_name_that_is_removed_before_the_ca_decides_costs_its_tenant_an_order() {
    let world = world_of_twenty_orders().await;
    for _ in 0..3 {
        world.step().await;
    }
    let record = world.record().await;
    assert!(matches!(
        record.phase,
        Phase::Onboarding(Issuance::Validating { .. })
    ));
    let key = BucketKey::of_tenant(CA, &record.tenant_id);
    let left = async || {
        let limit = world.service.limits.get(LimitKind::UnprovenOrders);
        let bucket = world.service.store.ledger_bucket(&key).await.unwrap();
        bucket.tokens(&limit, world.service.now())
    };
    assert_eq!(left().await, 4, "held while it is under way");
    let mut domain = world.cabinet.says(record.id);
    domain.status = Some(Status::PendingRemoval);
    domain.version += 1;
    workers::align_domain(&world.service, &domain)
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(world.record().await.phase, Phase::Gone);
    assert_eq!(left().await, 4, "and not given back");
}

/// Steps every lane until nothing is due, however many domains there are.
async fn settle_all(world: &World) {
    for _ in 0..1_000 {
        let mut stepped = 0;
        for lane in Lane::ALL {
            stepped += workers::tick(&world.service, lane).await.unwrap();
        }
        if stepped == 0 {
            return;
        }
    }
    panic!("the world does not settle");
}

#[tokio::test]
async fn a_thousand_names_that_are_added_and_removed_delay_no_other_tenants_first_name() {
    let mut world = World::with_due_domain().await;
    let per_domain = Limit::per(5, 168 * HOUR);
    let limits = CaLimits::default().with(LimitKind::RegisteredDomain, per_domain);
    world.service.limits = Arc::new(limits);
    Arc::make_mut(&mut world.service.policy).removal_brake_percent = 100;
    for number in 2..1_002 {
        let host = format!("n{number}.shared.test");
        world.add(number, &host, "evil").await;
    }
    settle_all(&world).await;
    assert_eq!(
        world.ca.orders(),
        6,
        "those that the CA allows, and one before"
    );
    for number in 2..1_002 {
        let mut domain = world.cabinet.says(id(number));
        domain.status = Some(Status::PendingRemoval);
        domain.version += 1;
        let aligned = workers::align_domain(&world.service, &domain).await;
        assert!(aligned.unwrap());
    }
    settle_all(&world).await;
    world.add(2_000, "www.shared.test", "victim").await;
    settle_all(&world).await;
    let record = world.service.store.domain(id(2_000)).await.unwrap();
    let until = until(record.unwrap().last_failure.as_ref());
    // Of the names that were removed, the five certificates that were issued count, and no more.
    let wait = until.since(world.service.now());
    assert!(wait <= 168 * HOUR / 5 + HOUR, "{wait:?}");
    world.advance(wait + HOUR);
    settle_all(&world).await;
    let record = world.service.store.domain(id(2_000)).await.unwrap();
    assert_eq!(record.unwrap().phase.status(), Status::Active);
}
