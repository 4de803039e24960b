//! Waiting for reloads that began before a change of the disk was complete.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Edge;
use crate::disk::LoadState;
use crate::runtime_api::{Process, RuntimeError};

/// Replacements of HAProxy during one burst that are followed; after more, the callers try again.
pub(super) const REPLACEMENTS: usize = 5;

/// Time between two polls of a reload.
const PAUSE: Duration = Duration::from_millis(20);

/// Answers of one process in a row, each over a connection of its own, after which no other process
/// is taken to accept connections.
const ANSWERS: usize = 8;

impl Edge {
    /// Asks HAProxy which process serves, after noting how far it is with loading.
    pub(super) async fn observe_process(&self) -> Result<Process, RuntimeError> {
        self.observe_loads();
        let answer = self.runtime.process().await;
        if answer.as_ref().is_err_and(RuntimeError::is_refusal) {
            self.disk.observe_refusal();
        }
        let process = answer?;
        if !process.stopping {
            self.disk.observe_process(&process);
        }
        Ok(process)
    }

    fn observe_loads(&self) {
        self.disk.observe_loads(self.certificates());
        let is_watched = self.disk.is_list_watched();
        self.metrics.crt_list_watched.set(i64::from(is_watched));
    }

    /// Waits until no worker can take over that read the disk before the crt-list was last written.
    /// Either it has taken over, or its load ended long enough ago.
    pub(super) async fn wait_for_reloads(&self, give_up: Instant) -> Result<(), RuntimeError> {
        self.observe_loads();
        if self.load_state() == LoadState::Over {
            return Ok(());
        }
        self.metrics.reload_waits.inc();
        tracing::debug!("haproxy.reload_awaited");
        while Instant::now() < give_up {
            // A HAProxy that does not answer has not taken over yet.
            self.observe_process().await.ok();
            if self.load_state() == LoadState::Over && self.settled_process(give_up).await.is_ok() {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        Err(RuntimeError::Stopping)
    }

    /// Returns the process that serves, once no other does. While a worker takes over, both accept
    /// connections from the sockets that they share, and either may answer.
    pub(super) async fn settled_process(&self, give_up: Instant) -> Result<Process, RuntimeError> {
        let mut process = self.observe_process().await?;
        let mut answers = 1;
        loop {
            if process.stopping || Instant::now() >= give_up {
                return Err(RuntimeError::Stopping);
            }
            if answers >= ANSWERS {
                return Ok(process);
            }
            sleep(PAUSE).await;
            let next = self.observe_process().await?;
            answers = if next.is_same(&process) {
                answers + 1
            } else {
                1
            };
            process = next;
        }
    }

    /// Returns the process that serves: the known one, or the one that has taken over from it.
    pub(super) async fn serving_process(&self, give_up: Instant) -> Result<Process, RuntimeError> {
        let process = self.observe_process().await?;
        match &self.known {
            Some(known) if known.process.is_same(&process) => Ok(process),
            _ => self.settled_process(give_up).await,
        }
    }

    fn load_state(&self) -> LoadState {
        self.disk.load_state(self.reload_grace, self.certificates())
    }

    fn certificates(&self) -> usize {
        self.shared.view().held.len()
    }
}
