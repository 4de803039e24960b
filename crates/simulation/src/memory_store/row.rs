//! A work record with all that is its own.

use std::borrow::Cow;
use std::collections::VecDeque;

use dps_application::ports::store::{
    DomainEvent, DomainRecord, StoredCertificate, StoredChallenge, StoredOrder,
};
use dps_domain::bounds;
use dps_domain::lane::Lane;
use dps_domain::{DomainState, EventKind, LeaseToken, Timestamp};

use super::crowds::SHARD_KEY;
use super::leases::LEASED;
use super::ledger::Slot;
use super::outbox::Report;
use super::sync::SeenInCabinet;

/// Microseconds.
const SECOND: i64 = 1_000_000;

/// A record with everything that is deleted with it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) record: DomainRecord,
    /// Where it waits, as of the last write.
    pub(super) lane: Option<Lane>,
    /// When its status last changed.
    pub(super) status_since: Timestamp,
    /// The queue of its lane, by the tenant's shard.
    pub(super) queue: u32,
    /// Its presence in the Cabinet at the last resync; `None` if none noted it yet.
    pub(super) presence: Option<SeenInCabinet>,
    pub(super) lease: Option<(LeaseToken, Timestamp)>,
    /// Whether a worker searched for work after the end of the lease.
    pub(super) has_lease_ended: bool,
    pub(super) events: VecDeque<DomainEvent>,
    /// The lines of history, in a store of slim content.
    pub(super) lines: VecDeque<Line>,
    pub(super) orders: Vec<StoredOrder>,
    pub(super) challenges: Vec<StoredChallenge>,
    pub(super) certificates: Vec<StoredCertificate>,
    pub(super) reports: Vec<Report>,
    /// Tokens of the CA's limits that the domain holds.
    pub(super) slots: Vec<Slot>,
}

/// Time and kind of a line of history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// In seconds since 1970: a run has many lines.
    second: u32,
    pub(super) kind: EventKind,
}

impl Line {
    pub(super) fn new(at: Timestamp, kind: EventKind) -> Self {
        let second = u32::try_from(at.unix_micros() / SECOND).unwrap_or(u32::MAX);
        Self { second, kind }
    }

    pub(super) fn at(self) -> Timestamp {
        Timestamp::from_unix_micros(i64::from(self.second) * SECOND)
    }
}

impl Row {
    pub(super) fn new(mut record: DomainRecord) -> Self {
        bound(&mut record);
        Self {
            lane: record.lane(),
            queue: SHARD_KEY.shard_of(&record.tenant_id),
            status_since: record.updated_at,
            record,
            presence: None,
            lease: None,
            has_lease_ended: false,
            events: VecDeque::new(),
            lines: VecDeque::new(),
            orders: vec![],
            challenges: vec![],
            certificates: vec![],
            reports: vec![],
            slots: vec![],
        }
    }

    /// Replaces the record except for its time of creation, raises its revision, and computes its
    /// lane.
    pub(super) fn write(&mut self, mut record: DomainRecord) {
        record.revision = self.record.revision + 1;
        record.created_at = self.record.created_at;
        bound(&mut record);
        self.lane = record.lane();
        let before = (self.record.phase.status(), self.status_since);
        let state = DomainState::of(&record);
        self.status_since = state.status_since(Some(before), record.updated_at);
        self.record = record;
    }

    /// Its places in the indexes. One is its queue, with the time from which it can be acquired.
    /// The other is the time from which it is urgent, if it waits for a renewal or a recheck.
    pub(super) fn places(&self) -> Places {
        let until = |due: Timestamp| {
            self.lease
                .map_or(due, |(_, expires_at)| expires_at.max(due))
        };
        let due = self.record.next_attempt_at.map(until);
        let waits = matches!(self.lane, Some(Lane::Renewal | Lane::Recheck));
        let queue = if self.lease.is_some() && !self.has_lease_ended {
            LEASED
        } else {
            self.queue
        };
        Places {
            queue: self.lane.and_then(|lane| due.map(|at| ((lane, queue), at))),
            urgent_from: self.record.urgent_from.filter(|_| waits),
        }
    }

    /// Leases the record, or ends its lease with `None`.
    pub(super) fn set_lease(&mut self, lease: Option<(LeaseToken, Timestamp)>) {
        (self.lease, self.has_lease_ended) = (lease, false);
    }

    pub(super) fn is_held_by(&self, token: LeaseToken) -> bool {
        self.lease.is_some_and(|(held, _)| held == token)
    }
}

/// Shortens the last failure, which quotes other parties, as the databases do.
fn bound(record: &mut DomainRecord) {
    if let Some(failure) = &mut record.last_failure
        && let Cow::Owned(short) = bounds::failure(failure)
    {
        *failure = short;
    }
}

/// Where a row is found.
#[derive(Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) queue: Option<((Lane, u32), Timestamp)>,
    pub(super) urgent_from: Option<Timestamp>,
}
