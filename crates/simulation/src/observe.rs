//! The observations of every hour of a run.

use std::time::Duration;

use dps_domain::lane::Lane;

use crate::memory_store::MemoryStore;
use crate::world::World;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Since the beginning.
    pub at: Duration,
    /// Orders that the CA took since the last sample.
    pub orders: u64,
    /// Certificates that it issued since.
    pub issued: u64,
    /// Requests that it refused by a limit since.
    pub refused: u64,
    /// The remaining part of the limit of new orders, from 0 to 1.
    pub headroom: f64,
    /// For how long the record that waits longest in each lane has been due.
    pub waiting: [Duration; Lane::ALL.len()],
    /// Hours that certificates are still valid: the soonest to end, one in a hundred, half of them.
    pub remaining_hours: Option<[i64; 3]>,
    /// Domains that are served.
    pub served: u32,
}

/// The ranks of [`Sample::remaining_hours`].
pub const RANKS: [f64; 3] = [0.0, 0.01, 0.5];

/// Samples a world again and again.
#[derive(Debug, Default)]
pub struct Observer {
    /// All samples so far.
    pub samples: Vec<Sample>,
    counted: [u64; 3],
}

impl Observer {
    /// Takes another sample.
    pub fn sample(&mut self, world: &World, store: &MemoryStore) {
        let tallies = &world.ca.tallies;
        let counted = [
            tallies.orders.get(),
            tallies.issued.get(),
            tallies.refused_by_limit.get(),
        ];
        let [orders, issued, refused] = [0, 1, 2].map(|index| counted[index] - self.counted[index]);
        self.counted = counted;
        let now = world.time.now();
        let waiting = Lane::ALL.map(|lane| {
            let since = store.waiting_since(lane, now);
            since.map_or(Duration::ZERO, |since| now.since(since))
        });
        self.samples.push(Sample {
            at: world.time.elapsed(),
            orders,
            issued,
            refused,
            headroom: world.ca.order_headroom(),
            waiting,
            remaining_hours: world.edges.remaining_hours(RANKS),
            served: world.edges.served_domains(),
        });
    }
}
