//! Work records with all that is their own.

use std::borrow::Cow;
use std::collections::VecDeque;

use dps_application::ports::store::{
    DomainEvent, DomainFilter, DomainRecord, PageKey, RecordWrite, StoredCertificate,
    StoredChallenge, StoredOrder,
};
use dps_domain::bounds;
use dps_domain::lane::Lane;
use dps_domain::phase::Next;
use dps_domain::{DomainId, Hostname, Issuance, LeaseToken, OrderId, Phase, Timestamp};

use super::claims::LEASED;
use super::crowds::SHARD_KEY;
use super::ledger::Slot;
use super::outbox::Report;
use super::sync::SeenInCabinet;
use super::{Retention, State};

/// A record with everything that is deleted with it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) record: DomainRecord,
    /// Where it waits, as of the last write.
    pub(super) lane: Option<Lane>,
    /// The queue of its lane, by the tenant's shard.
    pub(super) queue: u32,
    /// Its presence in the Cabinet at the last resync; `None` if none noted it yet.
    pub(super) presence: Option<SeenInCabinet>,
    pub(super) lease: Option<(LeaseToken, Timestamp)>,
    /// Whether somebody looked for work after the end of the lease.
    pub(super) has_lease_ended: bool,
    pub(super) events: VecDeque<DomainEvent>,
    pub(super) orders: Vec<StoredOrder>,
    pub(super) challenges: Vec<StoredChallenge>,
    pub(super) certificates: Vec<StoredCertificate>,
    pub(super) reports: Vec<Report>,
    /// Tokens of the CA's limits that the domain holds.
    pub(super) slots: Vec<Slot>,
}

impl Row {
    fn new(mut record: DomainRecord) -> Self {
        bound(&mut record);
        Self {
            lane: record.lane(),
            queue: SHARD_KEY.shard_of(&record.tenant_id),
            record,
            presence: None,
            lease: None,
            has_lease_ended: false,
            events: VecDeque::new(),
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
        self.record = record;
    }

    /// Its places in the indexes. One is its queue, with the time from which it can be acquired.
    /// The other is the time from which it is urgent, if it waits for a renewal or a recheck.
    fn places(&self) -> Places {
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
struct Places {
    queue: Option<((Lane, u32), Timestamp)>,
    urgent_from: Option<Timestamp>,
}

impl State {
    /// Takes a row from where it was found, and puts it where it is found now.
    fn move_row(&mut self, id: DomainId, before: Places, after: Places) {
        if before.queue != after.queue {
            if let Some((key, at)) = before.queue
                && let Some(queue) = self.queues.get_mut(&key)
            {
                let head = queue.first().map(|(at, _)| *at);
                queue.remove(&(at, id));
                self.heads
                    .moved(key.0, key.1, head, queue.first().map(|(at, _)| *at));
                if queue.is_empty() {
                    self.queues.remove(&key);
                }
            }
            if let Some((key, at)) = after.queue {
                let queue = self.queues.entry(key).or_default();
                let head = queue.first().map(|(at, _)| *at);
                queue.insert((at, id));
                self.heads
                    .moved(key.0, key.1, head, queue.first().map(|(at, _)| *at));
            }
        }
        if before.urgent_from != after.urgent_from {
            if let Some(at) = before.urgent_from {
                self.becoming_urgent.remove(&(at, id));
            }
            self.becoming_urgent
                .extend(after.urgent_from.map(|at| (at, id)));
        }
    }

    /// Changes a row and keeps its place in the queues true.
    pub(super) fn alter<T>(
        &mut self,
        id: DomainId,
        change: impl FnOnce(&mut Row) -> T,
    ) -> Option<T> {
        let row = self.rows.get_mut(&id)?;
        let (before, lane) = (row.places(), row.lane);
        let revision = row.record.revision;
        self.crowds.leave(lane, &row.record.tenant_id);
        let result = change(row);
        // As in the databases, the queue follows from a write of the record.
        if row.record.revision != revision {
            row.queue = self.crowds.queue(row.lane, &row.record.tenant_id);
        }
        self.crowds.enter(row.lane, &row.record.tenant_id);
        let after = row.places();
        self.move_row(id, before, after);
        Some(result)
    }

    pub(super) fn insert(&mut self, completion: &RecordWrite, retention: Retention) -> bool {
        let id = completion.record.id;
        if self.rows.contains_key(&id) {
            return false;
        }
        let hostname = completion.record.hostname.clone();
        let mut row = Row::new(DomainRecord {
            revision: 1,
            ..completion.record.clone()
        });
        row.queue = self.crowds.queue(row.lane, &row.record.tenant_id);
        self.crowds.enter(row.lane, &row.record.tenant_id);
        self.move_row(id, Places::default(), row.places());
        self.ids.insert(id);
        self.rows.insert(id, row);
        self.by_hostname.entry(hostname).or_default().push(id);
        self.accompany(completion, retention);
        true
    }

    /// Writes what goes along with a record: the report and the line of history.
    pub(super) fn accompany(&mut self, completion: &RecordWrite, retention: Retention) {
        let (id, now) = (completion.record.id, completion.record.updated_at);
        if let Some(event) = completion
            .event
            .as_ref()
            .filter(|_| retention.events_per_domain > 0)
            && let Some(row) = self.rows.get_mut(&id)
        {
            let newest = row.events.back();
            if event.replaces_its_like() && newest.is_some_and(|newest| newest.kind == event.kind) {
                row.events.pop_back();
            }
            row.events.push_back(bounds::event(event).into_owned());
            let surplus = row.events.len().saturating_sub(retention.events_per_domain);
            row.events.drain(..surplus);
        }
        self.apply_entries(Some(id), &completion.ledger, now);
        let phase = &completion.record.phase;
        if !phase.issuance().is_some_and(Issuance::holds_tokens) {
            self.release_tokens(id, now);
        }
        if let Some(report) = &completion.report {
            self.enqueue(id, bounds::report(report).into_owned(), now);
        }
        self.update_renewal_info(completion);
        if !retention.superseded {
            self.forget_superseded(id);
        }
    }

    pub(super) fn update(&mut self, completion: &RecordWrite, retention: Retention) -> bool {
        let new = &completion.record;
        let written = self.alter(new.id, |row| {
            if row.record.revision != new.revision {
                return false;
            }
            // Two workers with one order would be two orders at the CA.
            let same_work = new.phase.issuance().is_some_and(Issuance::is_at_ca)
                && row.record.phase == new.phase
                && row.record.cname_target == new.cname_target;
            row.lease = row.lease.filter(|_| same_work);
            row.write(new.clone());
            true
        });
        if written != Some(true) {
            return false;
        }
        self.accompany(completion, retention);
        true
    }

    pub(super) fn holder(&self, hostname: &Hostname) -> Option<&DomainRecord> {
        let ids = self.by_hostname.get(hostname)?;
        let records = ids.iter().filter_map(|id| self.rows.get(id));
        records
            .map(|row| &row.record)
            .max_by_key(|record| (record.name_hold(), record.created_at, record.id))
    }

    pub(super) fn page(&self, filter: &DomainFilter) -> Vec<DomainRecord> {
        let wanted = filter.hostname_contains.as_deref().unwrap_or_default();
        let wanted = wanted.to_lowercase();
        let mut found: Vec<&DomainRecord> = self
            .rows
            .values()
            .map(|row| &row.record)
            .filter(|record| {
                filter
                    .after
                    .as_ref()
                    .is_none_or(|after| PageKey::of(record) > *after)
            })
            .filter(|record| record.hostname.as_str().contains(&wanted))
            .collect();
        found.sort_by_key(|record| (&record.hostname, record.created_at, record.id));
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        found.into_iter().take(limit).cloned().collect()
    }

    pub(super) fn soonest_expiry(&self) -> Option<Timestamp> {
        // Nobody waits for a new certificate of a domain that moved away.
        let waited_for = self
            .rows
            .values()
            .filter(|row| !row.record.phase.is_moved_away());
        let served = |row: &Row| {
            let phase = &row.record.phase;
            phase.serving().and_then(|_| phase.certificate_not_after())
        };
        waited_for.filter_map(served).min()
    }

    pub(super) fn forget(&mut self, id: DomainId) {
        self.release_tokens(id, Timestamp::EPOCH);
        let Some(row) = self.rows.remove(&id) else {
            return;
        };
        self.crowds.leave(row.lane, &row.record.tenant_id);
        self.move_row(id, row.places(), Places::default());
        self.ids.remove(&id);
        self.deployments.remove(&id);
        self.polls.remove(id);
        if let Some(ids) = self.by_hostname.get_mut(&row.record.hostname) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_hostname.remove(&row.record.hostname);
            }
        }
        for order in &row.orders {
            self.order_owners.remove(&order.id);
        }
        for stored in &row.certificates {
            self.certificate_owners.remove(&stored.certificate.id);
        }
        for report in &row.reports {
            self.reports_due.remove(id, report);
        }
    }

    /// While no renewal is under way: drops all certificates but the one that is served, and closed
    /// orders but that it came from.
    fn forget_superseded(&mut self, id: DomainId) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let Phase::Live {
            serving,
            next: Next::At(_),
            ..
        } = row.record.phase
        else {
            return;
        };
        for old in row
            .certificates
            .extract_if(.., |stored| stored.certificate.id != serving)
        {
            self.certificate_owners.remove(&old.certificate.id);
        }
        let served: Vec<OrderId> = row
            .certificates
            .iter()
            .map(|stored| stored.certificate.order_id)
            .collect();
        let superseded = |order: &mut StoredOrder| !order.open && !served.contains(&order.id);
        for order in row.orders.extract_if(.., superseded) {
            self.order_owners.remove(&order.id);
        }
        row.orders.shrink_to_fit();
        row.certificates.shrink_to_fit();
        row.challenges = vec![];
    }
}
