//! Turns between the shards of tenants, and between the two queues of each.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use dps_domain::lane::Lane;
use dps_domain::shard::SHARDS;

/// Whose turn it is in each lane, in this process.
#[derive(Debug, Default)]
pub(crate) struct Turns([Turn; Lane::ALL.len()]);

#[derive(Debug, Default)]
struct Turn {
    shard: AtomicU32,
    /// The bit of a shard is set when it is the turn of its second queue.
    halves: AtomicI64,
}

impl Turns {
    fn of(&self, lane: Lane) -> &Turn {
        let index = Lane::ALL.iter().position(|known| *known == lane);
        // Every lane is in the list of all.
        &self.0[index.unwrap_or_default()]
    }

    /// The shard to be served first, and the queue of each shard, one bit each.
    pub(crate) fn next(&self, lane: Lane) -> (u32, i64) {
        let turn = self.of(lane);
        (
            turn.shard.load(Ordering::Relaxed),
            turn.halves.load(Ordering::Relaxed),
        )
    }

    /// These shards were served, beginning at `first`: the one after the last of them is next, and
    /// the other queue of each.
    pub(crate) fn served(&self, lane: Lane, first: u32, shards: &[u32]) {
        let turn = self.of(lane);
        let last = shards
            .iter()
            .map(|shard| (shard + SHARDS - first) % SHARDS)
            .max();
        if let Some(last) = last {
            let next = (first + last + 1) % SHARDS;
            turn.shard.store(next, Ordering::Relaxed);
        }
        let bits = shards.iter().fold(0, |bits, shard| bits | (1_i64 << shard));
        turn.halves.fetch_xor(bits, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_turn_is_after_the_last_shard_served_around_the_end() {
        let turns = Turns::default();
        turns.served(Lane::Issuance, 60, &[61, 63, 2]);
        assert_eq!(turns.next(Lane::Issuance).0, 3);
        assert_eq!(turns.next(Lane::Renewal).0, 0, "each lane has its own");
        turns.served(Lane::Issuance, 3, &[]);
        assert_eq!(turns.next(Lane::Issuance).0, 3);
    }

    #[test]
    fn a_shard_that_was_served_has_the_turn_of_its_other_queue() {
        let turns = Turns::default();
        turns.served(Lane::Issuance, 0, &[0, 63, 63]);
        assert_eq!(turns.next(Lane::Issuance).1, i64::MIN | 1);
        turns.served(Lane::Issuance, 0, &[63]);
        assert_eq!(turns.next(Lane::Issuance).1, 1);
    }
}
