//! Having certificates served, a burst at a time.
//!
//! Each certificate of a burst is independent. If one fails at any step, its previous state in
//! HAProxy and on disk is restored, and the others continue. Work with a fixed cost is done once
//! per burst: syncing the disk, the connection to HAProxy, the crt-list.

use std::sync::Arc;

use dps_agent_api::{Applied, ApplyOutcome, ProblemCode};
use dps_domain::{Hostname, with_causes};
use tokio::time::{Instant, sleep};

use super::install::{self, Proofs, serves};
use super::reload::REPLACEMENTS;
use super::{Candidate, Edge, Refusal};
use crate::crash_point::{self, Effect};
use crate::disk::{Disk, Held, Staged};
use crate::runtime_api::{Installation, Payload, RuntimeError, StoreName, StoreState};

/// The result for one certificate. A failure that several share is one value.
pub(crate) type Verdict = Result<Applied, Arc<Refusal>>;

/// One certificate on its way.
struct Item {
    candidate: Arc<Candidate>,
    previous: Option<Held>,
    need: Need,
    staged: Option<Staged>,
    /// HAProxy may hold something else than the disk.
    is_touched: bool,
    failure: Option<Arc<Refusal>>,
}

/// The work that a certificate needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// HAProxy and disk.
    Install,
    /// It is served already, but under an older generation: disk only.
    Remember,
    /// It is served already.
    Nothing,
}

impl Item {
    const fn is_open(&self) -> bool {
        self.failure.is_none()
    }

    fn fail(&mut self, refusal: impl Into<Arc<Refusal>>) {
        self.failure.get_or_insert(refusal.into());
    }

    fn verdict(self) -> Verdict {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let outcome = match (self.need, &self.previous) {
            (Need::Install, None) => ApplyOutcome::Created,
            (Need::Install, Some(_)) => ApplyOutcome::Replaced,
            (Need::Remember | Need::Nothing, _) => ApplyOutcome::Unchanged,
        };
        let wanted = &self.candidate.wanted;
        Ok(Applied {
            hostname: self.candidate.hostname().clone(),
            fingerprint: wanted.fingerprint.clone(),
            generation: wanted.generation,
            not_after: wanted.not_after,
            outcome,
        })
    }
}

/// The same failure for all that have none yet.
fn fail_open(items: &mut [Item], refusal: impl Into<Arc<Refusal>>) {
    let refusal = refusal.into();
    for item in items.iter_mut().filter(|item| item.is_open()) {
        item.fail(Arc::clone(&refusal));
    }
}

/// The places of those that still need this.
fn open(items: &[Item], needs: &[Need]) -> Vec<usize> {
    let wanted = |item: &Item| item.is_open() && needs.contains(&item.need);
    (0..items.len())
        .filter(|index| wanted(&items[*index]))
        .collect()
}

impl Edge {
    /// Stages the certificates on disk, has HAProxy take them, reads them back, proves each by a
    /// handshake, publishes them on disk, waits for reloads. After a refusal at any step but the
    /// last the one before is still served and on disk. The hostnames must differ; the verdicts
    /// come in the order of the candidates.
    pub(super) async fn apply_all(&mut self, candidates: Vec<Candidate>) -> Vec<Verdict> {
        let mut items = self.judge(candidates);
        if items.iter().any(Item::is_open)
            && let Err(refusal) = self.ensure_known().await
        {
            fail_open(&mut items, refusal);
        }
        if let Err(error) = self.recognise(&mut items).await {
            fail_open(&mut items, Refusal::from(error));
        }
        self.stage(&mut items).await;
        self.install(&mut items).await;
        self.publish(&mut items).await;
        self.take_back(&mut items).await;
        if items.iter().any(|item| item.is_open() || item.is_touched) {
            self.confirm_process(&mut items).await;
        }
        items.into_iter().map(Item::verdict).collect()
    }

    /// Refuses what is older than what is held or was removed, and what there is no room for.
    fn judge(&self, candidates: Vec<Candidate>) -> Vec<Item> {
        let view = self.shared.view();
        let mut room = self.max_certificates.saturating_sub(view.held.len());
        let mut items = Vec::with_capacity(candidates.len());
        for mut candidate in candidates {
            let previous = view.held.get(candidate.hostname()).cloned();
            let checked = match &previous {
                Some(held) => candidate.check_order(held),
                None => self.check_new(&candidate, &mut room),
            };
            let same = |held: &&Held| held.is_same_chain(&candidate.wanted);
            if let Some(generation) = previous.as_ref().filter(same).map(|held| held.generation) {
                candidate.raise_generation(generation);
            }
            items.push(Item {
                candidate: Arc::new(candidate),
                previous,
                need: Need::Install,
                staged: None,
                is_touched: false,
                failure: checked.err().map(Arc::new),
            });
        }
        items
    }

    fn check_new(&self, candidate: &Candidate, room: &mut usize) -> Result<(), Refusal> {
        if let Some(tombstone) = self.removed.get(candidate.hostname()) {
            candidate.check_removal(*tombstone)?;
        }
        if *room == 0 {
            let detail = format!(
                "the agent holds {} certificates, which is its limit; raise Agent:MaxCertificates",
                self.max_certificates
            );
            let code = ProblemCode::CapacityExhausted;
            return Err(Refusal::request(code, "hostname", detail));
        }
        *room -= 1;
        Ok(())
    }

    /// Finds those that HAProxy has and presents already.
    async fn recognise(&self, items: &mut [Item]) -> Result<(), RuntimeError> {
        let is_held = |item: &Item| {
            let wanted = &item.candidate.wanted;
            item.previous
                .as_ref()
                .is_some_and(|held| held.is_same_chain(wanted))
        };
        let mut same = open(items, &[Need::Install]);
        same.retain(|index| is_held(&items[*index]));
        let names: Vec<_> = same
            .iter()
            .map(|index| items[*index].candidate.name().clone())
            .collect();
        let mut proofs = Proofs::new(self.prober.clone(), 1);
        for (index, state) in same
            .into_iter()
            .zip(self.runtime.inspect_all(&names).await?)
        {
            if serves(state.as_ref(), &items[index].candidate.wanted) {
                proofs.begin(index, &items[index].candidate);
            }
        }
        for (index, proof) in proofs.finish().await {
            let item = &mut items[index];
            let held = item.previous.as_ref().map(|held| held.generation);
            item.need = match proof {
                Ok(()) if held == Some(item.candidate.wanted.generation) => Need::Nothing,
                Ok(()) => Need::Remember,
                Err(_) => Need::Install,
            };
        }
        Ok(())
    }

    /// Writes the files, out of HAProxy's sight.
    async fn stage(&self, items: &mut [Item]) {
        let places = open(items, &[Need::Install, Need::Remember]);
        if places.is_empty() {
            return;
        }
        let candidates: Vec<_> = places
            .iter()
            .map(|index| Arc::clone(&items[*index].candidate))
            .collect();
        let staged = self
            .on_disk(move |disk| {
                disk.stage_all(candidates.iter().map(|candidate| &candidate.stored))
            })
            .await;
        match staged {
            Ok(staged) => {
                for (index, result) in places.into_iter().zip(staged) {
                    match result {
                        Ok(staged) => items[index].staged = Some(staged),
                        Err(error) => items[index].fail(Refusal::from(error)),
                    }
                }
            }
            Err(error) => fail_open(items, Refusal::from(error)),
        }
    }

    /// HAProxy takes the certificates, says so when asked, and presents them.
    async fn install(&self, items: &mut [Item]) {
        let places = open(items, &[Need::Install]);
        if places.is_empty() {
            return;
        }
        crash_point::before(Effect::CertificateInstall);
        let mut proofs = Proofs::new(self.prober.clone(), install::ATTEMPTS);
        match self.install_piped(items, &places, &mut proofs).await {
            Ok(left) => {
                for index in left {
                    self.install_alone(index, &mut items[index], &mut proofs)
                        .await;
                }
            }
            Err(error) => {
                let refusal = Arc::new(Refusal::from(error));
                for index in places {
                    if items[index].is_open() && !proofs.has(index) {
                        items[index].fail(Arc::clone(&refusal));
                    }
                }
            }
        }
        crash_point::after(Effect::CertificateInstall);
        crash_point::before(Effect::CertificateProve);
        for (index, proof) in proofs.finish().await {
            if let Err(detail) = proof {
                self.metrics.verify_failures.inc();
                items[index].fail(Refusal::Mismatch { detail });
            }
        }
        crash_point::after(Effect::CertificateProve);
    }

    /// Sends all of them over one connection, and begins to prove each as soon as HAProxy says that
    /// it has it. Gives those that met somebody else's work on HAProxy's certificates and deserve
    /// another attempt.
    async fn install_piped(
        &self,
        items: &mut [Item],
        places: &[usize],
        proofs: &mut Proofs,
    ) -> Result<Vec<usize>, RuntimeError> {
        let candidates: Vec<_> = places
            .iter()
            .map(|index| Arc::clone(&items[*index].candidate))
            .collect();
        let names: Vec<_> = candidates
            .iter()
            .map(|candidate| candidate.name().clone())
            .collect();
        let states = self.runtime.inspect_all(&names).await?;
        let installations: Vec<_> = candidates
            .iter()
            .zip(&states)
            .map(|(candidate, state)| Installation {
                name: candidate.name(),
                payload: &candidate.payload,
                sni: candidate.hostname(),
                is_new: state.is_none(),
                is_listed: install::is_served(state.as_ref()),
            })
            .collect();
        let mut left = Vec::new();
        for index in places {
            items[*index].is_touched = true;
        }
        let seen = |nth: usize, result: Result<Option<StoreState>, RuntimeError>| {
            let index = places[nth];
            match result {
                Ok(state) => begin_proof(index, &mut items[index], state.as_ref(), proofs),
                Err(RuntimeError::Locked | RuntimeError::ForeignTransaction { .. }) => {
                    left.push(index);
                }
                Err(error) => items[index].fail(Refusal::from(error)),
            }
        };
        let list = self.disk.list();
        self.runtime.install_all(list, &installations, seen).await?;
        Ok(left)
    }

    /// The same with an answer awaited to every command, and with timeout for others.
    async fn install_alone(&self, index: usize, item: &mut Item, proofs: &mut Proofs) {
        let candidate = Arc::clone(&item.candidate);
        let (name, sni) = (candidate.name(), candidate.hostname());
        let list = self.disk.list();
        let installed =
            install::install(&self.runtime, list, name, (sni, &candidate.payload)).await;
        let state = match installed {
            Ok(()) => self.runtime.inspect(name).await,
            Err(error) => Err(error),
        };
        match state {
            Ok(state) => begin_proof(index, item, state.as_ref(), proofs),
            Err(error) => item.fail(Refusal::from(error)),
        }
    }

    /// Puts the files where a starting HAProxy finds them, and the new hostnames into the crt-list.
    async fn publish(&self, items: &mut [Item]) {
        let places = open(items, &[Need::Install, Need::Remember]);
        let staged: Vec<_> = places
            .iter()
            .filter_map(|index| items[*index].staged.take())
            .collect();
        if staged.is_empty() {
            return;
        }
        let mut stamps = Vec::with_capacity(places.len());
        match self.on_disk(move |disk| disk.publish_all(&staged)).await {
            Ok(results) => {
                for (index, result) in places.iter().zip(results) {
                    match result {
                        Ok(stamp) => stamps.push((*index, stamp)),
                        Err(error) => items[*index].fail(Refusal::from(error)),
                    }
                }
            }
            Err(error) => {
                let refusal = Arc::new(Refusal::from(error));
                for index in &places {
                    items[*index].fail(Arc::clone(&refusal));
                }
            }
        }
        {
            let mut view = self.shared.change();
            for (index, stamp) in stamps {
                let candidate = &items[index].candidate;
                let held = Held {
                    stamp: Some(stamp),
                    ..candidate.wanted.clone()
                };
                view.not_served.remove(candidate.hostname());
                view.orphans.remove(candidate.name());
                view.held.insert(candidate.hostname().clone(), held);
            }
        }
        self.list(items, &places).await;
    }

    /// Puts the new hostnames into the crt-list, and makes sure that a load which begins from now
    /// on finds all that was published.
    async fn list(&self, items: &mut [Item], places: &[usize]) {
        let is_new = |index: &usize| items[*index].is_open() && items[*index].previous.is_none();
        let (new, listed): (Vec<_>, Vec<_>) = places.iter().copied().partition(is_new);
        if new.is_empty() && !self.disk.is_list_opened() {
            return;
        }
        let Err(error) = self.renew_list().await else {
            return;
        };
        let refusal = Arc::new(Refusal::from(error));
        // They are published; whether a load under way has them is not known.
        for index in listed {
            items[index].fail(Arc::clone(&refusal));
        }
        let mut names = Vec::new();
        for index in new {
            self.shared
                .change()
                .held
                .remove(items[index].candidate.hostname());
            names.push(items[index].candidate.name().clone());
            items[index].fail(Arc::clone(&refusal));
        }
        // Unlisted, they harm nothing; the next start sets aside what is left.
        self.on_disk(move |disk| disk.delete_all(names.iter()))
            .await
            .ok();
    }

    /// Puts back what was served before, which is what the disk holds, wherever something failed.
    /// Why is logged with the refusal.
    async fn take_back(&mut self, items: &mut [Item]) {
        for item in items.iter_mut().filter(|item| !item.is_open()) {
            if let Some(staged) = item.staged.take() {
                Disk::discard(&staged);
            }
        }
        for item in items
            .iter()
            .filter(|item| !item.is_open() && item.is_touched)
        {
            let (name, hostname) = (item.candidate.name(), item.candidate.hostname());
            if self.shared.view().orphans.contains(name) {
                // Nobody has what was served before but HAProxy itself: it keeps what it has.
                continue;
            }
            let restored = match &item.previous {
                Some(_) => self.reinstall(name, hostname).await,
                None => install::uninstall(&self.runtime, self.disk.list(), name)
                    .await
                    .map_err(Refusal::from),
            };
            if let Err(refusal) = restored {
                tracing::warn!(%hostname, reason = %with_causes(&refusal), "apply.rollback_failed");
                self.mark_unsynced();
                // A HAProxy that does not answer for one does not answer for the others either.
                return;
            }
        }
    }

    /// Has HAProxy serve what the disk holds for a hostname.
    pub(super) async fn reinstall(
        &self,
        name: &StoreName,
        hostname: &Hostname,
    ) -> Result<(), Refusal> {
        let wanted = self.shared.view().held.get(hostname).cloned();
        if let Some(held) = wanted.as_ref()
            && serves(self.runtime.inspect(name).await?.as_ref(), held)
        {
            return Ok(());
        }
        let wanted = hostname.clone();
        let stored = self.on_disk(move |disk| disk.read(&wanted)).await?;
        let payload = Payload::new(&stored.chain, &stored.key);
        install::install(&self.runtime, self.disk.list(), name, (hostname, &payload)).await?;
        Ok(())
    }

    /// Acknowledges nothing that the process which serves now, or takes over soon, does not have. A
    /// HAProxy that was started meanwhile may have read the disk before the publication. Missing
    /// certificates are installed and proven again. A certificate that is refused here is
    /// published; the next try finds it.
    async fn confirm_process(&mut self, items: &mut [Item]) {
        let give_up = Instant::now() + self.reload_timeout;
        for _ in 0..REPLACEMENTS {
            if items.iter().any(Item::is_open)
                && let Err(error) = self.wait_for_reloads(give_up).await
            {
                fail_open(items, Refusal::from(error));
                return;
            }
            if self.is_known_process().await {
                return;
            }
            self.mark_unsynced();
            match self.ensure_known().await {
                Ok(()) => self.prove_again(items).await,
                // The old worker still answers, and the new one will in a moment.
                Err(Refusal::Runtime(RuntimeError::Stopping)) => sleep(install::PAUSE).await,
                // Nobody serves; whoever starts next reads what is published.
                Err(refusal) => {
                    tracing::warn!(reason = %with_causes(&refusal), "haproxy.lost_during_apply");
                    return;
                }
            }
        }
        fail_open(items, Refusal::from(RuntimeError::Stopping));
    }

    /// Whether the process that answers is the one that was brought in line, and goes on serving.
    async fn is_known_process(&self) -> bool {
        match self.observe_process().await {
            Ok(process) => {
                let known = self.known.as_ref();
                !process.stopping && known.is_some_and(|known| known.process.is_same(&process))
            }
            // It is there and busy.
            Err(RuntimeError::Locked) => true,
            Err(_) => false,
        }
    }

    /// Proves all that is to be acknowledged once more, after installing what is lacking.
    async fn prove_again(&mut self, items: &mut [Item]) {
        let mut proofs = Proofs::new(self.prober.clone(), install::ATTEMPTS);
        for item in items
            .iter_mut()
            .enumerate()
            .filter(|(_, item)| item.is_open())
        {
            let (index, item) = item;
            let candidate = Arc::clone(&item.candidate);
            match self.reinstall(candidate.name(), candidate.hostname()).await {
                Ok(()) => proofs.begin(index, &candidate),
                Err(refusal) => item.fail(refusal),
            }
        }
        for (index, proof) in proofs.finish().await {
            if let Err(detail) = proof {
                self.metrics.verify_failures.inc();
                items[index].fail(Refusal::Mismatch { detail });
            }
        }
    }
}

fn begin_proof(index: usize, item: &mut Item, state: Option<&StoreState>, proofs: &mut Proofs) {
    if serves(state, &item.candidate.wanted) {
        proofs.begin(index, &item.candidate);
    } else {
        let hostname = item.candidate.hostname();
        let detail = format!("after the commit HAProxy shows {state:?} for {hostname}");
        item.fail(Refusal::Mismatch { detail });
    }
}
