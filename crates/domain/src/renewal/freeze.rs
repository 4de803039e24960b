//! Windows in which no renewal begins that can wait.
//!
//! A freeze moves a renewal's stored moment, and never past the time from which it is urgent. So
//! the domain is checked meanwhile as any other, and no certificate ends through a freeze.

use std::fmt;
use std::time::Duration;

use crate::phase::Next;
use crate::record::DomainRecord;
use crate::{Phase, Timestamp};

/// The most windows.
pub const MAX_WINDOWS: usize = 52;
/// The longest window.
pub const MAX_LENGTH: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// The longest reason, in characters.
pub const MAX_REASON: usize = 200;

/// A window from `from` up to, but not including, `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeWindow {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// The operator's reason; `None` without one.
    pub reason: Option<String>,
}

impl FreezeWindow {
    fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

impl fmt::Display for FreezeWindow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self.until.whole_second();
        write!(out, "Renewals that can wait are frozen until {until}")?;
        match &self.reason {
            Some(reason) => write!(out, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// A fault of the windows. Windows are counted from 0, as they are given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FreezeError {
    /// There are too many.
    #[error("has {0} windows, but must have {MAX_WINDOWS} at most; remove those that are over")]
    TooMany(usize),
    /// A window ends before it begins, or as it does.
    #[error("ends at {until}, but begins at {from}; Until must be after From")]
    Inverted {
        /// The place of the window.
        window: usize,
        /// Its beginning.
        from: Timestamp,
        /// Its end.
        until: Timestamp,
    },
    /// A window is longer than [`MAX_LENGTH`].
    #[error("lasts {} days, but must last 31 days at most; renew ahead of it instead", days(*.length))]
    TooLong {
        /// The place of the window.
        window: usize,
        /// Its length.
        length: Duration,
    },
    /// A reason is longer than [`MAX_REASON`].
    #[error("has a reason of {length} characters, but must have {MAX_REASON} at most; shorten it")]
    Wordy {
        /// The place of the window.
        window: usize,
        /// The length of its reason.
        length: usize,
    },
    /// Two windows have moments in common.
    #[error(
        "overlaps the window that begins at {other}; join them, or end the one before the other"
    )]
    Overlap {
        /// The place of the later window.
        window: usize,
        /// The beginning of the earlier one.
        other: Timestamp,
    },
}

impl FreezeError {
    /// The place of the window with the fault; `None` if it is their number.
    pub const fn window(&self) -> Option<usize> {
        match self {
            Self::TooMany(_) => None,
            Self::Inverted { window, .. }
            | Self::TooLong { window, .. }
            | Self::Wordy { window, .. }
            | Self::Overlap { window, .. } => Some(*window),
        }
    }
}

/// Days, rounded up.
fn days(length: Duration) -> u64 {
    length.as_secs().div_ceil(24 * 60 * 60)
}

/// All windows, in their order and apart from each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenewalFreeze(Vec<FreezeWindow>);

/// The renewal of a certificate, before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedRenewal {
    /// Its stored moment.
    pub renew_at: Timestamp,
    /// From when on it is urgent.
    pub urgent_from: Timestamp,
    /// The end of the certificate.
    pub not_after: Timestamp,
}

impl PlannedRenewal {
    /// The renewal of a live domain; `None` if it has begun, or nothing is served.
    pub fn of(record: &DomainRecord) -> Option<Self> {
        let Phase::Live {
            not_after,
            next: Next::At(renew_at),
            ..
        } = record.phase
        else {
            return None;
        };
        Some(Self {
            renew_at,
            urgent_from: record.urgent_from?,
            not_after,
        })
    }

    /// The latest moment at which a freeze lets it begin. It can end before it would be urgent, so
    /// that alerts are left to true emergencies.
    fn latest(&self) -> Timestamp {
        self.urgent_from - self.not_after.since(self.urgent_from) / 20
    }
}

/// A renewal that a window delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frozen<'a> {
    /// The window.
    pub window: &'a FreezeWindow,
    /// When the renewal begins.
    pub begins_at: Timestamp,
}

impl RenewalFreeze {
    /// The freeze of these windows, in any order.
    ///
    /// # Errors
    /// The first fault, if they are too many, or one is inverted, too long or overlaps another.
    pub fn new(windows: Vec<FreezeWindow>) -> Result<Self, FreezeError> {
        if windows.len() > MAX_WINDOWS {
            return Err(FreezeError::TooMany(windows.len()));
        }
        for (
            window,
            FreezeWindow {
                from,
                until,
                reason,
            },
        ) in windows.iter().enumerate()
        {
            let (from, until) = (*from, *until);
            if from >= until {
                return Err(FreezeError::Inverted {
                    window,
                    from,
                    until,
                });
            }
            let length = until.since(from);
            if length > MAX_LENGTH {
                return Err(FreezeError::TooLong { window, length });
            }
            let length = reason.as_ref().map_or(0, |text| text.chars().count());
            if length > MAX_REASON {
                return Err(FreezeError::Wordy { window, length });
            }
        }
        let mut placed: Vec<(usize, FreezeWindow)> = windows.into_iter().enumerate().collect();
        placed.sort_by_key(|(_, window)| window.from);
        for pair in placed.windows(2) {
            if pair[1].1.from < pair[0].1.until {
                let (window, other) = (pair[1].0, pair[0].1.from);
                return Err(FreezeError::Overlap { window, other });
            }
        }
        Ok(Self(placed.into_iter().map(|(_, window)| window).collect()))
    }

    /// The window at this moment.
    pub fn at(&self, at: Timestamp) -> Option<&FreezeWindow> {
        self.0.iter().find(|window| window.contains(at))
    }

    /// Returns the delay of a renewal that would begin at `now`; `None` if it begins.
    ///
    /// An urgent renewal, as of a certificate that the CA wants replaced, is never delayed. A
    /// window delays a renewal once.
    pub fn delays(&self, renewal: PlannedRenewal, now: Timestamp) -> Option<Frozen<'_>> {
        let window = self.at(now)?;
        let (renew_at, latest) = (renewal.renew_at, renewal.latest());
        if latest <= now {
            return None;
        }
        if latest <= window.until {
            let begins_at = latest;
            return Some(Frozen { window, begins_at });
        }
        // The renewals that the window held back begin in their order, in half of the time in which
        // they were due.
        let first = window.from.max(window.until - latest.since(renew_at));
        let begins_at = window.until + renew_at.since(first) / 2;
        Some(Frozen { window, begins_at })
    }
}

#[cfg(test)]
#[path = "freeze_tests.rs"]
mod tests;
