//! Wakes workers early, here and in other replicas. An optimisation: the periodic pass is what makes the service correct.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use dps_domain::phase::Lane;
use futures_util::FutureExt as _;
use tokio::sync::Notify;

use crate::ports::WakeChannel;

/// Whom a wake is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bell {
    /// The worker of a lane.
    Lane(Lane),
    /// The reporter to the Cabinet.
    Reporter,
}

impl Bell {
    /// Every bell.
    pub fn all() -> impl Iterator<Item = Self> {
        Lane::ALL.into_iter().map(Self::Lane).chain([Self::Reporter])
    }

    /// The name between replicas.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lane(lane) => lane.as_str(),
            Self::Reporter => "reporter",
        }
    }

    /// The bell of this name; none for that of a newer version.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|bell| bell.as_str() == name)
    }
}

/// One bell per lane and one for the reporter, and what the other replicas have yet to be told.
#[derive(Clone, Default)]
pub struct Wakers(Arc<Bells>);

#[derive(Default)]
struct Bells {
    lanes: [Notify; Lane::ALL.len()],
    reporter: Notify,
    channel: Option<Arc<dyn WakeChannel>>,
    untold: Mutex<BTreeSet<Bell>>,
    something_untold: Notify,
}

impl Wakers {
    /// Wakes the workers of other replicas too, through `channel`, while [`workers::run`](crate::workers::run) runs.
    pub fn shared(channel: Arc<dyn WakeChannel>) -> Self {
        Self(Arc::new(Bells {
            channel: Some(channel),
            ..Bells::default()
        }))
    }

    /// Something became due: wakes the worker here, and soon those of the other replicas.
    pub fn wake_all(&self, bell: Bell) {
        self.ring(bell);
        if self.0.channel.is_some() {
            self.untold().insert(bell);
            self.0.something_untold.notify_one();
        }
    }

    /// Wakes the worker of this process.
    pub fn ring(&self, bell: Bell) {
        self.bell(bell).notify_one();
    }

    /// Waits until the bell is rung.
    pub async fn rung(&self, bell: Bell) {
        self.bell(bell).notified().await;
    }

    /// Whether the bell was rung since somebody last noticed; does not wait.
    pub(crate) fn take_signal(&self, bell: Bell) -> bool {
        self.bell(bell).notified().now_or_never().is_some()
    }

    /// The way to the other replicas, if there is one.
    pub(crate) fn channel(&self) -> Option<Arc<dyn WakeChannel>> {
        self.0.channel.clone()
    }

    /// Waits until there is something to tell the other replicas.
    pub(crate) async fn something_untold(&self) {
        self.0.something_untold.notified().await;
    }

    /// Takes what the other replicas have yet to be told.
    pub(crate) fn take_untold(&self) -> Vec<Bell> {
        std::mem::take(&mut *self.untold()).into_iter().collect()
    }

    fn untold(&self) -> std::sync::MutexGuard<'_, BTreeSet<Bell>> {
        self.0.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bell(&self, bell: Bell) -> &Notify {
        match bell {
            Bell::Lane(lane) => {
                let index = Lane::ALL.iter().position(|known| *known == lane);
                // Every lane is in the list of all.
                &self.0.lanes[index.unwrap_or_default()]
            }
            Bell::Reporter => &self.0.reporter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bell_is_known_by_its_name() {
        for bell in Bell::all() {
            assert_eq!(Bell::named(bell.as_str()), Some(bell));
        }
        assert_eq!(Bell::named("of a newer version"), None);
    }

    #[tokio::test]
    async fn every_bell_wakes_its_own_worker() {
        let wakers = Wakers::default();
        for bell in Bell::all() {
            wakers.ring(bell);
        }
        for bell in Bell::all() {
            wakers.rung(bell).await;
        }
    }
}
