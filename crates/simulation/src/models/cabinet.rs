//! A Cabinet that keeps the contract: customers on one side, the service on the other.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::Cabinet;
use dps_application::ports::cabinet::{
    CabinetDomain, CabinetError, CabinetFault, CabinetPage, ReportAnswer, StatusReport,
};
use dps_domain::{DomainId, Status, Timestamp};
use tokio::sync::Notify;

use crate::models::line::Line;
use crate::models::names::{self, NameBook, TARGET};
use crate::models::tally::{Tally, locked};
use crate::scenario::Scenario;

/// Time for which a poll of the feed is held while nothing changes, whatever wait it asks for. With
/// shorter waits, a run would spend most of its time on empty answers.
const HELD: Duration = Duration::from_secs(3_600);
/// Domains on one page.
const PAGE: usize = 500;

/// The Cabinet.
#[derive(Debug)]
pub struct CabinetModel {
    /// The way to it.
    pub line: Line,
    /// Reports that it had to refuse because they do not fit the status.
    pub refused_reports: Tally,
    /// Reports taken.
    pub reports: Tally,
    /// Reports of an active domain whose certificate ends sooner than the last one reported.
    pub told_backwards: Tally,
    tenants: u32,
    book: Arc<NameBook>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    domains: Vec<Entry>,
    /// Numbers of domains in the order of their changes; only the last of each counts.
    feed: Vec<u32>,
    by_status: BTreeSet<(Status, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    status: Status,
    version: u32,
    /// Its last place in the feed.
    place: u32,
    not_after: Option<Timestamp>,
}

impl State {
    fn change(&mut self, number: u32, status: Status) {
        let place = u32::try_from(self.feed.len()).unwrap_or(u32::MAX);
        let Some(entry) = self.domains.get_mut(number as usize) else {
            return;
        };
        self.by_status.remove(&(entry.status, number));
        entry.status = status;
        entry.version += 1;
        entry.place = place;
        self.by_status.insert((status, number));
        self.feed.push(number);
    }
}

impl CabinetModel {
    /// A Cabinet without domains.
    pub fn new(scenario: &Scenario, book: Arc<NameBook>) -> Self {
        Self {
            line: Line::new(scenario.cabinet.answers_after.get()),
            refused_reports: Tally::default(),
            reports: Tally::default(),
            told_backwards: Tally::default(),
            tenants: scenario.tenants,
            book,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Customers add the next domains, until there are `count`.
    pub fn grow_to(&self, count: u32) {
        let mut state = locked(&self.state);
        while state.domains.len() < count as usize {
            let number = u32::try_from(state.domains.len()).unwrap_or(u32::MAX);
            state.domains.push(Entry {
                status: Status::PendingDns,
                version: 0,
                place: 0,
                not_after: None,
            });
            state.change(number, Status::PendingDns);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The customer deletes the domain.
    pub fn remove(&self, number: u32) {
        self.by_customer(number, Status::PendingRemoval, |status| {
            !matches!(status, Status::PendingRemoval | Status::Removed)
        });
    }

    /// The customer asks for another try.
    pub fn retry(&self, number: u32) {
        self.by_customer(number, Status::PendingDns, |status| {
            matches!(status, Status::Failed | Status::PendingDns)
        });
    }

    fn by_customer(&self, number: u32, to: Status, may: impl FnOnce(Status) -> bool) {
        let mut state = locked(&self.state);
        let status = state.domains.get(number as usize).map(|entry| entry.status);
        if status.is_some_and(may) {
            state.change(number, to);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Delivers once more what the feed has delivered already.
    pub fn repeat(&self, number: u32) {
        let mut state = locked(&self.state);
        let place = u32::try_from(state.feed.len()).unwrap_or(u32::MAX);
        if let Some(entry) = state.domains.get_mut(number as usize) {
            entry.place = place;
            state.feed.push(number);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The status that customers read.
    pub fn status(&self, number: u32) -> Option<Status> {
        locked(&self.state)
            .domains
            .get(number as usize)
            .map(|entry| entry.status)
    }

    /// How many domains are in each status.
    pub fn count(&self) -> Vec<(Status, usize)> {
        let state = locked(&self.state);
        let of = |status| {
            state
                .by_status
                .range((status, 0)..=(status, u32::MAX))
                .count()
        };
        Status::ALL.map(|status| (status, of(status))).into()
    }

    fn told(&self, number: u32, entry: Entry) -> CabinetDomain {
        CabinetDomain {
            id: names::id(number),
            tenant_id: format!("tenant-{}", number % self.tenants),
            canonical_host: (self.book.hostname(number).unwrap_or_default())
                .as_str()
                .into(),
            cname_target: TARGET.into(),
            status: Some(entry.status),
            version: u64::from(entry.version),
        }
    }

    fn changes_after(&self, cursor: usize) -> Option<CabinetPage> {
        let state = locked(&self.state);
        let mut place = cursor;
        let mut domains = vec![];
        while domains.len() < PAGE
            && let Some(number) = state.feed.get(place)
        {
            if let Some(entry) = state.domains.get(*number as usize)
                && entry.place as usize == place
            {
                domains.push(self.told(*number, *entry));
            }
            place += 1;
        }
        (place > cursor).then(|| CabinetPage {
            domains,
            next: Some(place.to_string()),
            refused: Vec::new(),
        })
    }

    fn take(&self, id: DomainId, version: u64, report: &StatusReport) -> ReportAnswer {
        let mut state = locked(&self.state);
        let number = names::number_of_id(id);
        let Some((number, entry)) =
            number.and_then(|number| Some((number, state.domains.get_mut(number as usize)?)))
        else {
            return ReportAnswer::Gone;
        };
        if u64::from(entry.version) != version {
            return ReportAnswer::VersionMoved;
        }
        if !entry.status.may_report(report.status) {
            self.refused_reports.count();
            let detail = format!(
                "from {} to {}",
                entry.status.as_str(),
                report.status.as_str()
            );
            return ReportAnswer::IllegalMove { detail };
        }
        if report.certificate_not_after < entry.not_after && report.status == Status::Active {
            self.told_backwards.count();
        }
        entry.not_after = report.certificate_not_after.or(entry.not_after);
        state.change(number, report.status);
        let version = u64::from(state.domains[number as usize].version);
        drop(state);
        self.reports.count();
        self.changed.notify_waiters();
        ReportAnswer::Accepted {
            version: Some(version),
        }
    }

    async fn call<T>(&self, effect: impl FnOnce() -> T) -> Result<T, CabinetError> {
        self.line.call(effect).await.ok_or_else(|| CabinetError {
            fault: CabinetFault::Away,
            detail: "no answer".into(),
            retry_after: None,
        })
    }
}

#[async_trait]
impl Cabinet for CabinetModel {
    async fn list(
        &self,
        status: Status,
        cursor: Option<&str>,
    ) -> Result<CabinetPage, CabinetError> {
        self.call(|| {
            let state = locked(&self.state);
            let from = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
            let found = state.by_status.range((status, from)..=(status, u32::MAX));
            let numbers: Vec<u32> = found.take(PAGE).map(|(_, number)| *number).collect();
            let next =
                (numbers.len() == PAGE).then(|| numbers.last().map(|last| (last + 1).to_string()));
            let domains = numbers
                .into_iter()
                .map(|number| self.told(number, state.domains[number as usize]));
            CabinetPage {
                domains: domains.collect(),
                next: next.flatten(),
                refused: Vec::new(),
            }
        })
        .await
    }

    async fn changes(
        &self,
        cursor: Option<&str>,
        wait: Duration,
    ) -> Result<Option<CabinetPage>, CabinetError> {
        let after = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let changed = self.changed.notified();
        tokio::pin!(changed);
        // From here on no change is missed.
        changed.as_mut().enable();
        if let Some(page) = self.call(|| self.changes_after(after)).await? {
            return Ok(Some(page));
        }
        // A poll that finds nothing in time is answered with an empty page.
        let _late = tokio::time::timeout(wait.max(HELD), changed).await;
        let page = self.call(|| self.changes_after(after)).await?;
        Ok(Some(page.unwrap_or_else(|| CabinetPage {
            next: Some(after.to_string()),
            ..CabinetPage::default()
        })))
    }

    async fn domain(&self, id: DomainId) -> Result<Option<CabinetDomain>, CabinetError> {
        self.call(|| {
            let state = locked(&self.state);
            let number = names::number_of_id(id)?;
            let entry = *state.domains.get(number as usize)?;
            Some(self.told(number, entry))
        })
        .await
    }

    async fn report(
        &self,
        id: DomainId,
        version: u64,
        report: &StatusReport,
    ) -> Result<ReportAnswer, CabinetError> {
        self.call(|| self.take(id, version, report)).await
    }
}
