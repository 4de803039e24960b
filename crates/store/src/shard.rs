//! Turns between the shards of tenants.

use std::sync::atomic::{AtomicU32, Ordering};

use dps_domain::lane::Lane;
use dps_domain::shard::SHARDS;

/// Whose turn it is in each lane, in this process.
#[derive(Debug, Default)]
pub(crate) struct Turns([AtomicU32; Lane::ALL.len()]);

impl Turns {
    fn of(&self, lane: Lane) -> &AtomicU32 {
        let index = Lane::ALL.iter().position(|known| *known == lane);
        // Every lane is in the list of all.
        &self.0[index.unwrap_or_default()]
    }

    /// The shard to be served first.
    pub(crate) fn next(&self, lane: Lane) -> u32 {
        self.of(lane).load(Ordering::Relaxed)
    }

    /// These shards were served, beginning at `first`: the one after the last of them is next.
    pub(crate) fn served(&self, lane: Lane, first: u32, shards: impl Iterator<Item = u32>) {
        let behind = shards.map(|shard| (shard + SHARDS - first) % SHARDS).max();
        if let Some(behind) = behind {
            self.of(lane)
                .store((first + behind + 1) % SHARDS, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_turn_is_after_the_last_shard_served_around_the_end() {
        let turns = Turns::default();
        turns.served(Lane::Issuance, 60, [61, 63, 2].into_iter());
        assert_eq!(turns.next(Lane::Issuance), 3);
        assert_eq!(turns.next(Lane::Renewal), 0, "each lane has its own");
        turns.served(Lane::Issuance, 3, std::iter::empty());
        assert_eq!(turns.next(Lane::Issuance), 3);
    }
}
