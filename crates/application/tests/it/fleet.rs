//! Stories of edges that are away, return, are new, lost what they had, or do not do what they say.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dps_application::ports::edge::DirectoryError;
use dps_application::ports::fleet::Comparison;
use dps_application::ports::store::{StoredChallenge, StoredOrder};
use dps_application::ports::{Edge, EdgeDirectory};
use dps_application::workers::{Watch, compare};
use dps_application::{Fleet, Policy, Service, operator, steps};
use dps_domain::outcome::Outcome;
use dps_domain::{EventKind, FailureCode, OrderId, Phase, Status, Timestamp};
use dps_simulation::models::edges::{EdgeFault, Served};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::outside::Edges;
use super::world::{GRACE, HOST, LEASE, World};

const A_MOMENT: Duration = Duration::from_secs(1);

/// A check of the edges, and the comparisons that are due and come to an end.
pub(super) async fn check_edges(world: &World, watch: &mut Watch) -> Vec<Option<Comparison>> {
    watch.check_edges(&world.service).await.unwrap();
    let mut compared = Vec::new();
    for edge in world.service.fleet.members().iter() {
        let stop = CancellationToken::new();
        compared.push(
            compare(&world.service, edge.as_ref(), &stop)
                .await
                .unwrap_or_default(),
        );
    }
    compared
}

async fn is_active(world: &World) -> bool {
    world.record().await.phase.status() == Status::Active
}

/// A world with so many served domains.
async fn with_served(count: u128) -> (World, Watch) {
    let world = World::with_due_domain().await;
    for number in 2..=count {
        let host = format!("n{number}.example.com");
        world.add(number, &host, "acme").await;
    }
    let mut watch = Watch::default();
    world.settle().await;
    check_edges(&world, &mut watch).await;
    (world, watch)
}

/// A certificate of somebody else.
fn strange(generation: u64, not_after: Timestamp) -> Served {
    Served::new(1_000_000, not_after, generation)
}

#[tokio::test]
async fn an_unreachable_edge_delays_nobody_for_longer_than_its_grace_and_is_brought_up_to_date_at_its_return()
 {
    let world = World::with_due_domain().await;
    let mut watch = Watch::default();
    world.edges.set_down(1, true);
    check_edges(&world, &mut watch).await;
    let away_since = world.service.now();
    world.advance(A_MOMENT);
    world.settle().await;
    let record = world.record().await;
    assert_eq!(
        record.last_failure.unwrap().code(),
        FailureCode::EdgeUnreachable
    );
    assert!(record.next_attempt_at.unwrap() <= away_since + GRACE);
    world.advance(GRACE);
    world.settle().await;
    assert!(is_active(&world).await);
    assert_eq!(world.edges.served_by(1, HOST), None);

    world.edges.set_down(1, false);
    world.advance(A_MOMENT);
    let compared = check_edges(&world, &mut watch).await;
    assert_eq!(compared[1].unwrap().refused, 0);
    assert!(world.edges.served(HOST).is_some(), "both edges agree");
    let deployments = world
        .service
        .store
        .deployments(world.record().await.id)
        .await;
    assert_eq!(deployments.unwrap().len(), 2);
    assert_eq!(world.ca.orders_for(HOST), 1);
}

#[tokio::test]
async fn while_no_edge_is_there_nothing_becomes_active_and_the_first_that_returns_is_enough() {
    let world = World::with_due_domain().await;
    let mut watch = Watch::default();
    for index in [0, 1] {
        world.edges.set_down(index, true);
    }
    check_edges(&world, &mut watch).await;
    for _ in 0..5 {
        world.advance(GRACE);
        world.settle().await;
    }
    assert!(!is_active(&world).await);
    assert_eq!(world.ca.orders_for(HOST), 0);
    world.edges.set_down(0, false);
    world.advance(Duration::from_secs(3600));
    world.settle().await;
    assert!(
        is_active(&world).await,
        "tried although the watch has not seen it yet"
    );
}

#[tokio::test]
async fn an_edge_that_says_it_is_well_and_does_nothing_holds_up_nobody_for_long_either() {
    let world = World::with_due_domain().await;
    let mut watch = Watch::default();
    world.edges.set_fault(1, Some(EdgeFault::DiskFull));
    // Its health is good all the while.
    for _ in 0..20 {
        world.settle().await;
        check_edges(&world, &mut watch).await;
        world.advance(Duration::from_secs(10));
    }
    assert!(is_active(&world).await);
    world.add(2, "second.example.com", "acme").await;
    world.settle().await;
    let second = &world.records().await[0];
    assert_eq!(second.hostname.as_str(), "second.example.com");
    assert_eq!(
        second.phase.status(),
        Status::Active,
        "the next one does not wait at all"
    );

    world.edges.set_fault(1, None);
    world.advance(Duration::from_secs(60));
    check_edges(&world, &mut watch).await;
    assert!(world.edges.served("second.example.com").is_some());
    world.advance(GRACE + A_MOMENT);
    check_edges(&world, &mut watch).await;
    let known = world.service.store.edges().await.unwrap();
    assert_eq!(
        known[1].reachability.unreachable_since, None,
        "it was well for long enough"
    );
}

#[tokio::test]
async fn an_edge_that_lost_its_disk_gets_everything_again_and_equal_digests_send_nothing() {
    let (world, mut watch) = with_served(8).await;
    let digests = async || {
        let mut digests = Vec::new();
        for edge in world.service.fleet.members().iter() {
            digests.push(edge.inventory(None, 1).await.unwrap().digest);
        }
        digests
    };
    let before = digests().await;
    assert_eq!(before[0], before[1]);
    world.advance(A_MOMENT);
    world.edges.lose_disk(1);
    let compared = check_edges(&world, &mut watch).await;
    assert_eq!(compared[0], None);
    let compared = compared[1].unwrap();
    assert_eq!(
        (compared.certificates, compared.refused, compared.unknown),
        (8, 0, 0)
    );
    assert_eq!(digests().await, before);
    assert_eq!(check_edges(&world, &mut watch).await, [None, None]);

    // Service and agent begin anew together, such as on one machine.
    world.advance(A_MOMENT);
    world.edges.lose_disk(1);
    check_edges(&world, &mut Watch::default()).await;
    assert_eq!(digests().await, before);
}

/// Two certificates in a second, which go in batches of two.
fn fill_slowly(world: &mut World) {
    let mut policy = Policy::clone(&world.service.policy);
    policy.fleet.certificates_per_second = 2;
    world.service.policy = Arc::new(policy);
}

#[tokio::test]
async fn an_edge_is_filled_no_faster_than_its_rate() {
    let (mut world, mut watch) = with_served(6).await;
    fill_slowly(&mut world);
    world.advance(A_MOMENT);
    world.edges.lose_disk(1);
    let began = Instant::now();
    let compared = check_edges(&world, &mut watch).await;
    assert_eq!(compared[1].unwrap().certificates, 6);
    assert!(
        began.elapsed() >= Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_process_that_stops_while_it_fills_an_edge_leaves_the_rest_to_the_next_at_once() {
    let (mut world, mut watch) = with_served(6).await;
    fill_slowly(&mut world);
    world.advance(A_MOMENT);
    world.edges.lose_disk(1);
    watch.check_edges(&world.service).await.unwrap();
    let edge = Arc::clone(&world.service.fleet.members()[1]);
    let stop = CancellationToken::new();
    let stopped_after_a_batch = async {
        while world.edges.count(1) == 0 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
    };
    let fill = compare(&world.service, edge.as_ref(), &stop);
    let (filled, ()) = tokio::join!(fill, stopped_after_a_batch);
    assert_eq!(filled.unwrap(), None);
    assert!(
        (1..6).contains(&world.edges.count(1)),
        "{}",
        world.edges.count(1)
    );

    let next = CancellationToken::new();
    let filled = compare(&world.service, edge.as_ref(), &next)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((filled.certificates, filled.refused), (6, 0));
    assert_eq!(world.edges.count(1), 6);
}

#[tokio::test]
async fn an_edge_is_compared_now_and_then_without_any_sign() {
    let (world, mut watch) = with_served(2).await;
    let stale = strange(1, Timestamp::NEVER);
    let served = world.edges.served(HOST);
    world.edges.put(0, HOST, stale);
    assert_eq!(check_edges(&world, &mut watch).await, [None, None]);
    world.advance(Duration::from_secs(7 * 3600));
    let compared = check_edges(&world, &mut watch).await;
    assert_eq!(compared[0].unwrap().certificates, 2);
    assert_eq!(world.edges.served(HOST), served);
}

#[tokio::test]
async fn what_a_comparison_does_not_know_is_left_alone_unless_its_domain_was_removed_or_it_has_ended()
 {
    let (world, mut watch) = with_served(3).await;
    let now = world.service.now();
    world.edges.set_down(1, true);
    check_edges(&world, &mut watch).await;
    world.advance(GRACE);
    world.request_removal().await;
    world.settle().await;
    assert_eq!(
        world.record().await.phase,
        Phase::Gone,
        "an absent edge holds up no removal"
    );
    assert!(world.edges.served_by(1, HOST).is_some());
    let stranger = strange(1, Timestamp::NEVER);
    world.edges.put(1, "a-stranger.example.net", stranger);
    world.edges.put(1, "z-ended.example.net", strange(1, now));
    let newer = strange(u64::MAX, Timestamp::NEVER);
    world.edges.put(1, "n2.example.com", newer);

    world.edges.set_down(1, false);
    let compared = check_edges(&world, &mut watch).await[1].unwrap();
    assert_eq!(
        (compared.certificates, compared.refused, compared.unknown),
        (2, 0, 1)
    );
    assert_eq!(
        world.edges.served_by(1, HOST),
        None,
        "removed while it was away"
    );
    assert_eq!(world.edges.served_by(1, "z-ended.example.net"), None);
    assert!(world.edges.served_by(1, "a-stranger.example.net").is_some());
    assert_eq!(
        world.edges.served_by(1, "n2.example.com"),
        Some(newer.serial.to_string()),
        "what is being deployed just now is not taken back"
    );
}

/// A store that was restored from a backup knows an older certificate than the edges serve, or
/// none.
#[tokio::test]
async fn what_a_restored_store_does_not_know_is_taken_down_with_its_domain() {
    for is_known in [true, false] {
        let world = World::with_due_domain().await;
        if is_known {
            world.settle().await;
        }
        let mut watch = Watch::default();
        for _ in 0..2 {
            check_edges(&world, &mut watch).await;
            world.advance(2 * LEASE);
        }
        for edge in 0..2 {
            let unknown = strange(u64::MAX, Timestamp::NEVER);
            world.edges.put(edge, HOST, unknown);
        }
        world.request_removal().await;
        world.settle().await;
        assert_eq!(world.record().await.phase, Phase::Gone);
        check_edges(&world, &mut watch).await;
        for edge in 0..2 {
            assert_eq!(world.edges.served_by(edge, HOST), None, "known: {is_known}");
        }
    }
}

#[tokio::test]
async fn an_edge_that_returns_answers_the_challenges_under_way_before_it_counts() {
    let (world, mut watch) = with_served(1).await;
    world.edges.set_down(1, true);
    check_edges(&world, &mut watch).await;
    let order = StoredOrder {
        id: OrderId::from_uuid(Uuid::from_u128(77)),
        domain_id: world.record().await.id,
        directory_url: world.service.ca.directory_url().to_owned(),
        url: "https://ca/order/77".into(),
        open: true,
        key: None,
        created_at: world.service.now(),
    };
    let due = world.record().await.next_attempt_at;
    world.change(|_| {}).await;
    let (store, lease) = (&world.service.store, world.lease().await);
    store.order_insert(&order, lease.token).await.unwrap();
    store.release(order.domain_id, lease.token).await.unwrap();
    world.change(|record| record.next_attempt_at = due).await;
    let challenge = StoredChallenge {
        order_id: order.id,
        url: "https://ca/challenge/77".into(),
        token: "token".into(),
        key_authorization: "token.thumbprint".into(),
    };
    world.service.store.challenge_put(&challenge).await.unwrap();
    world.edges.set_down(1, false);
    check_edges(&world, &mut watch).await;
    assert_eq!(
        (world.edges.challenges_of(0), world.edges.challenges_of(1)),
        (0, 1)
    );
}

#[tokio::test]
async fn an_edge_that_left_the_fleet_is_forgotten_after_a_while() {
    let (mut world, mut watch) = with_served(2).await;
    let members = world.edges.ports();
    world.service.fleet = Arc::new(Fleet::fixed(members[..1].to_vec()));
    check_edges(&world, &mut watch).await;
    assert_eq!(world.service.store.edges().await.unwrap().len(), 2);
    world.advance(Duration::from_secs(8 * 24 * 3600));
    check_edges(&world, &mut watch).await;
    assert_eq!(world.service.store.edges().await.unwrap().len(), 1);
    let deployments = world
        .service
        .store
        .deployments(world.record().await.id)
        .await;
    assert_eq!(deployments.unwrap().len(), 1);
}

#[tokio::test]
async fn an_edge_that_returns_while_a_deployment_is_under_way_gets_it_as_well() {
    let world = World::with_due_domain().await;
    let mut watch = Watch::default();
    check_edges(&world, &mut watch).await;
    for _ in 0..5 {
        world.step().await;
    }
    assert_eq!(
        world.record().await.phase.issuance().unwrap().name(),
        "deploying"
    );
    world.edges.set_down(1, true);
    check_edges(&world, &mut watch).await;
    world.advance(GRACE);
    // The step has chosen its edges and deploys; the other edge returns and is compared before the
    // outcome is stored.
    let lease = world.lease().await;
    let ends = tokio::time::Instant::now() + LEASE;
    let evidence = steps::Evidence::default();
    let outcome = steps::step(&world.service, &lease.record, lease.token, ends, &evidence).await;
    assert!(
        matches!(
            outcome,
            Outcome::Moved {
                kind: EventKind::Deployed,
                ..
            }
        ),
        "{outcome:?}"
    );
    world.edges.set_down(1, false);
    let compared = check_edges(&world, &mut watch).await;
    assert_eq!(compared[1].unwrap().certificates, 0);
    world.advance(A_MOMENT);
    world.record_outcome(lease, outcome).await;
    assert!(is_active(&world).await);
    assert_eq!(world.edges.served_by(1, HOST), None);
    world.advance(2 * LEASE);
    check_edges(&world, &mut watch).await;
    assert!(world.edges.served(HOST).is_some());
}

#[tokio::test]
async fn an_edge_that_alone_refuses_a_certificate_is_waited_for_no_longer_than_an_unreachable_one()
{
    let world = World::with_due_domain().await;
    check_edges(&world, &mut Watch::default()).await;
    world.edges.set_fault(1, Some(EdgeFault::ClockBehind));
    world.settle().await;
    assert!(!is_active(&world).await);
    world.advance(GRACE);
    world.settle().await;
    assert!(is_active(&world).await);

    // A refusal by every edge is the certificate's fault, or ours.
    world.edges.set_fault(0, Some(EdgeFault::ClockBehind));
    world.add(2, "second.example.com", "acme").await;
    for _ in 0..5 {
        world.settle().await;
        world.advance(GRACE);
    }
    let second = &world.records().await[0];
    assert_eq!(second.phase.status(), Status::Issuing);
    assert_eq!(
        second.last_failure.as_ref().unwrap().code(),
        FailureCode::EdgeRejected
    );
}

#[tokio::test]
async fn an_edge_that_hangs_is_noted_before_the_step_is_over() {
    let mut world = World::with_due_domain().await;
    let mut policy = Policy::clone(&world.service.policy);
    // So that a step has a second.
    policy.lease = policy.skew_allowance + A_MOMENT;
    world.service.policy = Arc::new(policy);
    world.edges.set_fault(1, Some(EdgeFault::Hanging));
    world.settle().await;
    let failure = world.record().await.last_failure.unwrap();
    assert_eq!(failure.code(), FailureCode::EdgeUnreachable);
    world.advance(GRACE);
    world.settle().await;
    assert!(is_active(&world).await);
}

/// A directory that names the first `count` edges, or nothing.
struct FakeDirectory {
    edges: Edges,
    count: AtomicUsize,
    recalled: Mutex<Vec<String>>,
    /// The suffix of the names of edges that need no approval.
    allowed: &'static str,
}

#[async_trait]
impl EdgeDirectory for FakeDirectory {
    async fn find(&self) -> Result<Vec<Arc<dyn Edge>>, DirectoryError> {
        match self.count.load(Ordering::SeqCst) {
            0 => Err(DirectoryError("no answer".into())),
            count => Ok(self.edges.ports()[..count].to_vec()),
        }
    }

    fn is_allowed(&self, name: &str) -> bool {
        name.ends_with(self.allowed)
    }

    fn recall(&self, name: &str) -> Option<Arc<dyn Edge>> {
        self.recalled.lock().unwrap().push(name.to_owned());
        self.edges
            .ports()
            .into_iter()
            .find(|edge| edge.name() == name)
    }
}

#[tokio::test]
async fn edges_are_found_come_and_go_and_outlive_a_directory_that_does_not_answer() {
    let mut world = World::with_due_domain().await;
    let directory = Arc::new(FakeDirectory {
        edges: world.edges.clone(),
        count: AtomicUsize::new(1),
        recalled: Mutex::default(),
        allowed: "",
    });
    let discovered = |world: &World| Service {
        fleet: Arc::new(Fleet::new(vec![], Some(Arc::clone(&directory) as _))),
        ..world.service.clone()
    };
    world.service = discovered(&world);
    // A read of the directory is due at each new watch.
    world.edges.set_down(1, true);
    check_edges(&world, &mut Watch::default()).await;
    world.settle().await;
    assert!(is_active(&world).await);
    assert_eq!(world.edges.served_by(1, HOST), None);

    world.edges.set_down(1, false);
    directory.count.store(2, Ordering::SeqCst);
    check_edges(&world, &mut Watch::default()).await;
    assert!(
        world.edges.served(HOST).is_some(),
        "an edge that is new is filled"
    );

    directory.count.store(0, Ordering::SeqCst);
    check_edges(&world, &mut Watch::default()).await;
    assert_eq!(
        world.service.fleet.members().len(),
        2,
        "the last list holds"
    );
    assert_eq!(directory.recalled.lock().unwrap().len(), 0);

    // A process that begins while no directory answers continues with the edges that were there
    // last.
    world.service = discovered(&world);
    check_edges(&world, &mut Watch::default()).await;
    assert_eq!(world.service.fleet.members().len(), 2);
    directory.count.store(1, Ordering::SeqCst);
    check_edges(&world, &mut Watch::default()).await;
    assert_eq!(world.service.fleet.members().len(), 1);
}

#[tokio::test]
async fn an_edge_that_is_found_gets_nothing_before_an_operator_approves_it() {
    let mut world = World::with_due_domain().await;
    let names: Vec<String> = world
        .edges
        .ports()
        .iter()
        .map(|edge| edge.name().to_owned())
        .collect();
    let directory = Arc::new(FakeDirectory {
        edges: world.edges.clone(),
        count: AtomicUsize::new(2),
        recalled: Mutex::default(),
        allowed: "nothing",
    });
    let begin = |world: &World| Service {
        fleet: Arc::new(Fleet::new(vec![], Some(Arc::clone(&directory) as _))),
        ..world.service.clone()
    };
    world.service = begin(&world);
    let store = Arc::clone(&world.service.store);
    check_edges(&world, &mut Watch::default()).await;
    world.settle().await;
    assert!(!is_active(&world).await);
    assert_eq!(world.service.fleet.waiting().as_ref(), names);
    assert_eq!(
        (world.edges.challenges_of(0), world.edges.challenges_of(1)),
        (0, 0)
    );
    let known = store.edges().await.unwrap();
    assert_eq!(known.len(), 2);
    assert!(known.iter().all(|known| known.approved_at.is_none()));

    let approve = async |name: &str| {
        let now = world.service.now();
        let approved = operator::edges::approve(store.as_ref(), "operator".into(), now, name);
        approved.await.unwrap()
    };
    assert!(approve(&names[0]).await);
    assert!(!approve("https://nobody").await);
    check_edges(&world, &mut Watch::default()).await;
    world.advance(Duration::from_secs(3600));
    world.settle().await;
    // The address of the other one is published, and does not answer: nobody waits for it, and it
    // is not excused either.
    assert!(!is_active(&world).await);
    assert_eq!((world.edges.count(1), world.edges.challenges_of(1)), (0, 0));
    // A process that begins while no directory answers continues with those that are approved.
    directory.count.store(0, Ordering::SeqCst);
    world.service = begin(&world);
    check_edges(&world, &mut Watch::default()).await;
    let members = world.service.fleet.members();
    assert_eq!(
        members.iter().map(|edge| edge.name()).collect::<Vec<_>>(),
        names[..1]
    );

    directory.count.store(2, Ordering::SeqCst);
    let now = world.service.now();
    let approved = operator::edges::approve(store.as_ref(), "operator".into(), now, &names[1]);
    assert!(approved.await.unwrap());
    check_edges(&world, &mut Watch::default()).await;
    world.advance(Duration::from_secs(3600));
    world.settle().await;
    assert!(is_active(&world).await);
    assert!(world.edges.served(HOST).is_some(), "both show it");
    assert_eq!(store.edge_presents(&names[1]).await.unwrap(), 1);
}
