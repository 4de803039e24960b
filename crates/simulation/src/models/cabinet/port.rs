//! The Cabinet as the service sees it.

use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::Cabinet;
use dps_application::ports::cabinet::{
    CabinetDomain, CabinetError, CabinetPage, ReportAnswer, StatusReport,
};
use dps_domain::{DomainId, Status};

use super::CabinetModel;
use crate::models::tally::locked;

/// The finding of a poll of the feed.
enum FeedPoll {
    NoFeed,
    Changed(CabinetPage),
    Nothing { cursor: String },
}

impl FeedPoll {
    fn into_page(self) -> Option<CabinetPage> {
        match self {
            Self::NoFeed => None,
            Self::Changed(page) => Some(page),
            Self::Nothing { cursor } => Some(CabinetPage {
                next: Some(cursor),
                ..CabinetPage::default()
            }),
        }
    }
}

impl CabinetModel {
    fn poll_feed(&self, cursor: Option<&str>) -> Result<FeedPoll, CabinetError> {
        let state = locked(&self.state);
        if !state.has_feed {
            return Ok(FeedPoll::NoFeed);
        }
        let after = state.place(cursor)?;
        let page = self.changes_after(&state, after);
        let cursor = || state.cursor(after);
        Ok(page.map_or_else(|| FeedPoll::Nothing { cursor: cursor() }, FeedPoll::Changed))
    }

    fn page(&self, status: Status, cursor: Option<&str>) -> Result<CabinetPage, CabinetError> {
        let state = locked(&self.state);
        let from: u32 = state.place(cursor)?;
        let found = state.by_status.range((status, from)..=(status, u32::MAX));
        let numbers = found.map(|(_, number)| *number).take(self.habits.page);
        let numbers: Vec<u32> = numbers.collect();
        let last = numbers.last().filter(|_| numbers.len() == self.habits.page);
        let domains = numbers.iter().filter_map(|number| {
            let entry = state.entry(*number)?;
            Some(self.view_of(&state, *number, entry))
        });
        Ok(CabinetPage {
            domains: domains.collect(),
            next: last.map(|last| state.cursor(last + 1)),
            refused: Vec::new(),
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
        self.call(|| self.page(status, cursor)).await?
    }

    async fn changes(
        &self,
        cursor: Option<&str>,
        wait: Duration,
    ) -> Result<Option<CabinetPage>, CabinetError> {
        let changed = self.changed.notified();
        tokio::pin!(changed);
        // From here on no change is missed.
        changed.as_mut().enable();
        let first = self.call(|| self.poll_feed(cursor)).await??;
        let last = match (first, self.habits.hold) {
            (FeedPoll::Nothing { .. }, Some(hold)) => {
                let _late = tokio::time::timeout(wait.max(hold), changed).await;
                self.call(|| self.poll_feed(cursor)).await??
            }
            (poll, _) => poll,
        };
        Ok(last.into_page())
    }

    async fn domain(&self, id: DomainId) -> Result<Option<CabinetDomain>, CabinetError> {
        self.call(|| self.view(id)).await
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
