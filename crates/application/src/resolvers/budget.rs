//! The time for the DNS queries of one check.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Resolvers;

/// One time budget for all DNS queries of a check, those for CAA records included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DnsBudget {
    began: Instant,
    total: Duration,
}

impl DnsBudget {
    /// When the last query ends.
    pub(crate) fn deadline(&self) -> Instant {
        self.began + self.total
    }

    /// The budget and the time that is used up, for the history.
    pub(crate) fn evidence(&self) -> Value {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        json!({
            "budgetMs": milliseconds(self.total),
            "usedMs": milliseconds(self.began.elapsed()),
        })
    }
}

impl Resolvers {
    /// The budget of a check that begins now, and whose step ends at `latest`.
    pub(crate) fn budget(&self, latest: Instant) -> DnsBudget {
        let began = Instant::now();
        DnsBudget {
            began,
            total: self.budget.min(latest.saturating_duration_since(began)),
        }
    }
}
