//! Putting back what was served before.

use dps_domain::{Hostname, with_causes};
use tracing::Instrument as _;

use super::super::install::{self, Certificate, serves};
use super::super::{Edge, Refusal, job_span};
use super::item::Item;
use crate::disk::Disk;
use crate::runtime_api::{Payload, StoreName};

impl Edge {
    /// Puts back what was served before, which is what the disk holds, wherever something failed.
    /// Why is logged with the refusal.
    pub(super) async fn take_back(&mut self, items: &mut [Item]) {
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
                // Only HAProxy itself has what was served before: it keeps what it has.
                continue;
            }
            let restored = match &item.previous {
                Some(_) => self.reinstall(name, hostname).await,
                None => install::uninstall(&self.runtime, self.disk.list(), name)
                    .instrument(job_span(hostname))
                    .await
                    .map_err(Refusal::from),
            };
            if let Err(refusal) = restored {
                tracing::warn!(domain.hostname = %hostname, reason = %with_causes(&refusal), "apply.rollback_failed");
                self.mark_unsynced();
                // A HAProxy that does not answer for one does not answer for the others either.
                return;
            }
        }
    }

    /// Has HAProxy serve what the disk holds for a hostname.
    pub(in crate::edge) async fn reinstall(
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
        let certificate = Certificate {
            name,
            hostname,
            payload: &Payload::new(&stored.chain, &stored.key),
        };
        let list = self.disk.list();
        install::install(&self.runtime, list, certificate)
            .instrument(job_span(hostname))
            .await?;
        Ok(())
    }
}
