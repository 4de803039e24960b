//! The accounts at CAs (RFC 8555 §7.1.2).

use async_trait::async_trait;
use dps_domain::Timestamp;

use super::error::StoreError;
use crate::ports::vault::SealedSecret;

/// A CA account (RFC 8555 §7.1.2). The key is stored before the account is registered.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAccount {
    /// The CA.
    pub directory_url: String,
    /// The account's key.
    pub key: SealedSecret,
    /// The account's URL once registered.
    pub url: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// The accounts at CAs (RFC 8555 §7.1.2).
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// The account at a directory.
    async fn account(&self, directory_url: &str) -> Result<Option<StoredAccount>, StoreError>;

    /// Stores an account unless the directory has one; answers the one it has now.
    async fn account_insert(&self, account: &StoredAccount) -> Result<StoredAccount, StoreError>;

    /// The account is registered under this URL.
    async fn account_set_url(&self, directory_url: &str, url: &str) -> Result<(), StoreError>;
}
