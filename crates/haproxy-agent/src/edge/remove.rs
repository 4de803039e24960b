//! Having hostnames served no more.

use std::sync::Arc;

use dps_domain::Hostname;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use super::install::{self, uninstall};
use super::job_span;
use super::refusal::check_generation;
use super::reload::REPLACEMENTS;
use super::{Edge, Refusal};
use crate::crash_point::{self, Effect};
use crate::disk::{DiskError, Held, Tombstone, prune};
use crate::runtime_api::{Process, RuntimeError};

/// A hostname that shall be served no more.
#[derive(Debug)]
pub(crate) struct Removal {
    pub(super) hostname: Hostname,
    /// The newest generation that the caller knows of. A newer one stays: the removal was under way
    /// for long.
    up_to: Option<u64>,
}

impl Removal {
    pub(crate) fn new(hostname: Hostname, up_to: Option<u64>) -> Result<Self, Refusal> {
        up_to.map_or(Ok(()), check_generation)?;
        Ok(Self { hostname, up_to })
    }

    fn check_order(&self, held: &Held) -> Result<(), Refusal> {
        match self.up_to {
            Some(up_to) if up_to < held.generation => {
                let (generation, hostname) = (held.generation, &self.hostname);
                let what_is = format!("generation {generation} of {hostname} is held");
                Err(Refusal::stale(&what_is, up_to))
            }
            _ => Ok(()),
        }
    }
}

impl Edge {
    /// Takes the hostnames out of the crt-list first, so that no restart brings them back, then out
    /// of HAProxy, then deletes their keys. Idempotent: `Ok` means that HAProxy does not have it. A
    /// removal is remembered with its generation, so that an older apply that comes late is
    /// refused. A hostname that is held by a newer generation than the caller knows of stays as it
    /// is.
    pub(super) async fn remove_all(
        &mut self,
        removals: &[Removal],
    ) -> Vec<Result<(), Arc<Refusal>>> {
        let mut results = self.judge_removals(removals);
        let is_wanted: Vec<_> = results.iter().map(Result::is_ok).collect();
        let pairs = removals.iter().zip(&is_wanted);
        let wanted: Vec<_> = pairs
            .filter_map(|(removal, is_wanted)| is_wanted.then_some(removal))
            .collect();
        let give_up = Instant::now() + self.reload_timeout;
        let serving = self.serving_process(give_up).await.ok();
        if let Err(error) = self.forget(&wanted).await {
            fail_all(&mut results, Refusal::from(error));
            return results;
        }
        self.take_all_out(removals, &mut results).await;
        // A load under way stops at a listed file that is missing, so the reload would fail.
        if let Err(error) = self.outlast_reloads(serving, removals, &mut results).await {
            fail_all(&mut results, Refusal::from(error));
            return results;
        }
        if let Err(error) = self.delete_keys(&wanted).await {
            fail_all(&mut results, Refusal::from(error));
        }
        results
    }

    /// Takes those out of HAProxy that nothing speaks against.
    async fn take_all_out(
        &mut self,
        removals: &[Removal],
        results: &mut [Result<(), Arc<Refusal>>],
    ) {
        let mut unanswered = None;
        for (removal, result) in removals.iter().zip(results) {
            if result.is_err() {
                continue;
            }
            if let Some(refusal) = &unanswered {
                *result = Err(Arc::clone(refusal));
                continue;
            }
            *result = self.take_out(&removal.hostname).await.map_err(Arc::new);
            if let Err(refusal) = &*result {
                self.mark_unsynced();
                // A HAProxy that does not answer for one does not answer for the others either; the
                // next repair removes them.
                unanswered =
                    Some(Arc::clone(refusal)).filter(|refusal| !refusal.is_of_one_certificate());
            }
        }
    }

    /// Takes the hostnames out of every process that takes over with what it read before they left
    /// the crt-list.
    async fn outlast_reloads(
        &mut self,
        mut serving: Option<Process>,
        removals: &[Removal],
        results: &mut [Result<(), Arc<Refusal>>],
    ) -> Result<(), RuntimeError> {
        let give_up = Instant::now() + self.reload_timeout;
        for _ in 0..REPLACEMENTS {
            self.wait_for_reloads(give_up).await?;
            match self.observe_process().await {
                Ok(process) if process.stopping => sleep(install::PAUSE).await,
                Ok(process)
                    if serving
                        .as_ref()
                        .is_some_and(|serving| serving.is_same(&process)) =>
                {
                    return Ok(());
                }
                Ok(process) => {
                    self.take_all_out(removals, results).await;
                    serving = Some(process);
                }
                // No process serves; the next one reads a list without them.
                Err(_) => return Ok(()),
            }
        }
        Err(RuntimeError::Stopping)
    }

    /// Refuses what is older than what is held.
    fn judge_removals(&self, removals: &[Removal]) -> Vec<Result<(), Arc<Refusal>>> {
        let view = self.shared.view();
        let judge = |removal: &Removal| match view.held.get(&removal.hostname) {
            Some(held) => removal.check_order(held).map_err(Arc::new),
            None => Ok(()),
        };
        removals.iter().map(judge).collect()
    }

    async fn take_out(&self, hostname: &Hostname) -> Result<(), Refusal> {
        let name = self.disk.store_name(hostname)?;
        crash_point::before(Effect::CertificateUninstall);
        uninstall(&self.runtime, self.disk.list(), &name)
            .instrument(job_span(hostname))
            .await?;
        crash_point::after(Effect::CertificateUninstall);
        Ok(())
    }

    /// Takes the hostnames out of the inventory and the crt-list, durably.
    async fn forget(&mut self, removals: &[&Removal]) -> Result<(), DiskError> {
        let notes: Vec<_> = removals
            .iter()
            .filter_map(|removal| self.note_of(removal))
            .collect();
        let held: Vec<(Hostname, Held)> = {
            let mut view = self.shared.change();
            let forget = |removal: &&Removal| {
                view.not_served.remove(&removal.hostname);
                // Its remains in HAProxy are removed as well.
                if let Ok(name) = self.disk.store_name(&removal.hostname) {
                    view.orphans.remove(&name);
                }
                Some((
                    removal.hostname.clone(),
                    view.held.remove(&removal.hostname)?,
                ))
            };
            removals.iter().filter_map(forget).collect()
        };
        if !notes.is_empty()
            && let Err(error) = self.note_removals(notes).await
        {
            let mut view = self.shared.change();
            for (hostname, held) in held {
                view.held.insert(hostname, held);
            }
            return Err(error);
        }
        Ok(())
    }

    async fn delete_keys(&self, removals: &[&Removal]) -> Result<(), DiskError> {
        let names = removals
            .iter()
            .map(|removal| self.disk.store_name(&removal.hostname))
            .collect::<Result<Vec<_>, _>>()?;
        self.on_disk(move |disk| disk.delete_all(names.iter()))
            .await
    }

    /// The removal to remember. Its generation is the held one, or the newer one that the caller
    /// names, since older applies may still be under way. Nothing where nothing changes by it.
    fn note_of(&self, removal: &Removal) -> Option<(Hostname, u64)> {
        let hostname = &removal.hostname;
        if let Some(held) = self.shared.view().held.get(hostname) {
            return Some((
                hostname.clone(),
                held.generation.max(removal.up_to.unwrap_or(0)),
            ));
        }
        let before = self
            .removed
            .get(hostname)
            .map(|tombstone| tombstone.generation);
        let up_to = removal
            .up_to
            .filter(|up_to| before.is_none_or(|before| before < *up_to))?;
        Some((hostname.clone(), up_to))
    }

    async fn note_removals(&mut self, notes: Vec<(Hostname, u64)>) -> Result<(), DiskError> {
        let now = self.clock.now();
        let mut removed = self.removed.clone();
        for (hostname, generation) in notes {
            let tombstone = Tombstone {
                generation,
                removed_at: now,
            };
            removed.insert(hostname, tombstone);
        }
        prune(&mut removed, now);
        let written = removed.clone();
        crash_point::before(Effect::TombstoneWrite);
        self.on_disk(move |disk| disk.write_tombstones(&written))
            .await?;
        crash_point::after(Effect::TombstoneWrite);
        self.removed = removed;
        self.renew_list().await
    }
}

/// The same failure for all that have none yet.
fn fail_all(results: &mut [Result<(), Arc<Refusal>>], refusal: Refusal) {
    let refusal = Arc::new(refusal);
    for result in results.iter_mut().filter(|result| result.is_ok()) {
        *result = Err(Arc::clone(&refusal));
    }
}
