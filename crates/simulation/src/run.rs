//! Lets a scenario happen.

use std::sync::Arc;
use std::time::Duration;

use dps_application::Policy;
use dps_domain::{NameSuffix, Status};

use crate::memory_store::{Content, EVENTS_PER_DOMAIN, MemoryStore};
use crate::models::claims::OWN_TARGETS;
use crate::observe::Observer;
use crate::outcome::{Observed, Outcome};
use crate::plan::{Happening, Plan};
use crate::replica::{Recipe, Replica};
use crate::rows::{Bounds, Peaks};
use crate::scenario::Scenario;
use crate::time::{ReplicaClock, Seeded};
use crate::wakes::Hub;
use crate::world::World;

const HOUR: Duration = Duration::from_secs(3_600);

/// Replicas notify each other, so polls need not be frequent.
const POLL_INTERVAL: Duration = Duration::from_secs(60);
/// The time between two health checks of an edge.
const CHECK: Duration = Duration::from_secs(300);

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Virtual days that are over.
    pub day: u64,
    /// Virtual days in all.
    pub days: u32,
    /// Orders that the CA took so far.
    pub orders: u64,
    /// Domains that are served.
    pub served: u32,
}

/// Runs a scenario in a runtime of its own, as fast as it goes; `progress` hears of every virtual
/// day. The caller must not be in a runtime itself. The error is the operating system's, about a
/// new runtime.
pub fn run(
    scenario: &Scenario,
    seed: u64,
    policy: Policy,
    progress: &mut dyn FnMut(Progress),
) -> std::io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    Ok(runtime.block_on(play(scenario, seed, policy, progress)))
}

async fn play(
    scenario: &Scenario,
    seed: u64,
    policy: Policy,
    progress: &mut dyn FnMut(Progress),
) -> Outcome {
    let world = World::new(scenario, policy.quarantine, seed);
    let steady = ReplicaClock::new(world.time);
    let store = MemoryStore::new(Content::Slim, steady);
    let store = store.with_witness(Arc::clone(&world.claims) as _);
    let plan = Plan::of(scenario, world.claims.all(), &Seeded::new(seed, 2));
    let recipe = Recipe {
        world: Arc::clone(&world),
        store: Arc::new(store.clone()),
        policy: Arc::new(adjusted(policy, scenario)),
        hub: Hub::new(scenario.replicas.count),
        seed,
    };
    let mut stage = Stage {
        replicas: (0..scenario.replicas.count)
            .map(|_| Replica::new(&world))
            .collect(),
        recipe,
        generation: 0,
        left_when_void: None,
    };
    for number in 0..scenario.replicas.count {
        stage.start(number);
    }
    let mut observer = Observer::default();
    let mut peaks = Peaks::default();
    let mut happenings = plan.happenings.iter().peekable();
    let mut next_sample = HOUR;
    while next_sample <= scenario.length() {
        while let Some((at, happening)) = happenings.next_if(|(at, _)| *at < next_sample) {
            tokio::time::sleep_until(world.time.at(*at)).await;
            stage.happen(*happening);
        }
        tokio::time::sleep_until(world.time.at(next_sample)).await;
        world.ca.note_replaced();
        world.edges.expired_while_served();
        observer.sample(&world, &store);
        stage.read_proofs();
        if next_sample.as_secs().is_multiple_of(24 * 3_600) {
            world.edges.note_contested();
            peaks.note(&store.table_rows());
            progress(Progress {
                day: next_sample.as_secs() / (24 * 3_600),
                days: scenario.days,
                orders: world.ca.tallies.orders.get(),
                served: world.edges.served_domains(),
            });
        }
        next_sample += HOUR;
    }
    for replica in &mut stage.replicas {
        replica.drain().await;
    }
    let lines = u32::try_from(EVENTS_PER_DOMAIN).unwrap_or(u32::MAX);
    let retention = stage.recipe.policy.retention;
    let bounds = Bounds::new(retention, scenario.ca.lifetime.get(), lines);
    let result = Observed {
        samples: observer.samples,
        marks: plan.marks,
        left_when_void: stage.left_when_void,
        rows: peaks.bounded(&bounds),
    };
    Outcome::of(&world, seed, result)
}

/// The operator's numbers with those that the scenario changes.
fn adjusted(mut policy: Policy, scenario: &Scenario) -> Policy {
    // In a life of minutes, minutes matter.
    let share = scenario.ca.lifetime.get() / 100;
    policy.poll_interval = policy.poll_interval.max(POLL_INTERVAL.min(share));
    policy.fleet.check_interval = policy.fleet.check_interval.max(CHECK.min(share));
    let workers = &scenario.workers;
    let concurrency = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    if let Some(interval) = workers.recheck_interval {
        policy.recheck.interval = interval.get();
    }
    if let Some(interval) = workers.resync_interval {
        policy.resync_interval = interval.get();
    }
    if let Some(interval) = workers.edge_reconcile_interval {
        policy.fleet.interval = interval.get();
    }
    if let Some(number) = workers.acme_issuance_concurrency {
        policy.issuance.concurrency = concurrency(number);
    }
    if let Some(number) = workers.renewal_concurrency {
        policy.renewal.concurrency = concurrency(number);
    }
    if let Some(number) = workers.recheck_concurrency {
        policy.recheck.concurrency = concurrency(number);
    }
    // The scenario was checked.
    policy.freeze = workers.freeze().unwrap_or_default();
    if scenario.customers.contested > 0.0 {
        let own_targets = NameSuffix::parse(OWN_TARGETS);
        policy.ownership.unique_targets.extend(own_targets);
    }
    policy
}

/// The replicas, and what happens to them and around them.
struct Stage {
    recipe: Recipe,
    replicas: Vec<Replica>,
    generation: u64,
    left_when_void: Option<usize>,
}

impl Stage {
    fn start(&mut self, number: u32) {
        self.generation += 1;
        if let Some(replica) = self.replicas.get_mut(number as usize) {
            replica.start(&self.recipe, number, self.generation);
        }
    }

    /// A second tenant claims a name. Its owner changes the DNS first, where that is a target.
    fn claim(&self, domain: u32) {
        let world = &self.recipe.world;
        let contest = world.claims.contest_of(domain);
        if contest.is_some_and(|contest| contest.has_own_targets && contest.owners() == domain) {
            world.claims.name_in_dns(domain);
        }
        world.cabinet.claim(domain);
    }

    /// Owners publish the TXT records that they were asked for, and request another check.
    fn read_proofs(&self) {
        let world = &self.recipe.world;
        for (domain, value) in world.cabinet.read_proofs() {
            let contest = world.claims.contest_of(domain);
            let is_stranger = contest.is_some_and(|contest| contest.owners() != domain);
            // It may have been removed since it was asked.
            let status = world.cabinet.status(domain);
            let is_over = matches!(
                status,
                Some(Status::PendingRemoval | Status::Removed) | None
            );
            if is_stranger || is_over {
                continue;
            }
            let name = world.claims.name_of(domain);
            if world.names.publish_proof(name, vec![value]) {
                world.claims.name_in_dns(domain);
                world.cabinet.retry(domain);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        let world = &self.recipe.world;
        match happening {
            Happening::Domains(count) => world.cabinet.grow_to(count),
            Happening::Points(number) => {
                world.names.point(number, true);
                world.edges.count(number, true);
            }
            Happening::Leaves(number) => {
                world.names.point(number, false);
                world.edges.count(number, false);
            }
            Happening::Removes(number) => {
                world.claims.remove(number);
                world.cabinet.remove(number);
            }
            Happening::Claims(number) => self.claim(number),
            Happening::Retries(number) => world.cabinet.retry(number),
            Happening::Ca(up) => world.ca.line.set_down(!up),
            Happening::RenewalInfo(up) => world.ca.renewal_info_throttled.set(!up),
            Happening::Revocation(share) => world.ca.revoke(share),
            Happening::Void => {
                world.ca.note_replaced();
                self.left_when_void = world.ca.revocation().map(|result| result.left);
            }
            Happening::EdgeRestarts(edge) => world.edges.restart(edge as usize),
            Happening::Edge(edge, up) => {
                if let Some(edge) = world.edges.edges.get(edge as usize) {
                    edge.line.set_down(!up);
                }
            }
            Happening::Fleet(up) => {
                for edge in &world.edges.edges {
                    edge.line.set_down(!up);
                }
            }
            Happening::Cabinet(up) => world.cabinet.line.set_down(!up),
            Happening::Resolvers(up) => world.names.line.set_down(!up),
            Happening::Crash(number) => {
                if let Some(replica) = self.replicas.get_mut(number as usize) {
                    replica.crash();
                    world.ca.crashes.count();
                }
            }
            Happening::Start(number) => self.start(number),
        }
    }
}
