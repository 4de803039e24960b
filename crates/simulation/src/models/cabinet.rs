//! A Cabinet that keeps the contract: customers on one side, the service on the other.

mod odd;
mod port;
mod state;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dps_application::ports::cabinet::{
    CabinetDomain, CabinetError, CabinetFault, CabinetPage, ReportAnswer, StatusReport,
};
use dps_domain::{DomainId, Status};
use tokio::sync::Notify;

use crate::models::claims::{Claims, Side};
use crate::models::line::Line;
use crate::models::names::{self, NameBook, TARGET};
use crate::models::tally::{Tally, locked};
use crate::scenario::Scenario;

pub use odd::Backup;
use state::{Entry, State};

/// Differences between Cabinets that the contract allows.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Domains on one page.
    pub page: usize,
    /// The shortest time for which a poll of the feed is held while nothing changes; `None` if it
    /// is answered at once.
    pub hold: Option<Duration>,
    /// Whether it offers a feed from the start.
    pub has_feed: bool,
    /// Whether the feed lists domains that only a report changed.
    pub feeds_reports: bool,
    /// Whether it keeps the TXT record of a report, and shows it.
    pub keeps_proofs: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            page: 500,
            // With shorter waits, a run would spend most of its time on empty answers.
            hold: Some(Duration::from_secs(3_600)),
            has_feed: true,
            feeds_reports: true,
            keeps_proofs: true,
        }
    }
}

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
    claims: Option<Arc<Claims>>,
    habits: Habits,
    state: Mutex<State>,
    changed: Notify,
}

impl CabinetModel {
    /// A Cabinet without domains.
    pub fn new(scenario: &Scenario, book: Arc<NameBook>, habits: Habits) -> Self {
        Self {
            line: Line::new(scenario.cabinet.answers_after.get()),
            refused_reports: Tally::default(),
            reports: Tally::default(),
            told_backwards: Tally::default(),
            tenants: scenario.tenants,
            book,
            claims: None,
            habits,
            state: Mutex::new(State {
                has_feed: habits.has_feed,
                ..State::default()
            }),
            changed: Notify::new(),
        }
    }

    /// The same, with names that two tenants claim.
    #[must_use]
    pub fn with_claims(mut self, claims: Arc<Claims>) -> Self {
        self.claims = Some(claims);
        self
    }

    /// Customers add the next domains, until there are `count`.
    pub fn grow_to(&self, count: u32) {
        let mut state = locked(&self.state);
        for number in state.added..count {
            state.add(number);
        }
        state.added = state.added.max(count);
        drop(state);
        self.changed.notify_waiters();
    }

    /// A second tenant adds the domain with this number, for a name that another has.
    pub fn claim(&self, number: u32) {
        locked(&self.state).add(number);
        self.changed.notify_waiters();
    }

    /// The values of TXT records that reports named since the last call, by domain.
    pub fn read_proofs(&self) -> BTreeMap<u32, String> {
        std::mem::take(&mut locked(&self.state).proofs)
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
        let status = state.entry(number).map(|entry| entry.status);
        if status.is_some_and(may) {
            state.change(number, to, true);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Delivers once more what the feed has delivered already.
    pub fn repeat(&self, number: u32) {
        let mut state = locked(&self.state);
        if state.entry(number).is_some() {
            state.list(number);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The status that customers read.
    pub fn status(&self, number: u32) -> Option<Status> {
        locked(&self.state).entry(number).map(|entry| entry.status)
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

    fn view_of(&self, state: &State, number: u32, entry: Entry) -> CabinetDomain {
        let (status, version) = (Some(entry.status), u64::from(entry.version));
        if let Some(other) = state.others.get(&number) {
            return CabinetDomain {
                status,
                version,
                ..other.clone()
            };
        }
        let domain = |name: u32, tenant: &str, target: &str| {
            let hostname = self.book.hostname(name).unwrap_or_default();
            CabinetDomain {
                id: names::id(number),
                tenant_id: format!("{tenant}-{}", name % self.tenants),
                canonical_host: hostname.as_str().into(),
                cname_target: target.into(),
                status,
                version,
            }
        };
        let claims = self.claims.as_deref();
        let contest = claims.and_then(|claims| Some((claims, claims.contest_of(number)?)));
        let Some((claims, contest)) = contest else {
            return domain(number, "tenant", TARGET);
        };
        let tenant = match contest.side_of(number) {
            Side::First => "tenant",
            Side::Second => "rival",
        };
        domain(contest.name, tenant, &claims.target_of(number))
    }

    fn changes_after(&self, state: &State, cursor: usize) -> Option<CabinetPage> {
        let mut place = cursor;
        let mut domains = vec![];
        while domains.len() < self.habits.page
            && let Some(number) = state.feed.get(place)
        {
            if let Some(entry) = state.entry(*number)
                && entry.place as usize == place
            {
                domains.push(self.view_of(state, *number, entry));
            }
            place += 1;
        }
        (place > cursor).then(|| CabinetPage {
            domains,
            next: Some(state.cursor(place)),
            refused: Vec::new(),
        })
    }

    fn take(&self, id: DomainId, version: u64, report: &StatusReport) -> ReportAnswer {
        let mut state = locked(&self.state);
        let number = names::number_of_id(id);
        let Some((number, entry)) = number.and_then(|number| Some((number, state.entry(number)?)))
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
        let not_after = report.certificate_not_after.or(entry.not_after);
        state.domains[number as usize].not_after = not_after;
        if let Some(proof) = &report.proof
            && self.habits.keeps_proofs
        {
            let value = proof.value.as_str().to_owned();
            state.proofs.insert(number, value);
        }
        state.change(number, report.status, self.habits.feeds_reports);
        let version = u64::from(entry.version) + 1;
        drop(state);
        self.reports.count();
        self.changed.notify_waiters();
        ReportAnswer::Accepted {
            version: Some(version),
            keeps_proof: report.proof.as_ref().map(|_| self.habits.keeps_proofs),
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
