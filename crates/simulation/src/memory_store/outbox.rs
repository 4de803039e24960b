//! Reports that wait for the Cabinet, in order per domain: only the oldest of each can be acquired.
//! Those of progress go first.

use std::collections::BTreeSet;

use dps_application::cabinet::outbox::{Waiting, replaced};
use dps_application::ports::cabinet::StatusReport;
use dps_application::ports::store::{OutboxLease, StoreError};
use dps_domain::{DomainId, LeaseToken, Status, Timestamp};

use super::State;
use super::leases::Term;

/// A report that waits.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) id: i64,
    content: StatusReport,
    attempt: u32,
    /// Only the oldest of a domain has one.
    next_attempt_at: Option<Timestamp>,
    lease: Option<(LeaseToken, Timestamp)>,
    created_at: Timestamp,
}

/// The oldest report of each domain that has any, by when it can be acquired.
#[derive(Debug, Default)]
pub(super) struct Due {
    progress: BTreeSet<Place>,
    /// Another check found a name not ready.
    not_ready: BTreeSet<Place>,
}

type Place = (Timestamp, i64, DomainId);

impl Due {
    fn insert(&mut self, domain: DomainId, report: &Report) {
        if let Some(at) = report.acquirable_at() {
            self.of(report).insert((at, report.id, domain));
        }
    }

    pub(super) fn remove(&mut self, domain: DomainId, report: &Report) {
        if let Some(at) = report.acquirable_at() {
            self.of(report).remove(&(at, report.id, domain));
        }
    }

    fn of(&mut self, report: &Report) -> &mut BTreeSet<Place> {
        match report.content.status {
            Status::PendingDns => &mut self.not_ready,
            _ => &mut self.progress,
        }
    }
}

impl Report {
    fn acquirable_at(&self) -> Option<Timestamp> {
        let due = self.next_attempt_at?;
        Some(
            self.lease
                .map_or(due, |(_, expires_at)| expires_at.max(due)),
        )
    }

    fn is_held_by(&self, lease: &OutboxLease) -> bool {
        self.id == lease.id && self.lease.is_some_and(|(token, _)| token == lease.token)
    }
}

impl State {
    pub(super) fn enqueue(&mut self, domain: DomainId, report: StatusReport, now: Timestamp) {
        let Some(row) = self.rows.get_mut(&domain) else {
            return;
        };
        let waiting: Vec<Waiting> = row
            .reports
            .iter()
            .map(|waiting| Waiting {
                id: waiting.id,
                status: Some(waiting.content.status),
                leased: waiting.lease.is_some(),
            })
            .collect();
        let place = replaced(&waiting, report.status)
            .and_then(|place| row.reports.iter().position(|waiting| waiting.id == place));
        if let Some(index) = place {
            // Those after it have no due time.
            row.reports.truncate(index + 1);
            row.reports[index].content = report;
            return;
        }
        self.reports_written += 1;
        let report = Report {
            id: self.reports_written,
            content: report,
            attempt: 0,
            next_attempt_at: row.reports.is_empty().then_some(now),
            lease: None,
            created_at: now,
        };
        self.reports_due.insert(domain, &report);
        row.reports.push(report);
    }

    pub(super) fn reports_acquire(&mut self, term: Term, limit: usize) -> Vec<OutboxLease> {
        let free = |due: &BTreeSet<Place>| -> Vec<Place> {
            let due = due.iter().take_while(|(at, _, _)| *at <= term.now);
            let free = due.filter(|(_, _, domain)| {
                let report = self.rows.get(domain).and_then(|row| row.reports.first());
                !term.is_held(report.and_then(|report| report.lease))
            });
            free.take(limit).copied().collect()
        };
        // A quarter is left to the others, so that they come through however much progress there
        // is.
        let mut due = free(&self.reports_due.progress);
        let not_ready = free(&self.reports_due.not_ready);
        let later = due.split_off(due.len().min(limit - limit / 4));
        let mut others: Vec<Place> = later.into_iter().chain(not_ready).collect();
        others.sort_unstable();
        due.extend(others.into_iter().take(limit - due.len()));
        if due.is_empty() {
            return vec![];
        }
        let (token, expires_at) = (self.new_token(), term.steady + term.ttl);
        let mut leases = vec![];
        for (_, id, domain_id) in due {
            let Some(row) = self.rows.get_mut(&domain_id) else {
                continue;
            };
            let Some(report) = row.reports.first_mut() else {
                continue;
            };
            self.reports_due.remove(domain_id, report);
            report.lease = Some((token, expires_at));
            report.attempt += 1;
            leases.push(OutboxLease {
                id,
                domain_id,
                cabinet_version: row.record.cabinet_version,
                report: report.content.clone(),
                attempt: report.attempt,
                token,
            });
            self.reports_due.insert(domain_id, report);
        }
        leases.sort_by_key(|lease| lease.id);
        leases
    }

    pub(super) fn reports_next_due(&self) -> Option<Timestamp> {
        let due = &self.reports_due;
        let first = |places: &BTreeSet<Place>| places.first().map(|(at, _, _)| *at);
        first(&due.progress)
            .into_iter()
            .chain(first(&due.not_ready))
            .min()
    }

    pub(super) fn reports_count(&self, most: u32) -> u32 {
        let waiting: usize = self.rows.values().map(|row| row.reports.len()).sum();
        u32::try_from(waiting).unwrap_or(u32::MAX).min(most)
    }

    pub(super) fn reports_oldest(&self) -> Option<Timestamp> {
        let heads = self
            .reports_due
            .progress
            .iter()
            .chain(&self.reports_due.not_ready);
        let heads = heads.filter_map(|(_, _, domain)| self.rows.get(domain)?.reports.first());
        heads.map(|report| report.created_at).min()
    }

    pub(super) fn report_done(
        &mut self,
        lease: &OutboxLease,
        version: Option<u64>,
    ) -> Result<(), StoreError> {
        let row = self.rows.get_mut(&lease.domain_id);
        let row = row.ok_or(StoreError::LeaseLost)?;
        if !row
            .reports
            .first()
            .is_some_and(|report| report.is_held_by(lease))
        {
            return Err(StoreError::LeaseLost);
        }
        let report = row.reports.remove(0);
        self.reports_due.remove(lease.domain_id, &report);
        if let Some(version) = version {
            row.record.revision += 1;
            row.record.cabinet_version = row.record.cabinet_version.max(version);
        }
        match row.reports.first_mut() {
            Some(next) => {
                next.next_attempt_at = Some(next.created_at);
                self.reports_due.insert(lease.domain_id, next);
            }
            None => row.reports = vec![],
        }
        Ok(())
    }

    pub(super) fn report_retry(
        &mut self,
        lease: &OutboxLease,
        at: Timestamp,
        version: Option<u64>,
    ) -> Result<(), StoreError> {
        let row = self.rows.get_mut(&lease.domain_id);
        let row = row.ok_or(StoreError::LeaseLost)?;
        let report = row
            .reports
            .first_mut()
            .filter(|report| report.is_held_by(lease));
        let report = report.ok_or(StoreError::LeaseLost)?;
        self.reports_due.remove(lease.domain_id, report);
        report.next_attempt_at = Some(at);
        report.lease = None;
        self.reports_due.insert(lease.domain_id, report);
        if let Some(version) = version {
            row.record.revision += 1;
            row.record.cabinet_version = version;
        }
        Ok(())
    }

    pub(super) fn reports_drop(&mut self, domain: DomainId) {
        let Some(row) = self.rows.get_mut(&domain) else {
            return;
        };
        for report in std::mem::take(&mut row.reports) {
            self.reports_due.remove(domain, &report);
        }
    }
}
