//! The pauses of issuance. A debit of the CA's limits finds those that cover its domain.

use async_trait::async_trait;
use dps_domain::Timestamp;
use dps_domain::action::OperatorAction;
use dps_domain::pause::{Pause, PauseScope};

use super::DomainRecord;
use super::error::StoreError;

/// The domains whose order waits for the end of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaitingOrders {
    /// Domains that had no certificate yet.
    pub first: u64,
    /// Served domains, whose renewal waits.
    pub renewals: u64,
    /// Of the renewals, those that are urgent.
    pub urgent: u64,
    /// Domains whose certificate ended, so that nothing serves them.
    pub ended: u64,
    /// The soonest end of a certificate whose renewal waits; `None` if none does.
    pub soonest_end: Option<Timestamp>,
}

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

    /// Counts the domains whose order met a pause and was not tried since.
    async fn pauses_waiting(&self, now: Timestamp) -> Result<WaitingOrders, StoreError>;
}
