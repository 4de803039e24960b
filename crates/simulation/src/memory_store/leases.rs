//! Leases on work records.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dps_application::ports::store::{
    DomainRecord, Lease, RecordWrite, RunningLease, StoreError, WriteResult,
};
use dps_domain::lane::Lane;
use dps_domain::shard::{QUEUES, SHARDS};
use dps_domain::{DomainId, LeaseToken, Timestamp};

use super::{Content, State};

/// When a lease is asked for, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    /// The moment up to which records are due, by the caller's clock.
    pub(super) now: Timestamp,
    /// The same moment by the store's own clock, by which leases end.
    pub(super) steady: Timestamp,
    pub(super) ttl: Duration,
}

impl Term {
    /// Whether the lease is still running.
    pub(super) fn is_held(&self, lease: Option<(LeaseToken, Timestamp)>) -> bool {
        lease.is_some_and(|(_, expires_at)| expires_at > self.steady)
    }
}

/// The queue of leased records, apart from the queues of the shards. Its order is the time from
/// which a record can be acquired again.
pub(super) const LEASED: u32 = QUEUES;

/// The time from which the first record of each queue can be acquired, so that finding due queues
/// does not read every queue.
#[derive(Debug, Default)]
pub(super) struct Heads(BTreeSet<(Lane, Timestamp, u32)>);

impl Heads {
    /// The head of a queue changed.
    pub(super) fn moved(
        &mut self,
        lane: Lane,
        queue: u32,
        before: Option<Timestamp>,
        after: Option<Timestamp>,
    ) {
        if before != after {
            if let Some(at) = before {
                self.0.remove(&(lane, at, queue));
            }
            self.0.extend(after.map(|at| (lane, at, queue)));
        }
    }

    fn first(&self, lane: Lane) -> Option<Timestamp> {
        let mut heads = self
            .0
            .range((lane, Timestamp::EPOCH, 0)..=(lane, Timestamp::NEVER, LEASED));
        heads.next().map(|(_, at, _)| *at)
    }

    /// The shards with a due record that is not leased.
    fn due(&self, lane: Lane, now: Timestamp) -> impl Iterator<Item = u32> {
        let heads = self
            .0
            .range((lane, Timestamp::EPOCH, 0)..=(lane, now, LEASED));
        let queues = heads.map(|(_, _, queue)| *queue);
        queues
            .filter(|queue| *queue != LEASED)
            .map(|queue| queue % SHARDS)
    }
}

impl State {
    pub(super) fn acquire(&mut self, lane: Lane, term: Term, limit: usize) -> Vec<Lease> {
        if lane == Lane::Urgent {
            self.promote(term.now);
        }
        self.reclaim(lane, term);
        let ids = self.choose(lane, term, limit);
        if ids.is_empty() {
            return vec![];
        }
        let (token, expires_at) = (self.new_token(), term.steady + term.ttl);
        let mut leases: Vec<Lease> = ids
            .into_iter()
            .filter_map(|id| {
                self.alter(id, |row| {
                    row.set_lease(Some((token, expires_at)));
                    row.record.attempt = row.record.attempt.saturating_add(1);
                    Lease {
                        record: row.record.clone(),
                        token,
                    }
                })
            })
            .collect();
        leases.sort_by_key(|lease| (lease.record.next_attempt_at, lease.record.id));
        leases
    }

    /// Due records that no worker holds, tenants taking turns by their shards, that of which the
    /// fewest are leased first. A shard's two queues take turns alike; in each the longest due
    /// comes first.
    fn choose(&mut self, lane: Lane, term: Term, limit: usize) -> Vec<DomainId> {
        let (first, halves) = self.turns.get(&lane).copied().unwrap_or_default();
        let place = |shard: u32| (shard + SHARDS - first) % SHARDS;
        let leased = self.leased(lane, term);
        let leased_of = |queue: u32| leased.get(&queue).copied().unwrap_or_default();
        let leased_of_shard = |shard: u32| leased_of(shard) + leased_of(shard + SHARDS);
        let shards: BTreeSet<u32> = self.heads.due(lane, term.now).collect();
        let mut shards: Vec<u32> = shards.into_iter().collect();
        shards.sort_unstable_by_key(|shard| (leased_of_shard(*shard), place(*shard)));
        let due_in = |queue: u32| {
            let waiting = self.queues.get(&(lane, queue)).into_iter().flatten();
            let due = waiting.take_while(|(at, _)| *at <= term.now);
            due.map(|(_, id)| *id)
        };
        let waiting = |shard: u32| {
            let order = leased_of(shard + SHARDS).cmp(&leased_of(shard));
            let (one, other) = if order.then((halves >> shard & 1 == 0).cmp(&true)).is_lt() {
                (shard + SHARDS, shard)
            } else {
                (shard, shard + SHARDS)
            };
            due_in(one).chain(due_in(other))
        };
        let (mut ids, mut last, mut served) = (vec![], None::<u32>, 0_u64);
        // By what is leased of each, those that are due next.
        let mut more = BTreeMap::new();
        for shard in shards {
            if ids.len() == limit {
                break;
            }
            let mut waiting = waiting(shard);
            if let Some(id) = waiting.next() {
                ids.push(id);
                last = last.max(Some(place(shard)));
                served |= 1_u64 << shard;
                more.insert((leased_of_shard(shard) + 1, place(shard)), waiting);
            }
        }
        while ids.len() < limit
            && let Some(((leased, place), mut waiting)) = more.pop_first()
        {
            if let Some(id) = waiting.next() {
                ids.push(id);
                more.insert((leased + 1, place), waiting);
            }
        }
        if let Some(last) = last {
            let next = (first + last + 1) % SHARDS;
            self.turns.insert(lane, (next, halves ^ served));
        }
        ids
    }

    /// Puts records whose lease ended back into their own queues, by when it ended: one that kills
    /// its workers goes to the back.
    fn reclaim(&mut self, lane: Lane, term: Term) {
        let leased = self.queues.get(&(lane, LEASED)).into_iter().flatten();
        let due = leased.take_while(|(at, _)| *at <= term.now);
        let lease = |id: &DomainId| self.rows.get(id).and_then(|row| row.lease);
        let ended: Vec<DomainId> = due
            .map(|(_, id)| *id)
            .filter(|id| !term.is_held(lease(id)))
            .collect();
        for id in ended {
            self.alter(id, |row| row.has_lease_ended = true);
        }
    }

    /// How many records of each queue of a lane are leased.
    fn leased(&self, lane: Lane, term: Term) -> BTreeMap<u32, u32> {
        let mut counts = BTreeMap::new();
        let leased = self.queues.get(&(lane, LEASED)).into_iter().flatten();
        for row in leased.filter_map(|(_, id)| self.rows.get(id)) {
            if term.is_held(row.lease) {
                *counts.entry(row.queue).or_default() += 1;
            }
        }
        counts
    }

    /// Moves renewals to the urgent lane that became urgent while they waited.
    fn promote(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.becoming_urgent.first().copied()
            && at <= now
        {
            self.alter(id, |row| row.lane = Some(Lane::Urgent));
        }
    }

    /// How many records wait in a lane.
    pub(super) fn waiting(&self, lane: Lane) -> u32 {
        let queues = self.queues.range((lane, 0)..=(lane, LEASED));
        let waiting: usize = queues.map(|(_, queue)| queue.len()).sum();
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    pub(super) fn next_due(&self, lane: Lane) -> Option<Timestamp> {
        let due = self.heads.first(lane);
        if lane != Lane::Urgent {
            return due;
        }
        let urgent = self.becoming_urgent.first().map(|(at, _)| *at);
        due.into_iter().chain(urgent).min()
    }

    /// The running lease of a record.
    pub(super) fn running_lease(&self, id: DomainId, term: Term) -> Option<RunningLease> {
        let lease = self.rows.get(&id)?.lease;
        let (token, until) = lease.filter(|_| term.is_held(lease))?;
        let holder = LeaseToken::holder_in(&token.to_string()).map(str::to_owned);
        Some(RunningLease { until, holder })
    }

    /// Writes an outcome, unless the token is stale. The lease is extended as `next` if given.
    pub(super) fn complete(
        &mut self,
        token: LeaseToken,
        write: &RecordWrite,
        next: Option<(LeaseToken, Timestamp)>,
        content: Content,
    ) -> WriteResult {
        let new = write.record();
        let written = self.alter(new.id, |row| {
            if !row.is_held_by(token) {
                return false;
            }
            row.set_lease(next);
            row.write(DomainRecord {
                cabinet_version: row.record.cabinet_version,
                attempt: new.attempt.saturating_add(u32::from(next.is_some())),
                ..new.clone()
            });
            true
        });
        if written != Some(true) {
            return WriteResult::LeaseLost;
        }
        self.accompany(write, content);
        WriteResult::Written
    }

    /// Begins the time of a lease anew.
    pub(super) fn prolong(
        &mut self,
        id: DomainId,
        token: LeaseToken,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let held = self.alter(id, |row| {
            let held = row.is_held_by(token);
            if held {
                row.set_lease(Some((token, expires_at)));
            }
            held
        });
        held.filter(|held| *held)
            .map(drop)
            .ok_or(StoreError::LeaseLost)
    }

    pub(super) fn release(&mut self, id: DomainId, token: LeaseToken) -> Result<(), StoreError> {
        let released = self.alter(id, |row| {
            if !row.is_held_by(token) {
                return false;
            }
            row.set_lease(None);
            row.record.attempt = row.record.attempt.saturating_sub(1);
            true
        });
        if released == Some(true) {
            Ok(())
        } else {
            Err(StoreError::LeaseLost)
        }
    }

    pub(super) fn forget_held(
        &mut self,
        id: DomainId,
        token: LeaseToken,
    ) -> Result<(), StoreError> {
        if !self.rows.get(&id).is_some_and(|row| row.is_held_by(token)) {
            return Err(StoreError::LeaseLost);
        }
        self.forget(id);
        Ok(())
    }
}
