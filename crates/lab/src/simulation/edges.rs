//! The edges: what each serves, and the HTTP probe that is answered by them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_application::ports::edge::{Deployment, EdgeError};
use dps_application::ports::{Edge, HttpProbe};
use dps_domain::Hostname;
use dps_domain::probe::ProbeAnswer;

use super::dns::{Names, edge_index};
use super::line::Line;
use super::names;
use super::pki::Leaf;
use super::scenario::Scenario;
use super::time::WorldTime;
use super::world::{Tally, locked};

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
}

/// All edges.
#[derive(Debug)]
pub struct EdgeFleet {
    /// Each of them.
    pub edges: Vec<EdgeModel>,
    /// Certificates refused because the edge has a newer one.
    pub refused_as_older: Tally,
    expiries: Mutex<Expiries>,
    names: Arc<Names>,
    time: WorldTime,
}

/// When certificates that are or were served end, by hour of the run, so that none is looked for among all.
#[derive(Debug, Default)]
struct Expiries {
    by_hour: BTreeMap<i64, Vec<(u32, u64)>>,
    /// Domains that point at us and are served by the first edge, by the hour in which that ends.
    serving_until: BTreeMap<i64, u32>,
    replaced_expired: u64,
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
/// A name that points at us again must be seen first.
const GRACE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

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
            }),
        };
        Self {
            edges: (0..scenario.edges.count).map(edge).collect(),
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
            locked(&edge.state).challenges.clear();
        }
    }

    /// Whether every edge that is up answers the token: how the CA sees it, whichever address it picks.
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

    /// Certificates that ended while they were served for a name that points at us, up to now.
    pub fn expired_while_served(&self) -> u64 {
        let now = self.time.now().unix_micros();
        let mut expiries = locked(&self.expiries);
        let ended = expiries.by_hour.range(..now / HOUR).map(|(hour, _)| *hour);
        let ended: Vec<i64> = ended.collect();
        for hour in ended {
            for (number, serial) in expiries.by_hour.remove(&hour).unwrap_or_default() {
                let mut edges = 0..self.edges.len();
                let served = edges.any(|edge| {
                    self.served(edge, number)
                        .is_some_and(|served| served.serial == serial)
                });
                if served && self.is_ours(number) {
                    expiries.replaced_expired += 1;
                }
            }
        }
        expiries.replaced_expired
    }

    fn is_ours(&self, number: u32) -> bool {
        let since = self.names.pointing_since(number);
        since.is_some_and(|since| self.time.now().since(since) > GRACE)
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

    /// Hours that the served certificates are still valid for at these ranks (0 is the soonest to end, 1 the last), as the first edge
    /// has them; `None` while nothing is served.
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

    fn replace(&self, edge: usize, number: u32, new: Served) -> Served {
        let mut state = locked(&self.edges[edge].state);
        let Some(place) = state.served.get_mut(number as usize) else {
            return Served::default();
        };
        let old = std::mem::replace(place, new);
        drop(state);
        let mut expiries = locked(&self.expiries);
        let now = self.time.now().unix_micros();
        if old.serial != 0
            && old.serial != new.serial
            && old.not_after < now
            && old.not_after / HOUR == now / HOUR
            && self.is_ours(number)
        {
            // Replaced within the hour in which it ended: the hourly look would not see it.
            expiries.replaced_expired += 1;
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

    fn apply(&self, edge: usize, deployment: &Deployment) -> Result<(), EdgeError> {
        let rejected = |reason: &str| EdgeError::Rejected {
            edge: self.edges[edge].name.clone(),
            reason: reason.to_owned(),
        };
        let leaf = Leaf::read(&deployment.chain_pem).ok_or_else(|| rejected("not a chain"))?;
        if self
            .served(edge, leaf.number)
            .is_some_and(|served| served.generation > deployment.generation)
        {
            self.refused_as_older.count();
            return Err(rejected("a newer certificate is served"));
        }
        let new = Served {
            serial: leaf.serial,
            not_after: leaf.not_after.unix_micros(),
            generation: deployment.generation,
            is_counted: self.names.pointing_since(leaf.number).is_some(),
        };
        self.replace(edge, leaf.number, new);
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

    async fn publish_challenge(&self, token: &str, key_authorization: &str) -> Result<(), EdgeError> {
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
        self.call(|| self.fleet.apply(self.index, deployment)).await
    }

    async fn remove(&self, hostname: &Hostname) -> Result<(), EdgeError> {
        self.call(|| {
            if let Some(number) = names::number(hostname) {
                self.fleet.replace(self.index, number, Served::default());
            }
            Ok(())
        })
        .await
    }
}

/// Fetches tokens from the edges the way the service does it from outside.
#[derive(Debug)]
pub struct ProbeModel(pub Arc<EdgeFleet>);

#[async_trait]
impl HttpProbe for ProbeModel {
    async fn probe(&self, _: &Hostname, address: IpAddr, token: &str, expected: &str) -> ProbeAnswer {
        let edge = edge_index(address).and_then(|index| self.0.edges.get(index));
        let Some(edge) = edge else {
            return ProbeAnswer::Refused;
        };
        let answer = edge.line.call(|| {
            let state = locked(&edge.state);
            state.challenges.get(token).is_some_and(|text| text == expected)
        });
        match answer.await {
            Some(true) => ProbeAnswer::Ours,
            Some(false) => ProbeAnswer::Status(404),
            None => ProbeAnswer::Refused,
        }
    }
}
