//! Turns between tenants: each is dealt to one of a fixed number of shards, and shards take turns (stochastic fairness queueing).

use std::sync::atomic::{AtomicU32, Ordering};

use dps_domain::lane::Lane;

/// How many shards there are. Stored rows depend on it.
pub(crate) const SHARDS: u32 = 64;

/// The shard of a tenant: FNV-1a, the same in every version and on every machine.
pub(crate) fn shard_of(tenant: &str) -> u32 {
    let hash = tenant.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV follow the low bits of the text; folding brings the others in.
    let folded = hash ^ (hash >> 32);
    u32::try_from(folded % u64::from(SHARDS)).unwrap_or_default()
}

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
    fn a_tenants_shard_never_changes_since_rows_have_it() {
        let shards = ["", "tenant-1", "7d3c8a52-5f0e-4c57-9f6e-6d1f0f6b5b0a"].map(shard_of);
        assert_eq!(shards, [1, 35, 24]);
    }

    #[test]
    fn tenants_are_spread_over_all_shards() {
        let mut tenants = [0_u32; SHARDS as usize];
        for n in 0..6_400 {
            tenants[shard_of(&format!("tenant-{n}")) as usize] += 1;
        }
        assert!(
            tenants.iter().all(|&count| (50..=160).contains(&count)),
            "{tenants:?}"
        );
    }

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
