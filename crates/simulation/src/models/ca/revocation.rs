//! Revocations: by request, and of many at once with how fast those are replaced.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{CaModel, RevocationResult, Revoked};
use crate::models::tally::locked;

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl CaModel {
    /// The CA finds that a share of its certificates must go.
    pub fn revoke(&self, share: f64) {
        let now = self.time.now();
        let mut state = locked(&self.state);
        let mut left = BTreeMap::new();
        let still_valid = now.unix_micros() - micros(locked(&self.validity).lifetime);
        for (number, name) in (0..).zip(state.names.iter_mut()) {
            if name.serial != 0 && name.not_before > still_valid && self.draws.chance(share) {
                name.is_revoked = true;
                left.insert(number, name.serial);
            }
        }
        state.revocation = Some(Revoked {
            at: now,
            total: left.len(),
            left,
            replaced_after: vec![],
        });
    }

    /// Serials of the certificates that were revoked by request.
    pub fn revoked_by_request(&self) -> Vec<u64> {
        let state = locked(&self.state);
        state.revoked_by_request.iter().copied().collect()
    }

    /// Notes which revoked certificates are served no more. To be asked every now and then.
    pub fn note_replaced(&self) {
        let now = self.time.now();
        let mut state = locked(&self.state);
        let Some(revoked) = &mut state.revocation else {
            return;
        };
        let edges = 0..self.edges.edges.len();
        let after = now.since(revoked.at);
        let before = revoked.left.len();
        revoked.left.retain(|number, serial| {
            edges.clone().any(|edge| {
                let served = self.edges.served(edge, *number);
                served.is_some_and(|served| served.serial == *serial)
            })
        });
        let replaced = before - revoked.left.len();
        revoked
            .replaced_after
            .extend(std::iter::repeat_n(after, replaced));
    }

    /// How the mass revocation went so far, if there was one.
    pub fn revocation(&self) -> Option<RevocationResult> {
        let state = locked(&self.state);
        let revoked = state.revocation.as_ref()?;
        let times = &revoked.replaced_after;
        let rank = |share: usize| {
            let index = (times.len() * share / 100).min(times.len().saturating_sub(1));
            times.get(index).copied().unwrap_or_default()
        };
        let ours = |number: &&u32| self.names.pointing_since(**number).is_some();
        Some(RevocationResult {
            total: revoked.total,
            left: revoked.left.keys().filter(ours).count(),
            replaced_after: [rank(50), rank(99), rank(100)],
        })
    }
}
