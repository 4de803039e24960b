//! Having a hostname served no more.

use dps_domain::Hostname;

use super::install::uninstall;
use super::{Edge, Refusal};

impl Edge {
    /// Takes the hostname out of the crt-list first, so that no restart brings it back, then out of HAProxy, then deletes its key.
    /// Idempotent: `Ok` means that HAProxy does not have it.
    pub(super) async fn remove(&mut self, hostname: &Hostname) -> Result<(), Refusal> {
        let name = self.disk.store_name(hostname)?;
        let held = self.shared.change().held.remove(hostname);
        if let Some(held) = held
            && let Err(error) = self.write_list().await
        {
            self.shared.change().held.insert(hostname.clone(), held);
            return Err(error.into());
        }
        let gone = hostname.clone();
        self.on_disk(move |disk| disk.delete(&gone)).await?;
        let removed = uninstall(&self.runtime, self.disk.list(), &name).await;
        if removed.is_err() {
            self.doubt();
        }
        Ok(removed?)
    }
}
