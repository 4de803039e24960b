//! The edges: how they stand, what they should hold, what they were seen to hold.

use std::time::Duration;

use dps_application::ports::fleet::{Comparison, KnownEdge};
use dps_application::ports::store::StoredChallenge;
use dps_application::ports::store::{Deployed, comparison_task};
use dps_domain::action::{ActionKind, ActionScope};
use dps_domain::phase::Next;
use dps_domain::reachability::Reachability;
use dps_domain::{DnsState, Hostname, Phase};

use crate::actions::action;
use crate::certificates::stored;
use crate::world::{TTL, World, at, host, quiet};

const GRACE: Duration = Duration::from_secs(120);
const A_MOMENT: Duration = Duration::from_secs(1);
const EDGE: &str = "https://edge-1:9403";

async fn edge(world: &World) -> KnownEdge {
    let mut edges = world.store.edges().await.unwrap();
    assert_eq!(edges.len(), 1);
    edges.remove(0)
}

/// A domain that is served with its second certificate.
async fn live(world: &World, name: &str) -> Deployed {
    let mut record = world.with_due(name, at(0)).await;
    stored(world, record.id, name, 100).await;
    let (serving, generation) = stored(world, record.id, name, 200).await;
    record.phase = Phase::Live {
        serving: serving.id,
        not_after: serving.details.not_after,
        dns: DnsState::Here,
        next: Next::At(at(9_000)),
    };
    let domain_id = record.id;
    assert!(world.store.domain_update(quiet(record)).await.unwrap());
    Deployed {
        domain_id,
        certificate_id: serving.id,
        generation,
    }
}

pub(crate) async fn an_edge_that_fails_has_one_grace_however_often_it_is_noted(world: World) {
    let failed = async |second, problem| {
        let reachability = world
            .store
            .edge_mark_failed(EDGE, at(second), GRACE, problem)
            .await
            .unwrap();
        assert_eq!(edge(&world).await.reachability, reachability);
        reachability
    };
    assert!(failed(0, "refused").await.is_live(at(0), GRACE));
    assert!(!failed(300, "still refused").await.is_live(at(300), GRACE));
    let known = edge(&world).await;
    assert_eq!(known.problem.as_deref(), Some("still refused"));
    assert_eq!(known.reachability.unreachable_since, Some(at(0)));
}

pub(crate) async fn an_edge_that_answers_is_on_probation_for_as_long_as_its_grace(world: World) {
    let answered = async |second| {
        let reachability = world
            .store
            .edge_mark_answered(EDGE, at(second), GRACE)
            .await
            .unwrap();
        assert_eq!(edge(&world).await.reachability, reachability);
        reachability
    };
    world
        .store
        .edge_mark_failed(EDGE, at(0), GRACE, "x")
        .await
        .unwrap();
    assert!(answered(300).await.is_live(at(300), GRACE));
    assert_eq!(edge(&world).await.problem, None);
    let again = world
        .store
        .edge_mark_failed(EDGE, at(310), GRACE, "y")
        .await
        .unwrap();
    assert_eq!(edge(&world).await.reachability, again);
    assert!(answered(320).await.is_failing(), "it is distrusted");
    assert_eq!(edge(&world).await.problem.as_deref(), Some("y"));
    assert_eq!(answered(370).await.answered_again_at, Some(at(370)));
    assert_eq!(answered(491).await, Reachability::default());
    let stranger = world
        .store
        .edge_mark_answered("https://nobody", at(1), GRACE)
        .await
        .unwrap();
    assert_eq!(stranger, Reachability::default());
}

pub(crate) async fn an_edge_is_listed_compared_and_forgotten_with_what_it_held(world: World) {
    let one = live(&world, "a.example").await;
    let other = live(&world, "b.example").await;
    let names = [EDGE.to_owned(), "https://edge-0:9403".to_owned()];
    world.store.edges_put_listed(&names, at(10)).await.unwrap();
    world
        .store
        .edges_put_listed(&names[..1], at(20))
        .await
        .unwrap();
    let edges = world.store.edges().await.unwrap();
    let stored: Vec<_> = edges
        .iter()
        .map(|edge| (edge.name.as_str(), edge.first_seen_at, edge.listed_at))
        .collect();
    assert_eq!(
        stored,
        [
            ("https://edge-0:9403", at(10), at(10)),
            (EDGE, at(10), at(20))
        ]
    );
    let comparison = Comparison {
        at: at(30),
        certificates: 5,
        refused: 2,
        unknown: 1,
    };
    world
        .store
        .edge_store_comparison(EDGE, &comparison)
        .await
        .unwrap();
    assert_eq!(
        world.store.edges().await.unwrap()[1].compared,
        Some(comparison)
    );
    for name in &names {
        world
            .store
            .edge_store_deployed(name, &[one, other], at(40))
            .await
            .unwrap();
    }
    world
        .store
        .periodic_make_due(&comparison_task(EDGE), at(50))
        .await
        .unwrap();
    assert_eq!(world.store.edge_forget(EDGE, 1).await.unwrap(), 1);
    assert_eq!(world.store.edges().await.unwrap().len(), 2);
    assert_eq!(world.store.edge_forget(EDGE, 5).await.unwrap(), 1);
    assert_eq!(edge(&world).await.name, "https://edge-0:9403");
    assert_eq!(
        world.store.deployments(one.domain_id).await.unwrap().len(),
        1
    );
    let task = world
        .store
        .periodic_acquire(&comparison_task(EDGE), at(60), TTL, at(1_000))
        .await
        .unwrap();
    assert!(task.is_none(), "the task is forgotten as well");
}

pub(crate) async fn what_edges_should_hold_is_what_live_domains_serve_and_is_valid(world: World) {
    let expected = [
        live(&world, "a.example").await,
        live(&world, "c.example").await,
    ];
    world.with_due("b.example", at(0)).await;
    let gone = live(&world, "d.example").await;
    let mut leaving = world.read(gone.domain_id).await;
    leaving.phase = Phase::Leaving;
    assert!(world.store.domain_update(quiet(leaving)).await.unwrap());
    let page = async |after: Option<&Hostname>, second, limit| {
        world.store.desired(after, at(second), limit).await.unwrap()
    };
    let all = page(None, 500, 10).await;
    let stored: Vec<_> = all
        .iter()
        .map(|desired| {
            (
                desired.domain_id,
                desired.certificate_id,
                desired.entry.generation,
            )
        })
        .collect();
    assert_eq!(
        stored,
        expected.map(|deployed| (
            deployed.domain_id,
            deployed.certificate_id,
            deployed.generation
        ))
    );
    assert_eq!(all[0].entry.hostname, host("a.example"));
    assert_eq!(page(None, 500, 1).await, all[..1]);
    assert_eq!(page(Some(&host("a.example")), 500, 10).await, all[1..]);
    assert_eq!(page(Some(&host("c.example")), 500, 10).await, []);
    let valid_at = async |moment| world.store.desired(None, moment, 10).await.unwrap().len();
    let ends = all[0].entry.not_after;
    assert_eq!(valid_at(ends - A_MOMENT).await, 2);
    assert_eq!(valid_at(ends).await, 0, "what has ended serves nobody");
}

pub(crate) async fn a_deployment_is_recorded_per_edge_and_never_taken_back_by_an_older_one(
    world: World,
) {
    let new = live(&world, "shop.example").await;
    let old = Deployed {
        generation: new.generation - 1,
        ..new
    };
    let stranger = Deployed {
        domain_id: "00000000-0000-0000-0000-000000000001".parse().unwrap(),
        ..new
    };
    for (edge, deployed, second) in [
        ("edge-1", old, 5),
        ("edge-2", old, 5),
        ("edge-1", new, 6),
        ("edge-1", old, 7),
        ("edge-1", stranger, 8),
    ] {
        world
            .store
            .edge_store_deployed(edge, &[deployed], at(second))
            .await
            .unwrap();
    }
    let held = async || {
        let held = world.store.deployments(new.domain_id).await.unwrap();
        let stored = held
            .into_iter()
            .map(|held| (held.edge, held.generation, held.deployed_at));
        stored.collect::<Vec<_>>()
    };
    let expected = [
        ("edge-1".to_owned(), new.generation, at(6)),
        ("edge-2".to_owned(), old.generation, at(5)),
    ];
    assert_eq!(held().await, expected);
    for _ in 0..2 {
        world
            .store
            .edge_forget_deployed(new.domain_id, "edge-2")
            .await
            .unwrap();
        assert_eq!(held().await, expected[..1]);
    }
}

pub(crate) async fn the_challenges_under_way_are_those_of_open_orders(world: World) {
    let mut expected = Vec::new();
    for name in ["a.example", "b.example", "c.example"] {
        let domain = world.with_due(name, at(0)).await.id;
        let order = world.with_order(domain).await;
        let challenge = StoredChallenge {
            order_id: order.id,
            url: format!("https://ca/challenge/{name}"),
            token: name.to_owned(),
            key_authorization: format!("{name}.thumbprint"),
        };
        world.store.challenge_put(&challenge).await.unwrap();
        if name == "b.example" {
            world.store.order_close(order.id, at(1)).await.unwrap();
        } else {
            expected.push(challenge);
        }
    }
    let mut found = world.store.challenges(10).await.unwrap();
    found.sort_by(|one, other| one.token.cmp(&other.token));
    assert_eq!(found, expected);
    assert_eq!(world.store.challenges(1).await.unwrap().len(), 1);
}

pub(crate) async fn an_edge_that_was_found_waits_until_it_is_approved_and_one_that_is_listed_does_not(
    world: World,
) {
    let found = [EDGE.to_owned()];
    for second in [10, 20] {
        world
            .store
            .edges_put_found(&found, at(second))
            .await
            .unwrap();
    }
    let waiting = edge(&world).await;
    assert_eq!((waiting.approved_at, waiting.listed_at), (None, at(20)));
    let approval = |second| action(ActionKind::EdgeApprove, ActionScope::Edge, EDGE, at(second));
    let nobody = "https://nobody";
    assert!(
        !world
            .store
            .edge_approve(nobody, &approval(30))
            .await
            .unwrap()
    );
    for second in [30, 40] {
        let approval = approval(second);
        assert!(world.store.edge_approve(EDGE, &approval).await.unwrap());
    }
    world.store.edges_put_found(&found, at(50)).await.unwrap();
    assert_eq!(edge(&world).await.approved_at, Some(at(30)));
    let deployed = live(&world, "shop.example").await;
    world
        .store
        .edge_store_deployed(EDGE, &[deployed], at(60))
        .await
        .unwrap();
    assert_eq!(world.store.edge_presents(EDGE).await.unwrap(), 1);
    assert_eq!(
        world.store.edge_presents("https://nobody").await.unwrap(),
        0
    );
    world.store.edge_forget(EDGE, 10).await.unwrap();
    world.store.edges_put_listed(&found, at(70)).await.unwrap();
    assert_eq!(edge(&world).await.approved_at, Some(at(70)));
}
