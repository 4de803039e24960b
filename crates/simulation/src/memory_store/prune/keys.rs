//! Keys of ended orders and of superseded certificates.

use dps_application::ports::store::{PruneBatch, Pruned};
use dps_domain::retention::{Prunable, Retention, SupersededKey};
use dps_domain::{CertificateId, Timestamp};

use super::{first, is_named};
use crate::memory_store::row::Row;
use crate::memory_store::{Content, State};

impl State {
    pub(super) fn prune_order_keys(&mut self, until: Timestamp, limit: usize) -> u64 {
        let mut pruned = 0;
        for entry in first(&self.due.ended_keys, until, limit) {
            if self.is_order_named(entry.1) {
                continue;
            }
            self.due.ended_keys.remove(&entry);
            let order = self.order_mut(entry.1).filter(|order| !order.open);
            if order.and_then(|order| order.key.take()).is_some() {
                pruned += 1;
            }
        }
        pruned
    }

    pub(super) fn prune_keys(
        &mut self,
        batch: &PruneBatch<'_>,
        until: Timestamp,
        content: Content,
    ) -> Pruned {
        let limit = usize::try_from(batch.limit).unwrap_or(usize::MAX);
        let after = batch.after.and_then(|after| {
            let (micros, id) = after.split_once('/')?;
            let at = Timestamp::from_unix_micros(micros.parse().ok()?);
            Some((at, id.parse::<CertificateId>().ok()?))
        });
        let is_by_end = batch.kind == Prunable::EndedKey;
        let index = if is_by_end {
            &self.due.ends
        } else {
            &self.due.superseded
        };
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let page = index
            .range((from, std::ops::Bound::Unbounded))
            .take_while(|(at, _)| *at <= until);
        let page: Vec<(Timestamp, CertificateId)> = page.take(limit).copied().collect();
        let mut rows = 0;
        for (at, id) in &page {
            let key = self.superseded_key(*id, *at, is_by_end, content, batch.now);
            if key.is_some_and(|key| !batch.retention.releases_key(&key, batch.now)) {
                continue;
            }
            rows += u64::from(self.erase_key(*id));
            if is_by_end {
                self.due.ends.remove(&(*at, *id));
            } else {
                self.due.superseded.remove(&(*at, *id));
            }
        }
        let last = page.last().filter(|_| page.len() == limit);
        let next = last.map(|(at, id)| format!("{}/{id}", at.unix_micros()));
        Pruned { rows, next }
    }

    /// The details of a key; `None` if it was erased, or its certificate is gone.
    fn superseded_key(
        &self,
        id: CertificateId,
        at: Timestamp,
        is_by_end: bool,
        content: Content,
        now: Timestamp,
    ) -> Option<SupersededKey> {
        let row = self.rows.get(self.certificate_owners.get(&id)?)?;
        let stored = row
            .certificates
            .iter()
            .find(|one| one.certificate.id == id)?;
        let certificate = &stored.certificate;
        if certificate.key.0.is_empty() {
            return None;
        }
        Some(SupersededKey {
            superseded_at: if is_by_end { Timestamp::NEVER } else { at },
            not_after: certificate.details.not_after,
            is_named: is_named(&row.record.phase, &id),
            is_replaced: content == Content::Slim || self.is_replaced(row, stored.generation, now),
        })
    }

    /// Whether every live edge presents a newer certificate of the domain, or it serves none.
    fn is_replaced(&self, row: &Row, generation: u64, now: Timestamp) -> bool {
        let Some(serving) = row.record.phase.serving() else {
            return true;
        };
        let since = Retention::edge_cutoff(now);
        let live = self.edges.values().filter(|edge| {
            let unreachable = edge.reachability.unreachable_since;
            edge.approved_at.is_some()
                && edge.listed_at >= since
                && unreachable.is_none_or(|at| at >= since)
        });
        let held = self.deployments.get(&row.record.id);
        let held = held.map(Vec::as_slice).unwrap_or_default();
        live.into_iter().all(|edge| {
            held.iter().any(|held| {
                held.edge == edge.name
                    && (held.generation > generation || held.certificate_id == serving)
            })
        })
    }

    pub(in crate::memory_store) fn erase_key(&mut self, id: CertificateId) -> bool {
        let owner = self.certificate_owners.get(&id);
        let row = owner.and_then(|owner| self.rows.get_mut(owner));
        let stored = row.and_then(|row| {
            let mut certificates = row.certificates.iter_mut();
            certificates.find(|one| one.certificate.id == id)
        });
        stored.is_some_and(|stored| {
            let had_key = !stored.certificate.key.0.is_empty();
            stored.certificate.key.0 = vec![];
            had_key
        })
    }
}
