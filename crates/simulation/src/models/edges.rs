//! The edges, with the certificates that each serves.

mod ends;
mod expiries;
mod inventory;
pub mod port;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_application::ports::edge::{DeployRequest, EdgeError};
use dps_domain::inventory::InventoryDigest;
use dps_domain::{Hostname, Timestamp};
use secrecy::ExposeSecret as _;

use expiries::{Expiries, HOUR};

use crate::models::dns::Names;
use crate::models::line::Line;
use crate::models::names::PerName;
use crate::models::pki::{CERTIFICATE_KEY, Leaf};
use crate::models::tally::{Tally, locked};
use crate::scenario::Scenario;
use crate::time::TrueTime;

/// One edge with its agent. Its certificates outlive a restart; its challenges do not.
#[derive(Debug)]
pub struct EdgeModel {
    /// The way to it.
    pub line: Line,
    name: String,
    state: Mutex<EdgeState>,
}

/// A fault of an edge that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeFault {
    /// It is well by its own account, and cannot write a certificate.
    DiskFull,
    /// Its clock is behind: it refuses every certificate as not valid yet.
    ClockBehind,
    /// It never ends the publication of a challenge. A load balancer passes it over.
    Hanging,
}

impl EdgeModel {
    /// Gives the edge a fault, or takes it away.
    pub fn set_fault(&self, fault: Option<EdgeFault>) {
        locked(&self.state).fault = fault;
    }

    /// The tokens that it answers now.
    pub fn challenges(&self) -> usize {
        locked(&self.state).challenges.len()
    }

    fn is_available(&self) -> bool {
        !self.line.is_down() && locked(&self.state).fault != Some(EdgeFault::Hanging)
    }
}

#[derive(Debug)]
struct EdgeState {
    challenges: BTreeMap<String, String>,
    served: PerName<Served>,
    /// Of all that is served.
    digest: InventoryDigest,
    started_at: Timestamp,
    fault: Option<EdgeFault>,
}

/// The certificate that an edge presents for one name; a serial of 0 means that there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Served {
    /// The certificate's serial.
    pub serial: u64,
    /// The end of its validity, in microseconds since 1970.
    pub not_after: i64,
    generation: u64,
    /// Whether it counts among the domains that are served as they should be.
    is_counted: bool,
    /// Whether it was seen to be served beyond its end.
    is_seen_expired: bool,
}

impl Served {
    /// The certificate with this serial, as the service's generation of it.
    pub fn new(serial: u64, not_after: Timestamp, generation: u64) -> Self {
        Self {
            serial,
            not_after: not_after.unix_micros(),
            generation,
            ..Self::default()
        }
    }

    fn fingerprint(self) -> String {
        self.serial.to_string()
    }
}

/// All edges.
#[derive(Debug)]
pub struct EdgeFleet {
    /// Each of them.
    pub edges: Vec<EdgeModel>,
    /// Certificates refused because the edge has a newer one.
    pub refused_as_older: Tally,
    expiries: Mutex<Expiries>,
    /// The most entries on a page of an inventory.
    page: u32,
    /// The grace for a name that points at us again, no longer than a certificate lives.
    grace: Duration,
    names: Arc<Names>,
    time: TrueTime,
}

/// Grace for a name that points at us again, because the service must notice it first.
const GRACE: Duration = Duration::from_secs(24 * 3600);

impl EdgeFleet {
    /// Edges that serve nothing yet.
    pub fn new(scenario: &Scenario, names: Arc<Names>, time: TrueTime) -> Self {
        let edge = |number: u32| EdgeModel {
            line: Line::new(scenario.edges.answers_after.get()),
            name: format!("http://edge-{number}"),
            state: Mutex::new(EdgeState {
                challenges: BTreeMap::new(),
                served: PerName::new(&names.book, Served::default()),
                digest: InventoryDigest::default(),
                started_at: time.now(),
                fault: None,
            }),
        };
        Self {
            page: u32::MAX,
            edges: (0..scenario.edges.count).map(edge).collect(),
            grace: GRACE.min(scenario.ca.lifetime.get()),
            refused_as_older: Tally::default(),
            expiries: Mutex::default(),
            names,
            time,
        }
    }

    /// The same, with so many entries on a page of an inventory at most.
    #[must_use]
    pub fn with_pages_of(mut self, entries: u32) -> Self {
        self.page = entries;
        self
    }

    /// The certificate that an edge serves for a domain; `None` if there is none.
    pub fn served(&self, edge: usize, number: u32) -> Option<Served> {
        let served = locked(&self.edges.get(edge)?.state).served.get(number);
        (served.serial != 0).then_some(served)
    }

    /// Somebody else installs a certificate at an edge, or takes one away: with a serial of 0.
    pub fn put(&self, edge: usize, number: u32, served: Served) {
        let hostname = self.names.book.hostname(number);
        if let Some(hostname) = hostname.and_then(|name| Hostname::parse(&name).ok()) {
            self.replace(edge, number, &hostname, served);
        }
    }

    /// An edge loses its certificates and challenges, and its agent begins anew.
    pub fn lose_disk(&self, edge: usize) {
        for (number, _) in self.entries(edge) {
            self.put(edge, number, Served::default());
        }
        let mut state = locked(&self.edges[edge].state);
        state.challenges.clear();
        state.started_at = self.time.now();
    }

    /// Takes an edge down for a restart, which loses its challenges.
    pub fn restart(&self, edge: usize) {
        if let Some(edge) = self.edges.get(edge) {
            edge.line.set_down(true);
            let mut state = locked(&edge.state);
            state.challenges.clear();
            state.started_at = self.time.now();
        }
    }

    /// Whether the token is answered at every address: the CA may pick any of them.
    pub fn answers(&self, token: &str, key_authorization: &str) -> bool {
        let mut addresses = self.names.addresses().iter();
        addresses.all(|address| self.answers_at(*address, token, key_authorization))
    }

    /// Whether the token is answered at an address, at whichever available edge a request arrives.
    fn answers_at(&self, address: IpAddr, token: &str, key_authorization: &str) -> bool {
        let edges = self.names.edges_at(address).map(|index| &self.edges[index]);
        let mut available = edges.filter(|edge| edge.is_available()).peekable();
        available.peek().is_some()
            && available.all(|edge| {
                let state = locked(&edge.state);
                let answer = state.challenges.get(token);
                answer.is_some_and(|text| text == key_authorization)
            })
    }

    fn is_ours(&self, number: u32) -> bool {
        let since = self.names.pointing_since(number);
        since.is_some_and(|since| self.time.now().since(since) > self.grace)
    }

    fn replace(&self, edge: usize, number: u32, hostname: &Hostname, new: Served) -> Served {
        let mut state = locked(&self.edges[edge].state);
        let old = std::mem::replace(state.served.get_mut(number), new);
        for served in [old, new].iter().filter(|served| served.serial != 0) {
            let digest = &mut state.digest;
            digest.toggle(hostname, &served.fingerprint(), served.generation);
        }
        drop(state);
        let mut expiries = locked(&self.expiries);
        let now = self.time.now().unix_micros();
        let is_replaced = old.serial != 0 && old.serial != new.serial;
        if is_replaced && old.not_after < now && !old.is_seen_expired && self.is_ours(number) {
            expiries.expired_while_served += 1;
        }
        if new.serial != 0 && new.serial != old.serial {
            let hour = new.not_after / HOUR;
            expiries
                .by_hour
                .entry(hour)
                .or_default()
                .push((number, new.serial));
        }
        if edge == 0 {
            if old.is_counted {
                expiries.serve(old.not_after / HOUR, false);
            }
            if new.is_counted {
                expiries.serve(new.not_after / HOUR, true);
            }
        }
        old
    }

    fn deploy(&self, edge: usize, request: &DeployRequest) -> Result<(), EdgeError> {
        let rejected = |reason: &str| EdgeError::Rejected {
            edge: self.edges[edge].name.clone(),
            reason: reason.to_owned(),
        };
        let fault = locked(&self.edges[edge].state).fault;
        match fault {
            Some(EdgeFault::DiskFull) => {
                return Err(EdgeError::Unreachable {
                    edge: self.edges[edge].name.clone(),
                    detail: "the disk is full".to_owned(),
                });
            }
            Some(EdgeFault::ClockBehind) => return Err(rejected("NOT_YET_VALID")),
            Some(EdgeFault::Hanging) | None => {}
        }
        let leaf = Leaf::read(&request.chain_pem).ok_or_else(|| rejected("not a chain"))?;
        let book = &self.names.book;
        let number = book
            .number(request.hostname.as_str())
            .filter(|_| leaf.name == request.hostname.as_str())
            .ok_or_else(|| rejected("it is for another name"))?;
        if request.key_pem.expose_secret() != CERTIFICATE_KEY {
            return Err(rejected("the key is not the certificate's"));
        }
        if self
            .served(edge, number)
            .is_some_and(|served| served.generation > request.generation)
        {
            return Err(EdgeError::Newer {
                edge: self.edges[edge].name.clone(),
                detail: "a newer certificate is served".to_owned(),
            });
        }
        let new = Served {
            serial: leaf.serial,
            not_after: leaf.not_after.unix_micros(),
            generation: request.generation,
            is_counted: self.names.pointing_since(number).is_some(),
            is_seen_expired: false,
        };
        self.replace(edge, number, &request.hostname, new);
        self.names.claims.note_deployed(leaf.serial);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::names::NameBook;
    use crate::time::WorldTime;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// It was seen only if it was replaced in the hour of its end, or never.
    #[tokio::test(start_paused = true)]
    async fn a_certificate_that_was_replaced_hours_after_its_end_counts_as_expired_once() {
        let scenario = Scenario::default();
        let time = TrueTime::from(WorldTime::begin());
        let book = Arc::new(NameBook::pattern(scenario.domains, 1));
        let names = Arc::new(Names::new(&scenario, book, time.clone()));
        let fleet = EdgeFleet::new(&scenario, Arc::clone(&names), time.clone());
        names.point(0, true);
        let served = |serial, lasts: Duration| Served {
            serial,
            not_after: (time.now() + lasts).unix_micros(),
            ..Served::default()
        };
        let name = Hostname::parse(&names.book.hostname(0).unwrap()).unwrap();
        fleet.replace(0, 0, &name, served(1, 2 * DAY));
        tokio::time::sleep(2 * DAY + DAY / 4).await;
        fleet.replace(0, 0, &name, served(2, 2 * DAY));
        assert_eq!(fleet.expired_while_served(), 1, "replaced six hours late");
        tokio::time::sleep(3 * DAY).await;
        assert_eq!(fleet.expired_while_served(), 2, "served still");
        fleet.replace(0, 0, &name, served(3, 2 * DAY));
        assert_eq!(fleet.expired_while_served(), 2, "seen already");
    }
}
