//! A certificate with its intermediates, as a TLS server sends it.

use std::fmt;

use aws_lc_rs::digest;
use dps_domain::Timestamp;
use rustls_pki_types::pem::{PemObject, SectionKind};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pem;

/// More PEM text than this is refused unread.
pub const MAX_CHAIN_BYTES: usize = 64 * 1024;
/// Leaf and intermediates together.
pub const MAX_CHAIN_CERTIFICATES: usize = 5;

/// Why a text is not a certificate chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// More than [`MAX_CHAIN_BYTES`].
    #[error("the certificates are longer than allowed (64 KiB for a chain)")]
    TooLarge,
    /// Broken base64 or PEM framing.
    #[error("the certificate chain is not well-formed PEM")]
    NotPem,
    /// A block that is no certificate, such as a private key.
    #[error(
        "the certificate chain holds a PEM block that is not a certificate; send certificates only, leaf first"
    )]
    ForeignBlock,
    /// No certificate at all.
    #[error("there is no certificate in the PEM text; send the leaf first, then its intermediates")]
    Missing,
    /// More than [`MAX_CHAIN_CERTIFICATES`], or in a bundle more than
    /// [`MAX_BUNDLE_CERTIFICATES`](crate::MAX_BUNDLE_CERTIFICATES).
    #[error(
        "the certificate chain holds too many certificates; send the leaf and its intermediates only"
    )]
    TooMany,
    /// The DER of one certificate cannot be read.
    #[error("certificate {position} of the chain (1 is the leaf) cannot be read as X.509")]
    Malformed {
        /// Place in the chain, 1 for the leaf.
        position: usize,
    },
}

/// The parsed data of the leaf certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// SHA-256 of the DER in lower-case hex: the project's **fingerprint**.
    pub fingerprint: String,
    /// SHA-1 of the DER in upper-case hex, as HAProxy's Runtime API shows it.
    pub fingerprint_sha1: String,
    /// The serial number's DER content octets, sign octet included (RFC 9773 §4.1 needs them as
    /// they are).
    pub serial: Vec<u8>,
    /// The key identifier of the issuer's key (RFC 5280 §4.2.1.1), if given.
    pub authority_key_identifier: Option<Vec<u8>>,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
    /// Subject alternative names of type DNS, lower case, in the certificate's order.
    pub dns_names: Vec<String>,
    /// The issuer's distinguished name (RFC 4514).
    pub issuer: String,
}

/// A parsed certificate chain, leaf first. [`check`](crate::check) verifies it.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateChain {
    certificates: Vec<Vec<u8>>,
    leaf: Leaf,
}

impl CertificateChain {
    /// Reads PEM, leaf first. CRLF, blank lines and text between the blocks are passed over; any
    /// other kind of block is refused.
    pub fn from_pem(text: &str) -> Result<Self, ChainError> {
        let certificates = pem_certificates(text, MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES)?;
        Self::from_der(certificates)
    }

    /// Takes DER certificates, leaf first.
    pub fn from_der(certificates: Vec<Vec<u8>>) -> Result<Self, ChainError> {
        if certificates.len() > MAX_CHAIN_CERTIFICATES {
            return Err(ChainError::TooMany);
        }
        let parsed = parse_all(&certificates)?;
        let first = parsed.first().ok_or(ChainError::Missing)?;
        let leaf =
            read_leaf(first, &certificates[0]).ok_or(ChainError::Malformed { position: 1 })?;
        Ok(Self { certificates, leaf })
    }

    /// The chain as PEM: LF line ends, no blank lines, nothing between the blocks.
    pub fn to_pem(&self) -> String {
        let mut text = String::new();
        for der in &self.certificates {
            pem::append(&mut text, "CERTIFICATE", der);
        }
        text
    }

    /// The parsed data of the leaf certificate.
    pub const fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// SHA-256 of the leaf in lower-case hex.
    pub fn fingerprint(&self) -> &str {
        &self.leaf.fingerprint
    }

    /// Last moment of the leaf's validity.
    pub const fn not_after(&self) -> Timestamp {
        self.leaf.not_after
    }

    /// The certificates in DER, leaf first; never empty.
    pub fn der(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// How many certificates follow the leaf.
    pub fn intermediates(&self) -> usize {
        self.certificates.len() - 1
    }

    /// The fingerprint of any DER certificate, for comparison with [`Leaf::fingerprint`].
    pub fn fingerprint_of(der: &[u8]) -> String {
        hex::encode(digest::digest(&digest::SHA256, der))
    }
}

impl fmt::Debug for CertificateChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateChain")
            .field("leaf", &self.leaf)
            .field("certificates", &self.certificates.len())
            .finish()
    }
}

/// The DER of each certificate in a PEM text of `max_bytes`, at most `most`.
pub(crate) fn pem_certificates(
    text: &str,
    max_bytes: usize,
    most: usize,
) -> Result<Vec<Vec<u8>>, ChainError> {
    if text.len() > max_bytes {
        return Err(ChainError::TooLarge);
    }
    let mut certificates = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let (kind, der) = section.map_err(|_| ChainError::NotPem)?;
        if kind != SectionKind::Certificate {
            return Err(ChainError::ForeignBlock);
        }
        if certificates.len() == most {
            return Err(ChainError::TooMany);
        }
        certificates.push(der);
    }
    Ok(certificates)
}

/// Parses every certificate; bytes after one are an error.
pub(crate) fn parse_all(certificates: &[Vec<u8>]) -> Result<Vec<X509Certificate<'_>>, ChainError> {
    certificates
        .iter()
        .enumerate()
        .map(|(index, der)| match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Ok(certificate),
            Ok(_) | Err(_) => Err(ChainError::Malformed {
                position: index + 1,
            }),
        })
        .collect()
}

fn read_leaf(certificate: &X509Certificate<'_>, der: &[u8]) -> Option<Leaf> {
    let mut dns_names = Vec::new();
    let mut authority_key_identifier = None;
    if let Some(names) = certificate.subject_alternative_name().ok()? {
        for name in &names.value.general_names {
            if let GeneralName::DNSName(name) = name {
                dns_names.push(name.to_ascii_lowercase());
            }
        }
    }
    for extension in certificate.extensions() {
        if let x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(identifier) =
            extension.parsed_extension()
        {
            authority_key_identifier = identifier.key_identifier.as_ref().map(|id| id.0.to_vec());
        }
    }
    let validity = certificate.validity();
    Some(Leaf {
        fingerprint: CertificateChain::fingerprint_of(der),
        fingerprint_sha1: hex::encode_upper(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der)),
        serial: certificate.raw_serial().to_vec(),
        authority_key_identifier,
        not_before: Timestamp::from_unix_seconds(validity.not_before.timestamp()),
        not_after: Timestamp::from_unix_seconds(validity.not_after.timestamp()),
        dns_names,
        issuer: certificate.issuer().to_string(),
    })
}
