//! Rotation of key-encryption keys: every secret is sealed again under the current one, while the
//! service runs.

use crate::ports::store::{SecretRow, StoreError};
use crate::ports::vault::{SecretContext, SecretPurpose, VaultError};
use crate::ports::{CertificateStore, Vault};

/// The rotation stopped; what was resealed before stays so, and another run continues.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret does not open.
    #[error("the {purpose} of {row} cannot be opened", purpose = .purpose.as_str())]
    Secret {
        /// Its purpose.
        purpose: SecretPurpose,
        /// Its row.
        row: String,
        /// Why.
        #[source]
        source: VaultError,
    },
}

/// The result of a rotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Secrets sealed again.
    pub resealed: u64,
    /// Secrets that were under the current key already.
    pub current: u64,
}

const PAGE: u32 = 200;

/// All stored secrets, read page by page.
#[derive(Debug, Default)]
struct Secrets {
    /// Position in [`SecretPurpose::ALL`].
    purpose: usize,
    after: Option<String>,
}

impl Secrets {
    /// The next page, which is not empty; `None` at the end.
    async fn next_page(
        &mut self,
        store: &dyn CertificateStore,
    ) -> Result<Option<Vec<SecretRow>>, StoreError> {
        while let Some(purpose) = SecretPurpose::ALL.get(self.purpose) {
            let rows = store.secrets(*purpose, self.after.as_deref(), PAGE).await?;
            self.after = rows.last().map(|row| row.row.clone());
            if self.after.is_some() {
                return Ok(Some(rows));
            }
            self.purpose += 1;
        }
        Ok(None)
    }
}

/// Pages that one part of a count reads.
const COUNTED_AT_ONCE: usize = 10;

/// A count of the secrets that are not under the current key-encryption key, one part at a time.
#[derive(Debug, Default)]
pub struct OldSecrets {
    secrets: Secrets,
    found: u64,
}

impl OldSecrets {
    /// Reads a part; returns the count when it was the last one. The next part is then the first.
    pub async fn advance(
        &mut self,
        store: &dyn CertificateStore,
        vault: &dyn Vault,
    ) -> Result<Option<u64>, StoreError> {
        for _ in 0..COUNTED_AT_ONCE {
            let Some(rows) = self.secrets.next_page(store).await? else {
                return Ok(Some(std::mem::take(self).found));
            };
            for row in &rows {
                self.found += u64::from(!vault.is_current(&row.sealed));
            }
        }
        Ok(None)
    }
}

/// Whether no secret is stored.
pub async fn is_empty(store: &dyn CertificateStore) -> Result<bool, StoreError> {
    Ok(Secrets::default().next_page(store).await?.is_none())
}

/// Seals every stored secret under the current key-encryption key.
pub async fn rotate(
    store: &dyn CertificateStore,
    vault: &dyn Vault,
) -> Result<Rotated, RotationError> {
    let (mut done, mut secrets) = (Rotated::default(), Secrets::default());
    while let Some(rows) = secrets.next_page(store).await? {
        for row in &rows {
            let resealed = vault
                .reseal(context(row), &row.sealed)
                .map_err(unusable(row))?;
            match resealed {
                // A row written meanwhile was sealed under the current key by its writer.
                Some(new) if store.secret_replace(row, &new).await? => done.resealed += 1,
                Some(_) | None => done.current += 1,
            }
        }
    }
    Ok(done)
}

/// Opens every stored secret, which proves that the keys belong to the store; returns how many
/// there are.
pub async fn open_all(
    store: &dyn CertificateStore,
    vault: &dyn Vault,
) -> Result<u64, RotationError> {
    let (mut opened, mut secrets) = (0, Secrets::default());
    while let Some(rows) = secrets.next_page(store).await? {
        for row in &rows {
            vault
                .open(context(row), &row.sealed)
                .map_err(unusable(row))?;
            opened += 1;
        }
    }
    Ok(opened)
}

fn context(row: &SecretRow) -> SecretContext<'_> {
    SecretContext {
        purpose: row.purpose,
        row: &row.row,
    }
}

fn unusable(row: &SecretRow) -> impl FnOnce(VaultError) -> RotationError {
    |source| RotationError::Secret {
        purpose: row.purpose,
        row: row.row.clone(),
        source,
    }
}
