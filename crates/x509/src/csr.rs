//! Certificate signing requests, and certificates that sign themselves.

use dps_domain::{Hostname, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use time::OffsetDateTime;

use crate::{AuthorityFault, CertificateChain, CertificateKey, KeyFault};

/// A request or certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The key could not be made or used.
    #[error("the private key cannot be used")]
    Key(#[from] KeyFault),
    /// The library refused to encode or sign.
    #[error("the request or certificate cannot be encoded")]
    Encode(#[source] rcgen::Error),
    /// The library's own encoding cannot be read.
    #[error("the new certificate cannot be read back")]
    Unreadable,
    /// The signer is not an authority.
    #[error("there is no usable certificate authority")]
    Authority(#[from] AuthorityFault),
    /// A date outside the years that X.509 knows.
    #[error("the date is outside the range of X.509")]
    Date,
}

/// Returns a PKCS#10 request (RFC 2986) in DER for one hostname, in the subject alternative name.
/// The subject is empty, since a common name is deprecated and limited to 64 octets.
pub fn csr_der(key: &CertificateKey, hostname: &Hostname) -> Result<Vec<u8>, MakeError> {
    let request = params(hostname)?
        .serialize_request(&signer(key)?)
        .map_err(MakeError::Encode)?;
    Ok(request.der().to_vec())
}

/// A self-signed certificate with a new key, which no client trusts.
pub fn self_signed(
    hostname: &Hostname,
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<(CertificateChain, CertificateKey), MakeError> {
    let key = CertificateKey::generate()?;
    let mut params = params(hostname)?;
    params.not_before = date(not_before)?;
    params.not_after = date(not_after)?;
    params
        .distinguished_name
        .push(DnType::OrganizationName, "self-signed");
    let certificate = params
        .self_signed(&signer(&key)?)
        .map_err(MakeError::Encode)?;
    let chain = CertificateChain::from_der(vec![certificate.der().to_vec()])
        .map_err(|_| MakeError::Unreadable)?;
    Ok((chain, key))
}

fn params(hostname: &Hostname) -> Result<CertificateParams, MakeError> {
    let mut params =
        CertificateParams::new(vec![hostname.as_str().to_owned()]).map_err(MakeError::Encode)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params)
}

pub(crate) fn signer(key: &CertificateKey) -> Result<KeyPair, MakeError> {
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(key.pkcs8_der())).map_err(MakeError::Encode)
}

pub(crate) fn date(at: Timestamp) -> Result<OffsetDateTime, MakeError> {
    OffsetDateTime::from_unix_timestamp(at.unix_seconds()).map_err(|_| MakeError::Date)
}
