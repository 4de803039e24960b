//! The pauses of issuance.

use std::time::Duration;

use dps_application::ports::store::{Debit, WaitingOrders};
use dps_domain::action::{ActionKind, OperatorAction};
use dps_domain::limits::{BucketKey, CaLimits, Charge, Exemption, Limit, LimitKind};
use dps_domain::pause::{Pause, PauseScope};
use dps_domain::phase::Next;
use dps_domain::{CertificateId, DnsState, Failure, Issuance, Phase};
use uuid::Uuid;

use crate::actions::action;
use crate::world::{World, at, host, number, record};

const CA: &str = "https://ca.example/dir";

fn limits() -> CaLimits {
    let rate = Limit::bursting(3, 1, Duration::from_secs(60));
    CaLimits::default().with(LimitKind::NewOrders, rate)
}

fn pause(scope: PauseScope, second: i64) -> (Pause, OperatorAction) {
    let action = action(
        ActionKind::IssuancePause,
        scope.kind(),
        scope.subject(),
        at(second),
    );
    let pause = Pause {
        scope,
        since: at(second),
        who: action.who.clone(),
        reason: Some(format!("reason {second}")),
    };
    (pause, action)
}

pub(crate) async fn a_pause_holds_back_the_orders_that_it_covers_and_takes_no_token(world: World) {
    let store = &world.store;
    world.with_due("shop.example", at(0)).await;
    let lease = world.acquire_one(at(0)).await;
    let (id, token) = (lease.record.id, lease.token);
    let orders = BucketKey::of_account(LimitKind::NewOrders, CA);
    let left = async || {
        let bucket = store.ledger_bucket(&orders).await.unwrap();
        bucket.tokens(&limits().get(LimitKind::NewOrders), at(0))
    };
    let debit = async |limits: &CaLimits| {
        let name = host("shop.example");
        let charges = Charge::for_order(limits, CA, &name, Exemption::None, true);
        store
            .ledger_debit(id, token, &charges, at(0))
            .await
            .unwrap()
    };
    for (scope, covers) in [
        (PauseScope::All, true),
        (PauseScope::Tenant(lease.record.tenant_id.clone()), true),
        (PauseScope::Domain(host("shop.example")), true),
        (PauseScope::Tenant("another".to_owned()), false),
        (PauseScope::Domain(host("www.shop.example")), false),
    ] {
        let (pause, action) = pause(scope.clone(), 1);
        store.pause_put(&pause, &action).await.unwrap();
        let expected = if covers {
            Debit::Paused
        } else {
            Debit::Granted
        };
        assert_eq!(debit(&CaLimits::default()).await, expected, "{scope:?}");
        if covers {
            assert_eq!(debit(&limits()).await, Debit::Paused, "{scope:?}");
            assert_eq!(left().await, 3);
        }
        assert!(store.pause_delete(&scope, &action).await.unwrap());
        assert!(!store.pause_delete(&scope, &action).await.unwrap());
    }
    assert_eq!(debit(&limits()).await, Debit::Granted);
    assert_eq!(left().await, 2);
}

pub(crate) async fn pauses_are_listed_in_pages_and_each_is_an_action(world: World) {
    let store = &world.store;
    let scopes = [
        PauseScope::All,
        PauseScope::Domain(host("a.example")),
        PauseScope::Domain(host("b.example")),
        PauseScope::Tenant("t".to_owned()),
    ];
    for (second, scope) in (1..).zip(&scopes) {
        let (pause, action) = pause(scope.clone(), second);
        store.pause_put(&pause, &action).await.unwrap();
    }
    let mut found: Vec<Pause> = vec![];
    loop {
        let after = found.last().map(|pause| pause.scope.clone());
        let page = store.pauses(after.as_ref(), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let listed: Vec<PauseScope> = found.iter().map(|pause| pause.scope.clone()).collect();
    assert_eq!(listed, scopes);
    // Another operator takes a pause over, which began before.
    let (mut again, action) = pause(PauseScope::All, 50);
    "oleg@desk".clone_into(&mut again.who);
    store.pause_put(&again, &action).await.unwrap();
    let stored = store.pauses(None, 1).await.unwrap().remove(0);
    assert_eq!((stored.since, stored.who), (at(1), again.who));
    assert_eq!(stored.reason, again.reason);
    let actions = store.actions(None, 10).await.unwrap();
    assert_eq!(actions.len(), 5);
    assert_eq!(actions[0].action, action);
}

pub(crate) async fn the_pauses_of_a_record_are_those_that_cover_it_the_widest_first(world: World) {
    let store = &world.store;
    let record = world.with_due("shop.example", at(0)).await;
    assert_eq!(store.pauses_of(&record).await.unwrap(), []);
    let covering = [
        PauseScope::All,
        PauseScope::Tenant(record.tenant_id.clone()),
        PauseScope::Domain(host("shop.example")),
    ];
    let others = [
        PauseScope::Domain(host("www.shop.example")),
        // A tenant may be named as a hostname is.
        PauseScope::Tenant("shop.example".to_owned()),
    ];
    for (second, scope) in (1..).zip(covering.iter().chain(&others).rev()) {
        let (pause, action) = pause(scope.clone(), second);
        store.pause_put(&pause, &action).await.unwrap();
    }
    let found = store.pauses_of(&record).await.unwrap();
    let scopes: Vec<PauseScope> = found.iter().map(|pause| pause.scope.clone()).collect();
    assert_eq!(scopes, covering);
    let (all, action) = pause(PauseScope::All, 5);
    assert_eq!(found.first(), Some(&all));
    assert!(store.pause_delete(&all.scope, &action).await.unwrap());
    assert_eq!(store.pauses_of(&record).await.unwrap(), found[1..]);
}

pub(crate) async fn what_waits_for_the_end_of_a_pause_is_counted_by_what_it_waits_for(
    world: World,
) {
    const DAY: Duration = Duration::from_secs(86_400);
    let id = || CertificateId::from_uuid(Uuid::from_u128(number()));
    let live = |days: u32, issuance| Phase::Live {
        serving: id(),
        not_after: at(0) + DAY * days,
        dns: DnsState::Here,
        next: Next::Now(issuance),
    };
    let expired = |issuance| Phase::Expired {
        certificate: id(),
        not_after: at(-1),
        dns: DnsState::Here,
        issuance,
    };
    let waits = [
        Phase::Onboarding(Issuance::Ordering),
        Phase::Onboarding(Issuance::Queued),
        live(9, Issuance::Ordering),
        live(3, Issuance::Ordering),
        live(30, Issuance::Queued),
        expired(Issuance::Ordering),
    ];
    // These wait for no order, whatever their last failure was.
    let others = [Phase::Failed, Phase::Leaving, Phase::Gone];
    for (index, phase) in waits.into_iter().chain(others).enumerate() {
        let mut record = record(&format!("shop-{index}.example"));
        // The renewals are urgent from the third and seventh day on, one is not.
        record.urgent_from = match index {
            2 => Some(at(0) + DAY * 7),
            3 => Some(at(0) + DAY * 2),
            _ => None,
        };
        record.phase = phase;
        record.last_failure = Some(Failure::IssuancePaused {});
        world.insert(&record).await;
    }
    let mut other = record("other.example");
    other.phase = live(1, Issuance::Ordering);
    other.last_failure = Some(Failure::DnsNxdomain {});
    world.insert(&other).await;
    let mut expected = WaitingOrders {
        first: 2,
        renewals: 3,
        urgent: 1,
        ended: 1,
        soonest_end: Some(at(0) + DAY * 3),
    };
    let store = &world.store;
    let counted = store.pauses_waiting(at(0) + DAY * 2).await.unwrap();
    assert_eq!(counted, expected);
    expected.urgent = 2;
    let counted = store.pauses_waiting(at(0) + DAY * 7).await.unwrap();
    assert_eq!(counted, expected);
}
