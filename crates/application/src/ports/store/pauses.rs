//! The pauses of issuance. A debit of the CA's limits finds those that cover its domain.

use async_trait::async_trait;
use dps_domain::action::OperatorAction;
use dps_domain::pause::{Pause, PauseScope};

use super::DomainRecord;
use super::error::StoreError;

/// The pauses of issuance.
#[async_trait]
pub trait PauseStore: Send + Sync {
    /// Pauses a scope, and records the action. A pause in force keeps its beginning.
    async fn pause_put(&self, pause: &Pause, action: &OperatorAction) -> Result<(), StoreError>;

    /// Ends the pause of a scope, and records the action; returns whether there was one.
    async fn pause_delete(
        &self,
        scope: &PauseScope,
        action: &OperatorAction,
    ) -> Result<bool, StoreError>;

    /// Up to `limit` pauses after the given one, in the order of the words and subjects of their
    /// scopes.
    async fn pauses(
        &self,
        after: Option<&PauseScope>,
        limit: u32,
    ) -> Result<Vec<Pause>, StoreError>;

    /// The pauses that cover a record, the widest first: of all, of its tenant, of its hostname.
    async fn pauses_of(&self, record: &DomainRecord) -> Result<Vec<Pause>, StoreError>;
}
