//! The simulated world: all parties, and the true time that no clock of a replica changes.

use std::sync::Arc;
use std::time::Duration;

use crate::models::ca::CaModel;
use crate::models::cabinet::{CabinetModel, Habits};
use crate::models::claims::{self, Claims};
use crate::models::dns::Names;
use crate::models::edges::EdgeFleet;
use crate::models::line::Line;
use crate::models::names::NameBook;
use crate::scenario::Scenario;
use crate::time::{Seeded, TrueTime, WorldTime};

/// All parties. Each has its state behind its own lock; none is held across an await.
#[derive(Debug)]
pub struct World {
    /// The scenario of the run.
    pub scenario: Scenario,
    /// The true time.
    pub time: WorldTime,
    /// Where the domains' names point.
    pub names: Arc<Names>,
    /// The names that two tenants claim.
    pub claims: Arc<Claims>,
    /// The CA.
    pub ca: Arc<CaModel>,
    /// The edges.
    pub edges: Arc<EdgeFleet>,
    /// The Cabinet.
    pub cabinet: Arc<CabinetModel>,
}

impl World {
    /// A world in which nothing has happened yet. A removed name is kept for its tenant for
    /// `quarantine`.
    pub fn new(scenario: &Scenario, quarantine: Duration, seed: u64) -> Arc<Self> {
        let time = WorldTime::begin();
        let draws = Arc::new(Seeded::new(seed, 1));
        let truth = TrueTime::from(time);
        let book = NameBook::pattern(scenario.domains, scenario.names_per_registered_domain);
        let book = Arc::new(book);
        let contests = claims::draw(scenario, quarantine, &Seeded::new(seed, 3));
        let claims = Claims::new(contests, quarantine, truth.clone());
        let claims = Arc::new(claims);
        let names = Names::new(scenario, Arc::clone(&book), truth.clone());
        let names = Arc::new(names.with_claims(Arc::clone(&claims)));
        let cabinet = CabinetModel::new(scenario, book, Habits::default());
        let cabinet = Arc::new(cabinet.with_claims(Arc::clone(&claims)));
        let edges = EdgeFleet::new(scenario, Arc::clone(&names), truth.clone());
        let edges = Arc::new(edges);
        let ca = CaModel::new(
            scenario,
            truth,
            Arc::clone(&names),
            Arc::clone(&edges),
            draws,
        );
        Arc::new(Self {
            scenario: scenario.clone(),
            time,
            names,
            ca: Arc::new(ca),
            edges,
            cabinet,
            claims,
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

    /// Repairs every line and ends the throttling of renewal information.
    pub fn mend(&self) {
        for (_, line) in self.lines() {
            line.mend();
        }
        self.ca.renewal_info_throttled.set(false);
    }
}
