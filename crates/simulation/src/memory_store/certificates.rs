//! Certificates.

use std::collections::BTreeSet;
use std::ops::Bound;

use dps_application::ports::store::{NewCertificate, Served, StoreError, StoredCertificate};
use dps_domain::{Actor, CertificateId, DomainId, Failure, OrderId, Timestamp};

use super::{State, no_such_record};

impl State {
    /// The next generation of a hostname: the time, or one more than the last when the clock went
    /// back.
    fn next_generation(&self, new: &NewCertificate) -> u64 {
        let by_clock = new.created_at.unix_micros().max(0).unsigned_abs();
        let ids = self.by_hostname.get(&new.hostname).into_iter().flatten();
        let rows = ids.filter_map(|id| self.rows.get(id));
        let greatest = rows
            .flat_map(|row| &row.certificates)
            .filter(|stored| stored.certificate.hostname == new.hostname)
            .map(|stored| stored.generation)
            .max();
        greatest.map_or(by_clock, |greatest| {
            by_clock.max(greatest.saturating_add(1))
        })
    }

    pub(super) fn certificate_insert(
        &mut self,
        new: &NewCertificate,
    ) -> Result<StoredCertificate, StoreError> {
        if let Some(stored) = self.certificate_of_order(new.order_id) {
            return Ok(stored.clone());
        }
        let stored = StoredCertificate {
            certificate: new.clone(),
            generation: self.next_generation(new),
        };
        self.supersede(new);
        let row = self.rows.get_mut(&new.domain_id);
        let row = row.ok_or_else(|| no_such_record("store a certificate"))?;
        row.certificates.push(stored.clone());
        self.certificate_owners.insert(new.id, new.domain_id);
        self.order_complete(new.order_id);
        Ok(stored)
    }

    pub(super) fn live_directories(&self) -> Vec<String> {
        let serving = self
            .rows
            .values()
            .filter_map(|row| row.record.phase.serving());
        let orders = serving.filter_map(|id| {
            self.certificate(id)
                .map(|stored| stored.certificate.order_id)
        });
        let directories: BTreeSet<String> = orders
            .filter_map(|id| self.order(id).map(|order| order.directory_url.clone()))
            .collect();
        directories.into_iter().collect()
    }

    pub(super) fn served(&self, after: Option<DomainId>, limit: u32) -> Vec<Served> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.ids.range((from, Bound::Unbounded));
        let served = rows.filter_map(|id| {
            let row = self.rows.get(id)?;
            let record = &row.record;
            if record.phase.is_moved_away() {
                return None;
            }
            let certificate = self.certificate(record.phase.serving()?)?;
            let details = &certificate.certificate.details;
            let poll = self.polls.renewal_info(record.id);
            let failure = record.last_failure.as_ref();
            Some(Served {
                domain_id: record.id,
                waits_for_customer: failure
                    .is_some_and(|failure| failure.actor() == Actor::Customer),
                is_paused: matches!(failure, Some(Failure::IssuancePaused {})),
                validity: (details.not_before, details.not_after),
                renewal_info_at: poll.and_then(|info| info.answered_at),
                poll_at: poll.map(|info| info.poll_at),
                failed_polls: poll.map_or(0, |info| info.failures),
                renew_at: record.phase.renew_at(),
                taken_in_at: record.created_at,
                served_since: row.status_since,
                is_first: !row
                    .certificates
                    .iter()
                    .any(|older| older.generation < certificate.generation),
            })
        });
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        served.take(limit).collect()
    }

    pub(super) fn certificate(&self, id: CertificateId) -> Option<&StoredCertificate> {
        let row = self.rows.get(self.certificate_owners.get(&id)?)?;
        row.certificates
            .iter()
            .find(|stored| stored.certificate.id == id)
    }

    pub(super) fn certificates_valid(
        &self,
        domain: DomainId,
        now: Timestamp,
        limit: u32,
    ) -> Vec<StoredCertificate> {
        let all = self.rows.get(&domain).into_iter();
        let all = all.flat_map(|row| &row.certificates);
        let valid = all.filter(|stored| stored.certificate.details.not_after > now);
        let mut valid: Vec<StoredCertificate> = valid.cloned().collect();
        valid.sort_by_key(|stored| std::cmp::Reverse(stored.generation));
        valid.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        valid
    }

    pub(super) fn certificate_of_order(&self, order: OrderId) -> Option<&StoredCertificate> {
        let row = self.rows.get(self.order_owners.get(&order)?)?;
        row.certificates
            .iter()
            .find(|stored| stored.certificate.order_id == order)
    }
}
