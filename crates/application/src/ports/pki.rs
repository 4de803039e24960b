//! Keys, signing requests and the reading of certificates.

use dps_domain::{Hostname, Timestamp};
use secrecy::SecretString;

/// The parsed data of a certificate, stored with its PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateDetails {
    /// SHA-256 of the leaf's DER, lower-case hex.
    pub fingerprint: String,
    /// Serial number, lower-case hex.
    pub serial: String,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// The unique identifier of RFC 9773 §4.1, if the certificate has an authority key identifier.
    pub ari_id: Option<String>,
    /// The chain, leaf first, as clean PEM.
    pub chain_pem: String,
}

/// The chain is not one that we may store and serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate chain is not acceptable: {reason}")]
pub struct ChainRejected {
    /// Why, as a sentence.
    pub reason: String,
}

/// Makes keys and signing requests, reads and verifies chains.
pub trait Pki: Send + Sync {
    /// A new P-256 private key as PKCS#8 PEM.
    fn new_key(&self) -> Result<SecretString, PkiError>;

    /// A certificate signing request (RFC 2986, DER) for `host` alone.
    fn signing_request(&self, key: &SecretString, host: &Hostname) -> Result<Vec<u8>, PkiError>;

    /// Verifies that the chain is for `host` and `key`, in order and valid at `now`, and reads it.
    fn inspect(
        &self,
        chain_pem: &str,
        key: &SecretString,
        host: &Hostname,
        now: Timestamp,
    ) -> Result<CertificateDetails, ChainRejected>;

    /// The name of the leaf's issuer (RFC 4514); `None` if the chain cannot be read.
    fn issuer(&self, chain_pem: &str) -> Option<String>;
}

/// A key could not be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a private key could not be made or read: {reason}")]
pub struct PkiError {
    /// Why; never contains key material.
    pub reason: String,
}
