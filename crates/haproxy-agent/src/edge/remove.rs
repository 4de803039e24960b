//! Having hostnames served no more.

use std::sync::Arc;

use dps_domain::Hostname;

use super::install::uninstall;
use super::{Edge, Refusal};
use crate::crash_point::{self, Effect};
use crate::disk::{DiskError, Held, Tombstone, prune};

impl Edge {
    /// Takes the hostnames out of the crt-list first, so that no restart brings them back, then out of HAProxy, then deletes their
    /// keys. Idempotent: `Ok` means that HAProxy does not have it. A removal is remembered with its generation, so that an older
    /// apply that comes late is refused.
    pub(super) async fn remove_all(&mut self, hostnames: &[Hostname]) -> Vec<Result<(), Arc<Refusal>>> {
        if let Err(error) = self.forget(hostnames).await {
            let refusal = Arc::new(Refusal::from(error));
            return hostnames.iter().map(|_| Err(Arc::clone(&refusal))).collect();
        }
        let mut results = Vec::with_capacity(hostnames.len());
        for hostname in hostnames {
            let removed = self.take_out(hostname).await;
            if removed.is_err() {
                self.doubt();
            }
            results.push(removed.map_err(Arc::new));
        }
        results
    }

    async fn take_out(&self, hostname: &Hostname) -> Result<(), Refusal> {
        let name = self.disk.store_name(hostname)?;
        crash_point::before(Effect::CertificateUninstall);
        uninstall(&self.runtime, self.disk.list(), &name).await?;
        crash_point::after(Effect::CertificateUninstall);
        Ok(())
    }

    /// The disk's part, durable when it is done.
    async fn forget(&mut self, hostnames: &[Hostname]) -> Result<(), DiskError> {
        let held: Vec<(Hostname, Held)> = {
            let mut view = self.shared.change();
            let forget = |hostname: &Hostname| {
                view.not_served.remove(hostname);
                Some((hostname.clone(), view.held.remove(hostname)?))
            };
            hostnames.iter().filter_map(forget).collect()
        };
        let names = hostnames
            .iter()
            .map(|hostname| self.disk.store_name(hostname))
            .collect::<Result<Vec<_>, _>>()?;
        if !held.is_empty()
            && let Err(error) = self.note_removal(&held).await
        {
            let mut view = self.shared.change();
            for (hostname, held) in held {
                view.held.insert(hostname, held);
            }
            return Err(error);
        }
        self.on_disk(move |disk| disk.delete_all(names.iter())).await
    }

    async fn note_removal(&mut self, held: &[(Hostname, Held)]) -> Result<(), DiskError> {
        let now = self.clock.now();
        let mut removed = self.removed.clone();
        for (hostname, held) in held {
            let tombstone = Tombstone {
                generation: held.generation,
                removed_at: now,
            };
            removed.insert(hostname.clone(), tombstone);
        }
        prune(&mut removed, now);
        let written = removed.clone();
        crash_point::before(Effect::TombstoneWrite);
        self.on_disk(move |disk| disk.write_tombstones(&written)).await?;
        crash_point::after(Effect::TombstoneWrite);
        self.removed = removed;
        self.write_list().await
    }
}
