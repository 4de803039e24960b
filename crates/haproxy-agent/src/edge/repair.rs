//! Bringing HAProxy's memory in line with the disk.

use std::collections::{BTreeMap, HashMap};

use dps_domain::{Hostname, with_causes};

use super::install::{serves, uninstall};
use super::{Edge, Known, Refusal};
use crate::random;
use crate::runtime_api::{ListEntry, RuntimeError, Status, StoreListing, StoreName};

/// What a repair did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repaired {
    pub(super) installed: u64,
    pub(super) removed: u64,
    pub(super) failed: u64,
}

impl Edge {
    /// Compares from now on: what HAProxy has is no longer certain.
    pub(super) fn doubt(&mut self) {
        self.known = None;
        self.shared.change().in_sync = false;
    }

    /// Makes sure that HAProxy is the process that we have brought in line; repairs it if it is a new one or has lost its memory.
    pub(super) async fn ensure_known(&mut self) -> Result<(), Refusal> {
        let result = match self.look().await {
            Ok(true) => return Ok(()),
            Ok(false) => self.repair().await.map(drop).inspect_err(|_| self.doubt()),
            Err(error) => {
                self.lost();
                Err(error.into())
            }
        };
        self.remember(result.as_ref().err().map(|refusal| with_causes(refusal)));
        result
    }

    /// Keeps why HAProxy is not in line, for `/health`, and logs it once.
    fn remember(&self, problem: Option<String>) {
        let before = std::mem::replace(&mut self.shared.change().haproxy.problem, problem.clone());
        if let Some(problem) = problem.filter(|problem| before.as_ref() != Some(problem)) {
            tracing::warn!(%problem, "HAProxy cannot be brought in line with the disk; trying again and again");
        }
    }

    /// Whether the process we know still answers with our mark in its memory.
    async fn look(&mut self) -> Result<bool, RuntimeError> {
        let process = self.runtime.process().await?;
        {
            let mut view = self.shared.change();
            view.haproxy.reachable = true;
            view.haproxy.pid = Some(process.pid);
            view.haproxy.version = Some(process.version.clone());
        }
        self.metrics.haproxy_up.set(1);
        let Some(known) = &self.known else {
            return Ok(false);
        };
        if process.stopping || !known.process.is_same(&process) {
            tracing::info!(
                pid = process.pid,
                before = known.process.pid,
                "HAProxy was restarted or reloaded"
            );
            self.metrics.haproxy_restarts.inc();
            return Ok(false);
        }
        let sentinel = self.runtime.inspect(&known.sentinel).await?;
        Ok(sentinel.is_some_and(|state| state.status == Status::Empty))
    }

    fn lost(&mut self) {
        self.metrics.haproxy_up.set(0);
        let mut view = self.shared.change();
        view.in_sync = false;
        view.haproxy.reachable = false;
    }

    /// Compares all of HAProxy's memory with the disk and mends the differences, one certificate after the other. A certificate that
    /// HAProxy refuses is logged and counted, and does not hold up the others.
    async fn repair(&mut self) -> Result<Repaired, Refusal> {
        let process = self.runtime.process().await?;
        if process.stopping {
            return Err(RuntimeError::Stopping.into());
        }
        let list = self.disk.list().clone();
        let entries = self.runtime.list_entries(&list).await?;
        let listing = self.runtime.stores().await?;
        self.abort_left_over(&listing).await?;
        let wanted = self.wanted()?;
        let mut done = Repaired::default();
        self.remove_strangers(&listing, &wanted, &mut done).await?;
        self.remove_duplicates(&entries).await?;
        self.install_missing(&entries, &wanted, &mut done).await?;
        self.mark(process, &listing).await?;
        {
            let mut view = self.shared.change();
            view.in_sync = done.failed == 0;
            view.last_repair_at = Some(self.clock.now());
        }
        self.metrics.repaired.inc_by(done.installed + done.removed);
        let (installed, removed, failed) = (done.installed, done.removed, done.failed);
        tracing::info!(
            certificates = wanted.len(),
            installed,
            removed,
            failed,
            "HAProxy serves what is on disk"
        );
        Ok(done)
    }

    fn wanted(&self) -> Result<BTreeMap<StoreName, Hostname>, Refusal> {
        let view = self.shared.view();
        let pair = |hostname: &Hostname| Ok((self.disk.store_name(hostname)?, hostname.clone()));
        view.held.keys().map(pair).collect()
    }

    async fn abort_left_over(&self, listing: &StoreListing) -> Result<(), Refusal> {
        if let Some(name) = listing
            .transaction
            .as_deref()
            .and_then(|name| StoreName::parse(name).ok())
        {
            tracing::warn!(%name, "aborting a certificate transaction that was left open");
            self.runtime.abort(&name).await?;
        }
        Ok(())
    }

    /// Certificates of ours that the disk does not have: removed while HAProxy was away, or never acknowledged.
    async fn remove_strangers(
        &self,
        listing: &StoreListing,
        wanted: &BTreeMap<StoreName, Hostname>,
        done: &mut Repaired,
    ) -> Result<(), Refusal> {
        let prefix = self.disk.store_prefix();
        for name in listing.names.iter().filter(|name| name.starts_with(&prefix)) {
            let Ok(name) = StoreName::parse(name) else {
                continue;
            };
            if !wanted.contains_key(&name) {
                uninstall(&self.runtime, self.disk.list(), &name).await?;
                done.removed += 1;
            }
        }
        Ok(())
    }

    /// Second lines of the same certificate, the last first so that the numbers stay right.
    async fn remove_duplicates(&self, entries: &[ListEntry]) -> Result<(), Refusal> {
        let prefix = self.disk.store_prefix();
        let mut seen = HashMap::new();
        let mut extra = Vec::new();
        for entry in entries.iter().filter(|entry| entry.name.starts_with(&prefix)) {
            if seen.insert(entry.name.as_str(), entry.line).is_some() {
                extra.push(entry);
            }
        }
        for entry in extra.into_iter().rev() {
            if let Ok(name) = StoreName::parse(&entry.name) {
                tracing::warn!(%name, line = entry.line, "a certificate is in the crt-list twice; removing the second line");
                self.runtime
                    .list_remove(self.disk.list(), &name, Some(entry.line))
                    .await?;
            }
        }
        Ok(())
    }

    async fn install_missing(
        &self,
        entries: &[ListEntry],
        wanted: &BTreeMap<StoreName, Hostname>,
        done: &mut Repaired,
    ) -> Result<(), Refusal> {
        let listed: std::collections::HashSet<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let names: Vec<_> = wanted.keys().cloned().collect();
        let states = self.runtime.inspect_all(&names).await?;
        for ((name, hostname), state) in wanted.iter().zip(states) {
            let held = self.shared.view().held.get(hostname).cloned();
            let is_served =
                held.is_some_and(|held| serves(state.as_ref(), &held)) && listed.contains(name.as_str());
            if is_served {
                continue;
            }
            match self.reinstall(name, hostname).await {
                Ok(()) => done.installed += 1,
                Err(refusal @ (Refusal::Runtime(RuntimeError::Refused { .. }) | Refusal::Disk(_))) => {
                    done.failed += 1;
                    tracing::error!(%hostname, reason = %with_causes(&refusal), "a certificate on disk cannot be served");
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Leaves a mark in this process's memory, and removes those that an agent before us left.
    async fn mark(
        &mut self,
        process: crate::runtime_api::Process,
        listing: &StoreListing,
    ) -> Result<(), Refusal> {
        let prefix = self.disk.sentinel_prefix();
        for name in listing.names.iter().filter(|name| name.starts_with(&prefix)) {
            if let Ok(name) = StoreName::parse(name) {
                self.runtime.delete(&name).await?;
            }
        }
        if let Some(sentinel) = self.disk.sentinel_name(&random::name()) {
            self.runtime.create(&sentinel).await?;
            self.known = Some(Known { process, sentinel });
        }
        Ok(())
    }
}
