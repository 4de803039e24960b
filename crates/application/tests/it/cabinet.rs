//! The way to the model's Cabinet: it notes the traffic, and can break or falsify it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::Cabinet;
use dps_application::ports::cabinet::{
    CabinetDomain, CabinetError, CabinetFault, CabinetPage, RefusedItem, ReportAnswer, StatusReport,
};
use dps_domain::{DomainId, Status};
use dps_simulation::models::cabinet::{CabinetModel, Habits};
use uuid::Uuid;

/// A Cabinet of small pages that answers at once, without a feed at first. Its feed tells what
/// customers changed.
pub(crate) const HABITS: Habits = Habits {
    page: 2,
    hold: None,
    has_feed: false,
    feeds_reports: false,
    keeps_proofs: true,
};

#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// The accepted reports, in order.
    pub(crate) reported: Vec<(DomainId, StatusReport)>,
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
    /// The list whose last page leads back to its second.
    pub(crate) circular: Option<Status>,
    second_page: Option<String>,
}

/// The Cabinet of a story.
#[derive(Debug)]
pub(crate) struct WatchedCabinet {
    pub(crate) model: Arc<CabinetModel>,
    traffic: Mutex<Traffic>,
}

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

impl WatchedCabinet {
    pub(crate) fn new(model: CabinetModel) -> Self {
        Self {
            model: Arc::new(model),
            traffic: Mutex::default(),
        }
    }

    /// Looks at the traffic, or interferes with it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Traffic) -> T) -> T {
        act(&mut self.traffic.lock().unwrap())
    }

    /// A domain as a customer adds it.
    pub(crate) fn add(&self, number: u128, host: &str) -> DomainId {
        let id = id(number);
        self.model.add(CabinetDomain {
            id,
            tenant_id: "acme".into(),
            canonical_host: host.into(),
            cname_target: super::world::TARGET.into(),
            status: Some(Status::PendingDns),
            version: 1,
        });
        id
    }

    /// Its view of a domain.
    pub(crate) fn says(&self, id: DomainId) -> CabinetDomain {
        self.model.view(id).unwrap()
    }

    pub(crate) fn edit(&self, id: DomainId, alter: impl FnOnce(&mut CabinetDomain)) {
        assert!(self.model.edit(id, alter), "the Cabinet has it");
    }

    /// The statuses that were told of a domain, in order.
    pub(crate) fn reported(&self, id: DomainId) -> Vec<Status> {
        self.with(|traffic| {
            let found = traffic.reported.iter().filter(|(of, _)| *of == id);
            found.map(|(_, report)| report.status).collect()
        })
    }

    /// One more call.
    fn call(&self) -> Result<std::sync::MutexGuard<'_, Traffic>, CabinetError> {
        let mut traffic = self.traffic.lock().unwrap();
        traffic.calls += 1;
        match &mut traffic.away_after {
            Some(0) => traffic.fault = Some(away()),
            Some(left) => *left -= 1,
            None => {}
        }
        match &traffic.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(traffic),
        }
    }

    fn with_refused(&self, page: CabinetPage) -> CabinetPage {
        CabinetPage {
            refused: self.with(|traffic| traffic.refused.clone()),
            ..page
        }
    }
}

#[async_trait]
impl Cabinet for WatchedCabinet {
    async fn list(
        &self,
        status: Status,
        cursor: Option<&str>,
    ) -> Result<CabinetPage, CabinetError> {
        self.call()?.lists.push((status, cursor.map(str::to_owned)));
        let mut page = self.model.list(status, cursor).await?;
        self.with(|traffic| {
            if traffic.circular == Some(status) && cursor.is_none() {
                traffic.second_page.clone_from(&page.next);
            }
            if traffic.circular == Some(status) && page.next.is_none() {
                page.next.clone_from(&traffic.second_page);
            }
        });
        Ok(self.with_refused(page))
    }

    async fn changes(
        &self,
        cursor: Option<&str>,
        wait: Duration,
    ) -> Result<Option<CabinetPage>, CabinetError> {
        drop(self.call()?);
        let page = self.model.changes(cursor, wait).await?;
        Ok(page.map(|page| self.with_refused(page)))
    }

    async fn domain(&self, id: DomainId) -> Result<Option<CabinetDomain>, CabinetError> {
        drop(self.call()?);
        self.model.domain(id).await
    }

    async fn report(
        &self,
        id: DomainId,
        version: u64,
        report: &StatusReport,
    ) -> Result<ReportAnswer, CabinetError> {
        let stalls = self.with(|traffic| {
            let calls = traffic.stalled.get_mut(&id);
            calls.map(|calls| *calls += 1).is_some()
        });
        if stalls {
            std::future::pending::<()>().await;
        }
        let (mad, picky, unversioned) = {
            let traffic = self.call()?;
            (
                traffic.always_moved,
                traffic.refuses_content,
                traffic.unversioned,
            )
        };
        if mad {
            return Ok(ReportAnswer::VersionMoved);
        }
        if picky && report.message.is_some() {
            return Ok(ReportAnswer::ContentRefused {
                detail: "too long".into(),
            });
        }
        let answer = self.model.report(id, version, report).await?;
        let ReportAnswer::Accepted {
            version,
            keeps_proof,
        } = answer
        else {
            return Ok(answer);
        };
        self.with(|traffic| traffic.reported.push((id, report.clone())));
        Ok(ReportAnswer::Accepted {
            version: version.filter(|_| !unversioned),
            keeps_proof,
        })
    }
}
