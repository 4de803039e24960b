//! Keys and chains that cost nothing to make, for the simulation and for tests of the service.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::time::Duration;

use dps_application::ports::metrics::LocalParty;
use dps_application::ports::metrics::{AcmeWait, ClaimEvent, Milestone};
use dps_application::ports::pki::{CertificateDetails, ChainRejected, PkiError};
use dps_application::ports::vault::{SealedSecret, SecretContext, VaultError};
use dps_application::ports::{CabinetEvent, Metrics, Pki, Vault};
use dps_domain::decide::Action;
use dps_domain::lane::Lane;
use dps_domain::{Hostname, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};

/// The private key of every certificate.
pub const CERTIFICATE_KEY: &str = "certificate-key";

/// A certificate as the CA's models write it in place of PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The hostname that it is for.
    pub name: String,
    /// Counts all certificates of the CA.
    pub serial: u64,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}

impl Leaf {
    /// The "chain".
    pub fn to_text(&self) -> String {
        let (from, to) = (self.not_before.unix_micros(), self.not_after.unix_micros());
        format!("{} {} {from} {to}", self.name, self.serial)
    }

    /// Reads a "chain".
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let mut next = || parts.next();
        Some(Self {
            name: next()?.to_owned(),
            serial: next()?.parse().ok()?,
            not_before: Timestamp::from_unix_micros(next()?.parse().ok()?),
            not_after: Timestamp::from_unix_micros(next()?.parse().ok()?),
        })
    }

    /// Its identifier in the CA's renewal information.
    pub fn ari_id(&self) -> String {
        format!("{}.{}", self.name, self.serial)
    }

    /// The fingerprint that edges and store know it by.
    pub fn fingerprint(&self) -> String {
        self.serial.to_string()
    }
}

/// Hostname and serial of an identifier in the renewal information.
pub fn read_ari_id(text: &str) -> Option<(&str, u64)> {
    let (name, serial) = text.rsplit_once('.')?;
    Some((name, serial.parse().ok()?))
}

/// Makes the one key that there is, and reads the CA's "chains".
#[derive(Debug, Clone, Copy)]
pub struct PaperPki;

impl Pki for PaperPki {
    fn new_key(&self) -> Result<SecretString, PkiError> {
        Ok(SecretString::from(CERTIFICATE_KEY))
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
    ) -> Result<CertificateDetails, ChainRejected> {
        let rejected = |reason: &str| ChainRejected {
            reason: reason.to_owned(),
        };
        let leaf = Leaf::read(chain_pem).ok_or_else(|| rejected("not a chain"))?;
        if leaf.name != host.as_str() {
            return Err(rejected("it is for another name"));
        }
        if leaf.not_after <= now {
            return Err(rejected("it expired"));
        }
        Ok(CertificateDetails {
            fingerprint: leaf.fingerprint(),
            serial: leaf.serial.to_string(),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            ari_id: Some(leaf.ari_id()),
            chain_pem: chain_pem.to_owned(),
        })
    }

    fn issuer(&self, _chain_pem: &str) -> Option<String> {
        None
    }
}

/// Hides nothing, and opens a secret only in the context in which it was sealed.
#[derive(Debug, Clone, Copy)]
pub struct PaperVault;

fn seal_of(context: SecretContext<'_>) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    (context.purpose.as_str(), context.row).hash(&mut hasher);
    hasher.finish().to_be_bytes()
}

impl Vault for PaperVault {
    fn seal(
        &self,
        context: SecretContext<'_>,
        secret: &SecretString,
    ) -> Result<SealedSecret, VaultError> {
        let text = secret.expose_secret().as_bytes();
        Ok(SealedSecret([&seal_of(context)[..], text].concat()))
    }

    fn open(
        &self,
        context: SecretContext<'_>,
        sealed: &SealedSecret,
    ) -> Result<SecretString, VaultError> {
        let text = sealed.0.strip_prefix(&seal_of(context)[..]);
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        text.map(SecretString::from).ok_or(VaultError::Tampered)
    }

    fn is_current(&self, _: &SealedSecret) -> bool {
        true
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
    fn step(&self, _lane: Lane, _action: &Action, _took: Duration) {}
    fn onboarding(&self, _milestone: Milestone, _since_intake: Duration) {}
    fn acme_account(&self, _is_usable: bool) {}
    fn under_way(&self, _lane: Lane, _steps: usize) {}
    fn edge_filled(&self, _applied: usize, _refused: usize) {}
    fn renewal_info(&self, _success: bool) {}
    fn local_fault(&self, _party: LocalParty) {}
    fn resolver_failed(&self, _resolver: SocketAddr) {}
    fn cabinet(&self, _event: CabinetEvent) {}
    fn claim(&self, _event: ClaimEvent) {}
}
