//! Encryption of secrets before they reach the store.

use std::fmt;

use secrecy::SecretString;

/// The context of a secret. It is bound into the encryption, so that a secret that is moved to
/// another row or purpose does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretContext<'a> {
    /// The purpose of the secret.
    pub purpose: SecretPurpose,
    /// The identity of the row that holds it.
    pub row: &'a str,
}

/// The purpose of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretPurpose {
    /// The key of a CA account; the row is the directory URL.
    AccountKey,
    /// The certificate key of an order under way; the row is the order's id.
    OrderKey,
    /// The key of a stored certificate; the row is the certificate's id.
    CertificateKey,
}

impl SecretPurpose {
    /// All purposes.
    pub const ALL: [Self; 3] = [Self::AccountKey, Self::OrderKey, Self::CertificateKey];

    /// The name bound into the encryption. Never change one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountKey => "account-key",
            Self::OrderKey => "order-key",
            Self::CertificateKey => "certificate-key",
        }
    }
}

/// An encrypted secret: safe to store, useless without the key-encryption key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub Vec<u8>);

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSecret({} bytes)", self.0.len())
    }
}

/// Seals and opens secrets.
pub trait Vault: Send + Sync {
    /// Encrypts with the current key-encryption key.
    fn seal(
        &self,
        context: SecretContext<'_>,
        secret: &SecretString,
    ) -> Result<SealedSecret, VaultError>;

    /// Decrypts with whichever configured key-encryption key it was sealed under.
    fn open(
        &self,
        context: SecretContext<'_>,
        sealed: &SealedSecret,
    ) -> Result<SecretString, VaultError>;

    /// Whether it was sealed under the current key-encryption key.
    fn is_current(&self, sealed: &SealedSecret) -> bool;

    /// The same secret under the current key-encryption key; `None` when it is already.
    fn reseal(
        &self,
        context: SecretContext<'_>,
        sealed: &SealedSecret,
    ) -> Result<Option<SealedSecret>, VaultError>;
}

/// A secret could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key-encryption key it was sealed under is not configured.
    #[error("the secret was sealed under the key-encryption key {key_id}, which is not configured")]
    UnknownKey {
        /// The missing key's identifier.
        key_id: String,
    },
    /// The bytes are not what was sealed for this row and purpose.
    #[error("the secret does not open: it was altered or belongs to another row")]
    Tampered,
    /// The cipher failed.
    #[error("the cipher failed")]
    Cipher,
}
