//! The record of operators' actions.

use std::time::Duration;

use dps_application::ports::store::RecordedAction;
use dps_domain::action::{ActionKind, ActionScope, OperatorAction};
use dps_domain::record::operator::{self, Requester, Via};
use dps_domain::retention::Prunable;
use dps_domain::{ActionId, Timestamp};

use crate::world::{World, at};

const DAY: Duration = Duration::from_secs(86_400);

/// An action of the command line, without a reason.
pub(crate) fn action(
    kind: ActionKind,
    scope: ActionScope,
    subject: &str,
    at: Timestamp,
) -> OperatorAction {
    OperatorAction::new("ada@desk".into(), at, kind, scope, subject)
}

async fn all(world: &World) -> Vec<OperatorAction> {
    let recorded = world.store.actions(None, 100).await.unwrap();
    recorded.into_iter().map(|one| one.action).collect()
}

pub(crate) async fn an_action_is_recorded_with_what_it_does_and_only_then(world: World) {
    let store = &world.store;
    let record = world.with_due("shop.example", at(500)).await;
    let by = Requester {
        reason: Some("the customer called"),
        via: Via::AdminApi { role: "Operator" },
        ..Requester::from("admin:oleg")
    };
    let write = operator::retry(&record, at(10), by, None).unwrap();
    assert!(store.domain_update(write.clone()).await.unwrap());
    assert!(
        !store.domain_update(write).await.unwrap(),
        "a stale revision"
    );

    let removals = action(ActionKind::RemovalsApprove, ActionScope::All, "", at(20));
    let moved = store.cursor_advance_by("removals", Some("no"), "yes", &removals);
    assert!(!moved.await.unwrap());
    let moved = store.cursor_advance_by("removals", None, "yes", &removals);
    assert!(moved.await.unwrap());
    assert_eq!(store.cursor("removals").await.unwrap().unwrap(), "yes");

    let edge = "https://edge";
    let approval = action(ActionKind::EdgeApprove, ActionScope::Edge, edge, at(30));
    assert!(!store.edge_approve(edge, &approval).await.unwrap());
    store
        .edges_put_found(&[edge.to_owned()], at(25))
        .await
        .unwrap();
    assert!(store.edge_approve(edge, &approval).await.unwrap());

    let found = all(&world).await;
    assert_eq!(found[..2], [approval, removals]);
    let [retry] = &found[2..] else {
        panic!("{found:?}");
    };
    assert_eq!((retry.at, retry.kind), (at(10), ActionKind::DomainRetry));
    assert_eq!(
        (retry.who.as_str(), retry.source.as_str()),
        ("admin:oleg", "api")
    );
    assert_eq!(retry.role, "Operator");
    assert_eq!(
        (retry.scope, retry.subject.as_str()),
        (ActionScope::Domain, "shop.example")
    );
    assert_eq!(retry.reason.as_deref(), Some("the customer called"));
    assert_eq!(retry.count, Some(1));
    assert_ne!(retry.before, retry.after);
}

pub(crate) async fn actions_are_read_newest_first_in_pages_and_go_after_400_days(world: World) {
    let store = &world.store;
    for second in 1..=5 {
        let lift = action(
            ActionKind::LimitLift,
            ActionScope::Limit,
            "NewOrders",
            at(second),
        );
        store.action_insert(&lift.of_many(7)).await.unwrap();
    }
    let mut before: Option<ActionId> = None;
    let mut seen = vec![];
    loop {
        let page: Vec<RecordedAction> = store.actions(before, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|one| one.action.at));
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(at));
    let now = at(3) + 400 * DAY;
    assert_eq!(world.prune(Prunable::Action, now, 1).await, 1);
    assert_eq!(world.prune(Prunable::Action, now, 10).await, 1);
    assert_eq!(world.prune(Prunable::Action, now, 10).await, 0);
    let left: Vec<Timestamp> = all(&world).await.iter().map(|one| one.at).collect();
    assert_eq!(left, [5, 4, 3].map(at));
}

pub(crate) async fn actions_that_cannot_be_read_hide_no_other(world: World) {
    let store = &world.store;
    for second in 1..=3 {
        let kind = ActionKind::LimitLift;
        let lift = action(kind, ActionScope::Limit, "NewOrders", at(second));
        store.action_insert(&lift).await.unwrap();
    }
    let newest = store
        .actions(None, 1)
        .await
        .unwrap()
        .remove(0)
        .id
        .to_string();
    let (head, _) = newest.split_at(newest.len() - 1);
    // After all others, just before the newest one, and before all others.
    for (number, id) in ["zz", "zy", "zx", head, "00"].iter().enumerate() {
        let columns = "id, at, who, source, role, kind, scope, subject, before, after";
        let values = format!("'{id}', {number}, '', '', '', '', '', '', '', ''");
        world
            .sql(&format!(
                "INSERT INTO operator_actions ({columns}) VALUES ({values})"
            ))
            .await;
    }
    for limit in 1..=4 {
        let mut before: Option<ActionId> = None;
        let mut seen = vec![];
        loop {
            let page = store.actions(before, limit).await.unwrap();
            seen.extend(page.iter().map(|one| one.action.at));
            // As a page of the record is continued.
            before = page.last().map(|one| one.id);
            if page.len() < limit as usize {
                break;
            }
        }
        assert_eq!(seen, [3, 2, 1].map(at), "pages of {limit}");
    }
}
