//! Bringing HAProxy's memory in line with the disk.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use dps_domain::{Hostname, with_causes};
use tokio::time::Instant;

use super::install::{serves, uninstall};
use super::{Edge, KnownProcess, Refusal};
use crate::handshake::HandshakeError;
use crate::metrics::Drift;
use crate::random;
use crate::runtime_api::{
    ListEntry, Process, RuntimeError, Status, StoreListing, StoreName, StoreState,
};

/// The result of a repair.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repaired {
    pub(super) installed: u64,
    removed: u64,
    failed: u64,
}

/// Names whose handshake is checked in each comparison.
const SAMPLE: usize = 16;

impl Edge {
    /// Compares all of HAProxy's memory with the disk, and a sample by handshakes, and repairs the
    /// differences. If very many certificates are missing, it installs some now and the others
    /// between later jobs. A HAProxy that was just started has read everything from the disk
    /// itself, so there is nothing to send but what was applied meanwhile. A certificate that
    /// HAProxy refuses is logged and counted, and does not hold up the others.
    pub(super) async fn repair(&mut self) -> Result<(), Refusal> {
        self.verify_disk().await?;
        let give_up = Instant::now() + self.reload_timeout;
        let process = self.serving_process(give_up).await?;
        if process.stopping {
            return Err(RuntimeError::Stopping.into());
        }
        let list = self.disk.list().clone();
        let entries = self.runtime.list_entries(&list).await?;
        let listing = self.runtime.stores().await?;
        self.abort_left_over(&listing).await?;
        let wanted = self.wanted();
        let mut done = Repaired::default();
        self.remove_strangers(&listing, &wanted, &mut done).await?;
        self.remove_duplicates(&entries).await?;
        self.pending_restore = self.find_missing(&entries, &listing, &wanted).await?;
        self.bring_back_some(&mut done).await?;
        self.prove_sample(&wanted, &mut done).await?;
        self.mark(process, &listing).await?;
        {
            let mut view = self.shared.change();
            view.in_sync = self.pending_restore.is_empty() && view.not_served.is_empty();
            view.last_repair_at = Some(self.clock.now());
        }
        self.metrics.repaired.inc_by(done.installed + done.removed);
        let (installed, removed, failed, pending_restore) = (
            done.installed,
            done.removed,
            done.failed,
            self.pending_restore.len(),
        );
        tracing::info!(
            certificates = wanted.len(),
            installed,
            removed,
            failed,
            pending_restore,
            "haproxy.compared"
        );
        Ok(())
    }

    fn wanted(&self) -> BTreeMap<StoreName, Hostname> {
        let view = self.shared.view();
        let pair = |(hostname, held): (&Hostname, &crate::disk::Held)| {
            (held.name.clone(), hostname.clone())
        };
        view.held.iter().map(pair).collect()
    }

    async fn abort_left_over(&self, listing: &StoreListing) -> Result<(), Refusal> {
        if let Some(name) = listing
            .transaction
            .as_deref()
            .and_then(|name| StoreName::parse(name).ok())
        {
            tracing::warn!(%name, "haproxy.transaction_aborted");
            self.runtime.abort(&name).await?;
        }
        Ok(())
    }

    /// Certificates of ours that the disk does not have: removed while HAProxy was away, or never
    /// acknowledged.
    async fn remove_strangers(
        &self,
        listing: &StoreListing,
        wanted: &BTreeMap<StoreName, Hostname>,
        done: &mut Repaired,
    ) -> Result<(), Refusal> {
        let prefix = self.disk.store_prefix();
        for name in listing
            .names
            .iter()
            .filter(|name| name.starts_with(&prefix))
        {
            let Ok(name) = StoreName::parse(name) else {
                continue;
            };
            let is_orphan = self.shared.view().orphans.contains(&name);
            if !wanted.contains_key(&name) && !is_orphan {
                self.metrics.count_drift(Drift::Unwanted);
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
        for entry in entries
            .iter()
            .filter(|entry| entry.name.starts_with(&prefix))
        {
            if seen.insert(entry.name.as_str(), entry.line).is_some() {
                extra.push(entry);
            }
        }
        for entry in extra.into_iter().rev() {
            if let Ok(name) = StoreName::parse(&entry.name) {
                tracing::warn!(%name, line = entry.line, "haproxy.duplicate_removed");
                self.metrics.count_drift(Drift::Duplicate);
                self.runtime
                    .list_remove(self.disk.list(), &name, Some(entry.line))
                    .await?;
            }
        }
        Ok(())
    }

    /// The hostnames for which HAProxy does not have what it should.
    async fn find_missing(
        &self,
        entries: &[ListEntry],
        listing: &StoreListing,
        wanted: &BTreeMap<StoreName, Hostname>,
    ) -> Result<VecDeque<Hostname>, Refusal> {
        let listed: HashSet<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let stored: HashSet<_> = listing.names.iter().map(String::as_str).collect();
        let names: Vec<_> = wanted.keys().cloned().collect();
        let states = self.runtime.inspect_all(&names).await?;
        let mut missing = VecDeque::new();
        for ((name, hostname), state) in wanted.iter().zip(states) {
            let Some(held) = self.shared.view().held.get(hostname).cloned() else {
                continue;
            };
            if serves(state.as_ref(), &held) && listed.contains(name.as_str()) {
                continue;
            }
            let is_there = stored.contains(name.as_str());
            self.metrics.count_drift(kind_of(state.as_ref(), is_there));
            missing.push_back(hostname.clone());
        }
        let still: HashSet<_> = missing.iter().collect();
        let not_served = &mut self.shared.change().not_served;
        not_served.retain(|hostname| still.contains(hostname));
        Ok(missing)
    }

    /// Asks a sample of the hostnames for what they present. HAProxy may hold the right certificate
    /// and yet present another, such as one that an operator's list gives for the same name.
    async fn prove_sample(
        &self,
        wanted: &BTreeMap<StoreName, Hostname>,
        done: &mut Repaired,
    ) -> Result<(), Refusal> {
        for index in random::sample(wanted.len(), SAMPLE) {
            let Some((name, hostname)) = wanted.iter().nth(index) else {
                continue;
            };
            let held = self.shared.view().held.get(hostname).cloned();
            let is_due = !self.shared.view().not_served.contains(hostname)
                && !self.pending_restore.contains(hostname);
            let Some(held) = held.filter(|_| is_due) else {
                continue;
            };
            match self.prober.presented(hostname).await {
                Ok(presented) if presented == held.fingerprint => {}
                Ok(presented) => {
                    self.metrics.count_drift(Drift::Presented);
                    self.metrics.verify_failures.inc();
                    tracing::warn!(domain.hostname = %hostname, presented, "haproxy.precedence_corrected");
                    uninstall(&self.runtime, self.disk.list(), name).await?;
                    self.bring_back(name, hostname, done).await?;
                }
                // An address that does not answer says nothing about this one certificate, and will
                // not answer for the next.
                Err(error) => {
                    self.metrics.verify_failures.inc();
                    tracing::warn!(domain.hostname = %hostname, error = %with_causes(&error), "haproxy.handshake_failed");
                    if matches!(error, HandshakeError::TimedOut { .. }) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) async fn bring_back(
        &self,
        name: &StoreName,
        hostname: &Hostname,
        done: &mut Repaired,
    ) -> Result<(), Refusal> {
        match self.reinstall(name, hostname).await {
            Ok(()) => {
                done.installed += 1;
                self.shared.change().not_served.remove(hostname);
            }
            Err(refusal @ (Refusal::Runtime(RuntimeError::Refused { .. }) | Refusal::Disk(_))) => {
                done.failed += 1;
                self.shared.change().not_served.insert(hostname.clone());
                tracing::error!(domain.hostname = %hostname, reason = %with_causes(&refusal), "certificate.not_served");
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Leaves a mark in this process's memory, and removes those that an agent before us left.
    async fn mark(&mut self, process: Process, listing: &StoreListing) -> Result<(), Refusal> {
        let prefix = self.disk.sentinel_prefix();
        for name in listing
            .names
            .iter()
            .filter(|name| name.starts_with(&prefix))
        {
            if let Ok(name) = StoreName::parse(name) {
                self.runtime.delete(&name).await?;
            }
        }
        if let Some(sentinel) = self.disk.sentinel_name(&random::name()) {
            self.runtime.create(&sentinel).await?;
            self.known = Some(KnownProcess { process, sentinel });
        }
        Ok(())
    }
}

/// How what HAProxy has under a name differs from what it should have.
fn kind_of(state: Option<&StoreState>, is_stored: bool) -> Drift {
    match state {
        None if !is_stored => Drift::Missing,
        Some(state) if state.status == Status::Used => Drift::Replaced,
        None | Some(_) => Drift::Unlisted,
    }
}
