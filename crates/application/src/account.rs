//! The CA account: one per directory, its key stored before the CA hears of it.

use dps_domain::Timestamp;
use dps_domain::limits::{BucketKey, Change, Endpoint, Entry, LimitKind, Refused};
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
    /// Too many accounts were registered from here lately.
    #[error("the CA's limit of new accounts is used up until {until}")]
    Limited {
        /// When another may be registered.
        until: Timestamp,
    },
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
    let kind = LimitKind::NewAccounts;
    let bucket = BucketKey::of_account(kind, directory_url);
    let limit = service.limits.get(kind);
    let now = service.now();
    if limit.is_none() {
        let parked_until = service.store.ledger_bucket(&bucket).await?.parked_until;
        if parked_until > now {
            return Err(AccountError::Limited { until: parked_until });
        }
    } else {
        let taken = service.store.ledger_take(&bucket, &limit, now, 1).await?;
        if taken.count == 0 {
            return Err(AccountError::Limited { until: taken.next_at });
        }
    }
    let registered = service.ca.register(key).await;
    if let Err(CaError::RateLimited {
        until: Some(until),
        detail,
    }) = &registered
        && Refused::read(detail, Endpoint::NewAccount).kind == kind
    {
        let longest = kind.longest_wait(&limit);
        let change = Change::Park(until.within(longest, now).at());
        let entry = Entry {
            key: bucket,
            limit,
            change,
        };
        service.store.ledger_apply(&[entry], now).await?;
    }
    let url = registered?;
    service.store.account_registered(directory_url, &url).await?;
    tracing::info!(account.url = %url, ca.directory = directory_url, "account.registered");
    Ok(url)
}
