//! The buckets of a CA's limits, and the tokens that domains hold of them.

use std::time::Duration;

use dps_application::ports::store::{Debit, StoreError, Taken};
use dps_domain::limits::{
    Bucket, BucketKey, CaLimits, Change, Charge, Entry, Limit, Position, Ruling, rule,
};
use dps_domain::{DomainId, LeaseToken, Timestamp};
use rustc_hash::FxHashMap;

use super::State;

/// A token of one of the CA's limits that a domain holds.
#[derive(Debug)]
pub(super) struct Slot {
    key: BucketKey,
    /// The moment for which it is held.
    pub(super) at: Timestamp,
    /// How often such a token comes back.
    interval: Duration,
}

/// When nothing of a bucket is left to be remembered.
fn idle_at(bucket: Bucket) -> Timestamp {
    bucket.full_at.max(bucket.blocked_until)
}

impl State {
    pub(super) fn bucket(&self, key: &BucketKey) -> Bucket {
        self.buckets.get(key).copied().unwrap_or_default()
    }

    fn write_bucket(&mut self, key: &BucketKey, bucket: Bucket) {
        if let Some(before) = self.buckets.insert(key.clone(), bucket) {
            self.buckets_idle.remove(&(idle_at(before), key.clone()));
        }
        self.buckets_idle.insert((idle_at(bucket), key.clone()));
    }

    /// The bucket without what a wrong clock wrote into it; `shared_now` is the time that all
    /// replicas share.
    fn believed(&mut self, key: &BucketKey, limit: &Limit, shared_now: Timestamp) -> Bucket {
        let bucket = self.bucket(key);
        let believed = bucket.believed(limit, shared_now);
        if believed != bucket {
            self.write_bucket(key, believed);
        }
        believed
    }

    fn position(&self, domain: Option<DomainId>, key: &BucketKey) -> Position {
        let held = domain
            .and_then(|domain| self.rows.get(&domain))
            .map(|row| &row.slots);
        let slot = held.and_then(|slots| slots.iter().find(|slot| slot.key == *key));
        Position {
            bucket: self.bucket(key),
            slot: slot.map(|slot| slot.at),
        }
    }

    fn write_position(
        &mut self,
        domain: Option<DomainId>,
        key: &BucketKey,
        limit: &Limit,
        before: Position,
        after: Position,
    ) {
        if before.bucket != after.bucket {
            self.write_bucket(key, after.bucket);
        }
        if before.slot != after.slot
            && let Some(row) = domain.and_then(|domain| self.rows.get_mut(&domain))
        {
            row.slots.retain(|slot| slot.key != *key);
            row.slots.extend(after.slot.map(|at| Slot {
                key: key.clone(),
                at,
                interval: limit.interval(),
            }));
            if row.slots.is_empty() {
                row.slots = vec![];
            } else {
                self.due.slots.insert(row.record.id);
            }
        }
    }

    pub(super) fn debit(
        &mut self,
        domain: DomainId,
        token: LeaseToken,
        charges: &[Charge],
        now: Timestamp,
        shared_now: Timestamp,
    ) -> Result<Debit, StoreError> {
        let unlimited = charges.iter().all(|charge| charge.limit.is_none());
        if !unlimited
            && !self
                .rows
                .get(&domain)
                .is_some_and(|row| row.is_held_by(token))
        {
            return Err(StoreError::LeaseLost);
        }
        if self.is_paused(domain) {
            return Ok(Debit::Paused);
        }
        for charge in charges {
            self.believed(&charge.key, &charge.limit, shared_now);
        }
        let before: Vec<Position> = charges
            .iter()
            .map(|charge| self.position(Some(domain), &charge.key))
            .collect();
        let ruling = rule(charges, &before, now);
        if let Ruling::Granted(after)
        | Ruling::Wait {
            positions: after, ..
        } = &ruling
        {
            for ((charge, before), after) in charges.iter().zip(&before).zip(after) {
                self.write_position(Some(domain), &charge.key, &charge.limit, *before, *after);
            }
        }
        Ok(match ruling {
            Ruling::Granted(_) => Debit::Granted,
            Ruling::Wait { until, charge, .. } => Debit::Wait {
                until,
                kind: charges[charge].kind,
            },
            Ruling::Queue { until, charge } => Debit::Queue {
                until,
                kind: charges[charge].kind,
            },
        })
    }

    pub(super) fn tokens(
        &mut self,
        key: &BucketKey,
        limit: &Limit,
        now: Timestamp,
        shared_now: Timestamp,
    ) -> u32 {
        self.believed(key, limit, shared_now).tokens(limit, now)
    }

    pub(super) fn take_tokens(
        &mut self,
        key: &BucketKey,
        limit: &Limit,
        now: Timestamp,
        shared_now: Timestamp,
        most: u32,
    ) -> Taken {
        let bucket = self.believed(key, limit, shared_now);
        let count = bucket.tokens(limit, now).min(most);
        let left = bucket.count(limit, now, count);
        if count > 0 {
            self.write_bucket(key, left);
        }
        Taken {
            count,
            next_at: left.token_at(limit, now, 1),
        }
    }

    /// Writes what an outcome means for the buckets, those of `domain` with the tokens that it
    /// holds.
    pub(super) fn apply_entries(
        &mut self,
        domain: Option<DomainId>,
        entries: &[Entry],
        now: Timestamp,
    ) {
        let counts =
            |entry: &&Entry| matches!(entry.change, Change::Block(_)) || !entry.limit.is_none();
        for entry in entries.iter().filter(counts) {
            let before = self.position(domain, &entry.key);
            let after = entry.apply(before, now);
            self.write_position(domain, &entry.key, &entry.limit, before, after);
        }
    }

    /// Gives back every token that the domain holds.
    pub(super) fn release_tokens(&mut self, domain: DomainId, now: Timestamp) {
        let Some(row) = self
            .rows
            .get_mut(&domain)
            .filter(|row| !row.slots.is_empty())
        else {
            return;
        };
        for slot in std::mem::take(&mut row.slots) {
            let limit = Limit::of_interval(slot.interval);
            let bucket = self.bucket(&slot.key).refund(&limit, now, 1);
            self.write_bucket(&slot.key, bucket);
        }
    }

    /// Lowers every bucket that neither a full burst nor held tokens can account for.
    pub(super) fn compact_buckets(&mut self, limits: &CaLimits, now: Timestamp) {
        let mut last_held: FxHashMap<&BucketKey, Timestamp> = FxHashMap::default();
        for slot in self.rows.values().flat_map(|row| &row.slots) {
            let at = last_held.entry(&slot.key).or_insert(slot.at);
            *at = slot.at.max(*at);
        }
        let mut lowered = vec![];
        for (key, bucket) in &self.buckets {
            let compacted =
                bucket.compacted(&limits.of_bucket(key), now, last_held.get(key).copied());
            if compacted != *bucket {
                lowered.push((key.clone(), compacted));
            }
        }
        for (key, bucket) in lowered {
            self.write_bucket(&key, bucket);
        }
    }

    /// Up to `limit` buckets in the order of their keys, from the first after `after` on.
    pub(super) fn buckets_after(&self, after: &str, limit: u32) -> Vec<(BucketKey, Bucket)> {
        let mut buckets: Vec<_> = self
            .buckets
            .iter()
            .filter(|(key, _)| key.as_str() > after)
            .map(|(key, bucket)| (key.clone(), *bucket))
            .collect();
        buckets.sort_by(|(one, _), (other, _)| one.cmp(other));
        buckets.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        buckets
    }

    /// Forgets a bucket and what domains hold of it.
    pub(super) fn lift_bucket(&mut self, key: &BucketKey) {
        if let Some(bucket) = self.buckets.remove(key) {
            self.buckets_idle.remove(&(idle_at(bucket), key.clone()));
        }
        for row in self.rows.values_mut() {
            row.slots.retain(|slot| slot.key != *key);
        }
    }

    pub(super) fn prune_buckets(&mut self, now: Timestamp, limit: u32) -> u64 {
        let mut pruned = 0;
        while pruned < u64::from(limit) {
            let Some((at, _)) = self.buckets_idle.first() else {
                break;
            };
            if *at > now {
                break;
            }
            if let Some((_, key)) = self.buckets_idle.pop_first() {
                self.buckets.remove(&key);
            }
            pruned += 1;
        }
        pruned
    }
}
