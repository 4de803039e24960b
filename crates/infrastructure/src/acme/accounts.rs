//! Account keys, and the library's account objects, kept between calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use dps_application::ports::ca::{Account, CaError};
use dps_x509::{CertificateKey, KeyAlgorithm};
use secrecy::{ExposeSecret, SecretString};

/// One per CA is usual, a few dozen the most that is sane; beyond, all are made anew.
const MOST: usize = 64;

/// Account objects by account URL.
#[derive(Default)]
pub(super) struct AccountCache(Mutex<HashMap<String, Kept>>);

struct Kept {
    /// Of the key's text: after a key change the old object is of no use.
    key_digest: Vec<u8>,
    directory_generation: u64,
    account: instant_acme::Account,
}

impl AccountCache {
    /// The object made for this account, key and directory, if it was.
    pub(super) fn get(&self, account: &Account, generation: u64) -> Option<instant_acme::Account> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = accounts.get(&account.url)?;
        (kept.directory_generation == generation && kept.key_digest == key_digest(&account.key))
            .then(|| kept.account.clone())
    }

    /// Keeps the object for later calls.
    pub(super) fn keep(&self, account: &Account, generation: u64, object: instant_acme::Account) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MOST {
            accounts.clear();
        }
        let kept = Kept {
            key_digest: key_digest(&account.key),
            directory_generation: generation,
            account: object,
        };
        accounts.insert(account.url.clone(), kept);
    }
}

fn key_digest(key: &SecretString) -> Vec<u8> {
    digest(&SHA256, key.expose_secret().as_bytes())
        .as_ref()
        .to_vec()
}

/// Reads an account key: ECDSA P-256, the only kind that the library signs with.
pub(super) fn read_key(key: &SecretString) -> Result<CertificateKey, CaError> {
    let key = CertificateKey::from_pem(key.expose_secret())
        .map_err(|fault| unusable(&fault.to_string()))?;
    if key.algorithm() != KeyAlgorithm::EcP256 {
        return Err(unusable("it is not ECDSA P-256"));
    }
    Ok(key)
}

fn unusable(reason: &str) -> CaError {
    CaError::Account {
        detail: format!("the account key cannot be used: {reason}"),
    }
}
