//! One service in a world of fakes, with the real SQLite store in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_application::ports::fleet_view::ListRequest;
use dps_application::ports::store::{DomainRecord, Lease, RecordWrite, WriteResult};
use dps_application::ports::{CertificateStore, Clock, Randomness};
use dps_application::{Fleet, FleetPolicy, LanePolicy, Policy, Resolvers, Service, steps, workers};
use dps_domain::fleet::DomainFilter;
use dps_domain::outcome::{Findings, Outcome};
use dps_domain::phase::Lane;
use dps_domain::record::settle;
use dps_domain::{DomainId, Event, Hostname, Timestamp};
use dps_simulation::models::ca::CaModel;
use dps_simulation::models::cabinet::{CabinetModel, Habits};
use dps_simulation::models::dns::Names;
use dps_simulation::models::edges::EdgeFleet;
use dps_simulation::models::edges::port::ProbeModel;
use dps_simulation::models::names::{self, NameBook};
use dps_simulation::models::pki::{PaperPki, PaperVault};
use dps_simulation::scenario::{self, Scenario};
use dps_simulation::time::{Seeded, TrueTime};
use uuid::Uuid;

use super::ca::WatchedCa;
use super::cabinet::{HABITS, WatchedCabinet};
use super::outside::{Counters, CountingRandomness, Dns, Edges, MockClock};

pub(crate) const TARGET: &str = names::TARGET;
pub(crate) const HOST: &str = "shop.example.com";
pub(crate) const GRACE: Duration = Duration::from_secs(120);
pub(crate) const LEASE: Duration = Duration::from_secs(120);

pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) ca: Arc<WatchedCa>,
    pub(crate) dns: Arc<Dns>,
    pub(crate) cabinet: Arc<WatchedCabinet>,
    pub(crate) edges: Edges,
    pub(crate) counters: Arc<Counters>,
    clock: Arc<MockClock>,
}

impl World {
    /// A world with one domain that is due and whose DNS is right.
    pub(crate) async fn with_due_domain() -> Self {
        let world = Self::empty().await;
        world.add(1, HOST, "acme").await;
        world
    }

    /// The same beside a Cabinet with these habits.
    pub(crate) async fn with_habits(habits: Habits) -> Self {
        let (clock, randomness) = (clock(), randomness());
        let store = memory_store(Arc::clone(&randomness), Arc::clone(&clock) as _).await;
        let world = Self::around(store, clock, randomness, habits);
        world.add(1, HOST, "acme").await;
        world
    }

    /// One more domain that is due and whose DNS is right.
    pub(crate) async fn add(&self, number: u128, host: &str, tenant: &str) {
        self.dns.point(host);
        self.cabinet.add(number, host);
        let record = DomainRecord::new(
            DomainId::from_uuid(Uuid::from_u128(number)),
            tenant.into(),
            Hostname::parse(host).unwrap(),
            Hostname::parse(TARGET).unwrap(),
            1,
            self.service.now(),
        );
        let write = RecordWrite::unchecked(record);
        assert!(self.service.store.domain_insert(write).await.unwrap());
    }

    /// Every domain.
    pub(crate) async fn records(&self) -> Vec<DomainRecord> {
        let request = ListRequest {
            filter: &DomainFilter::default(),
            now: self.service.now(),
            after: None,
        };
        let page = self.service.store.fleet_list(&request, 100).await.unwrap();
        page.domains.into_iter().map(|one| one.record).collect()
    }

    async fn empty() -> Self {
        let (clock, randomness) = (clock(), randomness());
        let store = memory_store(Arc::clone(&randomness), Arc::clone(&clock) as _).await;
        Self::around(store, clock, randomness, HABITS)
    }

    /// A world on the database at `url`.
    pub(crate) async fn on(url: &str) -> Self {
        let (clock, randomness) = (clock(), randomness());
        let options =
            dps_store::StoreOptions::new(Arc::clone(&randomness), Arc::clone(&clock) as _);
        let store = dps_store::Store::connect(url, options).await.unwrap();
        store.migrate().await.unwrap();
        Self::around(Arc::new(store), clock, randomness, HABITS)
    }

    fn around(
        store: Arc<dyn CertificateStore>,
        clock: Arc<MockClock>,
        randomness: Arc<dyn Randomness>,
        habits: Habits,
    ) -> Self {
        let names = names(&clock);
        let time = TrueTime::new(Arc::clone(&clock) as _);
        let fleet = EdgeFleet::new(&scenario(), Arc::clone(&names), time);
        // Small pages, so that a comparison has to turn them.
        let fleet = Arc::new(fleet.with_pages_of(3));
        let edges = Edges {
            fleet: Arc::clone(&fleet),
            names: Arc::clone(&names),
        };
        let ca = CaModel::new(
            &scenario(),
            TrueTime::new(Arc::clone(&clock) as _),
            Arc::clone(&names),
            Arc::clone(&fleet),
            Arc::new(Seeded::new(1, 1)),
        );
        let ca = ca.without_reuse_of_orders();
        let ca = Arc::new(WatchedCa::new(ca, Arc::clone(&clock) as _));
        let book = Arc::clone(&names.book);
        let dns = Arc::new(Dns::new(names));
        let counters = Arc::new(Counters::default());
        let cabinet = CabinetModel::new(&scenario(), book, habits);
        let cabinet = Arc::new(WatchedCabinet::new(cabinet));
        let service = Service {
            store,
            ca: Arc::clone(&ca) as _,
            cabinet: Arc::clone(&cabinet) as _,
            resolvers: Arc::new(Resolvers::new(vec![Arc::clone(&dns) as _])),
            probe: Arc::new(ProbeModel(fleet)),
            fleet: Arc::new(Fleet::fixed(edges.ports())),
            pki: Arc::new(PaperPki),
            vault: Arc::new(PaperVault),
            clock: Arc::clone(&clock) as _,
            randomness,
            metrics: Arc::clone(&counters) as _,
            policy: Arc::new(policy()),
            limits: Arc::default(),
            waker: dps_application::wake::Waker::default(),
            local_faults: Arc::default(),
            cabinet_health: Arc::default(),
            outages: Arc::default(),
            replica: "replica-1".into(),
        };
        Self {
            service,
            ca,
            dns,
            cabinet,
            edges,
            counters,
            clock,
        }
    }

    /// Resolvers with DNS of their own.
    pub(crate) fn other_dns(&self) -> Dns {
        Dns::new(names(&self.clock))
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.clock.0.lock().unwrap();
        *now = *now + by;
    }

    pub(crate) async fn is_forgotten(&self) -> bool {
        self.service
            .store
            .domain(DomainId::from_uuid(Uuid::from_u128(1)))
            .await
            .unwrap()
            .is_none()
    }

    /// Lets time pass until the checks of a name that points elsewhere are evidence of a move.
    pub(crate) async fn until_moved_away(&self) {
        let began = self.service.now();
        while !self.record().await.phase.is_moved_away() {
            assert!(self.service.now().since(began) <= Duration::from_secs(2 * 3600));
            self.advance(Duration::from_secs(600));
            self.settle().await;
        }
    }

    /// The Cabinet wants the domain gone.
    pub(crate) async fn request_removal(&self) {
        let mut record = self.record().await;
        record.phase = record.phase.apply(Event::RemovalRequested).unwrap();
        record.next_attempt_at = Some(self.service.now());
        let write = RecordWrite::unchecked(record);
        assert!(self.service.store.domain_update(write).await.unwrap());
    }

    /// Writes the record as somebody outside of the lanes does.
    pub(crate) async fn change(&self, alter: impl FnOnce(&mut DomainRecord)) {
        self.change_of(1, alter).await;
    }

    /// The same of the domain with this number.
    pub(crate) async fn change_of(&self, number: u128, alter: impl FnOnce(&mut DomainRecord)) {
        let id = DomainId::from_uuid(Uuid::from_u128(number));
        let mut record = self.service.store.domain(id).await.unwrap().unwrap();
        record.next_attempt_at = Some(self.service.now());
        alter(&mut record);
        let write = RecordWrite::unchecked(record);
        assert!(self.service.store.domain_update(write).await.unwrap());
    }

    pub(crate) async fn record(&self) -> DomainRecord {
        self.service
            .store
            .domain(DomainId::from_uuid(Uuid::from_u128(1)))
            .await
            .unwrap()
            .unwrap()
    }

    /// The owner of the name publishes the value that a claim of it requires.
    pub(crate) async fn prove(&self, number: u128) {
        let id = DomainId::from_uuid(Uuid::from_u128(number));
        let record = self.service.store.domain(id).await.unwrap();
        let record = record.unwrap();
        let value = record.ownership.required().expect("a proof is required");
        let host = record.hostname.as_str();
        self.dns.publish_proof(host, &[value.as_str()]);
    }

    /// Steps every lane and asks the CA until nothing is due now.
    pub(crate) async fn settle(&self) {
        for _ in 0..50 {
            let mut stepped = 0;
            for lane in Lane::ALL {
                stepped += workers::tick(&self.service, lane).await.unwrap();
            }
            stepped += workers::poll_renewal_info(&self.service).await.unwrap();
            if stepped == 0 {
                return;
            }
        }
        panic!("the world does not settle: {:?}", self.record().await);
    }

    /// Makes the step of the record's lane, and dies before its outcome is recorded.
    pub(crate) async fn step_and_die(&self) {
        let lease = self.lease().await;
        let _lost = steps::step(
            &self.service,
            &lease.record,
            lease.token,
            tokio::time::Instant::now() + LEASE,
            &steps::Evidence::default(),
        )
        .await;
        self.advance(LEASE + Duration::from_secs(1));
    }

    /// Leases the record, as a worker of its lane does.
    pub(crate) async fn lease(&self) -> Lease {
        let lane = self.record().await.lane().unwrap();
        let now = self.service.now();
        let mut leases = self
            .service
            .store
            .acquire_due(lane, now, LEASE, 1)
            .await
            .unwrap();
        leases.pop().expect("the record is due")
    }

    /// Stores what came of a step, as its worker does.
    pub(crate) async fn record_outcome(&self, lease: Lease, outcome: Outcome) {
        assert!(
            self.try_to_record_outcome(lease, outcome).await,
            "the lease was lost"
        );
    }

    /// As [`Self::record_outcome`]; answers whether the lease still held.
    pub(crate) async fn try_to_record_outcome(&self, lease: Lease, outcome: Outcome) -> bool {
        let context = self.service.settle_context(Duration::ZERO, 0.5);
        let findings = Findings::default();
        let write = settle::settle(&lease.record, outcome, findings, &context).unwrap();
        let outcomes = [(lease.token, write)];
        let recorded = self.service.store.complete_all(&outcomes).await.unwrap();
        recorded == [WriteResult::Written]
    }

    /// The step of the record's lane, recorded.
    pub(crate) async fn step(&self) {
        let lane = self.record().await.lane().unwrap();
        assert_eq!(workers::tick(&self.service, lane).await.unwrap(), 1);
    }
}

/// Two edges, and parties that answer at once.
fn scenario() -> Scenario {
    let at_once = || Duration::ZERO.into();
    let defaults = Scenario::default();
    Scenario {
        ca: scenario::Ca {
            limits_lifted: true,
            answers_after: at_once(),
            validates_after: at_once(),
            issues_after: at_once(),
            ..defaults.ca
        },
        renewal_info: scenario::RenewalInfo {
            offered: false,
            ..defaults.renewal_info
        },
        edges: scenario::Edges {
            answers_after: at_once(),
            ..defaults.edges
        },
        resolvers: scenario::Party {
            answers_after: at_once(),
            ..defaults.resolvers
        },
        cabinet: scenario::Party {
            answers_after: at_once(),
            ..defaults.cabinet
        },
        ..defaults
    }
}

/// Names of any form, with a load balancer at their target.
fn names(clock: &Arc<MockClock>) -> Arc<Names> {
    let time = TrueTime::new(Arc::clone(clock) as _);
    let book = Arc::new(NameBook::list());
    Arc::new(Names::new(&scenario(), book, time).load_balanced())
}

fn clock() -> Arc<MockClock> {
    Arc::new(MockClock(Mutex::new(Timestamp::from_unix_seconds(
        1_800_000_000,
    ))))
}

fn randomness() -> Arc<dyn Randomness> {
    Arc::new(CountingRandomness::default())
}

async fn memory_store(
    randomness: Arc<dyn Randomness>,
    clock: Arc<dyn Clock>,
) -> Arc<dyn CertificateStore> {
    let store = dps_store::Store::connect(
        "sqlite::memory:",
        dps_store::StoreOptions::new(randomness, clock),
    )
    .await
    .unwrap();
    store.migrate().await.unwrap();
    Arc::new(store)
}

/// The defaults, with few permits, first retries within the hour, and edges that are filled at
/// once.
fn policy() -> Policy {
    let small = |lane: LanePolicy| LanePolicy {
        max_backoff: Duration::from_secs(3600),
        concurrency: 4,
        ..lane
    };
    let defaults = Policy::default();
    Policy {
        verification: small(defaults.verification),
        http_probe: small(defaults.http_probe),
        issuance: small(defaults.issuance),
        renewal: small(defaults.renewal),
        recheck: small(defaults.recheck),
        removal: small(defaults.removal),
        unreachable_grace: GRACE,
        fleet: FleetPolicy {
            certificates_per_second: 10_000,
            ..defaults.fleet
        },
        lease: LEASE,
        ..defaults
    }
}
