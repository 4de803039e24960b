//! Having certificates served, a burst at a time.
//!
//! Each certificate of a burst is independent. If one fails at any step, its previous state in
//! HAProxy and on disk is restored, and the others continue. Work with a fixed cost is done once
//! per burst: syncing the disk, the connection to HAProxy, the crt-list.

mod confirm;
mod install;
mod item;
mod publish;
mod roll_back;

use std::sync::Arc;

use dps_agent_api::ProblemCode;

use super::install::{Proofs, serves};
use super::{Candidate, Edge, Refusal};
use crate::disk::Held;
use crate::runtime_api::RuntimeError;
pub(crate) use item::Verdict;
use item::{Item, Need, fail_open, open};

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
}
