//! The pauses of issuance.

use async_trait::async_trait;
use dps_application::ports::store::{PauseStore, StoreError, WaitingOrders};
use dps_domain::action::OperatorAction;
use dps_domain::pause::{Pause, PauseScope};
use dps_domain::record::DomainRecord;
use dps_domain::{DomainId, Failure, Phase, Status, Timestamp};

use super::{MemoryStore, State};

/// The key of a pause: the word of its scope, and the subject.
pub(super) type Key = (&'static str, String);

fn key(scope: &PauseScope) -> Key {
    (scope.kind().as_str(), scope.subject().to_owned())
}

impl State {
    /// Whether a pause covers the domain.
    pub(super) fn is_paused(&self, domain: DomainId) -> bool {
        let row = self.rows.get(&domain);
        let mut pauses = self.pauses.values();
        row.is_some_and(|row| pauses.any(|pause| pause.scope.covers(&row.record)))
    }
}

#[async_trait]
impl PauseStore for MemoryStore {
    async fn pause_put(&self, pause: &Pause, action: &OperatorAction) -> Result<(), StoreError> {
        let mut state = self.state();
        let stored = state.pauses.entry(key(&pause.scope));
        let stored = stored.or_insert_with(|| pause.clone());
        stored.who.clone_from(&pause.who);
        stored.reason.clone_from(&pause.reason);
        state.record(action);
        Ok(())
    }

    async fn pause_delete(
        &self,
        scope: &PauseScope,
        action: &OperatorAction,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let was_paused = state.pauses.remove(&key(scope)).is_some();
        if was_paused {
            state.record(action);
        }
        Ok(was_paused)
    }

    async fn pauses(
        &self,
        after: Option<&PauseScope>,
        limit: u32,
    ) -> Result<Vec<Pause>, StoreError> {
        let state = self.state();
        let after = after.map(key);
        let pauses = state.pauses.iter();
        let pauses = pauses.filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
        Ok(pauses
            .map(|(_, pause)| pause.clone())
            .take(limit as usize)
            .collect())
    }

    async fn pauses_of(&self, record: &DomainRecord) -> Result<Vec<Pause>, StoreError> {
        let state = self.state();
        let pauses = state.pauses.values();
        let covering = pauses.filter(|pause| pause.scope.covers(record));
        let mut covering: Vec<Pause> = covering.cloned().collect();
        covering.sort_by(|one, other| one.scope.cmp(&other.scope));
        Ok(covering)
    }

    async fn pauses_waiting(&self, now: Timestamp) -> Result<WaitingOrders, StoreError> {
        let state = self.state();
        let mut waiting = WaitingOrders::default();
        for record in state.rows.values().map(|row| &row.record) {
            if !matches!(record.last_failure, Some(Failure::IssuancePaused {})) {
                continue;
            }
            match record.phase.status() {
                Status::Issuing => waiting.first += 1,
                Status::Active => {
                    waiting.renewals += 1;
                    let is_urgent = record.urgent_from.is_some_and(|from| from <= now);
                    waiting.urgent += u64::from(is_urgent);
                    let ends = [waiting.soonest_end, record.phase.certificate_not_after()];
                    waiting.soonest_end = ends.into_iter().flatten().min();
                }
                _ if matches!(record.phase, Phase::Expired { .. }) => waiting.ended += 1,
                _ => {}
            }
        }
        Ok(waiting)
    }
}
