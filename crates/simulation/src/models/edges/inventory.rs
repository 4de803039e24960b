//! The certificates that an edge holds.

use std::ops::ControlFlow;

use dps_application::ports::edge::InventoryPage;
use dps_domain::inventory::Entry;
use dps_domain::{Hostname, Timestamp};

use super::{EdgeFleet, Served};
use crate::models::tally::locked;

impl EdgeFleet {
    /// How many certificates an edge holds.
    pub fn held(&self, edge: usize) -> usize {
        self.entries(edge).len()
    }

    pub(super) fn entries(&self, edge: usize) -> Vec<(u32, Served)> {
        let state = locked(&self.edges[edge].state);
        let all = (0..).zip(state.served.iter().copied());
        all.filter(|(_, served)| served.serial != 0).collect()
    }

    fn entry(&self, number: u32, served: Served) -> Option<Entry> {
        Some(Entry {
            hostname: Hostname::parse(&self.names.book.hostname(number)?).ok()?,
            fingerprint: served.fingerprint(),
            generation: served.generation,
            not_after: Timestamp::from_unix_micros(served.not_after),
        })
    }

    /// A page of what an edge holds, in the order of hostnames; the cursor is the last hostname.
    pub(super) fn inventory(&self, edge: usize, cursor: Option<&str>, limit: u32) -> InventoryPage {
        let state = locked(&self.edges[edge].state);
        let limit = limit.min(self.page) as usize;
        let mut entries: Vec<Entry> = vec![];
        let visited = self.names.book.visit_after(cursor, |number| {
            let served = Some(state.served.get(number)).filter(|served| served.serial != 0);
            let Some(entry) = served.and_then(|served| self.entry(number, served)) else {
                return ControlFlow::Continue(());
            };
            if entries.len() == limit {
                return ControlFlow::Break(());
            }
            entries.push(entry);
            ControlFlow::Continue(())
        });
        let next = entries.last().filter(|_| visited.is_break());
        InventoryPage {
            next: next.map(|entry| entry.hostname.to_string()),
            digest: state.digest.to_hex(),
            entries,
        }
    }
}
