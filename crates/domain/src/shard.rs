//! Which shard a tenant is dealt to, so that tenants can take turns by shards (stochastic fairness queueing).

/// How many shards there are. Stored rows depend on it.
pub const SHARDS: u32 = 64;

/// The shard of a tenant: FNV-1a, the same in every version and on every machine.
pub fn shard_of(tenant: &str) -> u32 {
    let hash = tenant.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV follow the low bits of the text; folding brings the others in.
    let folded = hash ^ (hash >> 32);
    u32::try_from(folded % u64::from(SHARDS)).unwrap_or_default()
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
}
