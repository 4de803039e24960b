//! A throw-away certificate authority for servers of the lab.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::client::install_crypto_provider;
use crate::LabError;

/// A certificate authority that lives in memory.
#[derive(Debug)]
pub struct LocalAuthority(CertifiedIssuer<'static, KeyPair>);

/// A certificate for a server of the lab, and its key.
#[derive(Debug)]
pub struct ServerIdentity {
    /// The leaf alone.
    pub certificate_pem: String,
    key: KeyPair,
}

impl LocalAuthority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when no key can be made.
    pub fn new() -> Result<Self, LabError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "lab authority");
        let key = KeyPair::generate().map_err(refused)?;
        CertifiedIssuer::self_signed(params, key)
            .map(Self)
            .map_err(refused)
    }

    /// The root certificate as PEM, for clients to trust.
    pub fn root_pem(&self) -> String {
        self.0.pem()
    }

    /// Certifies names, of which those in the form of an IP address become one.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when a name is unusable.
    pub fn certify(&self, names: &[&str]) -> Result<ServerIdentity, LabError> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).map_err(refused)?;
        let key = KeyPair::generate().map_err(refused)?;
        let certificate = params.signed_by(&key, &self.0).map_err(refused)?;
        Ok(ServerIdentity {
            certificate_pem: certificate.pem(),
            key,
        })
    }
}

impl ServerIdentity {
    /// The private key as PKCS #8 PEM, for programs that read it from a file.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// A rustls server that presents this identity and speaks HTTP/1.1.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when rustls refuses it.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, LabError> {
        install_crypto_provider();
        let chain = CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes());
        let chain = chain
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable(&error))?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem().as_bytes())
            .map_err(|error| unusable(&error))?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let mut config =
            config.map_err(|error| LabError::invalid("a certificate of the lab", error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn refused(error: rcgen::Error) -> LabError {
    LabError::invalid("a certificate of the lab", error)
}

fn unusable(error: &rustls::pki_types::pem::Error) -> LabError {
    LabError::invalid("a certificate of the lab", format!("{error:?}"))
}
