//! The other parties: edges, DNS, probe, counters.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_application::ports::edge::{
    DeployRequest, EdgeError, EdgeHealth, InventoryPage, UndeployResult,
};
use dps_application::ports::metrics::AcmeWait;
use dps_application::ports::metrics::LocalParty;
use dps_application::ports::{
    CabinetEvent, Clock, DnsResolver, Edge, HttpProbe, Metrics, Randomness,
};
use dps_domain::dns::{DnsAnswer, DnsObservation};
use dps_domain::inventory::{Entry, InventoryDigest};
use dps_domain::probe::ProbeAnswer;
use dps_domain::{Hostname, Timestamp};
use dps_simulation::models::pki::{CERTIFICATE_KEY, Leaf};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;

pub(crate) const EDGE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

#[derive(Debug, Default)]
struct EdgeState {
    down: AtomicBool,
    challenges: Mutex<BTreeMap<String, String>>,
    served: Mutex<BTreeMap<String, Entry>>,
    started_at: Mutex<Option<Timestamp>>,
    refuses: AtomicBool,
    rejects: AtomicBool,
    hangs: AtomicBool,
}

/// Two edges that share nothing.
#[derive(Debug, Clone)]
pub(crate) struct Edges(Arc<[EdgeState; 2]>);

impl Default for Edges {
    fn default() -> Self {
        Self(Arc::new([EdgeState::default(), EdgeState::default()]))
    }
}

impl Edges {
    pub(crate) fn ports(&self) -> Vec<Arc<dyn Edge>> {
        (0..self.0.len())
            .map(|index| {
                Arc::new(FakeEdge {
                    all: self.clone(),
                    index,
                }) as Arc<dyn Edge>
            })
            .collect()
    }

    /// The edge says that it is well, and does nothing that it is asked.
    pub(crate) fn set_refusing(&self, index: usize, refuses: bool) {
        self.0[index].refuses.store(refuses, Ordering::SeqCst);
    }

    /// The edge takes no certificate.
    pub(crate) fn set_rejecting(&self, index: usize, rejects: bool) {
        self.0[index].rejects.store(rejects, Ordering::SeqCst);
    }

    /// The edge never answers whoever publishes a challenge.
    pub(crate) fn set_hanging(&self, index: usize, hangs: bool) {
        self.0[index].hangs.store(hangs, Ordering::SeqCst);
    }

    /// The edge lost its disk, and its agent begins anew.
    pub(crate) fn lose_all(&self, index: usize, started_at: Timestamp) {
        self.0[index].served.lock().unwrap().clear();
        self.0[index].challenges.lock().unwrap().clear();
        *self.0[index].started_at.lock().unwrap() = Some(started_at);
    }

    /// The certificate that one edge serves for a name.
    pub(crate) fn served_by(&self, index: usize, host: &str) -> Option<String> {
        let served = self.0[index].served.lock().unwrap();
        served.get(host).map(|entry| entry.fingerprint.clone())
    }

    /// How many certificates an edge holds.
    pub(crate) fn count(&self, index: usize) -> usize {
        self.0[index].served.lock().unwrap().len()
    }

    /// Somebody else put a certificate there.
    pub(crate) fn put(&self, index: usize, entry: Entry) {
        let mut served = self.0[index].served.lock().unwrap();
        served.insert(entry.hostname.to_string(), entry);
    }

    pub(crate) fn challenges_of(&self, index: usize) -> usize {
        self.0[index].challenges.lock().unwrap().len()
    }

    pub(crate) fn set_down(&self, index: usize, down: bool) {
        self.0[index].down.store(down, Ordering::SeqCst);
    }

    /// The fingerprint that every edge serves for a name, if they agree.
    pub(crate) fn served(&self, host: &str) -> Option<String> {
        let seen: BTreeSet<Option<String>> = self
            .0
            .iter()
            .map(|edge| {
                edge.served
                    .lock()
                    .unwrap()
                    .get(host)
                    .map(|entry| entry.fingerprint.clone())
            })
            .collect();
        let agree = seen.len() == 1;
        seen.into_iter().next().filter(|_| agree).flatten()
    }

    /// Whether every edge that is up answers the token, and one is.
    pub(crate) fn answer_everywhere(&self, token: &str, key_authorization: &str) -> bool {
        let mut up = self
            .0
            .iter()
            .filter(|edge| !edge.down.load(Ordering::SeqCst) && !edge.hangs.load(Ordering::SeqCst))
            .peekable();
        up.peek().is_some()
            && up.all(|edge| {
                edge.challenges
                    .lock()
                    .unwrap()
                    .get(token)
                    .is_some_and(|answer| answer == key_authorization)
            })
    }

    pub(crate) fn challenges(&self) -> usize {
        self.0
            .iter()
            .map(|edge| edge.challenges.lock().unwrap().len())
            .sum()
    }
}

struct FakeEdge {
    all: Edges,
    index: usize,
}

impl FakeEdge {
    fn works(&self) -> Result<&EdgeState, EdgeError> {
        let state = self.up()?;
        if state.refuses.load(Ordering::SeqCst) {
            return Err(EdgeError::Unreachable {
                edge: self.name().to_owned(),
                detail: "the disk is full".into(),
            });
        }
        if state.rejects.load(Ordering::SeqCst) {
            return Err(EdgeError::Rejected {
                edge: self.name().to_owned(),
                reason: "NOT_YET_VALID".into(),
            });
        }
        Ok(state)
    }

    fn up(&self) -> Result<&EdgeState, EdgeError> {
        let state = &self.all.0[self.index];
        if state.down.load(Ordering::SeqCst) {
            return Err(EdgeError::Unreachable {
                edge: self.name().to_owned(),
                detail: "refused".into(),
            });
        }
        Ok(state)
    }
}

#[async_trait]
impl Edge for FakeEdge {
    fn name(&self) -> &str {
        ["http://edge-0", "http://edge-1"][self.index]
    }

    async fn publish_challenge(
        &self,
        token: &str,
        key_authorization: &str,
    ) -> Result<(), EdgeError> {
        if self.all.0[self.index].hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.up()?
            .challenges
            .lock()
            .unwrap()
            .insert(token.to_owned(), key_authorization.to_owned());
        Ok(())
    }

    async fn withdraw_challenge(&self, token: &str) -> Result<(), EdgeError> {
        self.up()?.challenges.lock().unwrap().remove(token);
        Ok(())
    }

    async fn deploy(&self, request: &DeployRequest) -> Result<(), EdgeError> {
        assert!(
            request.key_pem.expose_secret() == CERTIFICATE_KEY,
            "the key arrives in clear at the edge"
        );
        let mut served = self.works()?.served.lock().unwrap();
        let key = request.hostname.to_string();
        if served
            .get(&key)
            .is_some_and(|entry| entry.generation > request.generation)
        {
            return Err(EdgeError::Newer {
                edge: self.name().to_owned(),
                detail: "a newer one".into(),
            });
        }
        let entry = Entry {
            hostname: request.hostname.clone(),
            fingerprint: request.fingerprint.clone(),
            generation: request.generation,
            not_after: Leaf::read(&request.chain_pem).unwrap().not_after,
        };
        served.insert(key, entry);
        Ok(())
    }

    async fn deploy_batch(&self, requests: &[DeployRequest]) -> Vec<Result<(), EdgeError>> {
        let mut results = Vec::new();
        for request in requests {
            results.push(self.deploy(request).await);
        }
        results
    }

    async fn check(&self) -> Result<EdgeHealth, EdgeError> {
        let started_at = *self.up()?.started_at.lock().unwrap();
        Ok(EdgeHealth { started_at })
    }

    async fn inventory(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<InventoryPage, EdgeError> {
        let served = self.up()?.served.lock().unwrap();
        let mut digest = InventoryDigest::default();
        for entry in served.values() {
            digest.toggle(&entry.hostname, &entry.fingerprint, entry.generation);
        }
        let after = served
            .iter()
            .filter(|(host, _)| cursor.is_none_or(|cursor| host.as_str() > cursor));
        // Small pages, so that a comparison has to turn them.
        let mut after = after.map(|(_, entry)| entry.clone());
        let entries: Vec<Entry> = after.by_ref().take(limit.min(3) as usize).collect();
        let next = after
            .next()
            .and(entries.last())
            .map(|last| last.hostname.to_string());
        Ok(InventoryPage {
            entries,
            next,
            digest: digest.to_hex(),
        })
    }

    async fn undeploy(
        &self,
        hostname: &Hostname,
        up_to: Option<u64>,
    ) -> Result<UndeployResult, EdgeError> {
        let mut served = self.up()?.served.lock().unwrap();
        let stays = |held: &Entry| up_to.is_some_and(|up_to| held.generation > up_to);
        if served.get(hostname.as_str()).is_some_and(stays) {
            return Ok(UndeployResult::NewerKept);
        }
        served.remove(hostname.as_str());
        Ok(UndeployResult::Done)
    }
}

/// A resolver whose answers can be set per name; our own target resolves unless it is dead.
pub(crate) struct FakeDns {
    names: Mutex<BTreeMap<String, (Vec<String>, DnsAnswer)>>,
    fault: Mutex<Option<DnsAnswer>>,
    asked: AtomicU64,
    /// The names of domains that were asked for, in that order.
    asked_for: watch::Sender<Vec<String>>,
}

impl Default for FakeDns {
    fn default() -> Self {
        Self {
            names: Mutex::default(),
            fault: Mutex::default(),
            asked: AtomicU64::new(0),
            asked_for: watch::Sender::new(Vec::new()),
        }
    }
}

impl FakeDns {
    pub(crate) fn point(&self, host: &str, target: &str) {
        self.point_at(host, target, BTreeSet::from([EDGE_ADDRESS]));
    }

    /// As [`Self::point`], with other addresses at the end.
    pub(crate) fn point_at(&self, host: &str, target: &str, addresses: BTreeSet<IpAddr>) {
        let answer = DnsAnswer::Addresses(addresses);
        self.names
            .lock()
            .unwrap()
            .insert(host.to_owned(), (vec![target.to_owned()], answer));
    }

    pub(crate) fn clear(&self, host: &str) {
        self.names.lock().unwrap().remove(host);
    }

    /// The names of domains that were asked for so far, and those to come.
    pub(crate) fn asked_for(&self) -> watch::Receiver<Vec<String>> {
        self.asked_for.subscribe()
    }

    pub(crate) fn set_dead(&self, dead: bool) {
        self.set_fault(dead.then_some(DnsAnswer::Timeout));
    }

    /// Every poll ends so from now on.
    pub(crate) fn set_fault(&self, fault: Option<DnsAnswer>) {
        *self.fault.lock().unwrap() = fault;
    }

    /// How many names were asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl DnsResolver for FakeDns {
    fn address(&self) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 53], 53))
    }

    async fn observe(&self, host: &Hostname) -> DnsObservation {
        if host.as_str() != super::world::TARGET {
            self.asked_for
                .send_modify(|asked| asked.push(host.to_string()));
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let fault = self.fault.lock().unwrap().clone();
        let (chain, answer) = if let Some(fault) = fault {
            (vec![], fault)
        } else if host.as_str() == super::world::TARGET {
            (vec![], DnsAnswer::Addresses(BTreeSet::from([EDGE_ADDRESS])))
        } else {
            self.names
                .lock()
                .unwrap()
                .get(host.as_str())
                .cloned()
                .unwrap_or((vec![], DnsAnswer::NxDomain))
        };
        DnsObservation::new(self.address(), chain, answer)
    }
}

/// Answers as the edges do.
pub(crate) struct FakeProbe(pub(crate) Edges);

#[async_trait]
impl HttpProbe for FakeProbe {
    async fn probe(
        &self,
        _host: &Hostname,
        address: IpAddr,
        token: &str,
        expected: &str,
    ) -> ProbeAnswer {
        if address == EDGE_ADDRESS && self.0.answer_everywhere(token, expected) {
            ProbeAnswer::Ours
        } else {
            ProbeAnswer::Status(404)
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
}
