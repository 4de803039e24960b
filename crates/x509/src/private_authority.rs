//! A private certificate authority, for connections between our processes. No browser trusts it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use dps_domain::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::csr::{date, signer};
use crate::{CertificateChain, CertificateKey, MakeError};

/// The side of a connection for which a certificate is valid. It is valid for that side only, so
/// that a key stolen from an edge cannot command other edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerRole {
    /// The side that calls: extended key usage `clientAuth`.
    Client,
    /// The side that is called: extended key usage `serverAuth`.
    Server,
}

/// A name or address under which a peer is called: a host name of any number of labels, or an IP
/// address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerName {
    /// A host name in lower case.
    Host(String),
    /// An address.
    Ip(IpAddr),
}

/// The text is not a [`PeerName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an IP address nor a host name of letters, digits, '-' and '.'")]
pub struct PeerNameError(String);

/// A private authority's files do not make an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityFault {
    /// Not one certificate.
    #[error("there must be exactly one certificate in the authority's file")]
    NotOne,
    /// A certificate that may not sign others.
    #[error("the certificate is not one of an authority")]
    NotAnAuthority,
    /// The key belongs to another certificate.
    #[error("the key does not belong to the authority's certificate")]
    KeyMismatch,
}

/// A certificate authority with its key.
pub struct PrivateAuthority {
    chain: CertificateChain,
    key: CertificateKey,
    issuer: Issuer<'static, KeyPair>,
}

impl PrivateAuthority {
    /// A new authority under this name. It signs peers and no further authorities.
    pub fn create(
        name: &str,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<Self, MakeError> {
        let key = CertificateKey::generate()?;
        let mut params = named(name, not_before, not_after)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params
            .self_signed(&signer(&key)?)
            .map_err(MakeError::Encode)?;
        let chain = CertificateChain::from_der(vec![certificate.der().to_vec()])
            .map_err(|_| MakeError::Unreadable)?;
        Self::open(chain, key)
    }

    /// An authority that was made before.
    pub fn open(chain: CertificateChain, key: CertificateKey) -> Result<Self, MakeError> {
        let [der] = chain.der() else {
            return Err(AuthorityFault::NotOne.into());
        };
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| MakeError::Unreadable)?;
        if !certificate.is_ca() {
            return Err(AuthorityFault::NotAnAuthority.into());
        }
        if *certificate.public_key().subject_public_key.data != *key.public_key() {
            return Err(AuthorityFault::KeyMismatch.into());
        }
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(der.as_slice()), signer(&key)?)
            .map_err(MakeError::Encode)?;
        Ok(Self { chain, key, issuer })
    }

    /// A certificate for a peer, with a new key. Its chain is the certificate alone, since the
    /// other side has the authority.
    pub fn issue(
        &self,
        role: PeerRole,
        names: &[PeerName],
        (not_before, not_after): (Timestamp, Timestamp),
    ) -> Result<(CertificateChain, CertificateKey), MakeError> {
        let key = CertificateKey::generate()?;
        let first = names.first().map(PeerName::to_string).unwrap_or_default();
        // No later than the authority itself, since no peer accepts it after that.
        let mut params = named(&first, not_before, not_after.min(self.expires_at()))?;
        params.subject_alt_names = names
            .iter()
            .map(alternative_name)
            .collect::<Result<_, _>>()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match role {
            PeerRole::Client => ExtendedKeyUsagePurpose::ClientAuth,
            PeerRole::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&signer(&key)?, &self.issuer)
            .map_err(MakeError::Encode)?;
        let chain = CertificateChain::from_der(vec![certificate.der().to_vec()])
            .map_err(|_| MakeError::Unreadable)?;
        Ok((chain, key))
    }

    /// The authority's own certificate, which the peers need to verify each other.
    pub const fn chain(&self) -> &CertificateChain {
        &self.chain
    }

    /// The authority's key. It can sign certificates that all peers accept.
    pub const fn key(&self) -> &CertificateKey {
        &self.key
    }

    /// Last moment of the authority's validity.
    pub fn expires_at(&self) -> Timestamp {
        self.chain.leaf().not_after
    }
}

/// The names and addresses that a peer's certificate is for, in its order.
pub fn peer_names(chain: &CertificateChain) -> Vec<PeerName> {
    let Some(Ok((_, leaf))) = chain
        .der()
        .first()
        .map(|der| X509Certificate::from_der(der))
    else {
        return Vec::new();
    };
    let Ok(Some(extension)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) => text.parse().ok(),
        GeneralName::IPAddress(octets) => <[u8; 4]>::try_from(*octets)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from))
            .map(PeerName::Ip)
            .ok(),
        _ => None,
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(name)
        .collect()
}

fn named(
    name: &str,
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<CertificateParams, MakeError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(MakeError::Encode)?;
    params.distinguished_name = DistinguishedName::new();
    // RFC 5280 limits a common name to 64 characters; it is not used here.
    let common_name: String = name.chars().take(64).collect();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = date(not_before)?;
    params.not_after = date(not_after)?;
    Ok(params)
}

fn alternative_name(name: &PeerName) -> Result<SanType, MakeError> {
    Ok(match name {
        PeerName::Ip(address) => SanType::IpAddress(*address),
        PeerName::Host(host) => {
            SanType::DnsName(host.as_str().try_into().map_err(MakeError::Encode)?)
        }
    })
}

impl FromStr for PeerName {
    type Err = PeerNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let is_label = |label: &str| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len())
                && label.bytes().all(letters)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A text in the form of an address that is none must not become a name.
        let is_number = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        if text.len() > 253 || is_number || !text.split('.').all(is_label) {
            return Err(PeerNameError(text.chars().take(300).collect()));
        }
        Ok(Self::Host(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const END: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn names(texts: &[&str]) -> Vec<PeerName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_peers_certificate_names_it_and_is_good_for_one_side() {
        let authority = PrivateAuthority::create("fleet", START, END).unwrap();
        let wanted = names(&["edge1", "edge1.internal", "192.0.2.7", "2001:db8::7"]);
        for (role, client) in [(PeerRole::Client, true), (PeerRole::Server, false)] {
            let (chain, key) = authority.issue(role, &wanted, (START, END)).unwrap();
            assert_eq!(peer_names(&chain), wanted);
            let (_, leaf) = X509Certificate::from_der(&chain.der()[0]).unwrap();
            assert_eq!(
                *leaf.public_key().subject_public_key.data,
                *key.public_key()
            );
            let usage = leaf.extended_key_usage().unwrap().unwrap().value;
            assert_eq!((usage.client_auth, usage.server_auth), (client, !client));
            let usage = leaf.key_usage().unwrap().unwrap().value;
            assert!(usage.digital_signature() && !usage.key_cert_sign());
            assert!(!leaf.is_ca());
            let (_, issuer) = X509Certificate::from_der(&authority.chain().der()[0]).unwrap();
            assert!(leaf.verify_signature(Some(issuer.public_key())).is_ok());
            assert_eq!(leaf.issuer(), issuer.subject());
            assert!(issuer.key_usage().unwrap().unwrap().value.key_cert_sign());
        }
    }

    #[test]
    fn an_authority_that_was_read_back_continues_and_nothing_outlives_it() {
        let made = PrivateAuthority::create("fleet", START, END).unwrap();
        let chain = CertificateChain::from_pem(&made.chain().to_pem()).unwrap();
        let key = CertificateKey::from_pkcs8(made.key().pkcs8_der()).unwrap();
        let again = PrivateAuthority::open(chain.clone(), key).unwrap();
        let beyond = Timestamp::from_unix_seconds(1_900_000_000);
        let (peer, peer_key) = again
            .issue(PeerRole::Client, &names(&["service"]), (START, beyond))
            .unwrap();
        assert_eq!(peer.leaf().not_after, END);
        let wrong = PrivateAuthority::open(chain, CertificateKey::generate().unwrap());
        assert!(matches!(
            wrong,
            Err(MakeError::Authority(AuthorityFault::KeyMismatch))
        ));
        let leaf = PrivateAuthority::open(peer, peer_key);
        assert!(matches!(
            leaf,
            Err(MakeError::Authority(AuthorityFault::NotAnAuthority))
        ));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for good in ["edge1", "EDGE-1.internal", "127.0.0.1", "::1"] {
            assert!(good.parse::<PeerName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            "a_b",
            "*.a",
            "-a",
            "a-",
            "1.2.3",
            "ä",
            "a b",
            "a/b",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<PeerName>().is_err(), "{bad}");
        }
    }
}
