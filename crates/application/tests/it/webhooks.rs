//! Deliveries to receivers of webhooks, by several replicas and over a long time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::CertificateStore;
use dps_application::ports::store::{DomainRecord, RecordWrite};
use dps_application::ports::webhooks::{
    WebhookEndpoint, WebhookError, WebhookMessage, WebhookMetrics, WebhookResult,
};
use dps_application::webhooks::{self, Webhooks};
use dps_domain::phase::Next;
use dps_domain::webhook::WebhookReceiver;
use dps_domain::{CertificateId, DnsState, DomainId, Hostname, Phase};
use dps_simulation::memory_store::{Content, MemoryStore};
use dps_simulation::time::{Seeded, WorldTime};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::world::TARGET;

const NAME: &str = "hooks.example/01234567";
const HOUR: Duration = Duration::from_secs(3600);

/// A receiver that notes all that it is sent.
#[derive(Default)]
struct Receiver {
    is_away: AtomicBool,
    calls: AtomicU64,
    /// Tries that are refused, one of so many; none if 0.
    refuses_every: AtomicU64,
    /// By domain, the events that it took.
    taken: Mutex<BTreeMap<String, Vec<String>>>,
    /// The domains of the messages under way.
    under_way: Mutex<Vec<String>>,
}

#[async_trait]
impl WebhookEndpoint for Receiver {
    fn name(&self) -> &str {
        NAME
    }

    async fn send(&self, message: WebhookMessage<'_>) -> Result<(), WebhookError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let body: Value = serde_json::from_str(message.body).unwrap();
        let domain = body["data"]["domainId"].as_str().unwrap().to_owned();
        {
            let mut under_way = self.under_way.lock().unwrap();
            assert!(!under_way.contains(&domain), "two at once of one domain");
            under_way.push(domain.clone());
        }
        // Messages of a batch take different times.
        tokio::time::sleep(Duration::from_millis(50 + call * 37 % 400)).await;
        self.under_way.lock().unwrap().retain(|one| *one != domain);
        let error = |is_unreachable| WebhookError {
            is_unreachable,
            detail: "no".to_owned(),
            retry_after: None,
        };
        if self.is_away.load(Ordering::Relaxed) {
            return Err(error(true));
        }
        let every = self.refuses_every.load(Ordering::Relaxed);
        if every > 0 && call.is_multiple_of(every) {
            return Err(error(false));
        }
        let mut taken = self.taken.lock().unwrap();
        taken.entry(domain).or_default().push(message.id.to_owned());
        Ok(())
    }
}

impl Receiver {
    fn taken(&self) -> BTreeMap<String, Vec<String>> {
        self.taken.lock().unwrap().clone()
    }
}

#[derive(Default)]
struct Counted(AtomicU64);

impl WebhookMetrics for Counted {
    fn webhooks(&self, result: WebhookResult, number: u64) {
        if result == WebhookResult::GivenUp {
            self.0.fetch_add(number, Ordering::Relaxed);
        }
    }
}

struct World {
    store: Arc<dyn CertificateStore>,
    time: WorldTime,
    receiver: Arc<Receiver>,
    given_up: Arc<Counted>,
}

impl World {
    fn new() -> Self {
        let time = WorldTime::begin();
        let store = MemoryStore::new(Content::Full, Arc::new(time));
        let store = store.with_webhooks(vec![WebhookReceiver {
            name: NAME.to_owned(),
            events: vec![],
            tenants: vec![],
        }]);
        Self {
            store: Arc::new(store),
            time,
            receiver: Arc::default(),
            given_up: Arc::default(),
        }
    }

    fn ports(&self, replica: u64) -> Webhooks {
        Webhooks {
            store: Arc::clone(&self.store),
            clock: Arc::new(self.time),
            randomness: Arc::new(Seeded::new(7, replica)),
            metrics: Arc::clone(&self.given_up) as _,
        }
    }

    /// Begins the deliveries of a replica.
    fn start(&self, replica: u64, shutdown: &CancellationToken) -> tokio::task::JoinHandle<()> {
        let receivers = vec![Arc::clone(&self.receiver) as Arc<dyn WebhookEndpoint>];
        let ports = self.ports(replica);
        tokio::spawn(webhooks::run(ports, receivers, shutdown.clone()))
    }

    async fn insert(&self, number: u128) -> DomainRecord {
        let id = DomainId::from_uuid(Uuid::from_u128(number));
        let host = Hostname::parse(&format!("shop-{number}.example")).unwrap();
        let target = Hostname::parse(TARGET).unwrap();
        let record = DomainRecord::new(id, "acme".into(), host, target, 1, self.time.now());
        let write = RecordWrite::unchecked(record);
        assert!(self.store.domain_insert(write).await.unwrap());
        self.record(id).await
    }

    async fn record(&self, id: DomainId) -> DomainRecord {
        self.store.domain(id).await.unwrap().unwrap()
    }

    /// Another certificate is served: an event. Returns its identifier.
    async fn renew(&self, id: DomainId) -> String {
        let before = self.record(id).await;
        let number = u128::try_from(before.revision).unwrap();
        let end = self.time.now() + 2_000 * HOUR;
        let after = DomainRecord {
            phase: Phase::Live {
                serving: CertificateId::from_uuid(Uuid::from_u128(1_000 + number)),
                not_after: end,
                dns: DnsState::Here,
                next: Next::At(end),
            },
            updated_at: self.time.now(),
            ..before.clone()
        };
        let write = RecordWrite::unchecked(after).with_webhooks_since(&before);
        let event = write.webhooks[0].id();
        assert!(self.store.domain_update(write).await.unwrap());
        event
    }

    async fn pending(&self) -> u64 {
        let states = self.store.webhooks_state().await.unwrap();
        states.iter().map(|state| state.pending).sum()
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_that_come_and_go_send_the_events_of_a_domain_in_their_order() {
    const DOMAINS: u128 = 12;
    const EVENTS: usize = 15;
    let world = World::new();
    world.receiver.refuses_every.store(7, Ordering::Relaxed);
    let shutdown = CancellationToken::new();
    let mut replicas: Vec<_> = (0..3).map(|one| world.start(one, &shutdown)).collect();
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..DOMAINS {
        world.insert(number).await;
    }
    for round in 0..EVENTS {
        for number in 0..DOMAINS {
            let id = DomainId::from_uuid(Uuid::from_u128(number));
            let event = world.renew(id).await;
            sent.entry(id.to_string()).or_default().push(event);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // A replica dies, maybe within a message, and another one starts.
        if round % 4 == 3 {
            let dead = replicas.remove(0);
            dead.abort();
            assert!(dead.await.unwrap_err().is_cancelled());
            world.receiver.under_way.lock().unwrap().clear();
            replicas.push(world.start(10 + round as u64, &shutdown));
        }
    }
    while world.pending().await > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    shutdown.cancel();
    for replica in replicas {
        replica.await.unwrap();
    }
    let mut taken = world.receiver.taken();
    // An event that was under way when its replica died is sent again before the next one.
    for events in taken.values_mut() {
        events.dedup();
    }
    assert_eq!(taken, sent);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_away_for_a_week_costs_few_calls_and_rows() {
    let world = World::new();
    world.receiver.is_away.store(true, Ordering::Relaxed);
    let shutdown = CancellationToken::new();
    let replica = world.start(0, &shutdown);
    let records = [world.insert(1).await, world.insert(2).await];
    let mut most = 0;
    for _ in 0..7 * 24 {
        for record in &records {
            world.renew(record.id).await;
        }
        tokio::time::sleep(HOUR).await;
        most = most.max(world.pending().await);
    }
    assert!((144..=148).contains(&most), "those of 72 hours: {most}");
    let given_up = world.given_up.0.load(Ordering::Relaxed);
    assert_eq!(given_up + world.pending().await, 2 * 7 * 24);
    let calls = world.receiver.calls.load(Ordering::Relaxed);
    assert!(calls < 7 * 24 * 60 * 3, "two in a minute: {calls}");

    world.receiver.is_away.store(false, Ordering::Relaxed);
    while world.pending().await > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    shutdown.cancel();
    replica.await.unwrap();
    let given_up = world.given_up.0.load(Ordering::Relaxed);
    let taken = world.receiver.taken();
    let taken: usize = taken.values().map(Vec::len).sum();
    assert_eq!(given_up + taken as u64, 2 * 7 * 24);
}

#[tokio::test(start_paused = true)]
async fn the_events_of_a_receiver_that_was_removed_are_given_up() {
    let world = World::new();
    let record = world.insert(1).await;
    world.renew(record.id).await;
    let ports = world.ports(0);
    assert_eq!(webhooks::give_up(&ports).await.unwrap(), 0);
    // Nobody works for it now.
    let shutdown = CancellationToken::new();
    let replica = tokio::spawn(webhooks::run(ports, vec![], shutdown.clone()));
    tokio::time::sleep(71 * HOUR).await;
    assert_eq!(world.pending().await, 1);
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(world.pending().await, 0);
    shutdown.cancel();
    replica.await.unwrap();
    assert_eq!(world.given_up.0.load(Ordering::Relaxed), 1);
}
