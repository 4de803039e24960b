//! Keys, signing requests and the reading of certificates, by `dps-x509`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_application::ports::Pki;
use dps_application::ports::pki::{CertificateFacts, ChainRejected, PkiError};
use dps_domain::{Hostname, Timestamp};
use dps_x509::{CertificateChain, CertificateKey, Leaf};
use secrecy::{ExposeSecret, SecretString};

/// The [`Pki`] of the service: ECDSA P-256 keys, one hostname per request, chains checked before they are believed.
#[derive(Debug, Clone, Copy, Default)]
pub struct X509Pki;

impl Pki for X509Pki {
    fn new_key(&self) -> Result<SecretString, PkiError> {
        CertificateKey::generate()
            .map(|key| key.to_pem())
            .map_err(|fault| unusable(&fault))
    }

    fn signing_request(&self, key: &SecretString, host: &Hostname) -> Result<Vec<u8>, PkiError> {
        let key = CertificateKey::from_pem(key.expose_secret()).map_err(|fault| unusable(&fault))?;
        dps_x509::csr_der(&key, host).map_err(|error| unusable(&error))
    }

    fn inspect(
        &self,
        chain_pem: &str,
        key: &SecretString,
        host: &Hostname,
        now: Timestamp,
    ) -> Result<CertificateFacts, ChainRejected> {
        let chain = CertificateChain::from_pem(chain_pem).map_err(|error| rejected(&error))?;
        let key = CertificateKey::from_pem(key.expose_secret()).map_err(|fault| rejected(&fault))?;
        dps_x509::check(&chain, &key, host, now).map_err(|fault| rejected(&fault))?;
        let leaf = chain.leaf();
        Ok(CertificateFacts {
            fingerprint: leaf.fingerprint.clone(),
            serial: hex::encode(&leaf.serial),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            ari_id: ari_id(leaf),
            chain_pem: chain.to_pem(),
        })
    }
}

/// RFC 9773 §4.1: key identifier of the issuer, dot, serial number as its DER content octets, both base64url.
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

    fn host(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const LATER: Timestamp = Timestamp::from_unix_seconds(1_800_600_000);

    #[test]
    fn the_renewal_identifier_is_that_of_the_example_in_rfc_9773() {
        let (chain, _) = dps_x509::self_signed(&host("shop.example.com"), NOW, LATER).unwrap();
        let leaf = Leaf {
            authority_key_identifier: Some(vec![
                0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0, 0xAE,
                0x2C, 0xDE, 0x01, 0xC8, 0xD4,
            ]),
            serial: vec![0x00, 0x87, 0x65, 0x43, 0x21],
            ..chain.leaf().clone()
        };
        assert_eq!(
            ari_id(&leaf).as_deref(),
            Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")
        );
    }

    #[test]
    fn a_chain_is_read_only_with_its_own_key_name_and_time() {
        let name = host("shop.example.com");
        let (chain, key) = dps_x509::self_signed(&name, NOW, LATER).unwrap();
        let (pem, key) = (chain.to_pem(), key.to_pem());
        let facts = X509Pki.inspect(&pem, &key, &name, NOW).unwrap();
        assert_eq!(facts.fingerprint, chain.fingerprint());
        assert_eq!((facts.not_before, facts.not_after), (NOW, LATER));
        assert_eq!(facts.chain_pem, pem);

        let foreign = X509Pki.new_key().unwrap();
        assert!(X509Pki.inspect(&pem, &foreign, &name, NOW).is_err());
        assert!(
            X509Pki
                .inspect(&pem, &key, &host("other.example.com"), NOW)
                .is_err()
        );
        let expired = LATER + std::time::Duration::from_secs(1);
        let rejection = X509Pki.inspect(&pem, &key, &name, expired).unwrap_err();
        assert!(rejection.reason.contains("expired"), "{rejection}");
    }

    #[test]
    fn a_broken_key_is_refused_without_repeating_it() {
        let broken = SecretString::from(
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWJ5dGVz\n-----END PRIVATE KEY-----\n".to_owned(),
        );
        let error = X509Pki
            .signing_request(&broken, &host("shop.example.com"))
            .unwrap_err();
        assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
    }
}
