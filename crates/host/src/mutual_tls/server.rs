//! The side that is called.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use tokio_rustls::TlsAcceptor;

use super::material::{Material, provider};
use super::reloading::Reloading;
use super::{State, TlsError, TlsFiles};

/// TLS of a server: it accepts only clients with a certificate from one of our authorities.
pub struct ServerTls(Reloading<ServerConfig>);

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be used, and why.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        Reloading::open(files, build).map(Self)
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.get())
    }

    /// How our certificate is.
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// Reads the files, and takes them over if they changed.
    pub fn refresh(&self) {
        self.0.refresh();
    }
}

fn build(material: Material) -> Result<ServerConfig, TlsError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(material.authorities, provider()).build()?;
    let certificate = SingleCertAndKey::from(Arc::unwrap_or_clone(material.certified));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
