//! How far a round of the resync has come, as the store keeps it.

use dps_domain::{DomainId, Status, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cabinet::brake::FEW;
use crate::cabinet::pace::CursorTrail;

/// The statuses whose domains are read. Removed domains need no work.
pub(super) const READ: [Status; 6] = [
    Status::PendingDns,
    Status::PendingHttpProbe,
    Status::Issuing,
    Status::Active,
    Status::Failed,
    Status::PendingRemoval,
];

/// How far a round has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) run: i64,
    pub(super) began: Timestamp,
    pub(super) stage: Stage,
    /// Domains that the Cabinet named.
    pub(super) named: u64,
    /// Domains that differed.
    pub(super) different: u64,
    /// The service's records that should be in the Cabinet.
    pub(super) records: u64,
    /// Of these, those that the Cabinet does not know.
    pub(super) missing: u64,
    /// The cursors of the list that is read.
    #[serde(default)]
    pub(super) trail: CursorTrail,
    /// Domains in a row of which the Cabinet could not say anything.
    #[serde(default)]
    pub(super) failed_in_a_row: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Reading the Cabinet, this status after this cursor.
    Cabinet(Status, Option<String>),
    /// Reading our records after this one.
    Records(Option<DomainId>),
    /// Taking down what is missing, after this one.
    Missing(Option<DomainId>),
    Done,
}

impl Progress {
    pub(super) fn begin(now: Timestamp) -> Self {
        Self {
            run: now.unix_micros(),
            began: now,
            stage: Stage::Cabinet(READ[0], None),
            named: 0,
            different: 0,
            records: 0,
            missing: 0,
            trail: CursorTrail::default(),
            failed_in_a_row: 0,
        }
    }

    /// A Cabinet that has lost more than `percent` of its domains at once has more likely lost its
    /// data than its customers.
    pub(super) fn is_suspicious(&self, percent: u32) -> bool {
        let share = self.records.saturating_mul(u64::from(percent));
        self.missing > FEW && self.missing.saturating_mul(100) > share
    }
}

pub(super) fn text(progress: &Progress) -> String {
    json!(progress).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cabinet_that_lost_a_tenth_at_once_is_not_believed_and_one_that_lost_a_few_is() {
        let mut progress = Progress::begin(Timestamp::EPOCH);
        for (records, missing, percent, is_suspicious) in [
            (12, 10, 10, false),
            (1_000, 101, 10, true),
            (1_000, 100, 10, false),
            (1_000, 500, 50, false),
            (1_000, 501, 50, true),
            (1_000, 1_000, 100, false),
        ] {
            (progress.records, progress.missing) = (records, missing);
            assert_eq!(
                progress.is_suspicious(percent),
                is_suspicious,
                "{missing} of {records}, {percent} %"
            );
        }
    }

    #[test]
    fn progress_survives_its_text() {
        let mut progress = Progress::begin(Timestamp::from_unix_seconds(7));
        for stage in [
            Stage::Cabinet(Status::Active, Some("c".into())),
            Stage::Records(None),
            Stage::Missing(Some(DomainId::new(Timestamp::EPOCH, [1; 10]))),
        ] {
            progress.stage = stage;
            assert_eq!(
                serde_json::from_str::<Progress>(&text(&progress)).unwrap(),
                progress
            );
        }
    }
}
