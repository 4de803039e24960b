//! Revocations of single certificates that operators requested.

use async_trait::async_trait;
use dps_application::ports::store::{ClaimedRevocation, RevocationStore, StoreError};
use dps_domain::revocation::{RequestedRevocation, RevocationWrite};
use dps_domain::{CertificateId, Timestamp};

use super::prune::is_named;
use super::row::Row;
use super::{MemoryStore, State};

/// A request, and when its next step is due; `None` once it has ended.
pub(super) type Requested = (RequestedRevocation, Option<Timestamp>);

impl State {
    /// Whether a write of a request would be carried out.
    pub(super) fn takes_revocation(&self, write: &RevocationWrite) -> bool {
        let due = self.revocations.get(&write.certificate);
        let due = due.and_then(|(_, due)| *due);
        let owner = self.certificate_owners.get(&write.certificate);
        let row = owner.and_then(|owner| self.rows.get(owner));
        let is_named = |row: &Row| is_named(&row.record.phase, &write.certificate);
        row.is_some_and(|row| !write.erases_key || !is_named(row))
            && write.claim.is_none_or(|claim| due == Some(claim))
    }

    pub(super) fn set_revocation(&mut self, write: &RevocationWrite) {
        let requested = (write.revocation, write.due_at);
        self.revocations.insert(write.certificate, requested);
        if write.erases_key {
            self.erase_key(write.certificate);
        }
    }
}

#[async_trait]
impl RevocationStore for MemoryStore {
    async fn revocation(
        &self,
        certificate: CertificateId,
    ) -> Result<Option<RequestedRevocation>, StoreError> {
        let state = self.state();
        let found = state.revocations.get(&certificate);
        Ok(found.map(|(revocation, _)| *revocation))
    }

    async fn revocation_claim(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedRevocation>, StoreError> {
        let mut state = self.state();
        let due = state.revocations.iter();
        let due = due.filter_map(|(id, (_, due))| due.map(|due| (due, *id)));
        let Some((_, id)) = due.filter(|(due, _)| *due <= now).min() else {
            return Ok(None);
        };
        // It may have been forgotten with its domain.
        let Some(stored) = state.certificate(id).cloned() else {
            state.revocations.remove(&id);
            return Ok(None);
        };
        let claimed = state.revocations.get_mut(&id).map(|(revocation, due)| {
            *due = Some(until);
            *revocation
        });
        Ok(claimed.map(|revocation| ClaimedRevocation {
            stored,
            revocation,
            claim: until,
        }))
    }

    async fn revocation_put_off(
        &self,
        claimed: &ClaimedRevocation,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let id = claimed.stored.certificate.id;
        if let Some((_, due)) = state.revocations.get_mut(&id) {
            let is_held = *due == Some(claimed.claim);
            *due = if is_held { Some(until) } else { *due };
        }
        Ok(())
    }
}
