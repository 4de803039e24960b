//! The HTTP probe before an order: whether it must pass, how often, and where it is sent from.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_application::Policy;
use dps_application::ports::HttpProbe;
use dps_domain::policy::{ProbeMode, ProbePolicy, Vantage};
use dps_domain::probe::ProbeAnswer;
use dps_domain::{EventKind, FailureCode, Hostname, Status};

use super::world::{HOST, World};

/// Answers in turn, then as ours.
#[derive(Default)]
struct Answers {
    next: Mutex<VecDeque<ProbeAnswer>>,
    probes: Mutex<u32>,
}

#[async_trait]
impl HttpProbe for Answers {
    async fn probe(&self, _: &Hostname, _: IpAddr, _: &str, _: &str) -> ProbeAnswer {
        *self.probes.lock().unwrap() += 1;
        let next = self.next.lock().unwrap().pop_front();
        next.unwrap_or(ProbeAnswer::Ours)
    }
}

const STRANGER: ProbeAnswer = ProbeAnswer::WrongBody { server: None };

/// A world with one domain at one address, whose probes are answered like this.
async fn world(policy: ProbePolicy, answers: &[ProbeAnswer]) -> (World, Arc<Answers>) {
    let mut world = World::with_due_domain().await;
    let probe = Arc::new(Answers::default());
    probe.next.lock().unwrap().extend(answers.iter().cloned());
    world.service.probe = Arc::clone(&probe) as _;
    world.service.policy = Arc::new(Policy {
        probe: policy,
        ..Policy::clone(&world.service.policy)
    });
    (world, probe)
}

fn policy(mode: ProbeMode) -> ProbePolicy {
    ProbePolicy {
        mode,
        ..Policy::default().probe
    }
}

async fn kinds(world: &World) -> Vec<EventKind> {
    let id = world.record().await.id;
    let events = world.service.store.events(id, 100).await.unwrap();
    events.iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_probe_that_must_pass_stops_the_order() {
    let (world, _) = world(policy(ProbeMode::Require), &[STRANGER]).await;
    world.settle().await;
    let record = world.record().await;
    assert_eq!(record.phase.status(), Status::PendingHttpProbe);
    let code = record.last_failure.unwrap().code();
    assert_eq!(code, FailureCode::HttpWrongResponder);
    assert_eq!(world.ca.orders_for(HOST), 0);
}

#[tokio::test]
async fn a_probe_that_need_not_pass_is_noted_and_the_ca_decides() {
    let (world, _) = world(policy(ProbeMode::Warn), &[STRANGER]).await;
    world.settle().await;
    let record = world.record().await;
    assert_eq!(record.phase.status(), Status::Active);
    let events = world.service.store.events(record.id, 100).await.unwrap();
    let noted = events
        .iter()
        .find(|event| event.kind == EventKind::HttpInconclusive)
        .unwrap();
    assert_eq!(noted.detail["ignored"]["code"], "HTTP_WRONG_RESPONDER");
}

#[tokio::test]
async fn a_probe_that_is_off_is_not_sent() {
    let (world, probe) = world(policy(ProbeMode::Off), &[STRANGER]).await;
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert_eq!(*probe.probes.lock().unwrap(), 0);
    assert!(kinds(&world).await.contains(&EventKind::HttpInconclusive));
    // DNS is checked all the same.
    world.dns.clear(HOST);
    world.add(2, "second.example.com", "acme").await;
    world.dns.clear("second.example.com");
    world.settle().await;
    assert_eq!(world.ca.orders_for("second.example.com"), 0);
}

#[tokio::test]
async fn every_one_of_the_passes_must_succeed() {
    let twice = ProbePolicy {
        passes: 2,
        ..policy(ProbeMode::Require)
    };
    let (world, probe) = world(twice, &[ProbeAnswer::Ours, STRANGER]).await;
    world.step().await;
    world.step().await;
    let code = world.record().await.last_failure.unwrap().code();
    assert_eq!(code, FailureCode::HttpWrongResponder);
    assert_eq!(*probe.probes.lock().unwrap(), 2);
    world.advance(std::time::Duration::from_secs(60));
    world.step().await;
    assert!(kinds(&world).await.contains(&EventKind::HttpReady));
    assert_eq!(*probe.probes.lock().unwrap(), 4);
}

#[tokio::test]
async fn where_no_edge_can_probe_the_service_does() {
    let by_edges = ProbePolicy {
        vantage: Vantage::Edges,
        ..policy(ProbeMode::Require)
    };
    let (world, probe) = world(by_edges, &[]).await;
    world.settle().await;
    assert_eq!(world.record().await.phase.status(), Status::Active);
    assert!(*probe.probes.lock().unwrap() > 0, "old agents cannot");
}
