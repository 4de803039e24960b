//! Replicas of the real service on one store, which die and are started again.

use std::sync::Arc;
use std::time::Duration;

use dps_application::ports::CertificateStore;
use dps_application::wake::Waker;
use dps_application::{Fleet, Policy, Resolvers, Service, workers};
use dps_domain::limits::published::LETS_ENCRYPT;
use dps_domain::limits::{CaLimits, Limit, LimitKind};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::models::ca::port::CaPort;
use crate::models::dns::ResolverModel;
use crate::models::edges::port::{EdgePort, ProbeModel};
use crate::models::pki::{NoMetrics, PaperPki, PaperVault};
use crate::scenario::Scenario;
use crate::time::{ReplicaClock, Seeded};
use crate::wakes::Hub;
use crate::world::World;

/// One process of the service.
#[derive(Debug)]
pub struct Replica {
    /// Its wall clock.
    pub clock: Arc<ReplicaClock>,
    running: Option<(JoinHandle<()>, CancellationToken)>,
}

/// The parts that every replica of a run is made from.
pub struct Recipe {
    /// The world they are in.
    pub world: Arc<World>,
    /// The store that they share.
    pub store: Arc<dyn CertificateStore>,
    /// The operator's numbers.
    pub policy: Arc<Policy>,
    /// How they wake each other.
    pub hub: Arc<Hub>,
    /// Where their randomness comes from.
    pub seed: u64,
}

impl Replica {
    /// A process that is yet to be started.
    pub fn new(world: &World) -> Self {
        Self {
            clock: ReplicaClock::new(world.time),
            running: None,
        }
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts it as the replica with this number, for the `generation`-th time.
    pub fn start(&mut self, recipe: &Recipe, number: u32, generation: u64) {
        if self.running.is_some() {
            return;
        }
        let service = recipe.service(Arc::clone(&self.clock), number, generation);
        let stop = CancellationToken::new();
        let running = tokio::spawn(workers::run(service, stop.clone()));
        self.running = Some((running, stop));
    }

    /// Kills the process; calls in progress never return to it.
    pub fn crash(&mut self) {
        if let Some((running, _)) = self.running.take() {
            running.abort();
        }
    }

    /// Stops the process, which first finishes its steps, and waits for its end.
    pub async fn drain(&mut self) {
        if let Some((running, stop)) = self.running.take() {
            stop.cancel();
            // A task that was aborted has ended as well.
            let _ended = running.await;
        }
    }
}

/// The limits that the operator knows of: those published, with the override that the CA granted.
fn limits(scenario: &Scenario) -> CaLimits {
    let ca = &scenario.ca;
    if ca.limits_lifted {
        return CaLimits::default();
    }
    let new_orders = Limit::per(ca.new_orders_per_three_hours, Duration::from_secs(3 * 3600));
    CaLimits::published(LETS_ENCRYPT)
        .with(LimitKind::NewOrders, new_orders)
        .with_tenants_part()
}

impl Recipe {
    fn service(&self, clock: Arc<ReplicaClock>, number: u32, generation: u64) -> Service {
        let world = &self.world;
        let purpose = 1_000 + u64::from(number) + 1_000 * generation;
        let resolver = |number| {
            let names = Arc::clone(&world.names);
            Arc::new(ResolverModel::new(names, number))
                as Arc<dyn dps_application::ports::DnsResolver>
        };
        Service {
            store: Arc::clone(&self.store),
            ca: Arc::new(CaPort(Arc::clone(&world.ca))),
            cabinet: Arc::clone(&world.cabinet) as _,
            resolvers: Arc::new(Resolvers::new(vec![resolver(1), resolver(2)])),
            probe: Arc::new(ProbeModel(Arc::clone(&world.edges))),
            fleet: Arc::new(Fleet::fixed(EdgePort::all(&world.edges))),
            pki: Arc::new(PaperPki),
            vault: Arc::new(PaperVault),
            clock,
            randomness: Arc::new(Seeded::new(self.seed, purpose)),
            metrics: Arc::new(NoMetrics),
            policy: Arc::clone(&self.policy),
            limits: Arc::new(limits(&world.scenario)),
            local_faults: Arc::default(),
            cabinet_health: Arc::default(),
            outages: Arc::default(),
            waker: self
                .hub
                .channel(number)
                .map(Waker::shared)
                .unwrap_or_default(),
            replica: format!("replica-{}", number + 1).into(),
        }
    }
}
