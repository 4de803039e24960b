//! Wakes workers early, here and in other replicas. An optimisation: the periodic pass is what
//! makes the service correct.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use dps_domain::Timestamp;
use dps_domain::lane::Lane;
use futures_util::FutureExt as _;
use tokio::sync::Notify;

use crate::ports::store::RecordWrite;
use crate::ports::wakes::{WakeChannel, WakeSignal};

/// One signal per lane and one for the reporter, and what is still unsent to the other replicas.
#[derive(Clone, Default)]
pub struct Waker(Arc<Signals>);

#[derive(Default)]
struct Signals {
    lanes: [Notify; Lane::ALL.len()],
    reporter: Notify,
    channel: Option<Arc<dyn WakeChannel>>,
    unsent: Mutex<BTreeSet<WakeSignal>>,
    something_unsent: Notify,
}

impl Waker {
    /// Wakes the workers of other replicas too, through `channel`, while
    /// [`workers::run`](crate::workers::run) runs.
    pub fn shared(channel: Arc<dyn WakeChannel>) -> Self {
        Self(Arc::new(Signals {
            channel: Some(channel),
            ..Signals::default()
        }))
    }

    /// Something became due: wakes the worker here, and soon those of the other replicas.
    pub fn notify_all(&self, signal: WakeSignal) {
        self.notify(signal);
        if self.0.channel.is_some() {
            self.unsent().insert(signal);
            self.0.something_unsent.notify_one();
        }
    }

    /// Wakes the worker of this process.
    pub fn notify(&self, signal: WakeSignal) {
        self.signal(signal).notify_one();
    }

    /// Waits for the signal.
    pub async fn wait(&self, signal: WakeSignal) {
        self.signal(signal).notified().await;
    }

    /// Whether a notification is pending, which this call consumes; does not wait.
    pub(crate) fn take_notified(&self, signal: WakeSignal) -> bool {
        self.signal(signal).notified().now_or_never().is_some()
    }

    /// The way to the other replicas, if there is one.
    pub(crate) fn channel(&self) -> Option<Arc<dyn WakeChannel>> {
        self.0.channel.clone()
    }

    /// Waits until there is something to send to the other replicas.
    pub(crate) async fn something_unsent(&self) {
        self.0.something_unsent.notified().await;
    }

    /// Takes the signals that are unsent to the other replicas.
    pub(crate) fn take_unsent(&self) -> Vec<WakeSignal> {
        std::mem::take(&mut *self.unsent()).into_iter().collect()
    }

    fn unsent(&self) -> std::sync::MutexGuard<'_, BTreeSet<WakeSignal>> {
        self.0.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: WakeSignal) -> &Notify {
        match signal {
            WakeSignal::Lane(lane) => {
                let index = Lane::ALL.iter().position(|known| *known == lane);
                // Every lane is in the list of all.
                &self.0.lanes[index.unwrap_or_default()]
            }
            WakeSignal::Reporter => &self.0.reporter,
        }
    }
}

/// The wake signals to send once a record is written.
pub(crate) struct Wakes {
    lane: Option<Lane>,
    reporter: bool,
}

impl Wakes {
    pub(crate) fn of(write: &RecordWrite, now: Timestamp) -> Self {
        let record = write.record();
        let due_now = record.next_attempt_at.is_some_and(|at| at <= now);
        Self {
            lane: record.lane().filter(|_| due_now),
            reporter: write.report.is_some(),
        }
    }

    /// The signal to the reporter alone.
    pub(crate) const fn of_report(write: &RecordWrite) -> Self {
        Self {
            lane: None,
            reporter: write.report.is_some(),
        }
    }

    pub(crate) fn notify(&self, waker: &Waker) {
        if let Some(lane) = self.lane {
            waker.notify_all(WakeSignal::Lane(lane));
        }
        if self.reporter {
            waker.notify_all(WakeSignal::Reporter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_signal_wakes_its_own_worker() {
        let waker = Waker::default();
        for signal in WakeSignal::all() {
            waker.notify(signal);
        }
        for signal in WakeSignal::all() {
            waker.wait(signal).await;
        }
    }
}
