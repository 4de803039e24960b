//! One certificate of a burst on its way.

use std::sync::Arc;

use dps_agent_api::{Applied, ApplyOutcome};

use super::super::{Candidate, Refusal};
use crate::disk::{Held, Staged};

/// The result for one certificate. A failure that several share is one value.
pub(crate) type Verdict = Result<Applied, Arc<Refusal>>;

/// One certificate on its way.
pub(super) struct Item {
    pub(super) candidate: Arc<Candidate>,
    pub(super) previous: Option<Held>,
    pub(super) need: Need,
    pub(super) staged: Option<Staged>,
    /// HAProxy may hold something else than the disk.
    pub(super) is_touched: bool,
    pub(super) failure: Option<Arc<Refusal>>,
}

/// The work that a certificate needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// HAProxy and disk.
    Install,
    /// It is served already, but under an older generation: disk only.
    Remember,
    /// It is served already.
    Nothing,
}

impl Item {
    pub(super) const fn is_open(&self) -> bool {
        self.failure.is_none()
    }

    pub(super) fn fail(&mut self, refusal: impl Into<Arc<Refusal>>) {
        self.failure.get_or_insert(refusal.into());
    }

    pub(super) fn verdict(self) -> Verdict {
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
pub(super) fn fail_open(items: &mut [Item], refusal: impl Into<Arc<Refusal>>) {
    let refusal = refusal.into();
    for item in items.iter_mut().filter(|item| item.is_open()) {
        item.fail(Arc::clone(&refusal));
    }
}

/// The places of those that still need this.
pub(super) fn open(items: &[Item], needs: &[Need]) -> Vec<usize> {
    let wanted = |item: &Item| item.is_open() && needs.contains(&item.need);
    (0..items.len())
        .filter(|index| wanted(&items[*index]))
        .collect()
}
