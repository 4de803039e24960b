//! A CertificateStore in memory, for runs in virtual time: what the port promises, without a
//! database under it.
//!
//! It passes the stories of the store's contract that are about the port. Several replicas share
//! one store by cloning it. An operation is as atomic as a transaction: it holds one lock from
//! beginning to end, and never across an await.

mod actions;
mod certificates;
mod count;
mod crowds;
mod fleet;
mod fleet_view;
mod history;
mod idempotency;
mod jobs;
mod leases;
mod ledger;
mod orders;
mod outbox;
mod pauses;
mod port;
mod prune;
mod records;
mod renewal_info;
mod revocations;
mod row;
mod sync;
mod system;
mod targets;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dps_application::ports::Clock;
use dps_application::ports::fleet::KnownEdge;
use dps_application::ports::store::{
    Deployment, NewCertificate, Replica, StoreError, StoredAccount, StoredOrder,
};
use dps_domain::action::OperatorAction;
use dps_domain::idempotency::KeptKey;
use dps_domain::job::Job;
use dps_domain::lane::Lane;
use dps_domain::limits::{Bucket, BucketKey};
use dps_domain::pause::Pause;
use dps_domain::{
    ActionId, CertificateId, DomainId, Hostname, JobId, LeaseToken, OrderId, Timestamp,
};
use rustc_hash::FxHashMap;

pub use count::TableRows;
use row::Row;
use sync::PeriodicTask;

/// How much a store keeps of what no step reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Everything, as the databases do.
    Full,
    /// Times and kinds of the lines of history, and no deployments, so that a million domains fit
    /// in a few gigabytes. Every certificate counts as deployed.
    Slim,
}

/// Lines of history that are kept of each domain, as databases do by default.
pub const EVENTS_PER_DOMAIN: usize = 200;

/// The store; clones share their content.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    content: Content,
    /// The clock by which leases run.
    steady: Arc<dyn Clock>,
    witness: Option<Arc<dyn Witness>>,
}

/// A model that observes the domain of every order and certificate.
pub trait Witness: Send + Sync {
    /// An order was placed and is stored.
    fn order_stored(&self, order: &StoredOrder);
    /// A certificate was issued and is stored.
    fn certificate_stored(&self, certificate: &NewCertificate);
}

#[derive(Debug, Default)]
struct State {
    rows: FxHashMap<DomainId, Row>,
    ids: BTreeSet<DomainId>,
    /// Newest last.
    by_hostname: BTreeMap<Hostname, Vec<DomainId>>,
    /// From when each record can be acquired, by lane and queue in it. None is empty.
    queues: BTreeMap<(Lane, u32), BTreeSet<(Timestamp, DomainId)>>,
    heads: leases::Heads,
    /// The shard that is served first, and the shards of which the second queue is, one bit each.
    turns: BTreeMap<Lane, (u32, u64)>,
    crowds: crowds::Crowds,
    /// From when on renewals that wait elsewhere are urgent.
    becoming_urgent: BTreeSet<(Timestamp, DomainId)>,
    polls: renewal_info::Polls,
    order_owners: FxHashMap<OrderId, DomainId>,
    certificate_owners: FxHashMap<CertificateId, DomainId>,
    /// From when the oldest report of each domain can be acquired.
    reports_due: outbox::Due,
    reports_written: i64,
    buckets: FxHashMap<BucketKey, Bucket>,
    /// When each bucket is like an unused one.
    buckets_idle: BTreeSet<(Timestamp, BucketKey)>,
    accounts: BTreeMap<String, StoredAccount>,
    cursors: BTreeMap<String, String>,
    tasks: BTreeMap<String, PeriodicTask>,
    replicas: BTreeMap<String, Replica>,
    edges: BTreeMap<String, KnownEdge>,
    fleet_view: fleet_view::Counts,
    /// Deployments of each domain. None are kept of [`Content::Slim`].
    deployments: BTreeMap<DomainId, Vec<Deployment>>,
    actions: BTreeMap<ActionId, OperatorAction>,
    pauses: BTreeMap<pauses::Key, Pause>,
    /// The tenant of each target, and when a domain was last seen to have it.
    targets: BTreeMap<String, (String, Timestamp)>,
    /// By holder and key.
    idempotency: BTreeMap<(String, String), KeptKey>,
    jobs: BTreeMap<JobId, Job>,
    revocations: BTreeMap<CertificateId, revocations::Requested>,
    tokens_drawn: u128,
    /// The name of the process in its leases.
    replica: &'static str,
    due: prune::Due,
    webhooks: webhooks::Deliveries,
}

impl MemoryStore {
    /// An empty store. Leases run by `steady`, which never jumps, whatever the callers' clocks say.
    pub fn new(content: Content, steady: Arc<dyn Clock>) -> Self {
        Self {
            state: Arc::default(),
            content,
            steady,
            witness: None,
        }
    }

    /// The same, with a witness of all orders and certificates.
    #[must_use]
    pub fn with_witness(mut self, witness: Arc<dyn Witness>) -> Self {
        self.witness = Some(witness);
        self
    }

    /// The same, with the name of its process in leases.
    #[must_use]
    pub fn held_by(self, replica: &'static str) -> Self {
        self.state().replica = replica;
        self
    }

    /// Since when the record that waits longest in a lane could have been acquired.
    pub fn waiting_since(&self, lane: Lane, now: Timestamp) -> Option<Timestamp> {
        self.state().next_due(lane).filter(|at| *at <= now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new_token(&mut self) -> LeaseToken {
        LeaseToken::new(Timestamp::EPOCH, self.draw(), self.replica)
    }

    /// Ten bytes that no other call returns.
    fn draw(&mut self) -> [u8; 10] {
        self.tokens_drawn += 1;
        let mut drawn = [0; 10];
        drawn.copy_from_slice(&self.tokens_drawn.to_be_bytes()[6..]);
        drawn
    }
}

/// A row that refers to a record which is not there, as a foreign key would find.
fn no_such_record(operation: &'static str) -> StoreError {
    StoreError::Unavailable {
        operation,
        source: "there is no such record".into(),
    }
}

fn not_stored(table: &'static str, row: &impl ToString) -> StoreError {
    StoreError::Corrupt {
        table,
        row: row.to_string(),
        reason: "it is not stored".to_owned(),
    }
}
