//! The edges: what each serves, and the HTTP probe that is answered by them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::edge::{Deployment, EdgeError, EdgeHealth, InventoryPage, Removal};
use dps_application::ports::{Edge, HttpProbe};
use dps_domain::inventory::{Entry, InventoryDigest};
use dps_domain::probe::ProbeAnswer;
use dps_domain::{Hostname, Timestamp};
use secrecy::ExposeSecret as _;

use crate::dns::{Names, edge_index};
use crate::line::Line;
use crate::names;
use crate::pki::{CERTIFICATE_KEY, Leaf};
use crate::scenario::Scenario;
use crate::time::WorldTime;
use crate::world::{Tally, locked};

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

/// What an edge presents for one name; a serial of 0 means nothing.
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

/// When certificates that are or were served end, by hour of the run, so that none is looked for
/// among all.
#[derive(Debug, Default)]
struct Expiries {
    by_hour: BTreeMap<i64, Vec<(u32, u64)>>,
    /// Domains that point at us and are served by the first edge, by the hour in which that ends.
    serving_until: BTreeMap<i64, u32>,
    expired_while_served: u64,
}

impl Expiries {
    /// One domain more, or one less, is served until this hour.
    fn serve(&mut self, hour: i64, more: bool) {
        let count = self.serving_until.entry(hour).or_default();
        *count = if more { *count + 1 } else { *count - 1 };
        if *count == 0 {
            self.serving_until.remove(&hour);
        }
    }
}

/// Microseconds in an hour.
const HOUR: i64 = 3_600_000_000;
/// The grace for a name that points at us again: it must be seen first.
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

    /// What an edge serves for a domain.
    pub fn served(&self, edge: usize, number: u32) -> Option<Served> {
        let state = locked(&self.edges.get(edge)?.state);
        let served = *state.served.get(number as usize)?;
        (served.serial != 0).then_some(served)
    }

    /// An edge goes down for a restart: what it held in memory alone is lost.
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

    /// Certificates that ended while they were served for a name that points at us, up to now. To
    /// be asked every hour: who leaves or is removed after his certificate ended is seen only by
    /// that.
    pub fn expired_while_served(&self) -> u64 {
        let now = self.time.now().unix_micros();
        let ended: Vec<(u32, u64)> = {
            let mut expiries = locked(&self.expiries);
            let later = expiries.by_hour.split_off(&(now / HOUR));
            let ended = std::mem::replace(&mut expiries.by_hour, later);
            ended.into_values().flatten().collect()
        };
        for (number, serial) in ended
            .into_iter()
            .filter(|(number, _)| self.is_ours(*number))
        {
            for edge in &self.edges {
                let mut state = locked(&edge.state);
                if let Some(served) = state.served.get_mut(number as usize)
                    && served.serial == serial
                    && !served.is_seen_expired
                {
                    served.is_seen_expired = true;
                    locked(&self.expiries).expired_while_served += 1;
                }
            }
        }
        locked(&self.expiries).expired_while_served
    }

    /// Certificates that an edge holds although they ended more than a day ago, whoever they are
    /// for.
    pub fn held_after_their_end(&self) -> u64 {
        let latest = self.time.now().unix_micros() - 24 * HOUR;
        let has_ended = |served: &&Served| served.serial != 0 && served.not_after < latest;
        let count = |edge: &EdgeModel| locked(&edge.state).served.iter().filter(has_ended).count();
        self.edges.iter().map(|edge| count(edge) as u64).sum()
    }

    fn is_ours(&self, number: u32) -> bool {
        let since = self.names.pointing_since(number);
        since.is_some_and(|since| self.time.now().since(since) > self.grace)
    }

    /// A name begins or ceases to point at us, and to count.
    pub fn count(&self, number: u32, counts: bool) {
        let mut state = locked(&self.edges[0].state);
        let Some(served) = state.served.get_mut(number as usize) else {
            return;
        };
        if served.serial == 0 || served.is_counted == counts {
            return;
        }
        served.is_counted = counts;
        let hour = served.not_after / HOUR;
        drop(state);
        locked(&self.expiries).serve(hour, counts);
    }

    /// Hours that the served certificates are still valid for at these ranks (0 is the soonest to
    /// end, 1 the last), as the first edge has them; `None` while nothing is served.
    pub fn remaining_hours(&self, ranks: [f64; 3]) -> Option<[i64; 3]> {
        let now = self.time.now().unix_micros() / HOUR;
        let expiries = locked(&self.expiries);
        let total: u32 = expiries.serving_until.values().sum();
        if total == 0 {
            return None;
        }
        Some(ranks.map(|rank| {
            let wanted = rank * f64::from(total - 1);
            let mut seen = 0;
            let hour = expiries.serving_until.iter().find(|(_, count)| {
                seen += **count;
                f64::from(seen) > wanted
            });
            hour.map_or(0, |(hour, _)| hour - now)
        }))
    }

    /// Domains that the first edge serves and that point at us.
    pub fn served_domains(&self) -> u32 {
        locked(&self.expiries).serving_until.values().sum()
    }

    fn replace(&self, edge: usize, (number, hostname): (u32, &Hostname), new: Served) -> Served {
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

    fn apply(&self, edge: usize, deployment: &Deployment) -> Result<(), EdgeError> {
        let rejected = |reason: &str| EdgeError::Rejected {
            edge: self.edges[edge].name.clone(),
            reason: reason.to_owned(),
        };
        let leaf = Leaf::read(&deployment.chain_pem).ok_or_else(|| rejected("not a chain"))?;
        let number = names::number(&deployment.hostname)
            .filter(|_| leaf.name == deployment.hostname.as_str())
            .ok_or_else(|| rejected("it is for another name"))?;
        if deployment.key_pem.expose_secret() != CERTIFICATE_KEY {
            return Err(rejected("the key is not the certificate's"));
        }
        if self
            .served(edge, number)
            .is_some_and(|served| served.generation > deployment.generation)
        {
            return Err(EdgeError::Newer {
                edge: self.edges[edge].name.clone(),
                detail: "a newer certificate is served".to_owned(),
            });
        }
        let new = Served {
            serial: leaf.serial,
            not_after: leaf.not_after.unix_micros(),
            generation: deployment.generation,
            is_counted: self.names.pointing_since(number).is_some(),
            is_seen_expired: false,
        };
        self.replace(edge, (number, &deployment.hostname), new);
        Ok(())
    }
}

/// One edge as the service sees it.
#[derive(Debug)]
pub struct EdgePort {
    fleet: Arc<EdgeFleet>,
    index: usize,
}

impl EdgePort {
    /// Each edge of the fleet.
    pub fn all(fleet: &Arc<EdgeFleet>) -> Vec<Arc<dyn Edge>> {
        let port = |index| {
            let fleet = Arc::clone(fleet);
            Arc::new(Self { fleet, index }) as Arc<dyn Edge>
        };
        (0..fleet.edges.len()).map(port).collect()
    }

    fn edge(&self) -> &EdgeModel {
        &self.fleet.edges[self.index]
    }

    async fn call<T>(&self, effect: impl FnOnce() -> Result<T, EdgeError>) -> Result<T, EdgeError> {
        let answer = self.edge().line.call(effect).await;
        answer.unwrap_or_else(|| {
            Err(EdgeError::Unreachable {
                edge: self.edge().name.clone(),
                detail: "no answer".into(),
            })
        })
    }
}

#[async_trait]
impl Edge for EdgePort {
    fn name(&self) -> &str {
        &self.edge().name
    }

    async fn publish_challenge(
        &self,
        token: &str,
        key_authorization: &str,
    ) -> Result<(), EdgeError> {
        self.call(|| {
            let mut state = locked(&self.edge().state);
            state
                .challenges
                .insert(token.to_owned(), key_authorization.to_owned());
            Ok(())
        })
        .await
    }

    async fn withdraw_challenge(&self, token: &str) -> Result<(), EdgeError> {
        self.call(|| {
            locked(&self.edge().state).challenges.remove(token);
            Ok(())
        })
        .await
    }

    async fn apply(&self, deployment: &Deployment) -> Result<(), EdgeError> {
        let result = self.call(|| self.fleet.apply(self.index, deployment)).await;
        if matches!(result, Err(EdgeError::Newer { .. })) {
            self.fleet.refused_as_older.count();
        }
        result
    }

    /// What a comparison sends may be behind a deployment that came between; that is no fault.
    async fn apply_batch(&self, deployments: &[Deployment]) -> Vec<Result<(), EdgeError>> {
        let apply = |deployment| self.fleet.apply(self.index, deployment);
        let results = self
            .call(|| Ok(deployments.iter().map(apply).collect()))
            .await;
        results.unwrap_or_else(|error| deployments.iter().map(|_| Err(error.clone())).collect())
    }

    async fn remove(&self, hostname: &Hostname, up_to: Option<u64>) -> Result<Removal, EdgeError> {
        self.call(|| {
            let number = names::number(hostname);
            let held = number.and_then(|number| {
                self.fleet
                    .served(self.index, number)
                    .map(|held| (number, held))
            });
            let Some((number, held)) = held else {
                return Ok(Removal::Done);
            };
            if up_to.is_some_and(|up_to| held.generation > up_to) {
                return Ok(Removal::NewerStays);
            }
            let place = (number, hostname);
            self.fleet.replace(self.index, place, Served::default());
            Ok(Removal::Done)
        })
        .await
    }

    async fn check(&self) -> Result<EdgeHealth, EdgeError> {
        let health = || EdgeHealth {
            started_at: Some(locked(&self.edge().state).started_at),
        };
        self.call(|| Ok(health())).await
    }

    async fn inventory(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<InventoryPage, EdgeError> {
        self.call(|| Ok(self.fleet.inventory(self.index, cursor, limit)))
            .await
    }
}

/// Fetches tokens from the edges the way the service does it from outside.
#[derive(Debug)]
pub struct ProbeModel(pub Arc<EdgeFleet>);

#[async_trait]
impl HttpProbe for ProbeModel {
    async fn probe(
        &self,
        _: &Hostname,
        address: IpAddr,
        token: &str,
        expected: &str,
    ) -> ProbeAnswer {
        let edge = edge_index(address).and_then(|index| self.0.edges.get(index));
        let Some(edge) = edge else {
            return ProbeAnswer::Refused;
        };
        let answer = edge.line.call(|| {
            let state = locked(&edge.state);
            state
                .challenges
                .get(token)
                .is_some_and(|text| text == expected)
        });
        match answer.await {
            Some(true) => ProbeAnswer::Ours,
            Some(false) => ProbeAnswer::Status(404),
            None => ProbeAnswer::Refused,
        }
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
        fleet.replace(0, (0, &name), served(1, 2 * DAY));
        tokio::time::sleep(2 * DAY + DAY / 4).await;
        fleet.replace(0, (0, &name), served(2, 2 * DAY));
        assert_eq!(fleet.expired_while_served(), 1, "replaced six hours late");
        tokio::time::sleep(3 * DAY).await;
        assert_eq!(fleet.expired_while_served(), 2, "served still");
        fleet.replace(0, (0, &name), served(3, 2 * DAY));
        assert_eq!(fleet.expired_while_served(), 2, "seen already");
    }
}
