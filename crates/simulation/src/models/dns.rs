//! Where customers' names point, and the resolvers that say so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::DnsResolver;
use dps_domain::caa::{CaaAnswer, CaaLookup, CaaObservation};
use dps_domain::dns::{DnsAnswer, DnsObservation};
use dps_domain::ownership::{TxtAnswer, TxtObservation};
use dps_domain::{Hostname, Timestamp};

use crate::models::claims::{Claims, OWN_TARGETS};
use crate::models::line::Line;
use crate::models::names::{NameBook, PerName, TARGET};
use crate::models::tally::locked;
use crate::scenario::Scenario;
use crate::time::TrueTime;

/// Where each name points.
#[derive(Debug)]
pub struct Names {
    /// The way to the resolvers.
    pub line: Line,
    /// The numbers of the names.
    pub book: Arc<NameBook>,
    /// The names that two tenants claim.
    pub claims: Arc<Claims>,
    time: TrueTime,
    edges: usize,
    /// The target's addresses: one of each edge, or one for all of them.
    addresses: BTreeSet<IpAddr>,
    /// Since when each name points at us; or, negated, since when it does not. In microseconds
    /// since 1970.
    pointing: Mutex<PerName<i64>>,
    /// Names with records of another kind: the CNAME chain, and the answer at its end.
    others: Mutex<BTreeMap<u32, (Vec<String>, DnsAnswer)>>,
    /// The answers about CAA records; the other names have none.
    caa: Mutex<BTreeMap<u32, CaaAnswer>>,
    /// The values of TXT records that prove claims; the other names have none.
    proofs: Mutex<BTreeMap<u32, Vec<String>>>,
    /// The answer to every question in place of the true one.
    fault: Mutex<Option<DnsAnswer>>,
}

/// The address of an edge.
fn edge_address(index: usize) -> IpAddr {
    let last = u8::try_from(index + 1).unwrap_or(u8::MAX);
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, last))
}

impl Names {
    /// Nobody points at us yet. Each edge has an address of its own.
    pub fn new(scenario: &Scenario, book: Arc<NameBook>, time: TrueTime) -> Self {
        let edges = usize::try_from(scenario.edges.count).unwrap_or(1);
        Self {
            line: Line::new(scenario.resolvers.answers_after.get()),
            edges,
            addresses: (0..edges).map(edge_address).collect(),
            pointing: Mutex::new(PerName::new(&book, -time.now().unix_micros())),
            others: Mutex::default(),
            caa: Mutex::default(),
            proofs: Mutex::default(),
            fault: Mutex::default(),
            claims: Arc::new(Claims::none(time.clone())),
            book,
            time,
        }
    }

    /// The same, with a load balancer before the edges: they share the first edge's address.
    #[must_use]
    pub fn load_balanced(mut self) -> Self {
        self.addresses = BTreeSet::from([edge_address(0)]);
        self
    }

    /// The same, with names that two tenants claim.
    #[must_use]
    pub fn with_claims(mut self, claims: Arc<Claims>) -> Self {
        self.claims = claims;
        self
    }

    /// The customer changes the name's records.
    pub fn point(&self, number: u32, at_us: bool) {
        locked(&self.others).remove(&number);
        let now = self.time.now().unix_micros();
        let mut pointing = locked(&self.pointing);
        let entry = pointing.get_mut(number);
        if (*entry > 0) != at_us {
            *entry = if at_us { now } else { -now };
        }
    }

    /// The customer gives the name records that resolvers answer so.
    pub fn publish(&self, number: u32, chain: Vec<String>, answer: DnsAnswer) {
        self.point(number, false);
        locked(&self.others).insert(number, (chain, answer));
    }

    /// The name points at us by a chain of these names.
    pub fn point_through(&self, number: u32, chain: Vec<String>) {
        self.point(number, true);
        let ours = DnsAnswer::Addresses(self.addresses.clone());
        locked(&self.others).insert(number, (chain, ours));
    }

    /// From now on a question about the name's CAA records has this answer.
    pub fn publish_caa(&self, number: u32, answer: CaaAnswer) {
        locked(&self.caa).insert(number, answer);
    }

    /// The customer publishes these values for the proof of ownership, and no others. Returns
    /// whether they are new.
    pub fn publish_proof(&self, number: u32, values: Vec<String>) -> bool {
        let mut proofs = locked(&self.proofs);
        let is_new = proofs.get(&number) != Some(&values);
        proofs.insert(number, values);
        is_new
    }

    /// From now on every question has this answer; `None` ends that.
    pub fn set_fault(&self, fault: Option<DnsAnswer>) {
        *locked(&self.fault) = fault;
    }

    /// Since when the name points at us, if it does.
    pub fn pointing_since(&self, number: u32) -> Option<Timestamp> {
        let since = locked(&self.pointing).get(number);
        (since > 0).then(|| Timestamp::from_unix_micros(since))
    }

    /// Since when the name does not point at us, if it does not.
    pub fn away_since(&self, number: u32) -> Option<Timestamp> {
        let since = locked(&self.pointing).get(number);
        (since <= 0).then(|| Timestamp::from_unix_micros(-since))
    }

    /// The target's addresses.
    pub fn addresses(&self) -> &BTreeSet<IpAddr> {
        &self.addresses
    }

    /// The edges at an address.
    pub fn edges_at(&self, address: IpAddr) -> Range<usize> {
        let found = self.addresses.iter().position(|ours| *ours == address);
        match found {
            None => 0..0,
            Some(_) if self.addresses.len() < self.edges => 0..self.edges,
            Some(index) => index..index + 1,
        }
    }

    fn look_up(&self, host: &Hostname) -> (Vec<String>, DnsAnswer) {
        if let Some(fault) = &*locked(&self.fault) {
            return (vec![], fault.clone());
        }
        let ours = || DnsAnswer::Addresses(self.addresses.clone());
        if host.as_str() == TARGET || is_own_target(host) {
            return (vec![], ours());
        }
        let Some(number) = self.book.number(host.as_str()) else {
            return (vec![], DnsAnswer::NxDomain);
        };
        if let Some(records) = locked(&self.others).get(&number) {
            return records.clone();
        }
        match self.pointing_since(number) {
            Some(_) => (vec![self.claims.target_in_dns(number)], ours()),
            None => (vec![], DnsAnswer::NxDomain),
        }
    }

    fn look_up_proof(&self, host: &Hostname) -> TxtAnswer {
        if let Some(fault) = &*locked(&self.fault) {
            return TxtAnswer::Failed(fault.clone());
        }
        let number = self.book.number(host.as_str());
        let published = number.and_then(|number| locked(&self.proofs).get(&number).cloned());
        TxtAnswer::Values(published.unwrap_or_default())
    }

    fn look_up_caa(&self, host: &Hostname) -> CaaAnswer {
        if let Some(fault) = &*locked(&self.fault) {
            return CaaAnswer::Failed(fault.clone());
        }
        let number = self.book.number(host.as_str());
        let published = number.and_then(|number| locked(&self.caa).get(&number).cloned());
        published.unwrap_or(CaaAnswer::None)
    }

    /// The CAA records of a top-level domain: none.
    fn look_up_top(&self) -> CaaAnswer {
        let fault = locked(&self.fault).clone();
        fault.map_or(CaaAnswer::None, CaaAnswer::Failed)
    }
}

/// Whether a name is the target of one domain alone.
fn is_own_target(host: &Hostname) -> bool {
    let first = host.as_str().strip_suffix(OWN_TARGETS);
    first.is_some_and(|first| first.ends_with('.'))
}

/// One recursive resolver; all of them share one way, and fail together.
#[derive(Debug)]
pub struct ResolverModel {
    names: Arc<Names>,
    address: SocketAddr,
}

/// How long a question waits for an answer that does not come.
const TIMEOUT: Duration = Duration::from_secs(5);

impl ResolverModel {
    /// The resolver with this number.
    pub fn new(names: Arc<Names>, number: u8) -> Self {
        let address = SocketAddr::from(([192, 0, 2, number], 53));
        Self { names, address }
    }
}

#[async_trait]
impl DnsResolver for ResolverModel {
    async fn observe_proof(&self, host: &Hostname) -> TxtObservation {
        let names = &self.names;
        let answer = match names.line.call(|| names.look_up_proof(host)).await {
            Some(answer) => answer,
            None => {
                tokio::time::sleep(TIMEOUT).await;
                TxtAnswer::Failed(DnsAnswer::Timeout)
            }
        };
        TxtObservation {
            resolver: self.address,
            answer,
            ttl: None,
        }
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn observe(&self, host: &Hostname) -> DnsObservation {
        let (chain, answer) = match self.names.line.call(|| self.names.look_up(host)).await {
            Some(found) => found,
            None => {
                tokio::time::sleep(TIMEOUT).await;
                (vec![], DnsAnswer::Timeout)
            }
        };
        DnsObservation::new(self.address, chain, answer)
    }

    async fn observe_caa(&self, host: &Hostname) -> CaaObservation {
        let names = &self.names;
        let answered = names
            .line
            .call(|| (names.look_up_caa(host), names.look_up_top()));
        let [of_host, of_top] = match answered.await {
            Some((of_host, of_top)) => [of_host, of_top],
            None => {
                tokio::time::sleep(TIMEOUT).await;
                [
                    CaaAnswer::Failed(DnsAnswer::Timeout),
                    CaaAnswer::Failed(DnsAnswer::Timeout),
                ]
            }
        };
        let (_, top) = host.as_str().rsplit_once('.').unwrap_or_default();
        let lookups = [(host.as_str(), of_host), (top, of_top)].map(|(name, answer)| CaaLookup {
            name: name.to_owned(),
            chain: vec![],
            answer,
            ttl: None,
        });
        let lookups = lookups.into();
        CaaObservation {
            resolver: self.address,
            lookups,
        }
    }
}
