//! Keys, signing requests and the reading of certificates, by `dps-x509`.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_application::ports::Pki;
use dps_application::ports::pki::{CertificateDetails, ChainRejected, PkiError};
use dps_domain::{Hostname, Timestamp};
use dps_x509::{CertificateBundle, CertificateChain, CertificateKey, Leaf, Roots};
use secrecy::{ExposeSecret, SecretString};

/// The roots that issued chains must lead to.
#[derive(Debug, Clone)]
pub enum TrustedRoots {
    /// These.
    Fixed(Roots),
    /// Those in a PEM file, read for each chain, so that a changed file counts without a restart.
    File(PathBuf),
}

impl TrustedRoots {
    /// The roots of this machine's trust store, as its TLS clients use them.
    pub fn system() -> Result<Self, NoRoots> {
        let found = rustls_native_certs::load_native_certs();
        let roots = Roots::from_der(found.certs.into_iter().map(|der| der.to_vec()));
        if roots.is_empty() {
            let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(NoRoots::because(&errors));
        }
        Ok(Self::Fixed(roots))
    }

    fn read(&self) -> Result<Roots, ChainRejected> {
        match self {
            Self::Fixed(roots) => Ok(roots.clone()),
            Self::File(path) => {
                let unreadable = |reason: String| ChainRejected {
                    reason: format!(
                        "the file of roots {} cannot be used: {reason}",
                        path.display()
                    ),
                };
                let text =
                    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
                Roots::from_pem(&text).map_err(|error| unreadable(error.to_string()))
            }
        }
    }
}

/// This machine has no trust store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this machine has no root certificates ({reason}); install ca-certificates or set LetsEncrypt:RootsFile"
)]
pub struct NoRoots {
    reason: String,
}

impl NoRoots {
    fn because(errors: &[String]) -> Self {
        let reason = if errors.is_empty() {
            "its trust store is empty".to_owned()
        } else {
            errors.join("; ")
        };
        Self { reason }
    }
}

/// The [`Pki`] of the service: ECDSA P-256 keys, one hostname per request, chains verified up to
/// the roots before they are used.
#[derive(Debug, Clone)]
pub struct X509Pki(TrustedRoots);

impl X509Pki {
    /// Believes chains to these roots.
    pub const fn new(roots: TrustedRoots) -> Self {
        Self(roots)
    }
}

impl Pki for X509Pki {
    fn new_key(&self) -> Result<SecretString, PkiError> {
        CertificateKey::generate()
            .map(|key| key.to_pem())
            .map_err(|fault| unusable(&fault))
    }

    fn signing_request(&self, key: &SecretString, host: &Hostname) -> Result<Vec<u8>, PkiError> {
        let key =
            CertificateKey::from_pem(key.expose_secret()).map_err(|fault| unusable(&fault))?;
        dps_x509::csr_der(&key, host).map_err(|error| unusable(&error))
    }

    fn inspect(
        &self,
        chain_pem: &str,
        key: &SecretString,
        host: &Hostname,
        now: Timestamp,
    ) -> Result<CertificateDetails, ChainRejected> {
        let sent = CertificateBundle::from_pem(chain_pem).map_err(|error| rejected(&error))?;
        let key =
            CertificateKey::from_pem(key.expose_secret()).map_err(|fault| rejected(&fault))?;
        let roots = self.0.read()?;
        let chain = sent
            .path(&key, host, now, &roots)
            .map_err(|fault| rejected(&fault))?;
        let leaf = chain.leaf();
        Ok(CertificateDetails {
            fingerprint: leaf.fingerprint.clone(),
            serial: hex::encode(&leaf.serial),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            ari_id: ari_id(leaf),
            chain_pem: chain.to_pem(),
        })
    }

    fn issuer(&self, chain_pem: &str) -> Option<String> {
        let chain = CertificateChain::from_pem(chain_pem).ok()?;
        Some(chain.leaf().issuer.clone())
    }
}

/// RFC 9773 §4.1: key identifier of the issuer, dot, serial number as its DER content octets, both
/// base64url.
fn ari_id(leaf: &Leaf) -> Option<String> {
    let issuer = leaf.authority_key_identifier.as_ref()?;
    Some(format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(issuer),
        URL_SAFE_NO_PAD.encode(&leaf.serial)
    ))
}

fn unusable(error: &dyn std::error::Error) -> PkiError {
    PkiError {
        reason: error.to_string(),
    }
}

fn rejected(error: &dyn std::error::Error) -> ChainRejected {
    ChainRejected {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dps_x509::{PeerName, PeerRole, PrivateAuthority};

    fn host(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const LATER: Timestamp = Timestamp::from_unix_seconds(1_800_600_000);

    #[test]
    fn a_machine_without_roots_gets_the_reason_and_the_remedy() {
        for (errors, reason) in [
            (vec![], "(its trust store is empty)"),
            (vec!["denied".to_owned()], "(denied)"),
        ] {
            let said = NoRoots::because(&errors).to_string();
            assert!(
                said.contains(reason) && said.contains("LetsEncrypt:RootsFile"),
                "{said}"
            );
        }
    }

    #[test]
    fn the_renewal_identifier_is_that_of_the_example_in_rfc_9773() {
        let (chain, _) = dps_x509::self_signed(&host("shop.example.com"), NOW, LATER).unwrap();
        let leaf = Leaf {
            authority_key_identifier: Some(vec![
                0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0,
                0xAE, 0x2C, 0xDE, 0x01, 0xC8, 0xD4,
            ]),
            serial: vec![0x00, 0x87, 0x65, 0x43, 0x21],
            ..chain.leaf().clone()
        };
        assert_eq!(
            ari_id(&leaf).as_deref(),
            Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
        );
    }

    /// A certificate that is its own root.
    fn lone(name: &Hostname) -> (String, SecretString, X509Pki) {
        let authority = PrivateAuthority::create("Test", NOW, LATER).unwrap();
        let peer = PeerName::Host(name.to_string());
        let (chain, key) = authority
            .issue(PeerRole::Server, &[peer], (NOW, LATER))
            .unwrap();
        let roots = Roots::from_der(authority.chain().der().to_vec());
        (
            chain.to_pem(),
            key.to_pem(),
            X509Pki::new(TrustedRoots::Fixed(roots)),
        )
    }

    #[test]
    fn a_chain_is_read_only_with_its_own_key_name_time_and_root() {
        let name = host("shop.example.com");
        let (pem, key, pki) = lone(&name);
        let details = pki.inspect(&pem, &key, &name, NOW).unwrap();
        assert_eq!((details.not_before, details.not_after), (NOW, LATER));
        assert_eq!(details.chain_pem, pem);

        let foreign = pki.new_key().unwrap();
        assert!(pki.inspect(&pem, &foreign, &name, NOW).is_err());
        assert!(
            pki.inspect(&pem, &key, &host("other.example.com"), NOW)
                .is_err()
        );
        let expired = LATER + std::time::Duration::from_secs(1);
        let rejection = pki.inspect(&pem, &key, &name, expired).unwrap_err();
        assert!(rejection.reason.contains("expired"), "{rejection}");
        let (_, _, other) = lone(&name);
        let rejection = other.inspect(&pem, &key, &name, NOW).unwrap_err();
        assert!(
            rejection.reason.contains("no root issued the leaf"),
            "{rejection}"
        );
    }

    #[test]
    fn a_changed_file_of_roots_counts_at_once_and_a_broken_one_is_named() {
        let name = host("shop.example.com");
        let authority = PrivateAuthority::create("Test", NOW, LATER).unwrap();
        let peer = PeerName::Host(name.to_string());
        let (chain, key) = authority
            .issue(PeerRole::Server, &[peer], (NOW, LATER))
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        let pki = X509Pki::new(TrustedRoots::File(path.clone()));
        let inspect = || pki.inspect(&chain.to_pem(), &key.to_pem(), &name, NOW);
        for text in [None, Some("nothing here\n")] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let rejection = inspect().unwrap_err();
            assert!(rejection.reason.contains("roots.pem"), "{rejection}");
        }
        std::fs::write(&path, authority.chain().to_pem()).unwrap();
        assert!(inspect().is_ok());
    }

    #[test]
    fn a_broken_key_is_refused_without_repeating_it() {
        let broken = SecretString::from(
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWJ5dGVz\n-----END PRIVATE KEY-----\n".to_owned(),
        );
        let (_, _, pki) = lone(&host("shop.example.com"));
        let error = pki
            .signing_request(&broken, &host("shop.example.com"))
            .unwrap_err();
        assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
    }
}
