//! The record of operators' actions.

use async_trait::async_trait;
use dps_domain::ActionId;
use dps_domain::action::OperatorAction;

use super::error::StoreError;

/// An action in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAction {
    /// Its identifier; those of later actions are greater.
    pub id: ActionId,
    /// The action.
    pub action: OperatorAction,
}

/// The record of operators' actions. An action on one row is recorded by the write of that row.
#[async_trait]
pub trait ActionStore: Send + Sync {
    /// Records an action.
    async fn action_insert(&self, action: &OperatorAction) -> Result<(), StoreError>;

    /// Moves a cursor as [`SyncStore::cursor_advance`](crate::ports::SyncStore::cursor_advance)
    /// does, and records the action in the same transaction. Records nothing if it does not move.
    async fn cursor_advance_by(
        &self,
        name: &str,
        from: Option<&str>,
        to: &str,
        action: &OperatorAction,
    ) -> Result<bool, StoreError>;

    /// Up to `limit` actions before the given one, the newest first. Rows that cannot be read are
    /// passed over: a page has fewer actions only at the end of the record.
    async fn actions(
        &self,
        before: Option<ActionId>,
        limit: u32,
    ) -> Result<Vec<RecordedAction>, StoreError>;
}
