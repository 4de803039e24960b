//! The inventory of an edge, read page by page.

use std::collections::VecDeque;

use dps_domain::Hostname;
use dps_domain::inventory::Entry;

use crate::ports::Edge;
use crate::ports::edge::EdgeError;

/// Certificates of one page of the edge's inventory.
const INVENTORY_PAGE: u32 = 1_000;

/// The edge's inventory, read as far as it is needed.
#[derive(Default)]
pub(super) struct Held {
    read: VecDeque<Entry>,
    cursor: Option<String>,
    /// The hostname read last.
    last: Option<Hostname>,
    is_complete: bool,
}

impl Held {
    /// Returns the next certificates of the edge, up to this hostname and at most a page; empty at
    /// the end.
    pub(super) async fn take(
        &mut self,
        edge: &dyn Edge,
        end: Option<&Hostname>,
    ) -> Result<Vec<Entry>, EdgeError> {
        if self.read.is_empty() && !self.is_complete {
            let page = edge
                .inventory(self.cursor.as_deref(), INVENTORY_PAGE)
                .await?;
            for entry in &page.entries {
                // The comparison needs sorted input, and an unsorted inventory could repeat without
                // end.
                if self
                    .last
                    .as_ref()
                    .is_some_and(|last| *last >= entry.hostname)
                {
                    return Err(EdgeError::Unreachable {
                        edge: edge.name().to_owned(),
                        detail: format!("its inventory is out of order at {}", entry.hostname),
                    });
                }
                self.last = Some(entry.hostname.clone());
            }
            self.is_complete = page.next.is_none() || page.entries.is_empty();
            self.read.extend(page.entries);
            self.cursor = page.next;
        }
        let is_within = |entry: &&Entry| end.is_none_or(|end| entry.hostname <= *end);
        let count = self.read.iter().take_while(is_within).count();
        Ok(self.read.drain(..count).collect())
    }

    /// Whether the edge holds nothing more up to this hostname.
    pub(super) fn is_done(&self, end: Option<&Hostname>) -> bool {
        match self.read.front() {
            Some(entry) => end.is_some_and(|end| entry.hostname > *end),
            None => self.is_complete,
        }
    }
}
