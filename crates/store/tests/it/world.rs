//! One fresh store, on a database or in memory, and raw SQL for what the port does not allow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_application::ports::cabinet::StatusReport;
use dps_application::ports::pki::CertificateDetails;
use dps_application::ports::store::{
    CertificateStore, DomainEvent, DomainRecord, Lease, NewCertificate, OutboxLease, RecordWrite,
    StoredOrder,
};
use dps_application::ports::store::{PruneBatch, Pruned};
use dps_application::ports::vault::SealedSecret;
use dps_application::ports::{Clock, Randomness};
use dps_domain::phase::Lane;
use dps_domain::retention::{Prunable, Retention};
use dps_domain::webhook::WebhookReceiver;
use dps_domain::{
    CertificateId, DomainId, EventKind, Hostname, LeaseToken, OrderId, Phase, Status, Timestamp,
};
use dps_simulation::memory_store::{Content, MemoryStore};
use dps_store::{Store, StoreOptions};
use sqlx::{AssertSqlSafe, Executor, Row};
use uuid::Uuid;

/// How long leases last in these stories.
pub(crate) const TTL: Duration = Duration::from_secs(60);

/// Numbers that never repeat, which is all that these tests ask of randomness.
pub(crate) struct Counting;

/// The name of the process with the store.
pub(crate) const HOLDER: &str = "replica-1";

static DRAWN: AtomicU64 = AtomicU64::new(1);

impl Randomness for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let number = DRAWN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        for (byte, digit) in bytes.iter_mut().zip(number.iter().cycle()) {
            *byte = *digit;
        }
    }
}

pub(crate) fn number() -> u128 {
    u128::from(DRAWN.fetch_add(1, Ordering::Relaxed))
}

/// A clock that stands where it was put.
#[derive(Clone)]
pub(crate) struct Hands(Arc<Mutex<Timestamp>>);

impl Hands {
    fn put(&self, now: Timestamp) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// The options of a store whose leases run by `hands`.
pub(crate) fn options_by(hands: &Hands) -> StoreOptions {
    StoreOptions {
        server_time: false,
        replica: HOLDER,
        ..StoreOptions::new(Arc::new(Counting), Arc::new(hands.clone()))
    }
}

pub(crate) fn options() -> StoreOptions {
    options_by(&Hands(Arc::new(Mutex::new(at(0)))))
}

/// A moment some seconds into the story, which is set long after today: leases by the server's time
/// end before it.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(4_000_000_000 + seconds)
}

/// The store that a story is about, as its port and as what it is.
#[derive(Clone)]
pub(crate) enum AnyStore {
    Database(Store),
    Memory(MemoryStore),
}

impl std::ops::Deref for AnyStore {
    type Target = dyn CertificateStore;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Database(store) => store,
            Self::Memory(store) => store,
        }
    }
}

impl AnyStore {
    /// The store on a database, for what is not in the port.
    pub(crate) fn database(&self) -> &Store {
        match self {
            Self::Database(store) => store,
            Self::Memory(_) => panic!("this story needs a database"),
        }
    }
}

pub(crate) struct World {
    pub(crate) store: AnyStore,
    url: String,
    hands: Hands,
    _directory: Option<tempfile::TempDir>,
}

impl World {
    pub(crate) async fn on_sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/store.db", directory.path().display());
        Self::at(url, Some(directory)).await
    }

    pub(crate) async fn on_postgres() -> Self {
        Self::at(dps_lab::postgres::fresh_database().await.unwrap(), None).await
    }

    pub(crate) fn in_memory() -> std::future::Ready<Self> {
        let hands = Hands(Arc::new(Mutex::new(at(0))));
        std::future::ready(Self {
            store: AnyStore::Memory(
                MemoryStore::new(Content::Full, Arc::new(hands.clone())).held_by(HOLDER),
            ),
            url: "memory".to_owned(),
            hands,
            _directory: None,
        })
    }

    /// The same world, with receivers of webhooks.
    pub(crate) fn with_webhooks(mut self, receivers: Vec<WebhookReceiver>) -> Self {
        self.store = match self.store {
            AnyStore::Database(store) => AnyStore::Database(store.with_webhooks(receivers)),
            AnyStore::Memory(store) => AnyStore::Memory(store.with_webhooks(receivers)),
        };
        self
    }

    async fn at(url: String, directory: Option<tempfile::TempDir>) -> Self {
        let hands = Hands(Arc::new(Mutex::new(at(0))));
        let store = Store::connect(&url, options_by(&hands)).await.unwrap();
        store.migrate().await.unwrap();
        Self {
            store: AnyStore::Database(store),
            url,
            hands,
            _directory: directory,
        }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.store, AnyStore::Memory(_))
    }

    /// Another process on the same store.
    pub(crate) async fn open_again(&self) -> AnyStore {
        if self.is_in_memory() {
            return self.store.clone();
        }
        AnyStore::Database(
            Store::connect(&self.url, options_by(&self.hands))
                .await
                .unwrap(),
        )
    }

    /// The process with the first store is dead, and this is its successor's.
    pub(crate) fn replaced_by(mut self, store: AnyStore) -> Self {
        self.store = store;
        self
    }

    /// Leases run by the store's own time from now on: the server's, or that of a clock which never
    /// jumps.
    pub(crate) async fn with_its_own_time(mut self) -> Self {
        if self.is_in_memory() {
            return self;
        }
        let options = StoreOptions {
            server_time: true,
            ..options_by(&self.hands)
        };
        self.store = AnyStore::Database(Store::connect(&self.url, options).await.unwrap());
        self
    }

    /// So much of the store's own time goes by.
    pub(crate) async fn pass(&self, time: Duration) {
        if self.is_sqlite() || self.is_in_memory() {
            let later = self.hands.now() + time;
            return self.hands.put(later);
        }
        for table in ["custom_domains", "outbox"] {
            let micros = time.as_micros();
            self.sql(&format!(
                "UPDATE {table} SET lease_expires_at = lease_expires_at - {micros}"
            ))
            .await;
        }
    }

    /// A store on a new database without any table.
    pub(crate) async fn without_tables(&self) -> Self {
        let (url, directory) = if self.is_sqlite() {
            let directory = tempfile::tempdir().unwrap();
            (
                format!("sqlite://{}/store.db", directory.path().display()),
                Some(directory),
            )
        } else {
            (dps_lab::postgres::fresh_database().await.unwrap(), None)
        };
        Self {
            store: AnyStore::Database(Store::connect(&url, options()).await.unwrap()),
            url,
            hands: self.hands.clone(),
            _directory: directory,
        }
    }

    /// A store on the same database that may not write.
    pub(crate) async fn open_read_only(&self) -> Store {
        let separator = if self.is_sqlite() {
            "?mode=ro"
        } else {
            "?options=-c%20default_transaction_read_only%3Don"
        };
        Store::connect(&format!("{}{separator}", self.url), options())
            .await
            .unwrap()
    }

    /// Runs a statement behind the store's back.
    pub(crate) async fn sql(&self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        if self.is_sqlite() {
            let pool = sqlx::SqlitePool::connect(&self.url).await.unwrap();
            pool.execute(statement).await.unwrap();
            pool.close().await;
        } else {
            let pool = sqlx::PgPool::connect(&self.url).await.unwrap();
            pool.execute(statement).await.unwrap();
            pool.close().await;
        }
    }

    /// The only number that a query answers.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        let query = AssertSqlSafe(query.to_owned());
        if self.is_sqlite() {
            let pool = sqlx::SqlitePool::connect(&self.url).await.unwrap();
            let number = pool.fetch_one(query).await.unwrap().get(0);
            pool.close().await;
            number
        } else {
            let pool = sqlx::PgPool::connect(&self.url).await.unwrap();
            let number = pool.fetch_one(query).await.unwrap().get(0);
            pool.close().await;
            number
        }
    }

    /// Stores a record in its first phase that is due at `due`.
    pub(crate) async fn with_due(&self, host: &str, due: Timestamp) -> DomainRecord {
        let mut record = record(host);
        record.next_attempt_at = Some(due);
        self.insert(&record).await;
        self.read(record.id).await
    }

    pub(crate) async fn insert(&self, record: &DomainRecord) {
        assert!(
            self.store
                .domain_insert(quiet(record.clone()))
                .await
                .unwrap()
        );
    }

    pub(crate) async fn read(&self, id: DomainId) -> DomainRecord {
        self.store
            .domain(id)
            .await
            .unwrap()
            .expect("the record is stored")
    }

    pub(crate) async fn acquire(&self, now: Timestamp, limit: usize) -> Vec<Lease> {
        self.acquire_in(Lane::Verification, now, limit).await
    }

    /// Leases as a replica whose clock is right: it says what leases run by, too.
    pub(crate) async fn acquire_in(&self, lane: Lane, now: Timestamp, limit: usize) -> Vec<Lease> {
        self.hands.put(now);
        self.acquire_elsewhere(lane, now, limit).await
    }

    /// Leases as a replica whose clock is its own affair.
    pub(crate) async fn acquire_elsewhere(
        &self,
        lane: Lane,
        now: Timestamp,
        limit: usize,
    ) -> Vec<Lease> {
        self.store.acquire_due(lane, now, TTL, limit).await.unwrap()
    }

    pub(crate) async fn acquire_one(&self, now: Timestamp) -> Lease {
        let mut leases = self.acquire(now, 1).await;
        leases.pop().expect("a record is due")
    }

    /// Writes `status` as a report through an update of the record.
    pub(crate) async fn report(&self, id: DomainId, status: Status, now: Timestamp) {
        let mut record = self.read(id).await;
        record.updated_at = now;
        let write = RecordWrite::unchecked(record).with_report(report(status));
        assert!(self.store.domain_update(write).await.unwrap());
    }

    pub(crate) async fn reports(&self, now: Timestamp, limit: usize) -> Vec<OutboxLease> {
        self.hands.put(now);
        self.reports_elsewhere(now, limit).await
    }

    /// As [`Self::acquire_elsewhere`], of reports.
    pub(crate) async fn reports_elsewhere(&self, now: Timestamp, limit: usize) -> Vec<OutboxLease> {
        self.store.outbox_acquire(now, TTL, limit).await.unwrap()
    }

    /// Prunes one batch as by the default settings; returns the number of rows.
    pub(crate) async fn prune(&self, kind: Prunable, now: Timestamp, limit: u32) -> u64 {
        self.prune_after(kind, now, None, limit).await.rows
    }

    pub(crate) async fn prune_after(
        &self,
        kind: Prunable,
        now: Timestamp,
        after: Option<&str>,
        limit: u32,
    ) -> Pruned {
        let batch = PruneBatch {
            kind,
            retention: &Retention::default(),
            now,
            after,
            limit,
        };
        self.store.prune(&batch).await.unwrap()
    }

    /// An open order of a domain.
    pub(crate) async fn with_order(&self, domain: DomainId) -> StoredOrder {
        let order = order(domain);
        self.place(&order).await;
        order
    }

    /// Stores an order under a lease of its domain, as a step does.
    pub(crate) async fn place(&self, order: &StoredOrder) {
        let token = self.lease_of(order.domain_id).await;
        self.store.order_insert(order, token).await.unwrap();
        self.store.release(order.domain_id, token).await.unwrap();
    }

    /// Leases a record, wherever it waits.
    pub(crate) async fn lease_of(&self, domain: DomainId) -> LeaseToken {
        let mut record = self.read(domain).await;
        if record.next_attempt_at.is_none() || record.lane().is_none() {
            (record.phase, record.next_attempt_at) = (Phase::START, Some(at(0)));
            assert!(self.store.domain_update(quiet(record)).await.unwrap());
            record = self.read(domain).await;
        }
        let (lane, due) = (record.lane().unwrap(), record.next_attempt_at.unwrap());
        let mut token = None;
        for lease in self.acquire_elsewhere(lane, due, 1_000).await {
            if lease.record.id == domain {
                token = Some(lease.token);
            } else {
                let (id, token) = (lease.record.id, lease.token);
                self.store.release(id, token).await.unwrap();
            }
        }
        token.expect("the record is not leased")
    }
}

pub(crate) fn host(name: &str) -> Hostname {
    name.parse().unwrap()
}

/// A record that has just been made and has no due time.
pub(crate) fn record(name: &str) -> DomainRecord {
    let id = DomainId::from_uuid(Uuid::from_u128(number()));
    let target = host("edge.platform.example");
    DomainRecord {
        next_attempt_at: None,
        ..DomainRecord::new(id, "tenant-1".to_owned(), host(name), target, 1, at(0))
    }
}

/// Returns a write without a report or an event.
pub(crate) fn quiet(record: DomainRecord) -> RecordWrite {
    RecordWrite::unchecked(record)
}

pub(crate) fn report(status: Status) -> StatusReport {
    StatusReport {
        status,
        failure: None,
        message: None,
        next_attempt_at: None,
        certificate_not_after: None,
        proof: None,
    }
}

pub(crate) fn event(kind: EventKind, at: Timestamp) -> DomainEvent {
    DomainEvent {
        at,
        kind,
        phase: "awaitingDns".to_owned(),
        detail: serde_json::json!({ "seen": ["192.0.2.1"] }),
        duration: Some(Duration::from_micros(1_234_567)),
        replica: "replica-1".to_owned(),
    }
}

pub(crate) fn order(domain: DomainId) -> StoredOrder {
    let id = OrderId::from_uuid(Uuid::from_u128(number()));
    StoredOrder {
        id,
        domain_id: domain,
        directory_url: "https://ca.example/dir".to_owned(),
        url: format!("https://ca.example/order/{id}"),
        open: true,
        key: None,
        created_at: at(0),
    }
}

pub(crate) fn sealed(text: &str) -> SealedSecret {
    SealedSecret(text.as_bytes().to_vec())
}

/// A certificate of an order, valid for 90 days from `created_at`.
pub(crate) fn certificate(
    order: &StoredOrder,
    name: &str,
    created_at: Timestamp,
) -> NewCertificate {
    NewCertificate {
        id: CertificateId::from_uuid(Uuid::from_u128(number())),
        domain_id: order.domain_id,
        order_id: order.id,
        hostname: host(name),
        details: CertificateDetails {
            fingerprint: "ab".repeat(32),
            serial: "04d2".to_owned(),
            not_before: created_at,
            not_after: created_at + Duration::from_secs(90 * 86_400),
            ari_id: Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".to_owned()),
            chain_pem: "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n".to_owned(),
        },
        key: sealed("sealed certificate key"),
        created_at,
    }
}
