//! Keeps the disk as HAProxy can start with it, after changes by any process.

use dps_domain::Hostname;

use super::{Edge, Refusal};
use crate::disk::{Found, Held};
use crate::metrics::Drift;

impl Edge {
    /// Checks whether the certificates' files and the crt-list are as they were left. A file that
    /// was replaced by another good one is what shall be served from now on, because the disk is
    /// the truth. A lost or damaged one leaves the list, so that HAProxy can start. HAProxy still
    /// serves it from memory, until the service misses it in the inventory and sends it again.
    pub(super) async fn verify_disk(&mut self) -> Result<(), Refusal> {
        let held: Vec<(Hostname, Held)> = {
            let view = self.shared.view();
            let pair = |(hostname, held): (&Hostname, &Held)| (hostname.clone(), held.clone());
            view.held.iter().map(pair).collect()
        };
        let now = self.clock.now();
        let found = self.on_disk(move |disk| disk.verify(&held, now)).await?;
        for (hostname, what) in found {
            self.take_over(&hostname, what);
        }
        let text = self.shared.view().held.crt_list();
        let is_as_left = self.on_disk(move |disk| {
            let is_as_left = disk.has_list(&text);
            disk.write_list(&text)?;
            Ok(is_as_left)
        });
        if !is_as_left.await? {
            tracing::warn!(list = %self.disk.list(), "crt_list.rewritten");
            self.metrics.count_drift(Drift::List);
        }
        Ok(())
    }

    fn take_over(&self, hostname: &Hostname, what: Found) {
        let mut view = self.shared.change();
        let before = view.held.remove(hostname);
        match what {
            Found::Certificate(held) => {
                let is_same = before.is_some_and(|before| before.is_same_chain(&held));
                if !is_same {
                    tracing::warn!(domain.hostname = %hostname, fingerprint = held.fingerprint, "certificate.replaced_on_disk");
                    self.metrics.count_drift(Drift::File);
                }
                view.held.insert(hostname.clone(), held);
            }
            Found::Nothing => {
                tracing::error!(domain.hostname = %hostname, "certificate.file_lost");
                self.metrics.count_drift(Drift::File);
                view.not_served.remove(hostname);
                view.orphans.extend(before.map(|before| before.name));
                view.quarantined = self.disk.quarantined();
            }
        }
    }
}
