//! When the CA would like a certificate to be renewed (RFC 9773), and what we make of it.
//!
//! The CA's window comes before the rule by the certificate's own dates, within two bounds that no
//! CA can move: the renewal begins no later than [`latest_renewal_moment`], so that a window that
//! is wrong or too late never costs a certificate, and no sooner than a certificate has reached the
//! age of [`EARLIEST_AGE`], so that a CA that says "now" of every certificate does not have us
//! order without end.

use std::time::Duration;

use serde::Serialize;

use super::{
    DAY, WaitCause, earliest_renewal, longest_wait, renewal_deadline, renewal_moment, urgent_from,
};
use crate::Timestamp;
use crate::backoff::{Backoff, shortened};
use crate::until::{Purpose, Until};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The shortest and the longest wait between two polls, whatever the CA says (RFC 9773 §4.3.2).
const SHORTEST: Duration = MINUTE;
const LONGEST: Duration = DAY;
/// The wait when the CA does not say, and after a failure that time alone does not mend (RFC 9773
/// §4.3.3).
const USUAL: Duration = Duration::from_secs(6 * 60 * 60);
/// Between polls that fail for the moment (RFC 9773 §4.3.3).
const RETRY: Backoff = Backoff {
    initial: Duration::from_secs(5 * 60),
    max: USUAL,
};
/// A certificate younger than this is not replaced on the CA's word alone, nor one younger than a
/// twentieth of its lifetime if that is less.
pub const EARLIEST_AGE: Duration = DAY;

/// The window in which the CA suggests a renewal (RFC 9773 §4.2): its start belongs to it, its end
/// does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// What is known of the CA's wishes for the certificate that a domain serves, and when it is asked
/// again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalInfo {
    /// The last window; it stays while asking fails.
    pub window: Option<SuggestedWindow>,
    /// Where the CA explains the window to people.
    pub explanation_url: Option<String>,
    /// When the CA is asked again.
    pub poll_at: Timestamp,
    /// Polls in a row that failed. Apart from the attempts of the domain: what fails here delays
    /// nothing else.
    pub failures: u32,
}

/// What asking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenewalInfoAnswer {
    /// The CA named a window.
    Window {
        /// The window.
        window: SuggestedWindow,
        /// Where the CA explains it to people.
        explanation_url: Option<String>,
        /// When the CA wants to be asked again.
        poll_again_at: Timestamp,
    },
    /// The CA offers no renewal information, or the certificate has no name there.
    NotOffered,
    /// No answer for the moment; `until` if it was said when one may be had.
    Unavailable {
        /// When to ask again.
        until: Option<Until>,
    },
    /// Nothing was asked, for a reason of ours; `until` if it is known when that ends.
    Unasked {
        /// When to ask.
        until: Option<Until>,
    },
    /// An answer of no use, which will not change within minutes.
    Refused,
}

/// When a renewal begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalPlan {
    /// The one moment that is stored.
    pub renew_at: Timestamp,
    /// From when on it goes before other renewals: at once when the CA wants the certificate gone.
    pub urgent_from: Timestamp,
}

impl RenewalPlan {
    fn usual((not_before, not_after): (Timestamp, Timestamp), renew_at: Timestamp) -> Self {
        Self {
            renew_at,
            urgent_from: urgent_from(not_before, not_after, renew_at),
        }
    }

    /// The same plan, but never at once for a certificate that was just issued. A twentieth of the
    /// lifetime must have passed since `issued_at`; at most a day of it where the CA wants the
    /// certificate gone.
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
    /// For a certificate that was just deployed: asked for soon, at a moment placed by `random` in
    /// `0.0..1.0`, so that domains that became live together do not ask together.
    pub fn after_deployment(now: Timestamp, not_after: Timestamp, random: f64) -> Self {
        let within = HOUR.min(not_after.since(now) / 20);
        Self {
            window: None,
            explanation_url: None,
            poll_at: now + within.mul_f64(random.clamp(0.0, 1.0)),
            failures: 0,
        }
    }

    /// The same for a certificate that is served until `not_after`: the less of its life is left,
    /// the sooner the CA is asked again.
    #[must_use]
    pub fn in_time_for(self, not_after: Timestamp, now: Timestamp) -> Self {
        // One that has ended has nothing to ask about.
        let longest = longest_wait(not_after, now, WaitCause::Others).filter(|_| not_after > now);
        let poll_at = longest.map_or(self.poll_at, |wait| {
            self.poll_at.min(now + wait.max(SHORTEST))
        });
        Self { poll_at, ..self }
    }

    /// What is known after another answer. A failure forgets nothing.
    #[must_use]
    pub fn after(&self, answer: &RenewalInfoAnswer, now: Timestamp, jitter: f64) -> Self {
        let spread = |wait: Duration| shortened(wait, jitter);
        let a_little_after = |until: &Until| {
            let told = poll_again_at(Some(until.at()), now);
            told + (told.since(now) / 4).mul_f64(jitter.clamp(0.0, 1.0))
        };
        let failures = self.failures.saturating_add(1);
        let failed = |poll_at| Self {
            poll_at,
            failures,
            ..self.clone()
        };
        match answer {
            RenewalInfoAnswer::Window {
                window,
                explanation_url,
                poll_again_at: until,
            } => Self {
                window: Some(*window),
                explanation_url: explanation_url.clone(),
                poll_at: poll_again_at(Some(*until), now),
                failures: 0,
            },
            RenewalInfoAnswer::NotOffered => Self {
                window: None,
                explanation_url: None,
                poll_at: now + spread(LONGEST),
                failures: 0,
            },
            // Never before the time that was named, and not everybody at that time; a CA that names
            // one again and again is left alone as long as one that names none.
            RenewalInfoAnswer::Unavailable { until: Some(until) } => {
                failed(a_little_after(until).max(now + RETRY.delay(failures, jitter)))
            }
            RenewalInfoAnswer::Unavailable { until: None } => {
                failed(now + RETRY.delay(failures, jitter))
            }
            RenewalInfoAnswer::Refused => failed(now + spread(USUAL)),
            RenewalInfoAnswer::Unasked { until } => Self {
                poll_at: until
                    .as_ref()
                    .map_or_else(|| now + RETRY.delay(1, jitter), a_little_after),
                ..self.clone()
            },
        }
    }

    /// The renewal's new moment when the CA's wish changed from this to `after`; `None` while it is
    /// the same, whose moment was chosen and is kept. A wish that is withdrawn leaves the rule by
    /// the certificate's own dates.
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

    /// Whether an order that names its predecessor is free of the CA's limits now: Let's Encrypt
    /// exempts it inside the window alone.
    pub fn exempts(&self, now: Timestamp) -> bool {
        self.window.is_some_and(|window| window.contains(now))
    }
}

/// When the CA is asked again, from its `Retry-After`: that very moment, but no sooner than in a
/// minute and no later than in a day; in six hours when it does not say (RFC 9773 §4.3.2 and
/// §4.3.3).
pub fn poll_again_at(retry_after: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let bounded = |at| {
        Until::named(at, now, Purpose::RenewalInfo)
            .at()
            .max(now + SHORTEST)
    };
    retry_after.map_or(now + USUAL, bounded)
}

/// The moment by which a renewal begins whatever the CA suggests: half-way from
/// [`renewal_deadline`] to the end of validity.
pub fn latest_renewal_moment(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let deadline = renewal_deadline(not_before, not_after);
    deadline + not_after.since(deadline) / 2
}

/// The moment to renew at, for a window that was not known before: one point of what is left of the
/// window, placed by `random` in `0.0..1.0`. A window that is over means now, and urgently.
/// Whatever the window: not after [`latest_renewal_moment`] (a window that begins later is answered
/// with a point shortly before that), and not before the certificate's [`EARLIEST_AGE`].
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
