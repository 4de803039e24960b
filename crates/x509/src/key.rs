//! A certificate's private key.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};
use rustls_pki_types::pem::{PemObject, SectionKind};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::pem;

/// Longer key texts are refused unread: RSA-8192 in PEM needs about 6.4 kB.
const MAX_KEY_PEM_BYTES: usize = 16 * 1024;

/// The kinds of key that browsers, CAs and HAProxy all take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256, what we make ourselves.
    EcP256,
    /// ECDSA on P-384.
    EcP384,
    /// RSA with a modulus of so many bits, 2048 at least.
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
}

/// Why a text is not a usable private key. None of them repeats any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// No `PRIVATE KEY`, `EC PRIVATE KEY` or `RSA PRIVATE KEY` block.
    #[error("there is no private key in the PEM text; send one PKCS#8, SEC1 or PKCS#1 block")]
    Missing,
    /// More than one key.
    #[error("there is more than one private key in the PEM text; send exactly one")]
    Several,
    /// The key is protected by a pass phrase.
    #[error(
        "the private key is encrypted; send it unencrypted, HAProxy cannot ask for a pass phrase"
    )]
    Encrypted,
    /// The text is longer than any key we take.
    #[error("the private key text is longer than 16 KiB")]
    TooLarge,
    /// Broken base64 or PEM framing.
    #[error("the private key is not well-formed PEM")]
    NotPem,
    /// Neither ECDSA P-256 or P-384 nor RSA from 2048 to 8192 bits, or inconsistent in itself.
    #[error(
        "the private key is damaged or of an unsupported kind; use ECDSA P-256, P-384 or RSA of 2048 to 8192 bits"
    )]
    Unsupported,
    /// The random number source failed.
    #[error("a new private key could not be made")]
    Generation,
}

/// A certificate's private key, kept as PKCS#8 and wiped from memory when dropped. `Debug` shows
/// its kind only.
pub struct CertificateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    algorithm: KeyAlgorithm,
    public_key: Vec<u8>,
}

impl CertificateKey {
    /// A new ECDSA P-256 key.
    pub fn generate() -> Result<Self, KeyFault> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(|_| KeyFault::Generation)?;
        Self::from_ec(&key, KeyAlgorithm::EcP256).map_err(|_| KeyFault::Generation)
    }

    /// Reads an unencrypted PEM key: PKCS#8 (`PRIVATE KEY`), SEC1 (`EC PRIVATE KEY`) or PKCS#1
    /// (`RSA PRIVATE KEY`). It skips an `EC PARAMETERS` block, as OpenSSL writes it.
    pub fn from_pem(text: &str) -> Result<Self, KeyFault> {
        if text.len() > MAX_KEY_PEM_BYTES {
            return Err(KeyFault::TooLarge);
        }
        if text.contains("ENCRYPTED") {
            return Err(KeyFault::Encrypted);
        }
        let mut found = None;
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
            let (kind, der) = section.map_err(|_| KeyFault::NotPem)?;
            let der = Zeroizing::new(der);
            if !matches!(
                kind,
                SectionKind::PrivateKey | SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey
            ) {
                continue;
            }
            if found.replace((kind, der)).is_some() {
                return Err(KeyFault::Several);
            }
        }
        match found {
            Some((SectionKind::PrivateKey, der)) => Self::from_pkcs8(&der),
            Some((SectionKind::EcPrivateKey, der)) => Self::from_sec1(&der),
            Some((_, der)) => {
                Self::from_rsa(&rsa::KeyPair::from_der(&der).map_err(|_| KeyFault::Unsupported)?)
            }
            None => Err(KeyFault::Missing),
        }
    }

    /// Reads an unencrypted PKCS#8 key (RFC 5958).
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyFault> {
        for (curve, algorithm) in CURVES {
            if let Ok(key) = EcdsaKeyPair::from_pkcs8(curve, der) {
                return Self::from_ec(&key, algorithm);
            }
        }
        Self::from_rsa(&rsa::KeyPair::from_pkcs8(der).map_err(|_| KeyFault::Unsupported)?)
    }

    /// The key as one PKCS#8 PEM block.
    pub fn to_pem(&self) -> SecretString {
        let mut text = Zeroizing::new(String::new());
        pem::append(&mut text, "PRIVATE KEY", &self.pkcs8);
        SecretString::from(text.as_str())
    }

    /// The key as PKCS#8 DER. Keep it out of logs and unprotected memory.
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The algorithm of the key.
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The public half, as the bits of a certificate's `subjectPublicKey` (RFC 5280 §4.1.2.7).
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn from_sec1(der: &[u8]) -> Result<Self, KeyFault> {
        for (curve, algorithm) in CURVES {
            if let Ok(key) = EcdsaKeyPair::from_private_key_der(curve, der) {
                return Self::from_ec(&key, algorithm);
            }
        }
        Err(KeyFault::Unsupported)
    }

    fn from_ec(key: &EcdsaKeyPair, algorithm: KeyAlgorithm) -> Result<Self, KeyFault> {
        let document = key.to_pkcs8v1().map_err(|_| KeyFault::Unsupported)?;
        Ok(Self {
            pkcs8: Zeroizing::new(document.as_ref().to_vec()),
            algorithm,
            public_key: key.public_key().as_ref().to_vec(),
        })
    }

    fn from_rsa(key: &rsa::KeyPair) -> Result<Self, KeyFault> {
        let document: Pkcs8V1Der<'_> = key.as_der().map_err(|_| KeyFault::Unsupported)?;
        Ok(Self {
            pkcs8: Zeroizing::new(document.as_ref().to_vec()),
            algorithm: KeyAlgorithm::Rsa {
                bits: key.public_modulus_len() * 8,
            },
            public_key: key.public_key().as_ref().to_vec(),
        })
    }
}

const CURVES: [(&EcdsaSigningAlgorithm, KeyAlgorithm); 2] = [
    (&ECDSA_P256_SHA256_ASN1_SIGNING, KeyAlgorithm::EcP256),
    (&ECDSA_P384_SHA384_ASN1_SIGNING, KeyAlgorithm::EcP384),
];

impl fmt::Debug for CertificateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
