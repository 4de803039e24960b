//! Events that wait for the receivers of webhooks.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use dps_application::ports::store::{
    GiveUp, Redelivered, Redelivery, StoreError, WebhookDelivery, WebhookState, WebhookStore,
    WebhooksWaiting,
};
use dps_domain::action::OperatorAction;
use dps_domain::webhook::{WebhookEvent, WebhookReceiver};
use dps_domain::{DomainId, Timestamp};

use super::{MemoryStore, State};

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pending,
    Delivered,
    Failed,
    Requested,
}

#[derive(Debug)]
struct Row {
    receiver: String,
    delivery: WebhookDelivery,
    fate: Fate,
    due_at: Option<Timestamp>,
    pending_since: Timestamp,
    ended_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl Row {
    const fn is_waiting(&self) -> bool {
        matches!(self.fate, Fate::Pending | Fate::Requested)
    }

    fn end(&mut self, fate: Fate, now: Timestamp) {
        self.fate = fate;
        (self.due_at, self.ended_at) = (None, Some(now));
    }
}

/// All deliveries, by their number.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    pub(super) receivers: Vec<WebhookReceiver>,
    rows: BTreeMap<i64, Row>,
    written: i64,
}

impl Deliveries {
    /// The rows of a receiver that have not ended, the oldest event first.
    fn waiting(&mut self, receiver: &str) -> impl Iterator<Item = &mut Row> {
        let rows = self.rows.values_mut();
        rows.filter(move |row| row.receiver == receiver && row.is_waiting())
    }

    fn has_waiting(&mut self, receiver: &str, domain: DomainId) -> bool {
        self.waiting(receiver)
            .any(|row| row.delivery.domain_id == domain)
    }

    fn add(&mut self, receiver: &str, event: &WebhookEvent) {
        let event_id = event.id();
        let mut rows = self.rows.values();
        if rows.any(|row| row.receiver == receiver && row.delivery.event_id == event_id) {
            return;
        }
        self.written += 1;
        let is_first = !self.has_waiting(receiver, event.domain_id);
        let row = Row {
            receiver: receiver.to_owned(),
            delivery: WebhookDelivery {
                id: self.written,
                event_id,
                domain_id: event.domain_id,
                body: event.body(),
                attempt: 0,
            },
            fate: Fate::Pending,
            due_at: is_first.then_some(event.at),
            pending_since: event.at,
            ended_at: None,
            created_at: event.at,
        };
        self.rows.insert(self.written, row);
    }

    /// Makes the oldest waiting event of each domain due, if it is not.
    fn promote(&mut self, receiver: &str, now: Timestamp) {
        let mut domains = HashSet::new();
        for row in self.waiting(receiver) {
            if domains.insert(row.delivery.domain_id) {
                row.due_at = row.due_at.or(Some(now));
            }
        }
    }

    /// Lets requested events of these domains take their place in the order.
    fn adopt(&mut self, receiver: &str, domains: &HashSet<DomainId>, now: Timestamp) {
        let of_these = self.waiting(receiver);
        for row in of_these.filter(|row| domains.contains(&row.delivery.domain_id)) {
            if row.fate == Fate::Requested {
                row.delivery.attempt = 0;
            }
            row.fate = Fate::Pending;
            (row.due_at, row.ended_at) = (None, None);
        }
        self.promote(receiver, now);
    }

    /// The due rows of a receiver, the longest due first.
    fn due(&self, receiver: &str, now: Timestamp, limit: u32) -> Vec<&Row> {
        let rows = self.rows.values().filter(|row| row.receiver == receiver);
        let mut due: Vec<(Timestamp, &Row)> =
            rows.filter_map(|row| Some((row.due_at?, row))).collect();
        due.retain(|(at, _)| *at <= now);
        due.sort_by_key(|(at, row)| (*at, row.delivery.id));
        due.truncate(limit as usize);
        due.into_iter().map(|(_, row)| row).collect()
    }

    /// Forgets ended events before the given time, at most `limit`.
    pub(super) fn prune(&mut self, before: Timestamp, limit: usize) -> u64 {
        let rows = self.rows.iter();
        let old = rows.filter(|(_, row)| row.created_at < before && !row.is_waiting());
        let old: Vec<i64> = old.map(|(id, _)| *id).take(limit).collect();
        for id in &old {
            self.rows.remove(id);
        }
        old.len() as u64
    }
}

impl State {
    /// Adds events for the receivers that want them.
    pub(super) fn add_webhooks(&mut self, events: &[WebhookEvent]) {
        let receivers = std::mem::take(&mut self.webhooks.receivers);
        for event in events {
            for receiver in receivers.iter().filter(|receiver| receiver.wants(event)) {
                self.webhooks.add(&receiver.name, event);
            }
        }
        self.webhooks.receivers = receivers;
    }
}

impl MemoryStore {
    /// Writes the events of records for these receivers. Without any, no event is written.
    #[must_use]
    pub fn with_webhooks(self, receivers: Vec<WebhookReceiver>) -> Self {
        self.state().webhooks.receivers = receivers;
        self
    }
}

#[async_trait]
impl WebhookStore for MemoryStore {
    async fn webhooks_next_due(&self, receiver: &str) -> Result<Option<Timestamp>, StoreError> {
        let state = self.state();
        let rows = state.webhooks.rows.values();
        let rows = rows.filter(|row| row.receiver == receiver);
        Ok(rows.filter_map(|row| row.due_at).min())
    }

    async fn webhooks_due(
        &self,
        receiver: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        let mut state = self.state();
        let webhooks = &mut state.webhooks;
        let due = webhooks.due(receiver, now, limit);
        let requested = due.iter().filter(|row| row.fate == Fate::Requested);
        let requested: HashSet<DomainId> = requested.map(|row| row.delivery.domain_id).collect();
        webhooks.adopt(receiver, &requested, now);
        let due = webhooks.due(receiver, now, limit).into_iter();
        let due = due.filter(|row| row.fate == Fate::Pending);
        let mut due: Vec<WebhookDelivery> = due.map(|row| row.delivery.clone()).collect();
        due.sort_by_key(|delivery| delivery.id);
        let mut domains = HashSet::new();
        due.retain(|delivery| domains.insert(delivery.domain_id));
        Ok(due)
    }

    async fn webhook_finish(
        &self,
        receiver: &str,
        delivery: &WebhookDelivery,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let webhooks = &mut state.webhooks;
        let row = webhooks.rows.get_mut(&delivery.id);
        if let Some(row) = row.filter(|row| row.is_waiting()) {
            row.end(Fate::Delivered, now);
        }
        webhooks.promote(receiver, now);
        Ok(())
    }

    async fn webhook_retry(
        &self,
        delivery: &WebhookDelivery,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let row = state.webhooks.rows.get_mut(&delivery.id);
        if let Some(row) = row.filter(|row| row.fate == Fate::Pending) {
            row.delivery.attempt += 1;
            row.due_at = Some(at);
        }
        Ok(())
    }

    async fn webhooks_give_up(&self, which: GiveUp<'_>, now: Timestamp) -> Result<u32, StoreError> {
        let mut state = self.state();
        let webhooks = &mut state.webhooks;
        let mut waiting: Vec<&mut Row> = webhooks.waiting(which.receiver).collect();
        waiting.sort_by_key(|row| (row.pending_since, row.delivery.id));
        let beyond = waiting.len().saturating_sub(which.keep as usize);
        waiting.truncate(which.limit as usize);
        let mut given_up = 0;
        for (index, row) in waiting.into_iter().enumerate() {
            if index < beyond || row.pending_since <= which.before {
                row.end(Fate::Failed, now);
                given_up += 1;
            }
        }
        webhooks.promote(which.receiver, now);
        Ok(given_up)
    }

    async fn webhooks_waiting(&self, most: u32) -> Result<Vec<WebhooksWaiting>, StoreError> {
        let state = self.state();
        let mut found: BTreeMap<&str, WebhooksWaiting> = BTreeMap::new();
        for row in state.webhooks.rows.values().filter(|row| row.is_waiting()) {
            let entry = found.entry(&row.receiver);
            let waiting = entry.or_insert_with(|| WebhooksWaiting {
                receiver: row.receiver.clone(),
                events: 0,
                oldest: row.pending_since,
            });
            waiting.events = most.min(waiting.events + 1);
            waiting.oldest = waiting.oldest.min(row.pending_since);
        }
        Ok(found.into_values().collect())
    }

    async fn webhooks_redeliver(
        &self,
        redelivery: &Redelivery,
        action: &OperatorAction,
    ) -> Result<u64, StoreError> {
        let mut state = self.state();
        let mut requested = 0;
        for row in state.webhooks.rows.values_mut() {
            let is_meant = match &redelivery.which {
                Redelivered::Event(id) => row.delivery.event_id == *id,
                Redelivered::Since(since) => row.created_at >= *since,
            };
            let receiver = redelivery.receiver.as_deref();
            let is_its = receiver.is_none_or(|receiver| row.receiver == receiver);
            let has_ended = matches!(row.fate, Fate::Delivered | Fate::Failed);
            if is_meant && is_its && has_ended {
                (row.fate, row.due_at) = (Fate::Requested, Some(action.at));
                row.pending_since = action.at;
                requested += 1;
            }
        }
        if requested > 0 {
            state.record(&action.clone().of_many(requested));
        }
        Ok(requested)
    }

    async fn webhooks_state(&self) -> Result<Vec<WebhookState>, StoreError> {
        let state = self.state();
        let mut states: BTreeMap<&str, WebhookState> = BTreeMap::new();
        for row in state.webhooks.rows.values() {
            let entry = states.entry(&row.receiver);
            let found = entry.or_insert_with(|| WebhookState {
                receiver: row.receiver.clone(),
                pending: 0,
                failed: 0,
                oldest_pending: None,
                last_success: None,
            });
            match row.fate {
                Fate::Pending | Fate::Requested => {
                    found.pending += 1;
                    let oldest = found.oldest_pending.into_iter().chain([row.pending_since]);
                    found.oldest_pending = oldest.min();
                }
                Fate::Failed => found.failed += 1,
                Fate::Delivered => found.last_success = found.last_success.max(row.ended_at),
            }
        }
        Ok(states.into_values().collect())
    }
}
