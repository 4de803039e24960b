//! Rows that no step needs any more, and the indexes by which they are found.
//!
//! An entry of an index may be about a row that is gone; it is dropped when its time comes.

mod keys;

use std::collections::BTreeSet;

use async_trait::async_trait;
use dps_application::ports::store::{NewCertificate, PruneBatch, PruneStore, Pruned, StoreError};
use dps_domain::retention::{Prunable, SUPERSEDED_CERTIFICATES};
use dps_domain::{CertificateId, DomainId, OrderId, Phase, Timestamp};
use rustc_hash::FxHashMap;

use super::{Content, MemoryStore, State};

/// Rows by the time from which they are due to go.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// The oldest line of each history, or an older time.
    pub(super) lines: BTreeSet<(Timestamp, DomainId)>,
    superseded: BTreeSet<(Timestamp, CertificateId)>,
    /// Superseded certificates with a key, by their end.
    ends: BTreeSet<(Timestamp, CertificateId)>,
    retired: BTreeSet<(Timestamp, CertificateId)>,
    ended: FxHashMap<OrderId, Timestamp>,
    ended_orders: BTreeSet<(Timestamp, OrderId)>,
    ended_keys: BTreeSet<(Timestamp, OrderId)>,
    /// Orders with a challenge.
    pub(super) challenges: BTreeSet<OrderId>,
    /// Domains that may hold tokens of a limit.
    pub(super) slots: BTreeSet<DomainId>,
}

impl Due {
    /// The order ended without a certificate, or its certificate is retired.
    pub(super) fn end(&mut self, order: OrderId, at: Timestamp) {
        if self.ended.insert(order, at).is_none() {
            self.ended_orders.insert((at, order));
            self.ended_keys.insert((at, order));
        }
    }

    /// The order is open again, or is forgotten.
    pub(super) fn not_ended(&mut self, order: OrderId) {
        if let Some(at) = self.ended.remove(&order) {
            self.ended_orders.remove(&(at, order));
            self.ended_keys.remove(&(at, order));
        }
    }
}

/// The first entries up to a time, at most `limit`.
fn first<T: Copy>(
    index: &BTreeSet<(Timestamp, T)>,
    until: Timestamp,
    limit: usize,
) -> Vec<(Timestamp, T)> {
    let due = index.iter().take_while(|(at, _)| *at <= until);
    due.take(limit).copied().collect()
}

/// Whether the phase names the order or certificate, as the databases find it in its text.
pub(super) fn is_named(phase: &Phase, id: &impl ToString) -> bool {
    let text = serde_json::to_string(phase).unwrap_or_default();
    text.contains(&id.to_string())
}

#[async_trait]
impl PruneStore for MemoryStore {
    async fn prune(&self, batch: &PruneBatch<'_>) -> Result<Pruned, StoreError> {
        Ok(self.state().prune(batch, self.content))
    }
}

impl State {
    fn prune(&mut self, batch: &PruneBatch<'_>, content: Content) -> Pruned {
        let until = batch.retention.cutoff(batch.kind, batch.now);
        let limit = usize::try_from(batch.limit).unwrap_or(usize::MAX);
        let rows = match batch.kind {
            Prunable::HistoryLine => self.prune_lines(until, limit),
            Prunable::Bucket => return full(self.prune_buckets(until, batch.limit), batch.limit),
            Prunable::Slot => self.prune_slots(until),
            Prunable::OpenOrder => self.close_orders(until),
            Prunable::Challenge => self.prune_challenges(until),
            Prunable::OrderKey => self.prune_order_keys(until, limit),
            Prunable::EndedKey | Prunable::SupersededKey => {
                return self.prune_keys(batch, until, content);
            }
            Prunable::Certificate => self.prune_certificates(until, limit),
            Prunable::Order => self.prune_orders(until, limit),
            Prunable::FleetCount => self.fleet_view.prune(until, limit),
            Prunable::WebhookDelivery => self.webhooks.prune(until, limit),
            Prunable::Action => self.prune_actions(until, limit),
            Prunable::Target => self.prune_targets(until, limit),
            Prunable::IdempotencyKey => self.prune_idempotency_keys(until, limit),
            Prunable::Job => self.prune_jobs(until, limit),
        };
        full(rows, batch.limit)
    }

    /// Notes that a newer certificate of the domain is about to be stored.
    pub(super) fn supersede(&mut self, new: &NewCertificate) {
        let Some(row) = self.rows.get(&new.domain_id) else {
            return;
        };
        let kept = SUPERSEDED_CERTIFICATES as usize;
        if let Some(last) = row.certificates.last() {
            let certificate = &last.certificate;
            self.due.superseded.insert((new.created_at, certificate.id));
            let ends = (certificate.details.not_after, certificate.id);
            self.due.ends.insert(ends);
        }
        // Those before were retired by earlier ones.
        if let Some(index) = row.certificates.len().checked_sub(kept + 1) {
            let certificate = &row.certificates[index].certificate;
            self.due.retired.insert((new.created_at, certificate.id));
            self.due.end(certificate.order_id, certificate.created_at);
        }
    }

    fn prune_lines(&mut self, before: Timestamp, limit: usize) -> u64 {
        let mut pruned = 0;
        while pruned < limit {
            let Some(entry) = self.due.lines.first().copied() else {
                break;
            };
            if entry.0 >= before {
                break;
            }
            self.due.lines.remove(&entry);
            let Some(row) = self.rows.get_mut(&entry.1) else {
                continue;
            };
            // Lines beyond the number that is kept went before.
            if row.oldest_line().is_some_and(|at| at < before) {
                row.drop_oldest_line();
                pruned += 1;
            }
            let oldest = row.oldest_line();
            self.due.lines.extend(oldest.map(|at| (at, entry.1)));
        }
        pruned as u64
    }

    fn prune_slots(&mut self, until: Timestamp) -> u64 {
        let mut pruned = 0;
        for id in std::mem::take(&mut self.due.slots) {
            let Some(row) = self.rows.get_mut(&id) else {
                continue;
            };
            let before = row.slots.len();
            row.slots.retain(|slot| slot.at > until);
            pruned += before - row.slots.len();
            if !row.slots.is_empty() {
                self.due.slots.insert(id);
            }
        }
        pruned as u64
    }

    fn close_orders(&mut self, until: Timestamp) -> u64 {
        let ended = self.rows.values_mut();
        let ended = ended.filter(|row| matches!(row.record.phase, Phase::Failed | Phase::Gone));
        let orders = ended.flat_map(|row| &mut row.orders);
        let mut closed = 0;
        for order in orders.filter(|order| order.open && order.created_at <= until) {
            order.open = false;
            self.due.end(order.id, order.created_at);
            closed += 1;
        }
        closed
    }

    fn prune_challenges(&mut self, until: Timestamp) -> u64 {
        let orders = self.due.challenges.iter().copied();
        let gone: Vec<OrderId> = orders
            .filter(|id| {
                let order = self.order(*id);
                order.is_none_or(|order| !order.open && order.created_at <= until)
            })
            .collect();
        for id in &gone {
            self.challenge_delete(*id);
        }
        gone.len() as u64
    }

    fn is_order_named(&self, id: OrderId) -> bool {
        let row = self.order_owners.get(&id).and_then(|id| self.rows.get(id));
        row.is_some_and(|row| is_named(&row.record.phase, &id))
    }

    fn prune_certificates(&mut self, until: Timestamp, limit: usize) -> u64 {
        let mut pruned = 0;
        for entry in first(&self.due.retired, until, usize::MAX) {
            if pruned == limit {
                break;
            }
            let requested = self.revocations.get(&entry.1);
            if requested.is_some_and(|(_, due)| due.is_some()) {
                continue;
            }
            let owner = self.certificate_owners.get(&entry.1);
            let row = owner.and_then(|owner| self.rows.get_mut(owner));
            let Some(row) = row else {
                self.due.retired.remove(&entry);
                continue;
            };
            let is_named = is_named(&row.record.phase, &entry.1);
            let gone = |one: &mut dps_application::ports::store::StoredCertificate| {
                one.certificate.id == entry.1 && one.certificate.key.0.is_empty() && !is_named
            };
            if row.certificates.extract_if(.., gone).next().is_some() {
                row.certificates.shrink_to_fit();
                self.certificate_owners.remove(&entry.1);
                self.revocations.remove(&entry.1);
                self.due.retired.remove(&entry);
                pruned += 1;
            }
        }
        pruned as u64
    }

    fn prune_orders(&mut self, until: Timestamp, limit: usize) -> u64 {
        let mut pruned = 0;
        for entry in first(&self.due.ended_orders, until, usize::MAX) {
            if pruned == limit {
                break;
            }
            let has_certificate = self.certificate_of_order(entry.1).is_some();
            if has_certificate || self.is_order_named(entry.1) {
                continue;
            }
            self.challenge_delete(entry.1);
            self.due.not_ended(entry.1);
            let owner = self.order_owners.remove(&entry.1);
            if let Some(row) = owner.and_then(|owner| self.rows.get_mut(&owner)) {
                row.orders.retain(|order| order.id != entry.1);
                row.orders.shrink_to_fit();
                pruned += 1;
            }
        }
        pruned as u64
    }
}

/// The result of a batch whose rows are all at the head of their index.
fn full(rows: u64, limit: u32) -> Pruned {
    let next = (rows >= u64::from(limit)).then(String::new);
    Pruned { rows, next }
}
