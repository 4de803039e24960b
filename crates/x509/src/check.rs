//! Whether a chain may be served for a hostname.

use dps_domain::{Hostname, Timestamp};
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

use crate::chain::parse_all;
use crate::{CertificateChain, CertificateKey};

/// Why a chain must not be served. Each says what is wrong in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// The private key belongs to another certificate.
    #[error("the private key does not match the first certificate of the chain")]
    KeyMismatch,
    /// A certificate is not signed by the one after it.
    #[error(
        "certificate {position} of the chain (1 is the leaf) is not signed by the next one; send the leaf first"
    )]
    OutOfOrder {
        /// Place in the chain, 1 for the leaf.
        position: usize,
    },
    /// No subject alternative name covers the hostname.
    #[error("the certificate does not cover {hostname}")]
    NameNotCovered {
        /// The hostname that was asked for.
        hostname: Hostname,
    },
    /// Not valid yet.
    #[error("certificate {position} of the chain is not valid before {not_before}")]
    NotYetValid {
        /// Place in the chain, 1 for the leaf.
        position: usize,
        /// First moment of validity.
        not_before: Timestamp,
    },
    /// Not valid any more.
    #[error("certificate {position} of the chain expired at {not_after}")]
    Expired {
        /// Place in the chain, 1 for the leaf.
        position: usize,
        /// Last moment of validity.
        not_after: Timestamp,
    },
    /// Neither P-256, P-384 nor RSA of at least 2048 bits.
    #[error(
        "the certificate's key is too weak or of an unsupported kind; use ECDSA P-256, P-384 or RSA of at least 2048 bits"
    )]
    WeakKey,
    /// The leaf may not serve TLS, by its key usage or extended key usage.
    #[error("the certificate is not for TLS servers: {reason}")]
    WrongUsage {
        /// The extension and what it lacks.
        reason: &'static str,
    },
    /// A certificate above the leaf may not sign the one below it.
    #[error("certificate {position} of the chain may not issue certificates: {reason}")]
    NotAnAuthority {
        /// Place in the chain, 1 for the leaf.
        position: usize,
        /// The extension and what it says.
        reason: &'static str,
    },
    /// A leaf alone whose issuer is no root.
    #[error(
        "the chain is not complete: it has no intermediate certificate, and no root issued the leaf"
    )]
    Incomplete,
    /// No path leads to a root that is trusted.
    #[error("the chain does not lead to a trusted root: {reason}")]
    Untrusted {
        /// The reason that path validation gives.
        reason: String,
    },
    /// Signed with SHA-1 or older.
    #[error(
        "certificate {position} of the chain is signed with a broken hash; it must be SHA-256 or better"
    )]
    WeakSignature {
        /// Place in the chain, 1 for the leaf.
        position: usize,
    },
}

impl ChainFault {
    /// A stable code for metrics and interfaces.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyMismatch => "KEY_MISMATCH",
            Self::OutOfOrder { .. } => "CHAIN_OUT_OF_ORDER",
            Self::NameNotCovered { .. } => "NAME_NOT_COVERED",
            Self::NotYetValid { .. } => "NOT_YET_VALID",
            Self::Expired { .. } => "EXPIRED",
            Self::WeakKey => "WEAK_KEY",
            Self::WeakSignature { .. } => "WEAK_SIGNATURE",
            Self::WrongUsage { .. } => "WRONG_USAGE",
            Self::NotAnAuthority { .. } => "NOT_AN_AUTHORITY",
            Self::Incomplete => "CHAIN_INCOMPLETE",
            Self::Untrusted { .. } => "CHAIN_UNTRUSTED",
        }
    }
}

/// Checks that `chain` with `key` may be served for `hostname` at `now`. The key must belong to the
/// leaf and be strong enough. Each certificate must be signed by the next, which must be an
/// authority. The leaf must be for TLS servers and cover the name. Every certificate must be valid,
/// and no signature may use SHA-1.
///
/// Trust is not decided here but by [`CertificateBundle::path`](crate::CertificateBundle::path),
/// which knows the roots.
pub fn check(
    chain: &CertificateChain,
    key: &CertificateKey,
    hostname: &Hostname,
    now: Timestamp,
) -> Result<(), ChainFault> {
    let Ok(certificates) = parse_all(chain.der()) else {
        return Err(ChainFault::OutOfOrder { position: 1 });
    };
    let leaf = &certificates[0];
    if !is_strong(leaf) {
        return Err(ChainFault::WeakKey);
    }
    if *leaf.public_key().subject_public_key.data != *key.public_key() {
        return Err(ChainFault::KeyMismatch);
    }
    check_usage(leaf)?;
    check_links(&certificates)?;
    check_authorities(&certificates)?;
    if !chain
        .leaf()
        .dns_names
        .iter()
        .any(|pattern| covers(pattern, hostname.as_str()))
    {
        return Err(ChainFault::NameNotCovered {
            hostname: hostname.clone(),
        });
    }
    check_dates(&certificates, now)
}

fn is_strong(leaf: &X509Certificate<'_>) -> bool {
    match leaf.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => key.key_size() >= 2048,
        Ok(PublicKey::EC(point)) => matches!(point.key_size(), 256 | 384),
        Ok(_) | Err(_) => false,
    }
}

/// The leaf may sign a handshake and is for servers, unless it says nothing of its usage (RFC 5280
/// §4.2.1.3, §4.2.1.12).
fn check_usage(leaf: &X509Certificate<'_>) -> Result<(), ChainFault> {
    let unreadable = ChainFault::WrongUsage {
        reason: "an extension cannot be read",
    };
    let purposes = leaf.extended_key_usage().map_err(|_| unreadable.clone())?;
    if purposes.is_some_and(|purposes| !purposes.value.server_auth && !purposes.value.any) {
        return Err(ChainFault::WrongUsage {
            reason: "its extended key usage lacks serverAuth",
        });
    }
    let usage = leaf.key_usage().map_err(|_| unreadable)?;
    if usage.is_some_and(|usage| !usage.value.digital_signature()) {
        return Err(ChainFault::WrongUsage {
            reason: "its key usage lacks digitalSignature",
        });
    }
    Ok(())
}

/// Everything above the leaf is an authority for as many certificates as are below it (RFC 5280
/// §4.2.1.9).
fn check_authorities(certificates: &[X509Certificate<'_>]) -> Result<(), ChainFault> {
    for (below, certificate) in certificates.iter().skip(1).enumerate() {
        if let Some(reason) = not_an_authority(certificate, below) {
            return Err(ChainFault::NotAnAuthority {
                position: below + 2,
                reason,
            });
        }
    }
    Ok(())
}

/// Why a certificate may not sign one with `below` intermediates between it and the leaf; `None` if
/// it may.
pub(crate) fn not_an_authority(
    certificate: &X509Certificate<'_>,
    below: usize,
) -> Option<&'static str> {
    let constraints = match certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.value.ca => constraints.value,
        Ok(_) => return Some("it is not marked as an authority"),
        Err(_) => return Some("an extension cannot be read"),
    };
    let too_deep = |length: u32| usize::try_from(length).is_ok_and(|length| below > length);
    if constraints.path_len_constraint.is_some_and(too_deep) {
        return Some("its path length does not allow so many intermediates");
    }
    match certificate.key_usage() {
        Ok(Some(usage)) if !usage.value.key_cert_sign() => Some("its key usage lacks keyCertSign"),
        Ok(_) => None,
        Err(_) => Some("an extension cannot be read"),
    }
}

fn check_links(certificates: &[X509Certificate<'_>]) -> Result<(), ChainFault> {
    for (index, certificate) in certificates.iter().enumerate() {
        let position = index + 1;
        // A root at the end signs itself, and no client relies on that signature.
        let is_root = index > 0 && certificate.subject().as_raw() == certificate.issuer().as_raw();
        if !is_root
            && BROKEN_SIGNATURES.contains(
                &certificate
                    .signature_algorithm
                    .algorithm
                    .to_id_string()
                    .as_str(),
            )
        {
            return Err(ChainFault::WeakSignature { position });
        }
        let Some(issuer) = certificates.get(position) else {
            continue;
        };
        let named = certificate.issuer().as_raw() == issuer.subject().as_raw();
        if !named
            || certificate
                .verify_signature(Some(issuer.public_key()))
                .is_err()
        {
            return Err(ChainFault::OutOfOrder { position });
        }
    }
    Ok(())
}

/// MD2, MD4, MD5 and SHA-1 with RSA, SHA-1 with RSA (OIW), DSA and ECDSA with SHA-1.
const BROKEN_SIGNATURES: [&str; 7] = [
    "1.2.840.113549.1.1.2",
    "1.2.840.113549.1.1.3",
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.29",
    "1.2.840.10040.4.3",
    "1.2.840.10045.4.1",
];

fn check_dates(certificates: &[X509Certificate<'_>], now: Timestamp) -> Result<(), ChainFault> {
    for (index, certificate) in certificates.iter().enumerate() {
        let position = index + 1;
        let not_before =
            Timestamp::from_unix_seconds(certificate.validity().not_before.timestamp());
        let not_after = Timestamp::from_unix_seconds(certificate.validity().not_after.timestamp());
        if now < not_before {
            return Err(ChainFault::NotYetValid {
                position,
                not_before,
            });
        }
        if now > not_after {
            return Err(ChainFault::Expired {
                position,
                not_after,
            });
        }
    }
    Ok(())
}

/// Whether a DNS name of a certificate covers a hostname: equal, or a wildcard for exactly the
/// first label (RFC 6125 §6.4.3).
fn covers(pattern: &str, hostname: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern == hostname,
        Some(parent) => hostname
            .split_once('.')
            .is_some_and(|(_, rest)| rest == parent),
    }
}
