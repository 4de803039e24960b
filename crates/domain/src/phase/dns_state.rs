//! Where the DNS of a domain that was served points, and the events that change it.

use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::Timestamp;

/// Where the DNS of a domain that was served points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum DnsState {
    /// At us, as far as is known.
    #[default]
    Here,
    /// Elsewhere. Only a DNS check that finds it here again ends the move.
    MovedAway {
        /// When it was first seen elsewhere.
        since: Timestamp,
    },
}

impl DnsState {
    pub(super) const fn is_here(&self) -> bool {
        matches!(self, Self::Here)
    }

    /// The state after an event.
    pub(super) fn after(self, event: &Event) -> Self {
        match (self, event) {
            (_, Event::DnsReady | Event::HttpReady | Event::DnsConfirmed) => Self::Here,
            (Self::Here, Event::DnsMovedAway { at }) => Self::MovedAway { since: *at },
            // Neither a due renewal nor the certificate's end brings the name back.
            (state, _) => state,
        }
    }
}
