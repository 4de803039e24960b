//! The edges, with the certificates that each serves.

mod ends;
mod expiries;
pub mod port;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_application::ports::edge::{DeployRequest, EdgeError, InventoryPage};
use dps_domain::inventory::{Entry, InventoryDigest};
use dps_domain::{Hostname, Timestamp};
use secrecy::ExposeSecret as _;

use expiries::{Expiries, HOUR};

use crate::models::dns::Names;
use crate::models::line::Line;
use crate::models::names;
use crate::models::pki::{CERTIFICATE_KEY, Leaf};
use crate::models::tally::{Tally, locked};
use crate::scenario::Scenario;
use crate::time::WorldTime;

/// One edge with its agent. Its certificates outlive a restart; its challenges do not.
#[derive(Debug)]
pub struct EdgeModel {
    /// The way to it.
    pub line: Line,
    name: String,
    state: Mutex<EdgeState>,
}

#[derive(Debug)]
struct EdgeState {
    challenges: BTreeMap<String, String>,
    served: Vec<Served>,
    /// Of all that is served.
    digest: InventoryDigest,
    started_at: Timestamp,
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
    /// The domains' numbers in the order of their hostnames.
    order: Vec<u32>,
    per_registered_domain: u32,
    /// The grace for a name that points at us again, no longer than a certificate lives.
    grace: Duration,
    names: Arc<Names>,
    time: WorldTime,
}

/// Grace for a name that points at us again, because the service must notice it first.
const GRACE: Duration = Duration::from_secs(24 * 3600);

impl EdgeFleet {
    /// Edges that serve nothing yet.
    pub fn new(scenario: &Scenario, time: WorldTime, names: Arc<Names>) -> Self {
        let domains = usize::try_from(scenario.domains).unwrap_or(usize::MAX);
        let edge = |number: u32| EdgeModel {
            line: Line::new(scenario.edges.answers_after.get()),
            name: format!("http://edge-{}", number + 1),
            state: Mutex::new(EdgeState {
                challenges: BTreeMap::new(),
                served: vec![Served::default(); domains],
                digest: InventoryDigest::default(),
                started_at: time.now(),
            }),
        };
        let per_registered_domain = scenario.names_per_registered_domain;
        let mut order: Vec<u32> = (0..scenario.domains).collect();
        order.sort_by_cached_key(|number| names::hostname(*number, per_registered_domain));
        Self {
            order,
            per_registered_domain,
            edges: (0..scenario.edges.count).map(edge).collect(),
            grace: GRACE.min(scenario.ca.lifetime.get()),
            refused_as_older: Tally::default(),
            expiries: Mutex::default(),
            names,
            time,
        }
    }

    /// The certificate that an edge serves for a domain; `None` if there is none.
    pub fn served(&self, edge: usize, number: u32) -> Option<Served> {
        let state = locked(&self.edges.get(edge)?.state);
        let served = *state.served.get(number as usize)?;
        (served.serial != 0).then_some(served)
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

    /// Whether every edge that is up answers the token: how the CA sees it, whichever address it
    /// picks.
    pub fn answers(&self, token: &str, key_authorization: &str) -> bool {
        let up = self.edges.iter().filter(|edge| !edge.line.is_down());
        let mut asked = 0;
        up.inspect(|_| asked += 1).all(|edge| {
            locked(&edge.state)
                .challenges
                .get(token)
                .is_some_and(|text| text == key_authorization)
        }) && asked == self.edges.len()
    }

    fn is_ours(&self, number: u32) -> bool {
        let since = self.names.pointing_since(number);
        since.is_some_and(|since| self.time.now().since(since) > self.grace)
    }

    fn replace(&self, edge: usize, number: u32, hostname: &Hostname, new: Served) -> Served {
        let mut state = locked(&self.edges[edge].state);
        let Some(place) = state.served.get_mut(number as usize) else {
            return Served::default();
        };
        let old = std::mem::replace(place, new);
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

    fn entry(&self, number: u32, served: Served) -> Option<Entry> {
        Some(Entry {
            hostname: Hostname::parse(&names::hostname(number, self.per_registered_domain)).ok()?,
            fingerprint: served.fingerprint(),
            generation: served.generation,
            not_after: Timestamp::from_unix_micros(served.not_after),
        })
    }

    /// A page of what an edge holds; the cursor counts places in the order of hostnames.
    fn inventory(&self, edge: usize, cursor: Option<&str>, limit: u32) -> InventoryPage {
        let state = locked(&self.edges[edge].state);
        let from = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let places = self.order.iter().enumerate().skip(from);
        let mut held = places.filter_map(|(place, number)| {
            let served = *state.served.get(*number as usize)?;
            let served = Some(served).filter(|served| served.serial != 0)?;
            Some((place, self.entry(*number, served)?))
        });
        let (mut entries, mut last) = (vec![], from);
        for (place, entry) in held.by_ref().take(limit as usize) {
            last = place + 1;
            entries.push(entry);
        }
        InventoryPage {
            entries,
            next: held.next().map(|_| last.to_string()),
            digest: state.digest.to_hex(),
        }
    }

    fn deploy(&self, edge: usize, request: &DeployRequest) -> Result<(), EdgeError> {
        let rejected = |reason: &str| EdgeError::Rejected {
            edge: self.edges[edge].name.clone(),
            reason: reason.to_owned(),
        };
        let leaf = Leaf::read(&request.chain_pem).ok_or_else(|| rejected("not a chain"))?;
        let number = names::number(&request.hostname)
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// It was seen only if it was replaced in the hour of its end, or never.
    #[tokio::test(start_paused = true)]
    async fn a_certificate_that_was_replaced_hours_after_its_end_counts_as_expired_once() {
        let scenario = Scenario::default();
        let time = WorldTime::begin();
        let names = Arc::new(Names::new(&scenario, time));
        let fleet = EdgeFleet::new(&scenario, time, Arc::clone(&names));
        names.point(0, true);
        let served = |serial, lasts: Duration| Served {
            serial,
            not_after: (time.now() + lasts).unix_micros(),
            ..Served::default()
        };
        let name = Hostname::parse(&names::hostname(0, 1)).unwrap();
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
