//! Restores what HAProxy lost, some at a time, so that no request waits for all of it.

use std::collections::HashSet;

use dps_domain::{Hostname, with_causes};

use super::install::{is_served, serves};
use super::repair::Repaired;
use super::{Edge, Refusal};
use crate::disk::Held;
use crate::runtime_api::{Installation, Payload, RuntimeError, StoreState};

/// Certificates that are given back before a job that waits has its turn.
const SLICE: usize = 128;

impl Edge {
    /// Whether HAProxy still lacks certificates that are known by name.
    pub(super) fn is_restore_pending(&self) -> bool {
        self.known.is_some() && !self.pending_restore.is_empty()
    }

    /// Gives back some more of what HAProxy lacks.
    pub(super) async fn catch_up(&mut self) {
        let mut done = Repaired::default();
        let result = self.bring_back_some(&mut done).await;
        self.metrics.repaired.inc_by(done.installed);
        if let Err(refusal) = result {
            tracing::warn!(reason = %with_causes(&refusal), "haproxy.restore_interrupted");
            self.mark_unsynced();
        } else if self.pending_restore.is_empty() {
            let mut view = self.shared.change();
            view.in_sync = view.not_served.is_empty();
            view.last_repair_at = Some(self.clock.now());
            tracing::info!("haproxy.restored");
        }
    }

    pub(super) async fn bring_back_some(&mut self, done: &mut Repaired) -> Result<(), Refusal> {
        let count = self.pending_restore.len().min(SLICE);
        let mut slice: Vec<Hostname> = self.pending_restore.drain(..count).collect();
        // A hostname that was removed meanwhile is not installed again.
        slice.retain(|hostname| self.shared.view().held.get(hostname).is_some());
        let brought = self.bring_back_piped(&slice).await?;
        for hostname in slice {
            if brought.contains(&hostname) {
                done.installed += 1;
                self.shared.change().not_served.remove(&hostname);
            } else {
                let name = self.disk.store_name(&hostname)?;
                self.bring_back(&name, &hostname, done).await?;
            }
        }
        Ok(())
    }

    /// Sends all of them over one connection; gives those that HAProxy serves now. The others
    /// need a request of their own.
    async fn bring_back_piped(&self, slice: &[Hostname]) -> Result<HashSet<Hostname>, Refusal> {
        let hostnames = slice.to_vec();
        let read = self.on_disk(move |disk| {
            let read = |hostname: Hostname| {
                let stored = disk.read(&hostname).ok()?;
                let held = Held::of(&stored, disk.store_name(&hostname).ok()?);
                Some((hostname, held, Payload::new(&stored.chain, &stored.key)))
            };
            Ok(hostnames.into_iter().filter_map(read).collect::<Vec<_>>())
        });
        let wanted = read.await?;
        let names: Vec<_> = wanted
            .iter()
            .map(|(_, held, _)| held.name.clone())
            .collect();
        let states = self.runtime.inspect_all(&names).await?;
        let installations: Vec<_> = wanted
            .iter()
            .zip(&states)
            .map(|((hostname, held, payload), state)| Installation {
                name: &held.name,
                payload,
                sni: hostname,
                is_new: state.is_none(),
                is_listed: is_served(state.as_ref()),
            })
            .collect();
        let mut brought = HashSet::new();
        let note_result = |nth: usize, result: Result<Option<StoreState>, RuntimeError>| {
            let (hostname, held, _) = &wanted[nth];
            if result.is_ok_and(|state| serves(state.as_ref(), held)) {
                brought.insert(hostname.clone());
            }
        };
        self.runtime
            .install_all(self.disk.list(), &installations, note_result)
            .await?;
        Ok(brought)
    }
}
