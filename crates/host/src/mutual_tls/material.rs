//! The contents of the three files.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, Digest, SHA256};
use dps_domain::Timestamp;
use dps_x509::{
    CertificateChain, CertificateKey, ChainError, ExposedFile, KeyFault, check_private_file,
};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, sign};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::VerifierBuilderError;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::TlsFiles;

/// Longer files are refused; a hundred authorities need less.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The files cannot be used. The text never holds any of the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others may read or change the private key.
    #[error("the key file {0}")]
    Exposed(ExposedFile),
    /// A file is too long or not text.
    #[error("{} must be PEM text of at most 256 KiB", .0.display())]
    NotText(PathBuf),
    /// The certificate.
    #[error("{} holds no usable certificate", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ChainError,
    },
    /// The key.
    #[error("{} holds no usable private key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyFault,
    },
    /// Certificate and key are not a pair.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    NotAPair {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The authorities.
    #[error("{} holds no certificate of an authority that can be used", .0.display())]
    Authorities(PathBuf),
    /// The authorities are refused as a whole.
    #[error("the authorities cannot be relied on")]
    Verifier(#[from] VerifierBuilderError),
    /// The TLS library refuses.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// The contents of the files, in the library's types.
pub(super) struct Material {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) authorities: Arc<RootCertStore>,
    pub(super) expires_at: Timestamp,
}

/// The texts as they are in the files.
pub(super) struct Texts {
    certificate: String,
    key: Zeroizing<String>,
    authorities: String,
}

impl Texts {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&files.certificate)?.to_string(),
            key: read_private(&files.key)?,
            authorities: read(&files.authorities)?.to_string(),
        })
    }

    /// Equal digests mean equal files.
    pub(super) fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        for text in [&self.certificate, &*self.key, &self.authorities] {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        context.finish()
    }

    pub(super) fn parse(&self, files: &TlsFiles) -> Result<Material, TlsError> {
        let chain = CertificateChain::from_pem(&self.certificate).map_err(|source| {
            TlsError::Certificate {
                path: files.certificate.clone(),
                source,
            }
        })?;
        let key = CertificateKey::from_pem(&self.key).map_err(|source| TlsError::Key {
            path: files.key.clone(),
            source,
        })?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.pkcs8_der()));
        let certificates = chain
            .der()
            .iter()
            .cloned()
            .map(CertificateDer::from)
            .collect();
        let certified = CertifiedKey::new(certificates, sign::any_supported_type(&der)?);
        if certified.keys_match().is_err() {
            return Err(TlsError::NotAPair {
                key: files.key.clone(),
                certificate: files.certificate.clone(),
            });
        }
        Ok(Material {
            certified: Arc::new(certified),
            authorities: Arc::new(authorities(&self.authorities, &files.authorities)?),
            expires_at: chain.leaf().not_after,
        })
    }
}

fn authorities(text: &str, path: &Path) -> Result<RootCertStore, TlsError> {
    let unusable = || TlsError::Authorities(path.to_owned());
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate.map_err(|_| unusable())?;
        store.add(certificate).map_err(|_| unusable())?;
    }
    if store.is_empty() {
        return Err(unusable());
    }
    Ok(store)
}

/// As [`read`], of a file that holds a private key.
fn read_private(path: &Path) -> Result<Zeroizing<String>, TlsError> {
    let metadata = std::fs::metadata(path).map_err(|source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    check_private_file(path, metadata.permissions().mode()).map_err(TlsError::Exposed)?;
    read(path)
}

fn read(path: &Path) -> Result<Zeroizing<String>, TlsError> {
    let unreadable = |source| TlsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // Room for all of it from the beginning: a buffer that grows leaves copies of parts of a key in
    // memory.
    let file = File::open(path).map_err(unreadable)?;
    let length = file
        .metadata()
        .map_err(unreadable)?
        .len()
        .min(MAX_FILE_BYTES);
    let mut text = Zeroizing::new(String::with_capacity(
        usize::try_from(length).unwrap_or(0) + 64,
    ));
    let too_odd = || TlsError::NotText(path.to_owned());
    match file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > MAX_FILE_BYTES => Err(too_odd()),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(too_odd()),
        Err(error) => Err(unreadable(error)),
    }
}

/// The one cryptography library of ours.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}
