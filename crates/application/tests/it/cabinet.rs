//! A Cabinet that keeps the contract, and can be away, restored from a backup, or edited behind
//! everybody's back.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::Cabinet;
use dps_application::ports::cabinet::{
    CabinetDomain, CabinetError, CabinetFault, CabinetPage, RefusedItem, ReportAnswer, StatusReport,
};
use dps_domain::{DomainId, Status};
use uuid::Uuid;

/// Domains on one page.
const PAGE: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) domains: BTreeMap<DomainId, CabinetDomain>,
    /// The received reports, in order.
    pub(crate) told: Vec<(DomainId, StatusReport)>,
    /// Every call, answered or not.
    pub(crate) calls: u32,
    /// The answer to every call.
    pub(crate) fault: Option<CabinetError>,
    /// After so many more calls it goes away.
    pub(crate) away_after: Option<u32>,
    /// The pages that were asked for.
    pub(crate) lists: Vec<(Status, Option<String>)>,
    /// Whether it refuses a report with more than a status.
    pub(crate) refuses_content: bool,
    /// Whether reports of versions are compared; a Cabinet gone mad says that every version moved.
    pub(crate) always_moved: bool,
    /// Whether its answers to reports tell no version.
    pub(crate) unversioned: bool,
    /// Items of every page that cannot be used.
    pub(crate) refused: Vec<RefusedItem>,
    /// Reports of these domains are never answered; how many are under way.
    pub(crate) stalled: BTreeMap<DomainId, u32>,
    /// The list whose last page leads to the first.
    pub(crate) circular: Option<Status>,
    /// Domains in the order of their changes; `None` if it offers no feed.
    pub(crate) feed: Option<Vec<DomainId>>,
    /// Cursors of another database are not known.
    pub(crate) database: u32,
}

#[derive(Debug, Default)]
pub(crate) struct FakeCabinet(Mutex<State>);

pub(crate) fn away() -> CabinetError {
    CabinetError {
        fault: CabinetFault::Away,
        detail: "connection refused".into(),
        retry_after: None,
    }
}

pub(crate) fn id(number: u128) -> DomainId {
    DomainId::from_uuid(Uuid::from_u128(number))
}

impl FakeCabinet {
    /// Looks at it, or does something behind everybody's back.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// A domain as a customer adds it.
    pub(crate) fn add(&self, number: u128, host: &str) -> DomainId {
        let domain = CabinetDomain {
            id: id(number),
            tenant_id: "acme".into(),
            canonical_host: host.into(),
            cname_target: super::world::TARGET.into(),
            status: Some(Status::PendingDns),
            version: 1,
        };
        self.with(|state| {
            state.domains.insert(domain.id, domain.clone());
            state.feed.iter_mut().for_each(|feed| feed.push(domain.id));
        });
        domain.id
    }

    /// Its view of a domain.
    pub(crate) fn says(&self, id: DomainId) -> CabinetDomain {
        self.with(|state| state.domains[&id].clone())
    }

    pub(crate) fn edit(&self, id: DomainId, alter: impl FnOnce(&mut CabinetDomain)) {
        self.with(|state| alter(state.domains.get_mut(&id).unwrap()));
    }

    /// The statuses that were told of a domain, in order.
    pub(crate) fn told(&self, id: DomainId) -> Vec<Status> {
        self.with(|state| {
            let of = state.told.iter().filter(|(told, _)| *told == id);
            of.map(|(_, report)| report.status).collect()
        })
    }

    fn call(&self) -> Result<std::sync::MutexGuard<'_, State>, CabinetError> {
        let mut state = self.0.lock().unwrap();
        state.calls += 1;
        match &mut state.away_after {
            Some(0) => state.fault = Some(away()),
            Some(left) => *left -= 1,
            None => {}
        }
        match &state.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(state),
        }
    }
}

impl State {
    fn place(&self, cursor: Option<&str>) -> Result<u128, CabinetError> {
        let Some(cursor) = cursor else { return Ok(0) };
        let (database, place) = cursor.split_once(':').unwrap();
        if database != self.database.to_string() {
            return Err(CabinetError {
                fault: CabinetFault::CursorUnknown,
                detail: "unknown cursor".into(),
                retry_after: None,
            });
        }
        Ok(place.parse().unwrap())
    }
}

#[async_trait]
impl Cabinet for FakeCabinet {
    async fn list(
        &self,
        status: Status,
        cursor: Option<&str>,
    ) -> Result<CabinetPage, CabinetError> {
        let mut state = self.call()?;
        state.lists.push((status, cursor.map(str::to_owned)));
        let after = id(state.place(cursor)?);
        let found = state.domains.values();
        let found = found.filter(|domain| domain.status == Some(status) && domain.id > after);
        let domains: Vec<CabinetDomain> = found.take(PAGE).cloned().collect();
        let next = domains.last().filter(|_| domains.len() == PAGE);
        let next = next.map(|last| format!("{}:{}", state.database, last.id.as_uuid().as_u128()));
        let again = || format!("{}:0", state.database);
        let next = next.or_else(|| (state.circular == Some(status)).then(again));
        Ok(CabinetPage {
            domains,
            next,
            refused: state.refused.clone(),
        })
    }

    async fn changes(
        &self,
        cursor: Option<&str>,
        _wait: Duration,
    ) -> Result<Option<CabinetPage>, CabinetError> {
        let state = self.call()?;
        let Some(feed) = &state.feed else {
            return Ok(None);
        };
        let after = usize::try_from(state.place(cursor)?).unwrap();
        let ids = feed.iter().skip(after).take(PAGE);
        let domains: Vec<CabinetDomain> = ids
            .filter_map(|id| state.domains.get(id).cloned())
            .collect();
        let next = feed.len().min(after + PAGE);
        Ok(Some(CabinetPage {
            domains,
            next: Some(format!("{}:{next}", state.database)),
            refused: state.refused.clone(),
        }))
    }

    async fn domain(&self, id: DomainId) -> Result<Option<CabinetDomain>, CabinetError> {
        Ok(self.call()?.domains.get(&id).cloned())
    }

    async fn report(
        &self,
        id: DomainId,
        version: u64,
        report: &StatusReport,
    ) -> Result<ReportAnswer, CabinetError> {
        let stalls = self.with(|state| {
            let calls = state.stalled.get_mut(&id);
            calls.map(|calls| *calls += 1).is_some()
        });
        if stalls {
            std::future::pending::<()>().await;
        }
        let mut state = self.call()?;
        let (mad, picky, unversioned) =
            (state.always_moved, state.refuses_content, state.unversioned);
        let Some(domain) = state.domains.get_mut(&id) else {
            return Ok(ReportAnswer::Gone);
        };
        if domain.version != version || mad {
            return Ok(ReportAnswer::VersionMoved);
        }
        if picky && report.message.is_some() {
            return Ok(ReportAnswer::ContentRefused {
                detail: "too long".into(),
            });
        }
        if !domain
            .status
            .is_some_and(|status| status.may_report(report.status))
        {
            return Ok(ReportAnswer::IllegalMove {
                detail: "no such move".into(),
            });
        }
        domain.version += 1;
        domain.status = Some(report.status);
        let version = domain.version;
        state.told.push((id, report.clone()));
        Ok(ReportAnswer::Accepted {
            version: Some(version).filter(|_| !unversioned),
        })
    }
}
