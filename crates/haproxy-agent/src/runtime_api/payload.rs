//! The PEM that is sent with `set ssl cert`.

use std::fmt;

use dps_x509::{CertificateChain, CertificateKey};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

/// A chain with its key as PEM of our own making: LF, no blank line, nothing between the blocks.
/// Wiped when dropped.
pub struct Payload {
    chain: String,
    key: Zeroizing<String>,
}

impl Payload {
    /// Writes out chain and key.
    pub fn new(chain: &CertificateChain, key: &CertificateKey) -> Self {
        Self {
            chain: chain.to_pem(),
            key: Zeroizing::new(key.to_pem().expose_secret().to_owned()),
        }
    }

    /// The certificates, leaf first.
    pub fn chain(&self) -> &str {
        &self.chain
    }

    /// The private key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Certificates and key in one text.
    pub fn whole(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.chain.len() + self.key.len()));
        text.push_str(&self.chain);
        text.push_str(&self.key);
        text
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("chain_bytes", &self.chain.len())
            .finish_non_exhaustive()
    }
}
