//! Watching HAProxy: when its memory must be compared with the disk, and repaired.

use dps_domain::with_causes;

use super::{Edge, Refusal};
use crate::runtime_api::{Process, RuntimeError, Status};

impl Edge {
    /// Compares from now on: what HAProxy has is no longer certain.
    pub(super) fn mark_unsynced(&mut self) {
        self.known = None;
        self.shared.change().in_sync = false;
    }

    /// Repairs HAProxy if it is another process than the one that was last compared, or has lost
    /// its certificates.
    pub(super) async fn ensure_known(&mut self) -> Result<(), Refusal> {
        let result = match self.is_same_process().await {
            Ok(true) => return Ok(()),
            Ok(false) => self.repair().await.inspect_err(|_| self.mark_unsynced()),
            Err(error) => {
                self.lost();
                Err(error.into())
            }
        };
        self.remember(result.as_ref().err().map(|refusal| with_causes(refusal)));
        result
    }

    /// The slow round: compares everything although HAProxy is the same process, because another
    /// client may have changed it.
    pub(super) async fn audit(&mut self) {
        let now = self.clock.now();
        let cleaned = self.on_disk(move |disk| {
            disk.clean_quarantine(now);
            Ok(disk.quarantined())
        });
        if let Ok(quarantined) = cleaned.await {
            self.shared.change().quarantined = quarantined;
        }
        if let Ok(true) = self.is_same_process().await {
            let result = self.repair().await.inspect_err(|_| self.mark_unsynced());
            self.remember(result.err().map(|refusal| with_causes(&refusal)));
        }
    }

    /// Keeps why HAProxy is not in line, for `/health`, and logs it once.
    fn remember(&self, problem: Option<String>) {
        let before = std::mem::replace(&mut self.shared.change().haproxy.problem, problem.clone());
        if let Some(problem) = problem.filter(|problem| before.as_ref() != Some(problem)) {
            tracing::warn!(%problem, "haproxy.repair_failed");
        }
    }

    /// Whether the known process still answers with our mark in its memory.
    async fn is_same_process(&mut self) -> Result<bool, RuntimeError> {
        let process = self.observe_process().await?;
        {
            let mut view = self.shared.change();
            view.haproxy.reachable = true;
            view.haproxy.pid = Some(process.pid);
            view.haproxy.version = Some(process.version.clone());
        }
        self.metrics.haproxy_up.set(1);
        self.count_restart(&process);
        let Some(known) = &self.known else {
            return Ok(false);
        };
        if process.stopping || !known.process.is_same(&process) {
            return Ok(false);
        }
        let sentinel = self.runtime.inspect(&known.sentinel).await?;
        Ok(sentinel.is_some_and(|state| state.status == Status::Empty))
    }

    /// Counts each process after the first one, also where what we knew of the one before was
    /// marked unsynced already.
    fn count_restart(&mut self, process: &Process) {
        if process.stopping || self.seen.as_ref().is_some_and(|seen| seen.is_same(process)) {
            return;
        }
        if let Some(before) = self.seen.replace(process.clone()) {
            tracing::info!(
                pid = process.pid,
                before = before.pid,
                "haproxy.process_changed"
            );
            self.metrics.haproxy_restarts.inc();
        }
    }

    fn lost(&mut self) {
        self.metrics.haproxy_up.set(0);
        let mut view = self.shared.change();
        view.in_sync = false;
        view.haproxy.reachable = false;
    }
}
