//! An order at the CA.

use std::time::Duration;

use dps_domain::{Failure, Timestamp};

use crate::models::pki::Leaf;

/// An order that nobody finishes ends after a week.
pub(super) const ORDER_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) replaces: bool,
    pub(super) placed_at: Timestamp,
    pub(super) causes_before: u64,
    pub(super) stage: Stage,
}

#[derive(Debug, Clone)]
pub(super) enum Stage {
    Pending,
    Validating,
    Ready,
    Issued {
        from: Timestamp,
        leaf: Leaf,
    },
    /// With the reason that the CA gives.
    Invalid(Option<Failure>),
}

impl Order {
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        match self.stage {
            Stage::Pending | Stage::Validating | Stage::Ready => {
                now.since(self.placed_at) < ORDER_LIFETIME
            }
            Stage::Issued { from, .. } => from > now,
            Stage::Invalid(_) => false,
        }
    }
}
