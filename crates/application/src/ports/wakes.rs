//! Wakes between replicas: who commits work tells the others, so that they need not wait for their
//! next look.

use async_trait::async_trait;

use super::store::StoreError;
use crate::engine::wake::WakeSignal;

/// Carries wakes between the replicas on one store. A lost signal costs time, never correctness,
/// since every worker polls as well.
#[async_trait]
pub trait WakeChannel: Send + Sync {
    /// Tells every other replica to ring these signals. Outside any transaction, after the commit.
    async fn announce(&self, signals: &[WakeSignal]) -> Result<(), StoreError>;

    /// Waits until another replica announces something and answers which signals it named; all of
    /// them when something may have been missed. After an error, waiting again tries to connect
    /// again. One caller at a time.
    async fn heard(&self) -> Result<Vec<WakeSignal>, StoreError>;
}
