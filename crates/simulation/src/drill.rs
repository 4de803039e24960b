//! Operations as data: a drill plays a sequence of faults and customers' actions on the service.
//! Then it repairs everything, waits, and checks the conditions that must hold after any sequence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dps_application::Policy;
use dps_application::ports::FleetView as _;
use dps_application::ports::fleet_view::{ListRequest, MAX_PAGE};
use dps_application::ports::store::{RecordStore as _, StoreError};
use dps_domain::Status;
use dps_domain::fleet::{DomainFilter, DomainState};

use crate::memory_store::{Content, MemoryStore};
use crate::models::names;
use crate::replica::{Recipe, Replica};
use crate::scenario::{Arrivals, Scenario};
use crate::time::ReplicaClock;
use crate::wakes::Hub;
use crate::world::World;

/// One operation. A number beyond the last replica, party or domain wraps around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// So many seconds go by.
    Advance(u32),
    /// A customer adds another domain.
    Add,
    /// A replica dies.
    Crash(u8),
    /// A replica is started.
    Start(u8),
    /// The next request to a party is lost on its way there.
    DropRequest(u8),
    /// The next answer of a party is lost on its way back.
    DropResponse(u8),
    /// A party goes away.
    Down(u8),
    /// A party is back.
    Up(u8),
    /// An edge restarts.
    RestartEdge(u8),
    /// A replica's clock jumps to so many seconds from the true time.
    Clock(u8, i32),
    /// The Cabinet's feed repeats a domain.
    Repeat(u8),
    /// A customer points a name at us.
    Point(u8),
    /// A customer points a name elsewhere.
    Leave(u8),
    /// A customer removes a domain.
    Remove(u8),
    /// A customer requests a retry.
    Retry(u8),
    /// The CA wants every certificate of the moment replaced.
    Revoke,
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Domains at the beginning, and at most.
    pub domains: (u32, u32),
    /// Replicas.
    pub replicas: u32,
}

/// Virtual time without faults after the last operation, before the check.
const AFTERWARDS: Duration = Duration::from_secs(4 * 24 * 3600);

/// Plays the operations in a runtime of its own. The error names a condition that does not hold at
/// the end.
pub fn drill(
    seed: u64,
    policy: &Policy,
    size: Size,
    operations: &[Operation],
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut drill = Drill::begin(seed, policy, size);
        for operation in operations {
            drill.make(*operation).await;
        }
        drill.mend().await;
        drill.judge().await
    })
}

struct Drill {
    world: Arc<World>,
    store: MemoryStore,
    recipe: Recipe,
    replicas: Vec<Replica>,
    generation: u64,
    domains: u32,
    most_domains: u32,
}

impl Drill {
    fn begin(seed: u64, policy: &Policy, size: Size) -> Self {
        let scenario = Scenario {
            domains: size.domains.1,
            tenants: 3,
            arrivals: Arrivals::default(),
            ..Scenario::default()
        };
        let world = World::new(&scenario, policy.quarantine, seed);
        let store = MemoryStore::new(Content::Full, ReplicaClock::new(world.time));
        let recipe = Recipe {
            world: Arc::clone(&world),
            store: Arc::new(store.clone()),
            policy: Arc::new(policy.clone()),
            hub: Hub::new(size.replicas),
            seed,
        };
        let mut drill = Self {
            replicas: (0..size.replicas).map(|_| Replica::new(&world)).collect(),
            world,
            store,
            recipe,
            generation: 0,
            domains: 0,
            most_domains: size.domains.1,
        };
        for _ in 0..size.domains.0 {
            drill.add();
        }
        drill.start_all();
        drill
    }

    fn add(&mut self) {
        if self.domains < self.most_domains {
            self.world.names.point(self.domains, true);
            self.domains += 1;
            self.world.cabinet.grow_to(self.domains);
        }
    }

    fn start_all(&mut self) {
        for number in 0..self.replicas.len() {
            self.start(number);
        }
    }

    fn start(&mut self, number: usize) {
        self.generation += 1;
        let name = u32::try_from(number).unwrap_or_default();
        self.replicas[number].start(&self.recipe, name, self.generation);
    }

    fn replica(&self, number: u8) -> usize {
        usize::from(number) % self.replicas.len()
    }

    fn number(&self, number: u8) -> u32 {
        u32::from(number) % self.domains.max(1)
    }

    async fn make(&mut self, operation: Operation) {
        let world = Arc::clone(&self.world);
        let lines = world.lines();
        let line = |number: u8| lines[usize::from(number) % lines.len()].1;
        match operation {
            Operation::Advance(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds.into())).await;
            }
            Operation::Add => self.add(),
            Operation::Crash(number) => {
                let number = self.replica(number);
                if self.replicas[number].is_running() {
                    world.ca.crashes.count();
                    self.replicas[number].crash();
                }
            }
            Operation::Start(number) => self.start(self.replica(number)),
            Operation::DropRequest(number) => line(number).drop_request(),
            Operation::DropResponse(number) => line(number).drop_response(),
            Operation::Down(number) => line(number).set_down(true),
            Operation::Up(number) => line(number).set_down(false),
            Operation::RestartEdge(number) => {
                let edge = usize::from(number) % world.edges.edges.len();
                world.edges.restart(edge);
                tokio::time::sleep(Duration::from_secs(5)).await;
                world.edges.edges[edge].line.set_down(false);
            }
            Operation::Clock(number, seconds) => {
                let clock = &self.replicas[self.replica(number)].clock;
                clock.set_wrong_by(i64::from(seconds) * 1_000_000);
            }
            Operation::Repeat(number) => world.cabinet.repeat(self.number(number)),
            Operation::Point(number) => world.names.point(self.number(number), true),
            Operation::Leave(number) => world.names.point(self.number(number), false),
            Operation::Remove(number) => world.cabinet.remove(self.number(number)),
            Operation::Retry(number) => world.cabinet.retry(self.number(number)),
            Operation::Revoke => world.ca.revoke(1.0),
        }
    }

    /// Everything works from now on; each customer with a failed domain requests a retry.
    async fn mend(&mut self) {
        self.world.mend();
        for replica in &self.replicas {
            replica.clock.set_wrong_by(0);
        }
        self.start_all();
        tokio::time::sleep(AFTERWARDS / 2).await;
        for number in 0..self.domains {
            if self.world.cabinet.status(number) == Some(Status::Failed) {
                self.world.cabinet.retry(number);
            }
        }
        tokio::time::sleep(AFTERWARDS / 2).await;
        for replica in &mut self.replicas {
            replica.drain().await;
        }
    }

    async fn judge(&self) -> Result<(), String> {
        let world = &self.world;
        let tallies = &world.ca.tallies;
        for (what, count) in [
            (
                "requests refused by a limit",
                tallies.refused_by_limit.get(),
            ),
            (
                "requests refused as paused",
                tallies.refused_as_paused.get(),
            ),
            (
                "second orders while one was live",
                tallies.orders_doubled_without_cause.get(),
            ),
            (
                "reports that do not fit the status",
                world.cabinet.refused_reports.get(),
            ),
            (
                "certificates handed to an edge that has a newer one",
                world.edges.refused_as_older.get(),
            ),
            (
                "certificates that expired while they were served",
                world.edges.expired_while_served(),
            ),
        ] {
            if count > 0 {
                return Err(format!("{count} {what}: {:?}", world.ca.refusals()));
            }
        }
        for number in 0..self.domains {
            self.judge_domain(number)
                .await
                .map_err(|what| format!("domain {number}: {what}"))?;
        }
        self.judge_counts().await
    }

    /// The counts that the store keeps with each write are those of the records that it lists.
    async fn judge_counts(&self) -> Result<(), String> {
        let request = ListRequest {
            filter: &DomainFilter::default(),
            now: self.world.time.now(),
            after: None,
        };
        let unreadable = |error: StoreError| error.to_string();
        let page = self.store.fleet_list(&request, MAX_PAGE).await;
        let mut counts: BTreeMap<DomainState, u64> = BTreeMap::new();
        for listed in page.map_err(unreadable)?.domains {
            *counts.entry(DomainState::of(&listed.record)).or_default() += 1;
        }
        let kept = self.store.fleet_recount().await.map_err(unreadable)?;
        let kept: BTreeMap<DomainState, u64> = kept
            .into_iter()
            .map(|count| (count.state, count.domains))
            .collect();
        if kept != counts {
            return Err(format!("{counts:?} domains are counted as {kept:?}"));
        }
        Ok(())
    }

    async fn judge_domain(&self, number: u32) -> Result<(), String> {
        let world = &self.world;
        let status = world.cabinet.status(number).ok_or("the Cabinet lost it")?;
        let record = self
            .store
            .domain(names::id(number))
            .await
            .map_err(|error| error.to_string())?;
        let edges = 0..world.edges.edges.len();
        let served = edges.map(|edge| world.edges.served(edge, number).map(|served| served.serial));
        let served: Vec<Option<u64>> = served.collect();
        let story = || async {
            let events = self
                .store
                .events(names::id(number), 12)
                .await
                .unwrap_or_default();
            let events = events.iter().rev();
            events.fold(
                format!("{status:?}, served {served:?}, {record:?}"),
                |text, event| {
                    format!(
                        "{text}\n  {} {} {} {}",
                        event.at, event.replica, event.kind, event.detail
                    )
                },
            )
        };
        match status {
            Status::Removed if served.iter().any(Option::is_some) => {
                return Err(format!("it was removed and is served: {}", story().await));
            }
            Status::Removed => {}
            Status::PendingRemoval => {
                return Err(format!("it is never removed: {}", story().await));
            }
            _ if world.names.pointing_since(number).is_some() => {
                let agree = served
                    .iter()
                    .all(|serial| serial.is_some() && *serial == served[0]);
                if status != Status::Active || !agree {
                    return Err(format!(
                        "it points at us and is not served: {}",
                        story().await
                    ));
                }
            }
            // Who does not point at us may be anything but lost.
            _ => {}
        }
        let reported = record.as_ref().map(|record| record.phase.status());
        if reported.is_some_and(|reported| reported != status) {
            return Err(format!("the Cabinet has another status: {}", story().await));
        }
        if status != Status::Removed && world.ca.unfetched().contains(&number) {
            return Err(format!("a certificate of it is lost: {}", story().await));
        }
        Ok(())
    }
}
