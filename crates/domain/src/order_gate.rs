//! Whether an order may be placed for a name.

use crate::Timestamp;

/// Whether an order may be placed for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderGate {
    /// Nothing is held against one.
    #[default]
    Open,
    /// None is placed before this moment.
    Until(Timestamp),
    /// The CA paused the name: only a human lifts that.
    PausedByCa,
}

/// The reason that delays an order now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBack {
    /// The gate opens by itself at this moment.
    Until(Timestamp),
    /// The CA paused the name: only a human lifts that.
    PausedByCa,
}

impl OrderGate {
    /// Returns the reason that delays an order at `now`; `None` if it may be placed.
    pub fn holds_back(self, now: Timestamp) -> Option<HeldBack> {
        match self {
            Self::Open => None,
            Self::Until(at) => (at > now).then_some(HeldBack::Until(at)),
            Self::PausedByCa => Some(HeldBack::PausedByCa),
        }
    }

    /// The moment `due`, or a later one at which the gate opens by itself.
    pub fn not_before(self, due: Timestamp) -> Timestamp {
        match self {
            Self::Until(at) => due.max(at),
            // No moment lifts a pause, so none is worth waiting for.
            Self::Open | Self::PausedByCa => due,
        }
    }

    /// The gate without the CA's pause; other gates stay. For a requested retry, or a new record of
    /// the name.
    #[must_use]
    pub const fn lifted(self) -> Self {
        match self {
            Self::PausedByCa => Self::Open,
            gate @ (Self::Open | Self::Until(_)) => gate,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_moment_opens_the_gate_and_only_a_human_lifts_a_pause() {
        let later = NOW + Duration::from_secs(60);
        let gate = OrderGate::Until(later);
        assert_eq!(OrderGate::Open.holds_back(NOW), None);
        assert_eq!(gate.holds_back(NOW), Some(HeldBack::Until(later)));
        assert_eq!(gate.holds_back(later), None);
        assert_eq!((gate.not_before(NOW), gate.lifted()), (later, gate));
        let paused = OrderGate::PausedByCa;
        let far = NOW + Duration::from_secs(100 * 365 * 24 * 3600);
        assert_eq!(paused.holds_back(far), Some(HeldBack::PausedByCa));
        assert_eq!(paused.not_before(NOW), NOW);
        assert_eq!(paused.lifted(), OrderGate::Open);
    }
}
