//! Wakes between the replicas of a run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dps_application::ports::WakeChannel;
use dps_application::ports::WakeSignal;
use dps_application::ports::store::StoreError;
use tokio::sync::Notify;

use crate::models::tally::locked;

/// Wake signals that were announced to each replica and that it has not received yet.
#[derive(Debug)]
pub struct Hub(Vec<Mailbox>);

#[derive(Debug, Default)]
struct Mailbox {
    signals: Mutex<BTreeSet<WakeSignal>>,
    filled: Notify,
}

impl Hub {
    /// A hub for this number of replicas.
    pub fn new(replicas: u32) -> Arc<Self> {
        Arc::new(Self((0..replicas).map(|_| Mailbox::default()).collect()))
    }

    /// The channel from the replica with this number to the others; `None` if there are no others.
    pub fn channel(self: &Arc<Self>, number: u32) -> Option<Arc<dyn WakeChannel>> {
        let (hub, number) = (Arc::clone(self), number as usize);
        (self.0.len() > 1).then(|| Arc::new(Seat { hub, number }) as Arc<dyn WakeChannel>)
    }
}

/// One replica's place at the hub.
#[derive(Debug)]
struct Seat {
    hub: Arc<Hub>,
    number: usize,
}

#[async_trait]
impl WakeChannel for Seat {
    async fn announce(&self, signals: &[WakeSignal]) -> Result<(), StoreError> {
        let others = self.hub.0.iter().enumerate();
        for (_, mailbox) in others.filter(|(number, _)| *number != self.number) {
            locked(&mailbox.signals).extend(signals);
            mailbox.filled.notify_one();
        }
        Ok(())
    }

    async fn heard(&self) -> Result<Vec<WakeSignal>, StoreError> {
        let mailbox = &self.hub.0[self.number];
        loop {
            let signals = std::mem::take(&mut *locked(&mailbox.signals));
            if !signals.is_empty() {
                return Ok(signals.into_iter().collect());
            }
            mailbox.filled.notified().await;
        }
    }
}
