//! The CA account: one per directory, its key stored before the CA hears of it.

use secrecy::SecretString;

use crate::ports::ca::{Account, CaError};
use crate::ports::store::{StoreError, StoredAccount};
use crate::ports::vault::{SecretContext, SecretPurpose, VaultError};
use crate::service::Service;

/// The account could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The CA said no, or nothing.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored key does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// The account at the service's directory, registered on first use. Crash-safe: a key that was stored but not registered is
/// registered next time, and registering twice finds the same account (RFC 8555 §7.3.1).
pub async fn account(service: &Service) -> Result<Account, AccountError> {
    let directory_url = service.ca.directory_url();
    let context = SecretContext {
        purpose: SecretPurpose::AccountKey,
        row: directory_url,
    };
    let stored = match service.store.account(directory_url).await? {
        Some(stored) => stored,
        None => {
            let key = service.vault.seal(context, &service.ca.new_account_key()?)?;
            let account = StoredAccount {
                directory_url: directory_url.to_owned(),
                key,
                url: None,
                created_at: service.now(),
            };
            service.store.account_insert(&account).await?
        }
    };
    let key = service.vault.open(context, &stored.key)?;
    let url = match stored.url {
        Some(url) => url,
        None => register(service, &key).await?,
    };
    Ok(Account { url, key })
}

/// The CA refused the account: it may have lost it, or show it under another URL by now. Registering the same key finds the account or
/// makes it anew.
pub async fn register_again(service: &Service) -> Result<(), AccountError> {
    let directory_url = service.ca.directory_url();
    let Some(stored) = service.store.account(directory_url).await? else {
        return Ok(());
    };
    let context = SecretContext {
        purpose: SecretPurpose::AccountKey,
        row: directory_url,
    };
    let key = service.vault.open(context, &stored.key)?;
    register(service, &key).await.map(drop)
}

async fn register(service: &Service, key: &SecretString) -> Result<String, AccountError> {
    let directory_url = service.ca.directory_url();
    let url = service.ca.register(key).await?;
    service.store.account_registered(directory_url, &url).await?;
    tracing::info!(account.url = %url, ca.directory = directory_url, "account.registered");
    Ok(url)
}
