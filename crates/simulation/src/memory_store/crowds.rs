//! The queue in which a tenant's records wait.

use dps_domain::lane::Lane;
use dps_domain::shard::{FEW, SHARDS, ShardKey};
use rustc_hash::FxHashMap;

/// Runs in virtual time are to be the same each time.
pub(super) const SHARD_KEY: ShardKey = ShardKey::from_bytes([7; 16]);

/// How many records of each tenant wait in the lanes that one tenant can fill.
#[derive(Debug, Default)]
pub(super) struct Crowds(FxHashMap<Lane, FxHashMap<Box<str>, u32>>);

impl Crowds {
    pub(super) fn enter(&mut self, lane: Option<Lane>, tenant: &str) {
        let Some(lane) = lane.filter(|lane| lane.takes_crowds()) else {
            return;
        };
        let tenants = self.0.entry(lane).or_default();
        match tenants.get_mut(tenant) {
            Some(count) => *count += 1,
            None => drop(tenants.insert(tenant.into(), 1)),
        }
    }

    pub(super) fn leave(&mut self, lane: Option<Lane>, tenant: &str) {
        let tenants = lane.and_then(|lane| self.0.get_mut(&lane));
        if let Some(tenants) = tenants
            && let Some(count) = tenants.get_mut(tenant)
        {
            *count -= 1;
            if *count == 0 {
                tenants.remove(tenant);
            }
        }
    }

    /// The queue in which one more record of the tenant waits.
    pub(super) fn queue(&self, lane: Option<Lane>, tenant: &str) -> u32 {
        let tenants = lane.and_then(|lane| self.0.get(&lane));
        let others = tenants.and_then(|tenants| tenants.get(tenant));
        let shard = SHARD_KEY.shard_of(tenant);
        if others.is_some_and(|others| *others >= FEW) {
            shard + SHARDS
        } else {
            shard
        }
    }
}
