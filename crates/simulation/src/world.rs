//! What is true in the simulated world, beside what each party knows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dps_domain::Timestamp;

use crate::ca::CaModel;
use crate::cabinet::CabinetModel;
use crate::dns::Names;
use crate::edges::EdgeFleet;
use crate::line::Line;
use crate::scenario::Scenario;
use crate::time::{Seeded, WorldTime};

/// All parties. Each has its state behind its own lock; none is held across an await.
#[derive(Debug)]
pub struct World {
    /// What is played.
    pub scenario: Scenario,
    /// The true time.
    pub time: WorldTime,
    /// Where the domains' names point.
    pub names: Arc<Names>,
    /// The CA.
    pub ca: Arc<CaModel>,
    /// The edges.
    pub edges: Arc<EdgeFleet>,
    /// The Cabinet.
    pub cabinet: Arc<CabinetModel>,
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(scenario: &Scenario, seed: u64) -> Arc<Self> {
        let time = WorldTime::begin();
        let draws = Arc::new(Seeded::new(seed, 1));
        let names = Arc::new(Names::new(scenario, time));
        let edges = Arc::new(EdgeFleet::new(scenario, time, Arc::clone(&names)));
        let ca = CaModel::new(
            scenario,
            time,
            (Arc::clone(&names), Arc::clone(&edges)),
            draws,
        );
        Arc::new(Self {
            scenario: scenario.clone(),
            time,
            names,
            ca: Arc::new(ca),
            edges,
            cabinet: Arc::new(CabinetModel::new(scenario)),
        })
    }

    /// Every way to another party, with its name.
    pub fn lines(&self) -> Vec<(String, &Line)> {
        let mut lines = vec![
            ("the CA".to_owned(), &self.ca.line),
            ("the Cabinet".to_owned(), &self.cabinet.line),
            ("the resolvers".to_owned(), &self.names.line),
        ];
        let edges = self.edges.edges.iter().enumerate();
        lines.extend(edges.map(|(index, edge)| (format!("edge {}", index + 1), &edge.line)));
        lines
    }

    /// Nothing is broken any more.
    pub fn mend(&self) {
        for (_, line) in self.lines() {
            line.mend();
        }
        self.ca.renewal_info_throttled.set(false);
    }
}

/// A switch that everybody sees.
#[derive(Debug, Default)]
pub struct Switch(AtomicBool);

impl Switch {
    /// On or off.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something that is counted.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

impl Tally {
    /// One more.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So many by now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The state of a party; its lock is never held across an await.
pub(super) fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Microseconds since the beginning of the run, small enough to be kept for a million domains.
pub(super) fn since(time: Timestamp) -> Duration {
    time.since(crate::time::EPOCH)
}
