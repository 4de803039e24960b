//! Calls that carry an idempotency key, and their first answers.

use async_trait::async_trait;
use dps_domain::Timestamp;
use dps_domain::idempotency::{KeptAnswer, KeyState, KeyedCall};

use super::error::StoreError;

/// The idempotency keys. A call is identified by its holder, its key and the time of its beginning.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// Begins a call. For [`KeyState::New`], the key is taken from now on.
    async fn keyed_begin(&self, call: &KeyedCall, now: Timestamp) -> Result<KeyState, StoreError>;

    /// Keeps the answer of the call that began at `begun_at`; returns whether the key was still its
    /// own.
    async fn keyed_answer(
        &self,
        call: &KeyedCall,
        begun_at: Timestamp,
        answer: &KeptAnswer,
    ) -> Result<bool, StoreError>;

    /// Frees the key of the call that began at `begun_at`: it changed nothing.
    async fn keyed_release(&self, call: &KeyedCall, begun_at: Timestamp) -> Result<(), StoreError>;
}
