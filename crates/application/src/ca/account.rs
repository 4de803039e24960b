//! The CA account: one per directory, its key stored before the CA knows it.
//!
//! Registration is a task: one step of one replica does it, the others wait for its result. A CA
//! that refuses is not called again for a while, however many domains are ready.

use std::time::Duration;

use dps_domain::backoff::spread;
use dps_domain::limits::{BucketKey, Change, Endpoint, Entry, LimitKind, Refused};
use dps_domain::{Failure, Timestamp, Until};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::ports::ca::{Account, CaDisposition, CaError};
use crate::ports::store::PeriodicTaskLease;
use crate::ports::store::{StoreError, StoredAccount};
use crate::ports::vault::{SecretContext, SecretPurpose, VaultError};
use crate::service::Service;

/// The time after which others take over from a process that died while it registered. Two that
/// register the same key find the same account.
const LEASE: Duration = Duration::from_secs(30);
/// The pause after a registration that failed or that replaced a lost account.
const PAUSE: Duration = Duration::from_secs(60);
/// The first pause of steps that wait for another step's registration; it doubles up to
/// [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(25);
const LAST_WAIT: Duration = Duration::from_secs(1);
/// The pause of a domain that gave its record back.
const PENDING_PAUSE: Duration = Duration::from_secs(2);

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
    /// Registration failed a moment ago, and is tried again later.
    #[error("the CA account could not be registered ({}) and is tried again at {until}", failure.code())]
    Blocked {
        /// The CA's failure.
        failure: Box<Failure>,
        /// When it is tried again.
        until: Timestamp,
    },
    /// Another step, here or in another replica, is registering it.
    #[error("the CA account is being registered")]
    Pending {
        /// The time of the next try.
        until: Timestamp,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored key does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// The result of a failed registration for later ones, stored as the progress of the task.
#[derive(Debug, Serialize, Deserialize)]
struct Pause {
    until: Timestamp,
    /// Why it failed; `None` after a success.
    failure: Option<Failure>,
}

/// The account at the service's directory, registered on first use. Crash-safe: a key that was
/// stored but not registered is registered next time, and registering twice finds the same account
/// (RFC 8555 §7.3.1).
pub async fn account(service: &Service) -> Result<Account, AccountError> {
    let stored = stored(service).await?;
    let key = open(service, &stored)?;
    let url = match stored.url {
        Some(url) => url,
        None => first_registration(service, &key).await?,
    };
    Ok(Account { url, key })
}

/// The CA refused the account: it may have lost it, or show it under another URL by now.
/// Registering the same key finds the account or makes it anew. Nothing is done where another does
/// it or did it a moment ago.
pub async fn register_again(service: &Service) -> Result<(), AccountError> {
    let Some(stored) = service.store.account(service.ca.directory_url()).await? else {
        return Ok(());
    };
    let key = open(service, &stored)?;
    let Some(lease) = acquire(service).await? else {
        return Ok(());
    };
    if let Some(pause) = pause_of(service, &lease) {
        return lay_down(service, &lease, Some(&pause)).await;
    }
    let registered = register(service, &key).await;
    let failure = registered.as_ref().err().and_then(failure);
    let until = pause_until(service, registered.as_ref().err());
    lay_down(service, &lease, Some(&Pause { until, failure })).await?;
    registered.map(drop)
}

async fn stored(service: &Service) -> Result<StoredAccount, AccountError> {
    let directory_url = service.ca.directory_url();
    if let Some(stored) = service.store.account(directory_url).await? {
        return Ok(stored);
    }
    let key = service.ca.new_account_key()?;
    let account = StoredAccount {
        directory_url: directory_url.to_owned(),
        key: service.vault.seal(secret(directory_url), &key)?,
        url: None,
        created_at: service.now(),
    };
    Ok(service.store.account_insert(&account).await?)
}

fn open(service: &Service, stored: &StoredAccount) -> Result<SecretString, VaultError> {
    service
        .vault
        .open(secret(&stored.directory_url), &stored.key)
}

fn secret(directory_url: &str) -> SecretContext<'_> {
    SecretContext {
        purpose: SecretPurpose::AccountKey,
        row: directory_url,
    }
}

/// Registers the account, or waits until another step did, as long as a step waits for the CA.
async fn first_registration(service: &Service, key: &SecretString) -> Result<String, AccountError> {
    let ends = Instant::now() + service.policy.ca_timeout;
    let mut wait = FIRST_WAIT;
    loop {
        if let Some(lease) = acquire(service).await? {
            return register_alone(service, key, &lease).await;
        }
        if Instant::now() + wait >= ends {
            let until = service.now() + spread(PENDING_PAUSE, 1.0..=2.0, service.randomness.unit());
            return Err(AccountError::Pending { until });
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST_WAIT);
        if let Some(url) = registered_url(service).await? {
            return Ok(url);
        }
    }
}

async fn register_alone(
    service: &Service,
    key: &SecretString,
    lease: &PeriodicTaskLease,
) -> Result<String, AccountError> {
    // Another step may have registered it between our read and our turn.
    if let Some(url) = registered_url(service).await? {
        lay_down(service, lease, None).await?;
        return Ok(url);
    }
    if let Some(pause) = pause_of(service, lease)
        && let Some(failure) = pause.failure.clone()
    {
        lay_down(service, lease, Some(&pause)).await?;
        let (failure, until) = (Box::new(failure), pause.until);
        return Err(AccountError::Blocked { failure, until });
    }
    let registered = register(service, key).await;
    let pause = registered.as_ref().err().and_then(|error| {
        let (until, failure) = (pause_until(service, Some(error)), Some(failure(error)?));
        Some(Pause { until, failure })
    });
    lay_down(service, lease, pause.as_ref()).await?;
    registered
}

async fn registered_url(service: &Service) -> Result<Option<String>, StoreError> {
    let stored = service.store.account(service.ca.directory_url()).await?;
    Ok(stored.and_then(|stored| stored.url))
}

async fn acquire(service: &Service) -> Result<Option<PeriodicTaskLease>, StoreError> {
    let (name, now) = (task(service), service.now());
    service.store.periodic_acquire(&name, now, LEASE, now).await
}

/// Leaves the task to the next step, which may come at once. A task that was taken over
/// meanwhile belongs to the other replica.
async fn lay_down(
    service: &Service,
    lease: &PeriodicTaskLease,
    pause: Option<&Pause>,
) -> Result<(), AccountError> {
    let progress = pause.and_then(|pause| serde_json::to_string(pause).ok());
    let released = service
        .store
        .periodic_release(lease, progress.as_deref(), service.now())
        .await;
    match released {
        Ok(()) | Err(StoreError::LeaseLost) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn task(service: &Service) -> String {
    format!("ca.account {}", service.ca.directory_url())
}

/// The pause that an earlier registration left, while it lasts.
fn pause_of(service: &Service, lease: &PeriodicTaskLease) -> Option<Pause> {
    let pause: Pause = serde_json::from_str(lease.progress.as_deref()?).ok()?;
    (pause.until > service.now()).then_some(pause)
}

/// The failure of the CA's refusal for every other domain; `None` for errors that are not the CA's.
fn failure(error: &AccountError) -> Option<Failure> {
    match error {
        // Other domains may fare better: their own calls decide.
        AccountError::Ca(error) if !error.disposition().was_sent() => None,
        AccountError::Ca(error) => Some(error.clone().into()),
        // The ledger has the limit, which holds the other domains back.
        AccountError::Limited { .. } => None,
        AccountError::Blocked { .. } | AccountError::Pending { .. } => None,
        AccountError::Store(_) | AccountError::Vault(_) => None,
    }
}

fn pause_until(service: &Service, error: Option<&AccountError>) -> Timestamp {
    let stated = match error {
        Some(AccountError::Ca(error)) => stated_end(error),
        _ => None,
    };
    stated.unwrap_or_else(|| service.now() + PAUSE)
}

/// The moment that the CA itself named for the next request.
fn stated_end(error: &CaError) -> Option<Timestamp> {
    let disposition = error.disposition();
    let until = disposition.retry_after().filter(|_| disposition.was_sent());
    until.map(Until::at)
}

async fn register(service: &Service, key: &SecretString) -> Result<String, AccountError> {
    let directory_url = service.ca.directory_url();
    let kind = LimitKind::NewAccounts;
    let bucket = BucketKey::of_account(kind, directory_url);
    let limit = service.limits.get(kind);
    let now = service.now();
    if limit.is_none() {
        let blocked_until = service.store.ledger_bucket(&bucket).await?.blocked_until;
        if blocked_until > now {
            return Err(AccountError::Limited {
                until: blocked_until,
            });
        }
    } else {
        let taken = service.store.ledger_take(&bucket, &limit, now, 1).await?;
        if taken.count == 0 {
            return Err(AccountError::Limited {
                until: taken.next_at,
            });
        }
    }
    let registered = service.ca.register(key).await;
    // Nothing was sent: the CA has nothing to count.
    if let Err(error) = &registered
        && !error.disposition().was_sent()
        && !limit.is_none()
    {
        let change = Change::Refund;
        let entry = Entry {
            key: bucket.clone(),
            limit,
            change,
        };
        service.store.ledger_apply(&[entry], now).await?;
    }
    if let Err(error) = &registered
        && let CaDisposition::RateLimited { until: Some(until) } = error.disposition()
        && Refused::read(error.detail(), Endpoint::NewAccount).kind == kind
    {
        let longest = kind.longest_wait(&limit);
        let change = Change::Block(until.within(longest, now).at());
        let entry = Entry {
            key: bucket,
            limit,
            change,
        };
        service.store.ledger_apply(&[entry], now).await?;
    }
    let url = registered?;
    service.store.account_set_url(directory_url, &url).await?;
    tracing::info!(account.url = %url, ca.directory = directory_url, "account.registered");
    Ok(url)
}
