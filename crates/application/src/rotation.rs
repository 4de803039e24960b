//! Rotation of key-encryption keys: every secret is sealed again under the current one, while the service runs.

use crate::ports::store::StoreError;
use crate::ports::vault::{SecretContext, SecretPurpose, VaultError};
use crate::ports::{CertificateStore, Vault};

/// The rotation stopped; what was resealed before stays so, and running it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret does not open.
    #[error("the {purpose} of {row} cannot be resealed", purpose = .purpose.as_str())]
    Secret {
        /// What it is for.
        purpose: SecretPurpose,
        /// Its row.
        row: String,
        /// Why.
        #[source]
        source: VaultError,
    },
}

/// What a rotation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Secrets sealed again.
    pub resealed: u64,
    /// Secrets that were under the current key already.
    pub current: u64,
}

const PAGE: u32 = 200;

/// Seals every stored secret under the current key-encryption key.
pub async fn rotate(store: &dyn CertificateStore, vault: &dyn Vault) -> Result<Rotated, RotationError> {
    let mut done = Rotated::default();
    for purpose in [
        SecretPurpose::AccountKey,
        SecretPurpose::OrderKey,
        SecretPurpose::CertificateKey,
    ] {
        let mut after: Option<String> = None;
        loop {
            let rows = store.secrets(purpose, after.as_deref(), PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.row.clone());
            for row in &rows {
                let context = SecretContext {
                    purpose,
                    row: &row.row,
                };
                let resealed =
                    vault
                        .reseal(context, &row.sealed)
                        .map_err(|source| RotationError::Secret {
                            purpose,
                            row: row.row.clone(),
                            source,
                        })?;
                match resealed {
                    // A row written meanwhile was sealed under the current key by its writer.
                    Some(new) if store.secret_replace(row, &new).await? => done.resealed += 1,
                    Some(_) | None => done.current += 1,
                }
            }
        }
    }
    Ok(done)
}
