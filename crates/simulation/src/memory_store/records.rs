//! Work records: how they are found, written, and forgotten with all that is their own.

use std::cmp::Reverse;

use dps_application::ports::store::{Claimants, DomainRecord, RecordWrite};
use dps_domain::bounds;
use dps_domain::shard::SHARDS;
use dps_domain::{DomainId, DomainState, Hostname, Issuance, Timestamp};

use super::row::{Places, Row};
use super::{Content, State};

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
        let tenant = row.record.tenant_id.clone();
        self.crowds.leave(lane, &tenant);
        self.fleet_view.leave(DomainState::of(&row.record));
        let result = change(row);
        self.fleet_view.enter(DomainState::of(&row.record));
        // As in the databases, the queue follows from a write of the record. A record of a first
        // queue stays there while it stays in its lane.
        let stays = row.queue < SHARDS && row.lane == lane && row.record.tenant_id == tenant;
        if row.record.revision != revision && !stays {
            row.queue = self.crowds.queue(row.lane, &row.record.tenant_id);
        }
        self.crowds.enter(row.lane, &row.record.tenant_id);
        let after = row.places();
        self.move_row(id, before, after);
        Some(result)
    }

    pub(super) fn insert(&mut self, write: &RecordWrite, content: Content) -> bool {
        let id = write.record().id;
        if self.rows.contains_key(&id) {
            return false;
        }
        let hostname = write.record().hostname.clone();
        let mut row = Row::new(DomainRecord {
            revision: 1,
            ..write.record().clone()
        });
        row.queue = self.crowds.queue(row.lane, &row.record.tenant_id);
        self.crowds.enter(row.lane, &row.record.tenant_id);
        self.fleet_view.enter(DomainState::of(&row.record));
        self.move_row(id, Places::default(), row.places());
        self.ids.insert(id);
        self.rows.insert(id, row);
        self.by_hostname.entry(hostname).or_default().push(id);
        self.accompany(write, content);
        true
    }

    /// Writes what goes along with a record: the report and the line of history.
    pub(super) fn accompany(&mut self, write: &RecordWrite, content: Content) {
        let (id, now) = (write.record().id, write.record().updated_at);
        if let Some(event) = &write.event {
            self.add_line(id, event, content);
        }
        self.apply_entries(Some(id), &write.ledger, now);
        let phase = &write.record().phase;
        if !phase.issuance().is_some_and(Issuance::holds_tokens) {
            self.release_tokens(id, now);
        }
        if let Some(report) = &write.report {
            self.enqueue(id, bounds::report(report).into_owned(), now);
        }
        self.add_webhooks(&write.webhooks);
        self.update_renewal_info(write);
    }

    pub(super) fn update(&mut self, write: &RecordWrite, content: Content) -> bool {
        let new = write.record();
        if let Some(revocation) = &write.revocation
            && !self.takes_revocation(revocation)
        {
            return false;
        }
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
        self.accompany(write, content);
        if let Some(action) = &write.action {
            self.record(action);
        }
        if let Some(revocation) = &write.revocation {
            self.set_revocation(revocation);
        }
        true
    }

    pub(super) fn of_hostname(
        &self,
        hostname: &Hostname,
        whose: Claimants<'_>,
        limit: u32,
    ) -> Vec<DomainRecord> {
        let ids = self.by_hostname.get(hostname).into_iter().flatten();
        let records = ids.filter_map(|id| self.rows.get(id));
        let is_wanted = |record: &&DomainRecord| match whose {
            Claimants::All => true,
            Claimants::Tenant(tenant) => record.tenant_id == tenant,
            Claimants::Others(tenant) => record.tenant_id != tenant,
        };
        let records = records.map(|row| &row.record).filter(is_wanted);
        let mut records: Vec<&DomainRecord> = records.collect();
        records.sort_by_key(|record| Reverse((record.name_hold(), record.created_at, record.id)));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        records.into_iter().take(limit).cloned().collect()
    }

    pub(super) fn soonest_expiry(&self) -> Option<Timestamp> {
        // No customer waits for a new certificate of a domain that moved away.
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
        self.fleet_view.leave(DomainState::of(&row.record));
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
        for challenge in &row.challenges {
            self.due.challenges.remove(&challenge.order_id);
        }
        for order in &row.orders {
            self.due.not_ended(order.id);
            self.order_owners.remove(&order.id);
        }
        for stored in &row.certificates {
            self.certificate_owners.remove(&stored.certificate.id);
        }
        for report in &row.reports {
            self.reports_due.remove(id, report);
        }
    }
}
