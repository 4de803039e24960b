//! Every sealed secret, for the rotation of key-encryption keys.

use async_trait::async_trait;

use super::error::StoreError;
use crate::ports::vault::{SealedSecret, SecretPurpose};

/// A secret in its row, for the rotation of key-encryption keys.
#[derive(Debug, Clone)]
pub struct SecretRow {
    /// The purpose of the secret, which gives the table.
    pub purpose: SecretPurpose,
    /// The row's identity, as in [`crate::ports::vault::SecretContext`].
    pub row: String,
    /// The secret.
    pub sealed: SealedSecret,
}

/// Every sealed secret, for the rotation of key-encryption keys.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// Secrets of one purpose in the order of their rows, after the given row.
    async fn secrets(
        &self,
        purpose: SecretPurpose,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<SecretRow>, StoreError>;

    /// Replaces a sealed secret if it is still the one that was read; returns whether it was.
    async fn secret_replace(&self, row: &SecretRow, new: &SealedSecret)
    -> Result<bool, StoreError>;
}
