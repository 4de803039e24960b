//! Wake signals between replicas: a replica that commits work notifies the others, so that they
//! need not wait for their next poll.

use async_trait::async_trait;
use dps_domain::lane::Lane;

use super::store::StoreError;

/// Whom a wake is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WakeSignal {
    /// The worker of a lane.
    Lane(Lane),
    /// The reporter to the Cabinet.
    Reporter,
}

impl WakeSignal {
    /// Every signal.
    pub fn all() -> impl Iterator<Item = Self> {
        Lane::ALL
            .into_iter()
            .map(Self::Lane)
            .chain([Self::Reporter])
    }

    /// The name between replicas.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lane(lane) => lane.as_str(),
            Self::Reporter => "reporter",
        }
    }

    /// The signal of this name; none for that of a newer version.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|signal| signal.as_str() == name)
    }
}

/// Carries wakes between the replicas on one store. A lost signal costs time, never correctness,
/// since every worker polls as well.
#[async_trait]
pub trait WakeChannel: Send + Sync {
    /// Sends these signals to every other replica. Call it after the commit, in no transaction.
    async fn announce(&self, signals: &[WakeSignal]) -> Result<(), StoreError>;

    /// Waits until another replica sends signals and returns them; returns all signals if some may
    /// have been missed. After an error, the next call connects again. One caller at a time.
    async fn heard(&self) -> Result<Vec<WakeSignal>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_known_by_its_name() {
        for signal in WakeSignal::all() {
            assert_eq!(WakeSignal::named(signal.as_str()), Some(signal));
        }
        assert_eq!(WakeSignal::named("of a newer version"), None);
    }
}
