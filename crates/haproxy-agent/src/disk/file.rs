//! The content of a certificate's file.

use dps_domain::{Hostname, Timestamp};
use dps_x509::{CertificateChain, CertificateKey, ChainFault, check};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

/// One file holds everything about a hostname's certificate, so that it is never half written. It
/// has a comment line with hostname and generation, the chain and the key. OpenSSL skips text
/// before a block.
pub(crate) struct StoredCertificate {
    pub(crate) hostname: Hostname,
    pub(crate) generation: u64,
    pub(crate) chain: CertificateChain,
    pub(crate) key: CertificateKey,
}

/// Why a file cannot be one of ours, in words for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileFault {
    #[error("its first line does not name hostname and generation")]
    Header,
    #[error("it lies under another hostname's name")]
    Misplaced,
    #[error("it is longer than any certificate's file")]
    TooLarge,
    #[error("it is no regular file of readable text")]
    Unreadable,
    #[error("its chain cannot be read: {0}")]
    Chain(#[from] dps_x509::ChainError),
    #[error("its key cannot be read: {0}")]
    Key(#[from] dps_x509::KeyFault),
    #[error("{0}")]
    Fault(ChainFault),
    #[error("it is not in the crt-list")]
    Unlisted { hostname: Hostname, generation: u64 },
}

impl StoredCertificate {
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(format!(
            "# hostname={} generation={}\n",
            self.hostname, self.generation
        ));
        let chain = self.chain.to_pem();
        let key = self.key.to_pem();
        text.reserve_exact(chain.len() + key.expose_secret().len());
        text.push_str(&chain);
        text.push_str(key.expose_secret());
        text
    }

    /// Reads a file back. Dates are not checked: an expired certificate loads, and is better than
    /// none.
    pub(crate) fn parse(text: &str) -> Result<Self, FileFault> {
        let (header, pem) = text.split_once('\n').ok_or(FileFault::Header)?;
        let (hostname, generation) = header
            .strip_prefix("# hostname=")
            .and_then(|rest| rest.split_once(" generation="))
            .ok_or(FileFault::Header)?;
        let hostname = Hostname::parse(hostname).map_err(|_| FileFault::Header)?;
        let generation = generation.parse().map_err(|_| FileFault::Header)?;
        let (chain, key) = pem.split_at(pem.find(KEY_BEGIN).unwrap_or(pem.len()));
        let stored = Self {
            hostname,
            generation,
            chain: CertificateChain::from_pem(chain)?,
            key: CertificateKey::from_pem(key)?,
        };
        match check(
            &stored.chain,
            &stored.key,
            &stored.hostname,
            Timestamp::EPOCH,
        ) {
            Ok(()) | Err(ChainFault::NotYetValid { .. } | ChainFault::Expired { .. }) => Ok(stored),
            Err(fault) => Err(FileFault::Fault(fault)),
        }
    }
}

const KEY_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
