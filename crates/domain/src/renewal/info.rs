//! The renewal window that a CA suggests (RFC 9773), and our renewal moment in it.
//!
//! The CA's window replaces the rule by the certificate's own dates, within two bounds. The renewal
//! begins no later than [`latest_renewal_moment`], so a wrong or late window never costs a
//! certificate. It begins no earlier than [`EARLIEST_AGE`], so a CA that always says "now" does not
//! cause endless orders.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    DAY, WaitCause, earliest_renewal, longest_wait, renewal_deadline, renewal_moment, urgent_from,
};
use crate::Timestamp;
use crate::backoff::{Backoff, SHORTENED, spread};
use crate::until::{Purpose, Until};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The shortest and the longest wait between two polls, whatever the CA says (RFC 9773 §4.3.2).
const SHORTEST: Duration = MINUTE;
const LONGEST: Duration = DAY;
/// The wait without `Retry-After`, and after a lasting failure (RFC 9773 §4.3.3).
const USUAL: Duration = Duration::from_secs(6 * 60 * 60);
/// The back-off after temporary failures (RFC 9773 §4.3.3).
const RETRY: Backoff = Backoff {
    initial: Duration::from_secs(5 * 60),
    max: USUAL,
};
/// The minimum age at which the CA's window alone renews a certificate, or a twentieth of its
/// lifetime if that is less.
pub const EARLIEST_AGE: Duration = DAY;

/// The window in which the CA suggests a renewal (RFC 9773 §4.2), with its start and without its
/// end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuggestedWindow {
    start: Timestamp,
    end: Timestamp,
}

/// A window must end after it starts (RFC 9773 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a renewal window must end after it starts")]
pub struct EmptyWindow;

impl SuggestedWindow {
    /// The window from `start` up to `end`.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, EmptyWindow> {
        if start < end {
            Ok(Self { start, end })
        } else {
            Err(EmptyWindow)
        }
    }

    /// Its first moment.
    pub const fn start(self) -> Timestamp {
        self.start
    }

    /// The first moment after it.
    pub const fn end(self) -> Timestamp {
        self.end
    }

    /// Whether a moment lies in it.
    pub fn contains(self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// Whether it is over: the CA wants the certificate replaced at once.
    pub fn is_past(self, now: Timestamp) -> bool {
        self.end <= now
    }
}

/// The CA's suggested window for the certificate that a domain serves, and the time of the next
/// poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalInfo {
    /// The last window; it is kept while polls fail.
    pub window: Option<SuggestedWindow>,
    /// Page on which the CA explains the window.
    pub explanation_url: Option<String>,
    /// Time of the poll that the CA last answered with a window; `None` while it names none.
    pub answered_at: Option<Timestamp>,
    /// Time of the next poll.
    pub poll_at: Timestamp,
    /// Consecutive failed polls. They are separate from the domain's attempts and delay nothing
    /// else.
    pub failures: u32,
}

/// The result of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenewalInfoOutcome {
    /// The CA named a window.
    Window {
        /// The window.
        window: SuggestedWindow,
        /// Page on which the CA explains it.
        explanation_url: Option<String>,
        /// Time of the next poll, as the CA requested.
        poll_again_at: Timestamp,
    },
    /// The CA offers no renewal information, or the certificate has no name there.
    NotOffered,
    /// A temporary failure; `until` if the CA named a time.
    Unavailable {
        /// Time of the next poll.
        until: Option<Until>,
    },
    /// No poll was made, for a reason on our side; `until` if its end is known.
    Unasked {
        /// Time of the next poll.
        until: Option<Until>,
    },
    /// A useless answer, which will not change within minutes.
    Refused,
}

/// The plan of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalPlan {
    /// The one moment that is stored.
    pub renew_at: Timestamp,
    /// Time from which it comes before other renewals; now if the CA wants the certificate
    /// replaced.
    pub urgent_from: Timestamp,
}

impl RenewalPlan {
    fn usual((not_before, not_after): (Timestamp, Timestamp), renew_at: Timestamp) -> Self {
        Self {
            renew_at,
            urgent_from: urgent_from(not_before, not_after, renew_at),
        }
    }

    /// Delays the plan for a certificate that was just issued. A twentieth of the lifetime must
    /// have passed since `issued_at`, or a day at most if the CA wants the certificate replaced.
    #[must_use]
    pub fn after_issuance(self, issued_at: Timestamp, validity: (Timestamp, Timestamp)) -> Self {
        let mut earliest = earliest_renewal(issued_at, validity);
        if self.is_urgent() {
            earliest = earliest.min(issued_at + EARLIEST_AGE);
        }
        Self {
            renew_at: self.renew_at.max(earliest),
            urgent_from: self.urgent_from.max(earliest),
        }
    }

    /// Whether it goes before others from its beginning.
    pub fn is_urgent(&self) -> bool {
        self.urgent_from <= self.renew_at
    }
}

impl RenewalInfo {
    /// The state for a certificate that was just deployed. The first poll is soon, at a moment
    /// chosen by `random` in `0.0..1.0`, so that domains which became live together do not poll
    /// together.
    pub fn after_deployment(now: Timestamp, not_after: Timestamp, random: f64) -> Self {
        let within = HOUR.min(not_after.since(now) / 20);
        Self {
            window: None,
            explanation_url: None,
            answered_at: None,
            poll_at: now + within.mul_f64(random.clamp(0.0, 1.0)),
            failures: 0,
        }
    }

    /// Limits the time to the next poll for a certificate that is served until `not_after`: less
    /// remaining life means an earlier poll.
    #[must_use]
    pub fn in_time_for(self, not_after: Timestamp, now: Timestamp) -> Self {
        // There is nothing to poll for an expired certificate.
        let longest = longest_wait(not_after, now, WaitCause::Others).filter(|_| not_after > now);
        let poll_at = longest.map_or(self.poll_at, |wait| {
            self.poll_at.min(now + wait.max(SHORTEST))
        });
        Self { poll_at, ..self }
    }

    /// Returns the state after another poll. A failure forgets nothing.
    #[must_use]
    pub fn after(&self, answer: &RenewalInfoOutcome, now: Timestamp, jitter: f64) -> Self {
        let soon_before = |wait: Duration| spread(wait, SHORTENED, jitter);
        let a_little_after = |until: &Until| {
            let earliest = poll_again_at(Some(until.at()), now);
            earliest + spread(earliest.since(now) / 4, 0.0..=1.0, jitter)
        };
        let failures = self.failures.saturating_add(1);
        let failed = |poll_at| Self {
            poll_at,
            failures,
            ..self.clone()
        };
        match answer {
            RenewalInfoOutcome::Window {
                window,
                explanation_url,
                poll_again_at: until,
            } => Self {
                window: Some(*window),
                explanation_url: explanation_url.clone(),
                answered_at: Some(now),
                poll_at: poll_again_at(Some(*until), now),
                failures: 0,
            },
            RenewalInfoOutcome::NotOffered => Self {
                window: None,
                explanation_url: None,
                answered_at: None,
                poll_at: now + soon_before(LONGEST),
                failures: 0,
            },
            // Polls never come before the CA's time, and not all at that time. A CA that names a
            // time again and again gets the same back-off as one that names none.
            RenewalInfoOutcome::Unavailable { until: Some(until) } => {
                failed(a_little_after(until).max(now + RETRY.delay(failures, jitter)))
            }
            RenewalInfoOutcome::Unavailable { until: None } => {
                failed(now + RETRY.delay(failures, jitter))
            }
            RenewalInfoOutcome::Refused => failed(now + soon_before(USUAL)),
            RenewalInfoOutcome::Unasked { until } => Self {
                poll_at: until
                    .as_ref()
                    .map_or_else(|| now + RETRY.delay(1, jitter), a_little_after),
                ..self.clone()
            },
        }
    }

    /// Returns the new renewal moment if the CA's window changed from this to `after`; `None` if it
    /// did not, since its moment is kept. Without a window, the rule by the certificate's own dates
    /// applies.
    pub fn replan(
        &self,
        after: &Self,
        validity: (Timestamp, Timestamp),
        now: Timestamp,
        random: f64,
    ) -> Option<RenewalPlan> {
        match after.window {
            window if window == self.window => None,
            Some(window) => Some(plan(validity, window, now, random)),
            None => {
                let renew_at = renewal_moment(validity.0, validity.1, random);
                Some(RenewalPlan::usual(validity, renew_at))
            }
        }
    }

    /// Whether an order that names its predecessor is exempt from the CA's limits now. Let's
    /// Encrypt exempts it only inside the window.
    pub fn exempts(&self, now: Timestamp) -> bool {
        self.window.is_some_and(|window| window.contains(now))
    }
}

/// The time of the next poll, from the CA's `Retry-After`, but in a minute at the earliest and in a
/// day at the latest. Without `Retry-After`, it is in six hours (RFC 9773 §4.3.2 and §4.3.3).
pub fn poll_again_at(retry_after: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let bounded = |at| {
        Until::named(at, now, Purpose::RenewalInfo)
            .at()
            .max(now + SHORTEST)
    };
    retry_after.map_or(now + USUAL, bounded)
}

/// The latest moment of a renewal, regardless of the CA's window: half-way from
/// [`renewal_deadline`] to the end of validity.
pub fn latest_renewal_moment(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let deadline = renewal_deadline(not_before, not_after);
    deadline + not_after.since(deadline) / 2
}

/// Returns the renewal moment for a new window: a point in the remaining window, chosen by
/// `random` in `0.0..1.0`. A window in the past means now, with urgency. The moment is never after
/// [`latest_renewal_moment`], nor before the certificate's [`EARLIEST_AGE`]. If the window begins
/// too late, the moment is shortly before the latest one.
pub fn plan(
    (not_before, not_after): (Timestamp, Timestamp),
    window: SuggestedWindow,
    now: Timestamp,
    random: f64,
) -> RenewalPlan {
    let lifetime = not_after.since(not_before);
    let earliest = not_before + EARLIEST_AGE.min(lifetime / 20);
    let latest = latest_renewal_moment(not_before, not_after);
    if window.is_past(now) {
        let renew_at = now.max(earliest);
        return RenewalPlan {
            renew_at,
            urgent_from: renew_at,
        };
    }
    let renew_at = if window.start >= latest {
        latest - (lifetime / 50).mul_f64(random.clamp(0.0, 1.0))
    } else {
        point(window.start.max(now), window.end.min(latest), random)
    };
    RenewalPlan::usual((not_before, not_after), renew_at.max(earliest))
}

/// One point from `start` up to, but not including, `end`; `start` if there is none.
fn point(start: Timestamp, end: Timestamp, random: f64) -> Timestamp {
    let last = end - Duration::from_micros(1);
    (start + end.since(start).mul_f64(random.clamp(0.0, 1.0))).clamp(start, last.max(start))
}

#[cfg(test)]
#[path = "info_tests.rs"]
mod tests;
