//! Jobs: one action of an operator on many domains, done in batches.

use std::time::Duration;

use crate::fleet::{DomainFilter, Place};
use crate::limits::Limit;
use crate::record::operator::{Requester, Via};
use crate::record::{DomainEvent, RecordWrite};
use crate::revocation::RevocationReason;
use crate::{JobId, Timestamp};

/// Domains of one batch at most.
pub const MAX_BATCH: u32 = 100;
/// Time of one batch at least, so that a slow pace is no burst.
const BATCH_TIME: Duration = Duration::from_secs(5);
/// Pause after a batch without a pace, for the other work of the database.
const PAUSE: Duration = Duration::from_millis(500);
/// Name of the job in the details of a history.
const JOB: &str = "job";
const HOUR: Duration = Duration::from_secs(3_600);

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The one with this word, if there is one.
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }
    };
}

words! {
    /// An action of an operator on a domain.
    DomainAction {
        /// Makes the next step due.
        Retry => "retry",
        /// Begins a renewal.
        Renew => "renew",
        /// Checks a live domain.
        Recheck => "recheck",
        /// Pauses issuance for the hostname.
        Pause => "pause",
        /// Ends the pause of issuance for the hostname.
        Resume => "resume",
        /// Revokes the certificate, without a reason.
        RevokeUnspecified => "revoke:unspecified",
        /// Revokes the certificate and erases its key, which is compromised.
        RevokeCompromised => "revoke:key-compromise",
        /// Revokes the certificate, since another one takes its place.
        RevokeSuperseded => "revoke:superseded",
        /// Revokes the certificate, since the domain is not served any more.
        RevokeCeased => "revoke:cessation-of-operation",
    }
}

impl DomainAction {
    /// The revocation for a reason.
    pub const fn revoke(reason: RevocationReason) -> Self {
        match reason {
            RevocationReason::Unspecified => Self::RevokeUnspecified,
            RevocationReason::KeyCompromise => Self::RevokeCompromised,
            RevocationReason::Superseded => Self::RevokeSuperseded,
            RevocationReason::CessationOfOperation => Self::RevokeCeased,
        }
    }

    /// The reason of a revocation; `None` for another action.
    pub const fn revocation(self) -> Option<RevocationReason> {
        match self {
            Self::RevokeUnspecified => Some(RevocationReason::Unspecified),
            Self::RevokeCompromised => Some(RevocationReason::KeyCompromise),
            Self::RevokeSuperseded => Some(RevocationReason::Superseded),
            Self::RevokeCeased => Some(RevocationReason::CessationOfOperation),
            Self::Retry | Self::Renew | Self::Recheck | Self::Pause | Self::Resume => None,
        }
    }

    /// Whether it leads to an order for each domain.
    const fn orders(self) -> bool {
        matches!(self, Self::Renew) || self.revocation().is_some()
    }
}

words! {
    /// The state of a job.
    JobState {
        /// It is worked at.
        Running => "running",
        /// All its domains were visited.
        Done => "done",
        /// An operator cancelled it.
        Cancelled => "cancelled",
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its identifier; those of later jobs are greater.
    pub id: JobId,
    /// The action on each domain.
    pub action: DomainAction,
    /// The domains.
    pub filter: DomainFilter,
    /// The operator, as the histories name it.
    pub who: String,
    /// The role of the operator's token; empty for the command line.
    pub role: String,
    /// The reason that was given.
    pub reason: Option<String>,
    /// Domains in an hour at most; `None` without a bound.
    pub pace: Option<u32>,
    /// Domains at most; `None` without a bound.
    pub most: Option<u64>,
    /// The domains of the filter when it began.
    pub expected: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// The progress.
    pub progress: JobProgress,
}

/// The progress of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobProgress {
    /// The state.
    pub state: JobState,
    /// The place of the last domain that was visited, in the order of the filter's plan.
    pub place: Option<Place>,
    /// Domains on which it acted.
    pub acted: u64,
    /// Domains whose state does not allow the action.
    pub refused: u64,
    /// When the next batch is due; that of a batch under way is the end of its lease.
    pub due_at: Timestamp,
    /// When it was written last: at the end of a batch, or at the beginning of the job.
    pub written_at: Timestamp,
    /// When it ended; `None` before.
    pub ended_at: Option<Timestamp>,
}

/// The result of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Domains on which it acted.
    pub acted: u32,
    /// Domains whose state does not allow the action.
    pub refused: u32,
    /// The place at which the next one continues; `None` if no domain is left.
    pub next: Option<Place>,
}

/// Whether a job has acted on a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// It has not.
    New,
    /// It has, in a batch whose progress was lost.
    Uncounted,
    /// It has, and the progress says so.
    Counted,
}

impl Job {
    /// The visit that the history of a domain shows. Domains move in the order of some filters, so
    /// that a job meets them twice.
    pub fn visit(&self, history: &[DomainEvent]) -> Visit {
        let id = self.id.to_string();
        let own = history.iter().find(|event| event.detail[JOB] == id);
        own.map_or(Visit::New, |event| {
            if event.at > self.progress.written_at {
                Visit::Uncounted
            } else {
                Visit::Counted
            }
        })
    }

    /// The write of an operator's request as a part of this job. The job is the action; the line
    /// of the domain's history names it.
    pub fn part(&self, mut write: RecordWrite) -> RecordWrite {
        write.action = None;
        if let Some(event) = &mut write.event {
            event.detail[JOB] = self.id.to_string().into();
        }
        write
    }

    /// The author of what the job does.
    pub fn requester(&self) -> Requester<'_> {
        let via = if self.role.is_empty() {
            Via::CommandLine
        } else {
            Via::AdminApi { role: &self.role }
        };
        Requester {
            who: &self.who,
            reason: self.reason.as_deref(),
            via,
        }
    }

    /// Domains of the next batch at most.
    pub fn batch(&self) -> u32 {
        let of_pace = self.pace.map_or(MAX_BATCH, |pace| {
            let of_time = u64::from(pace) * BATCH_TIME.as_secs() / HOUR.as_secs();
            u32::try_from(of_time)
                .unwrap_or(MAX_BATCH)
                .clamp(1, MAX_BATCH)
        });
        let left = self
            .most
            .map_or(u64::MAX, |most| most.saturating_sub(self.progress.acted));
        of_pace.min(u32::try_from(left).unwrap_or(MAX_BATCH))
    }

    /// The progress after a batch.
    pub fn after(&self, batch: Batch, now: Timestamp) -> JobProgress {
        let acted = self.progress.acted + u64::from(batch.acted);
        let is_full = self.most.is_some_and(|most| acted >= most);
        let is_done = batch.next.is_none() || is_full;
        let pause = self
            .pace
            .map_or(PAUSE, |pace| HOUR.saturating_mul(batch.acted) / pace.max(1));
        JobProgress {
            state: if is_done {
                JobState::Done
            } else {
                JobState::Running
            },
            place: batch.next,
            acted,
            refused: self.progress.refused + u64::from(batch.refused),
            due_at: now + pause.max(PAUSE),
            written_at: now,
            ended_at: is_done.then_some(now),
        }
    }
}

/// The time that a job takes at least: by its pace, and for renewals by the CA's limit of orders,
/// unless the CA exempts them.
pub fn forecast(action: DomainAction, domains: u64, pace: Option<u32>, orders: Limit) -> Duration {
    let domains = u32::try_from(domains).unwrap_or(u32::MAX);
    let batches = domains.div_ceil(MAX_BATCH);
    let by_pace = pace.map_or(PAUSE.saturating_mul(batches), |pace| {
        HOUR.saturating_mul(domains) / pace.max(1)
    });
    let by_limit = if action.orders() && !orders.is_none() {
        let beyond = domains.saturating_sub(orders.burst);
        orders.period.saturating_mul(beyond) / orders.count.max(1)
    } else {
        Duration::ZERO
    };
    by_pace.max(by_limit)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn job(pace: Option<u32>, most: Option<u64>) -> Job {
        Job {
            id: JobId::from_uuid(Uuid::nil()),
            action: DomainAction::Retry,
            filter: DomainFilter::default(),
            who: "ada@desk".to_owned(),
            role: String::new(),
            reason: None,
            pace,
            most,
            expected: 1_000,
            created_at: NOW,
            progress: JobProgress {
                state: JobState::Running,
                place: None,
                acted: 0,
                refused: 0,
                due_at: NOW,
                written_at: NOW,
                ended_at: None,
            },
        }
    }

    fn place() -> Place {
        Place {
            leading: crate::fleet::Leading::Nothing,
            name: "a.example".to_owned(),
            id: "1".to_owned(),
        }
    }

    /// Domains in an hour, if there are always more.
    fn in_an_hour(mut job: Job) -> u64 {
        while job.progress.state == JobState::Running && job.progress.due_at < NOW + HOUR {
            let batch = Batch {
                acted: job.batch(),
                refused: 0,
                next: Some(place()),
            };
            job.progress = job.after(batch, job.progress.due_at);
        }
        job.progress.acted
    }

    #[test]
    fn a_pace_is_kept_within_a_batch_and_a_bound_exactly() {
        for pace in [1, 7, 720, 10_000, 72_000] {
            let done = in_an_hour(job(Some(pace), None));
            let pace = u64::from(pace);
            assert!(
                done >= pace && done <= pace + u64::from(MAX_BATCH),
                "{pace}: {done}"
            );
        }
        // A batch is small, so that no pace is a burst each hour.
        assert_eq!(job(Some(720), None).batch(), 1);
        assert_eq!(job(Some(7_200), None).batch(), 10);
        assert_eq!(in_an_hour(job(Some(7_200), Some(55))), 55);
        assert_eq!(in_an_hour(job(None, Some(250))), 250);
    }

    #[test]
    fn a_job_ends_with_its_last_domain_and_keeps_its_place_until_then() {
        let running = job(None, None);
        let batch = Batch {
            acted: 90,
            refused: 10,
            next: Some(place()),
        };
        let progress = running.after(batch, NOW);
        assert_eq!(
            (progress.state, progress.ended_at),
            (JobState::Running, None)
        );
        assert_eq!(
            (progress.place, progress.acted, progress.refused),
            (Some(place()), 90, 10)
        );
        assert!(progress.due_at > NOW);
        let last = Batch {
            acted: 0,
            refused: 0,
            next: None,
        };
        let progress = running.after(last, NOW);
        assert_eq!(
            (progress.state, progress.ended_at),
            (JobState::Done, Some(NOW))
        );
    }

    #[test]
    fn a_revocation_is_named_by_its_reason() {
        for reason in RevocationReason::ALL {
            let action = DomainAction::revoke(reason);
            assert_eq!(action.revocation(), Some(reason));
            assert_eq!(action.as_str(), format!("revoke:{}", reason.as_str()));
        }
    }

    #[test]
    fn a_forecast_is_the_longer_of_the_pace_and_the_limit_of_orders() {
        let orders = Limit::bursting(300, 300, 3 * HOUR);
        let hours = |action, pace| forecast(action, 3_300, pace, orders).as_secs() / 3_600;
        assert_eq!(hours(DomainAction::Renew, None), 30);
        assert_eq!(hours(DomainAction::RevokeCompromised, None), 30);
        assert_eq!(hours(DomainAction::Renew, Some(33)), 100);
        assert_eq!(hours(DomainAction::Retry, Some(330)), 10);
        assert_eq!(hours(DomainAction::Retry, None), 0);
        assert_eq!(
            forecast(DomainAction::Renew, 1_000, None, Limit::NONE),
            10 * PAUSE
        );
    }
}
