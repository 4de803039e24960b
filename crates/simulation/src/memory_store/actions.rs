//! The record of operators' actions.

use async_trait::async_trait;
use dps_application::ports::SyncStore as _;
use dps_application::ports::store::{ActionStore, RecordedAction, StoreError};
use dps_domain::action::OperatorAction;
use dps_domain::{ActionId, Timestamp};

use super::{MemoryStore, State};

impl State {
    /// Records an action.
    pub(super) fn record(&mut self, action: &OperatorAction) {
        let id = ActionId::new(action.at, self.draw());
        self.actions.insert(id, action.clone());
    }

    /// Forgets actions before the given time, at most `limit`.
    pub(super) fn prune_actions(&mut self, before: Timestamp, limit: usize) -> u64 {
        let first = ActionId::new(before, [0; 10]);
        let old: Vec<ActionId> = (self.actions.range(..first))
            .map(|(id, _)| *id)
            .take(limit)
            .collect();
        for id in &old {
            self.actions.remove(id);
        }
        old.len() as u64
    }
}

#[async_trait]
impl ActionStore for MemoryStore {
    async fn action_insert(&self, action: &OperatorAction) -> Result<(), StoreError> {
        self.state().record(action);
        Ok(())
    }

    async fn cursor_advance_by(
        &self,
        name: &str,
        from: Option<&str>,
        to: &str,
        action: &OperatorAction,
    ) -> Result<bool, StoreError> {
        let moved = self.cursor_advance(name, from, to).await?;
        if moved {
            self.state().record(action);
        }
        Ok(moved)
    }

    async fn actions(
        &self,
        before: Option<ActionId>,
        limit: u32,
    ) -> Result<Vec<RecordedAction>, StoreError> {
        let state = self.state();
        let newest = state.actions.iter().rev();
        let newest = newest.filter(|(id, _)| before.is_none_or(|before| **id < before));
        let newest = newest.map(|(id, action)| RecordedAction {
            id: *id,
            action: action.clone(),
        });
        Ok(newest.take(limit as usize).collect())
    }
}
