//! Acknowledging only what the process that serves has.

use std::sync::Arc;

use dps_domain::with_causes;
use tokio::time::{Instant, sleep};

use super::super::install::{self, Proofs};
use super::super::reload::REPLACEMENTS;
use super::super::{Edge, Refusal};
use super::item::{Item, fail_open};
use crate::runtime_api::RuntimeError;

impl Edge {
    /// Acknowledges nothing that the process which serves now, or takes over soon, does not have. A
    /// HAProxy that was started meanwhile may have read the disk before the publication. Missing
    /// certificates are installed and proven again. A certificate that is refused here is
    /// published; the next try finds it.
    pub(super) async fn confirm_process(&mut self, items: &mut [Item]) {
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
                // No process serves; the next one reads what is published.
                Err(refusal) => {
                    tracing::warn!(reason = %with_causes(&refusal), "haproxy.lost_during_apply");
                    return;
                }
            }
        }
        fail_open(items, Refusal::from(RuntimeError::Stopping));
    }

    /// Whether the process that answers is the one that was brought in line, and keeps serving.
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
