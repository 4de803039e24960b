//! The other parties' edges and DNS as stories address them, the clock, and counters.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::metrics::LocalParty;
use dps_application::ports::metrics::{AcmeWait, ClaimEvent, Milestone};
use dps_application::ports::{CabinetEvent, Clock, DnsResolver, Edge, Metrics, Randomness};
use dps_domain::caa::{CaaAnswer, CaaObservation};
use dps_domain::decide::Action;
use dps_domain::dns::{DnsAnswer, DnsObservation};
use dps_domain::ownership::{TxtAnswer, TxtObservation};
use dps_domain::{Hostname, Timestamp};
use dps_simulation::models::dns::{Names, ResolverModel};
use dps_simulation::models::edges::port::EdgePort;
use dps_simulation::models::edges::{EdgeFault, EdgeFleet, Served};
use tokio::sync::watch;

/// The model's edges, by the names of domains.
#[derive(Debug, Clone)]
pub(crate) struct Edges {
    pub(crate) fleet: Arc<EdgeFleet>,
    pub(crate) names: Arc<Names>,
}

impl Edges {
    pub(crate) fn ports(&self) -> Vec<Arc<dyn Edge>> {
        EdgePort::all(&self.fleet)
    }

    pub(crate) fn set_fault(&self, index: usize, fault: Option<EdgeFault>) {
        self.fleet.edges[index].set_fault(fault);
    }

    pub(crate) fn set_down(&self, index: usize, down: bool) {
        self.fleet.edges[index].line.set_down(down);
    }

    pub(crate) fn lose_disk(&self, index: usize) {
        self.fleet.lose_disk(index);
    }

    /// The certificate that one edge serves for a name.
    pub(crate) fn served_by(&self, index: usize, host: &str) -> Option<String> {
        let served = self.fleet.served(index, self.names.book.number(host)?);
        served.map(|served| served.serial.to_string())
    }

    /// How many certificates an edge holds.
    pub(crate) fn count(&self, index: usize) -> usize {
        self.fleet.held(index)
    }

    /// Somebody else put a certificate there.
    pub(crate) fn put(&self, index: usize, host: &str, served: Served) {
        let number = self.names.book.number(host).unwrap();
        self.fleet.put(index, number, served);
    }

    /// The fingerprint that every edge serves for a name, if they agree.
    pub(crate) fn served(&self, host: &str) -> Option<String> {
        let edges = 0..self.fleet.edges.len();
        let seen: BTreeSet<_> = edges.map(|index| self.served_by(index, host)).collect();
        let agree = seen.len() == 1;
        seen.into_iter().next().filter(|_| agree).flatten()
    }

    pub(crate) fn challenges_of(&self, index: usize) -> usize {
        self.fleet.edges[index].challenges()
    }

    pub(crate) fn challenges(&self) -> usize {
        let edges = 0..self.fleet.edges.len();
        edges.map(|index| self.challenges_of(index)).sum()
    }
}

/// A resolver of the model that notes the questions it is asked.
pub(crate) struct Dns {
    pub(crate) names: Arc<Names>,
    resolver: ResolverModel,
    asked: AtomicU64,
    /// The names of domains that were asked for, in that order.
    asked_for: watch::Sender<Vec<String>>,
    /// The answer to queries for proofs, in place of the right one.
    proof_fault: Mutex<Option<DnsAnswer>>,
}

impl Dns {
    pub(crate) fn new(names: Arc<Names>) -> Self {
        Self {
            resolver: ResolverModel::new(Arc::clone(&names), 53),
            names,
            asked: AtomicU64::new(0),
            asked_for: watch::Sender::new(Vec::new()),
            proof_fault: Mutex::default(),
        }
    }

    fn number(&self, host: &str) -> u32 {
        self.names.book.number(host).unwrap()
    }

    /// The name points at us.
    pub(crate) fn point(&self, host: &str) {
        self.names.point(self.number(host), true);
    }

    /// As [`Self::point`], with other addresses at the end.
    pub(crate) fn point_at(&self, host: &str, addresses: BTreeSet<IpAddr>) {
        let chain = vec![super::world::TARGET.to_owned()];
        let answer = DnsAnswer::Addresses(addresses);
        self.names.publish(self.number(host), chain, answer);
    }

    pub(crate) fn clear(&self, host: &str) {
        self.names.point(self.number(host), false);
    }

    /// From now on a question about the name's CAA records has this answer.
    pub(crate) fn publish_caa(&self, host: &str, answer: CaaAnswer) {
        self.names.publish_caa(self.number(host), answer);
    }

    /// The customer publishes these values for the proof of ownership, and no others.
    pub(crate) fn publish_proof(&self, host: &str, values: &[&str]) {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.names.publish_proof(self.number(host), values);
    }

    /// The names of domains that were asked for so far, and those to come.
    pub(crate) fn asked_for(&self) -> watch::Receiver<Vec<String>> {
        self.asked_for.subscribe()
    }

    /// Sets the answer to queries for proofs; `None` for the right one.
    pub(crate) fn fail_proofs(&self, fault: Option<DnsAnswer>) {
        *self.proof_fault.lock().unwrap() = fault;
    }

    pub(crate) fn set_dead(&self, dead: bool) {
        self.names.set_fault(dead.then_some(DnsAnswer::Timeout));
    }

    /// How many names were asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl DnsResolver for Dns {
    fn address(&self) -> SocketAddr {
        self.resolver.address()
    }

    async fn observe(&self, host: &Hostname) -> DnsObservation {
        if host.as_str() != super::world::TARGET {
            self.asked_for
                .send_modify(|asked| asked.push(host.to_string()));
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.resolver.observe(host).await
    }

    async fn observe_caa(&self, host: &Hostname) -> CaaObservation {
        self.resolver.observe_caa(host).await
    }

    async fn observe_proof(&self, host: &Hostname) -> TxtObservation {
        let fault = self.proof_fault.lock().unwrap().clone();
        let seen = self.resolver.observe_proof(host).await;
        match fault {
            Some(fault) => TxtObservation {
                answer: TxtAnswer::Failed(fault),
                ..seen
            },
            None => seen,
        }
    }
}

/// A clock that stands until it is moved.
pub(crate) struct MockClock(pub(crate) Mutex<Timestamp>);

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Counts upwards: distinct, and the same in every run.
#[derive(Default)]
pub(crate) struct CountingRandomness(AtomicU64);

impl Randomness for CountingRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::SeqCst).to_le_bytes();
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = count[index % count.len()];
        }
    }
}

/// Counts successes and failures by name.
#[derive(Default)]
pub(crate) struct Counters(pub(crate) Mutex<BTreeMap<(&'static str, bool), u32>>);

impl Counters {
    /// How often something failed.
    pub(crate) fn failed(&self, name: &'static str) -> u32 {
        self.0
            .lock()
            .unwrap()
            .get(&(name, false))
            .copied()
            .unwrap_or_default()
    }

    fn add(&self, name: &'static str, success: bool) {
        *self.0.lock().unwrap().entry((name, success)).or_default() += 1;
    }
}

impl Metrics for Counters {
    fn domain_verification(&self, success: bool) {
        self.add("verification", success);
    }
    fn acme_issuance(&self, success: bool) {
        self.add("issuance", success);
    }
    fn renewal(&self, success: bool) {
        self.add("renewal", success);
    }
    fn acme_wait(&self, wait: AcmeWait) {
        self.add(wait.label(), false);
    }
    fn step(&self, _: dps_domain::lane::Lane, action: &Action, _: Duration) {
        self.add(action.name(), true);
    }
    fn onboarding(&self, milestone: Milestone, _: Duration) {
        self.add(milestone.as_str(), true);
    }
    fn acme_account(&self, is_usable: bool) {
        self.add("account", is_usable);
    }
    fn under_way(&self, lane: dps_domain::phase::Lane, steps: usize) {
        if lane == dps_domain::phase::Lane::Issuance && steps > 0 {
            self.add("issuance begun", true);
        }
    }
    fn edge_filled(&self, _: usize, _: usize) {}
    fn renewal_info(&self, success: bool) {
        self.add("renewal_info", success);
    }
    fn local_fault(&self, party: LocalParty) {
        self.add(party.as_str(), false);
    }
    fn resolver_failed(&self, _: SocketAddr) {
        self.add("resolver", false);
    }
    fn cabinet(&self, event: CabinetEvent) {
        self.add(event.as_str(), true);
    }
    fn claim(&self, event: ClaimEvent) {
        self.add(event.as_str(), true);
    }
}
