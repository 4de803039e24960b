//! The queue of a lane in which a record waits, so that tenants take turns (stochastic fairness
//! queueing).

/// Number of shards. Stored rows depend on it.
pub const SHARDS: u32 = 64;

/// The queues of a lane: two for each shard. The second is for the records of a tenant beyond
/// [`FEW`], so that another tenant of the shard waits for few of them.
pub const QUEUES: u32 = 2 * SHARDS;

/// Records of one tenant in a lane that wait in the first queue of its shard.
pub const FEW: u32 = 16;

/// One round of leasing due records of a lane. In each, the shard of which the fewest records are
/// leased by any replica has the first turn. So a tenant whose steps take long holds no more
/// permits than others once they have work. While no other tenant has work, it holds all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// One record of each shard.
    First,
    /// As many records as raise what is leased of a shard to this number.
    Level(usize),
    /// All remaining records.
    Rest,
}

impl Round {
    /// The round after this one, in which `found` records were leased and after which `missing`
    /// more are wanted. `None` when there is no use in another.
    pub const fn next(self, found: usize, missing: usize) -> Option<Self> {
        if missing == 0 {
            return None;
        }
        match self {
            Self::First if found == 0 => None,
            Self::First => {
                let even = missing.div_ceil(found);
                if even < missing {
                    // Each of the shards found holds one record more than before.
                    Some(Self::Level(even + 1))
                } else {
                    Some(Self::Rest)
                }
            }
            Self::Level(_) => Some(Self::Rest),
            Self::Rest => None,
        }
    }

    /// The number of records to take from a shard, and whether its leased records count towards it.
    pub const fn per_shard(self, missing: usize) -> (usize, bool) {
        match self {
            Self::First => (1, false),
            Self::Level(level) => (level, true),
            Self::Rest => (missing, false),
        }
    }
}

/// The secret of an installation that assigns tenants to shards. Without it, no tenant can choose a
/// tenant's name to share a shard with a certain other tenant.
#[derive(Clone, Copy)]
pub struct ShardKey(u64, u64);

impl std::fmt::Debug for ShardKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShardKey(..)")
    }
}

impl ShardKey {
    /// The key of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let whole = u128::from_le_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the key")]
        Self(whole as u64, (whole >> 64) as u64)
    }

    /// The shard of a tenant: the same for as long as the installation keeps its key.
    pub fn shard_of(&self, tenant: &str) -> u32 {
        let hash = self.siphash(tenant.as_bytes());
        u32::try_from(hash % u64::from(SHARDS)).unwrap_or_default()
    }

    /// SipHash-2-4 (Aumasson and Bernstein, 2012).
    fn siphash(&self, bytes: &[u8]) -> u64 {
        let mut state = [
            self.0 ^ 0x736f_6d65_7073_6575,
            self.1 ^ 0x646f_7261_6e64_6f6d,
            self.0 ^ 0x6c79_6765_6e65_7261,
            self.1 ^ 0x7465_6462_7974_6573,
        ];
        let mut compress = |word: u64| {
            state[3] ^= word;
            round(&mut state);
            round(&mut state);
            state[0] ^= word;
        };
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            compress(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let length = (bytes.len() as u64) << 56;
        compress(u64::from_le_bytes(last) | length);
        state[2] ^= 0xff;
        for _ in 0..4 {
            round(&mut state);
        }
        state.into_iter().fold(0, |hash, word| hash ^ word)
    }
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ShardKey {
        ShardKey::from_bytes(std::array::from_fn(|n| u8::try_from(n).unwrap()))
    }

    /// From the reference implementation's vectors: as many bytes 0, 1, 2… as the index says.
    #[test]
    fn the_hash_is_siphash() {
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(key().siphash(&bytes), 0xa129_ca61_49be_45e5);
        assert_eq!(key().siphash(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(key().siphash(&bytes[..8]), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn who_shares_a_shard_depends_on_the_key() {
        let other = ShardKey::from_bytes([7; 16]);
        let tenants = || (0..1_000).map(|n| format!("tenant-{n}"));
        let with_first = |key: ShardKey| {
            let first = key.shard_of("tenant-0");
            let same = tenants().filter(move |tenant| key.shard_of(tenant) == first);
            same.collect::<Vec<_>>()
        };
        assert_ne!(with_first(key()), with_first(other));
    }

    /// Leases as the stores do, from shards with so many records leased and due.
    fn hand_out(permits: usize, shards: &mut [(usize, usize)]) -> usize {
        let (mut round, mut missing, mut rounds) = (Some(Round::First), permits, 0);
        while let Some(this) = round {
            rounds += 1;
            let mut order: Vec<usize> = (0..shards.len()).collect();
            order.sort_by_key(|index| shards[*index].0);
            let (per_shard, counts_leased) = this.per_shard(missing);
            let mut found = 0;
            for index in order {
                let (leased, due) = &mut shards[index];
                let allowed = per_shard.saturating_sub(if counts_leased { *leased } else { 0 });
                let taken = allowed.min(*due).min(missing - found);
                *leased += taken;
                *due -= taken;
                found += taken;
            }
            missing -= found;
            round = this.next(found, missing);
        }
        assert!(rounds <= 3);
        permits - missing
    }

    proptest::proptest! {
        #[test]
        fn no_permit_idles_and_nobody_gets_more_while_another_with_less_has_work(
            permits in 1_usize..40,
            mut shards in proptest::collection::vec((0_usize..40, 0_usize..60), 1..20),
        ) {
            let before = shards.clone();
            let due: usize = shards.iter().map(|(_, due)| due).sum();
            proptest::prop_assert_eq!(hand_out(permits, &mut shards), permits.min(due));
            // A shard that already holds an even share of these permits waits until the others have
            // theirs.
            let waits = shards.iter().zip(&before).filter(|(after, before)| after.1 > 0 && after.0 == before.0);
            let least = waits.map(|(after, _)| after.0).min();
            for (after, before) in shards.iter().zip(&before) {
                if let Some(least) = least && after.0 > before.0 {
                    proptest::prop_assert!(before.0 <= least, "{:?} {:?}", before, shards);
                }
            }
        }
    }

    #[test]
    fn what_hangs_is_left_alone_while_others_have_work_and_has_all_permits_while_nobody_has() {
        let mut alone = [(0, 100)];
        assert_eq!(hand_out(16, &mut alone), 16);
        let mut both = [(16, 84), (0, 100)];
        hand_out(16, &mut both);
        assert!(both[1].0 >= 15, "{both:?}");
        let mut even = [(0, 100), (0, 100)];
        hand_out(16, &mut even);
        assert_eq!(even, [(8, 92), (8, 92)]);
    }

    #[test]
    fn tenants_are_spread_over_all_shards() {
        let mut tenants = [0_u32; SHARDS as usize];
        for n in 0..6_400 {
            tenants[key().shard_of(&format!("tenant-{n}")) as usize] += 1;
        }
        assert!(
            tenants.iter().all(|count| (50..200).contains(count)),
            "{tenants:?}"
        );
    }
}
