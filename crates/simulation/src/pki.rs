//! Keys and chains that cost nothing to make. What they protect is not what a simulation is about.

use std::net::SocketAddr;

use dps_application::ports::metrics::AcmeWait;
use dps_application::ports::metrics::LocalParty;
use dps_application::ports::pki::{CertificateFacts, ChainRejected, PkiError};
use dps_application::ports::vault::{SealedSecret, SecretContext, VaultError};
use dps_application::ports::{CabinetEvent, Metrics, Pki, Vault};
use dps_domain::lane::Lane;
use dps_domain::{Hostname, Timestamp};
use secrecy::SecretString;

use crate::names;

/// A certificate as the CA's model writes it in place of PEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// The domain's number.
    pub number: u32,
    /// Counts all certificates of the CA.
    pub serial: u64,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}

impl Leaf {
    /// The "chain".
    pub fn to_text(self) -> String {
        let (from, to) = (self.not_before.unix_micros(), self.not_after.unix_micros());
        format!("{} {} {from} {to}", self.number, self.serial)
    }

    /// Reads a "chain".
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let mut next = || parts.next();
        Some(Self {
            number: next()?.parse().ok()?,
            serial: next()?.parse().ok()?,
            not_before: Timestamp::from_unix_micros(next()?.parse().ok()?),
            not_after: Timestamp::from_unix_micros(next()?.parse().ok()?),
        })
    }

    /// Its identifier in the CA's renewal information.
    pub fn ari_id(self) -> String {
        format!("{}.{}", self.number, self.serial)
    }
}

/// Number and serial of an identifier in the renewal information.
pub fn read_ari_id(text: &str) -> Option<(u32, u64)> {
    let (number, serial) = text.split_once('.')?;
    Some((number.parse().ok()?, serial.parse().ok()?))
}

/// Makes keys of one letter and reads the CA's "chains".
#[derive(Debug, Clone, Copy)]
pub struct PaperPki;

impl Pki for PaperPki {
    fn new_key(&self) -> Result<SecretString, PkiError> {
        Ok(SecretString::from("k"))
    }

    fn signing_request(&self, _key: &SecretString, host: &Hostname) -> Result<Vec<u8>, PkiError> {
        Ok(host.as_str().as_bytes().to_vec())
    }

    fn inspect(
        &self,
        chain_pem: &str,
        _key: &SecretString,
        host: &Hostname,
        now: Timestamp,
    ) -> Result<CertificateFacts, ChainRejected> {
        let rejected = |reason: &str| ChainRejected {
            reason: reason.to_owned(),
        };
        let leaf = Leaf::read(chain_pem).ok_or_else(|| rejected("not a chain"))?;
        if names::number(host) != Some(leaf.number) {
            return Err(rejected("it is for another name"));
        }
        if leaf.not_after <= now {
            return Err(rejected("it expired"));
        }
        Ok(CertificateFacts {
            fingerprint: leaf.serial.to_string(),
            serial: leaf.serial.to_string(),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            ari_id: Some(leaf.ari_id()),
            chain_pem: chain_pem.to_owned(),
        })
    }
}

/// Hides nothing.
#[derive(Debug, Clone, Copy)]
pub struct PaperVault;

impl Vault for PaperVault {
    fn seal(&self, _: SecretContext<'_>, _: &SecretString) -> Result<SealedSecret, VaultError> {
        Ok(SealedSecret(vec![0]))
    }

    fn open(&self, _: SecretContext<'_>, _: &SealedSecret) -> Result<SecretString, VaultError> {
        Ok(SecretString::from("k"))
    }

    fn reseal(
        &self,
        _: SecretContext<'_>,
        _: &SealedSecret,
    ) -> Result<Option<SealedSecret>, VaultError> {
        Ok(None)
    }
}

/// Counts nothing: the models count.
#[derive(Debug, Clone, Copy)]
pub struct NoMetrics;

impl Metrics for NoMetrics {
    fn domain_verification(&self, _success: bool) {}
    fn acme_issuance(&self, _success: bool) {}
    fn renewal(&self, _success: bool) {}
    fn acme_wait(&self, _wait: AcmeWait) {}
    fn under_way(&self, _lane: Lane, _steps: usize) {}
    fn edge_filled(&self, _applied: usize, _refused: usize) {}
    fn renewal_info(&self, _success: bool) {}
    fn local_fault(&self, _party: LocalParty) {}
    fn resolver_failed(&self, _resolver: SocketAddr) {}
    fn cabinet(&self, _event: CabinetEvent) {}
}
