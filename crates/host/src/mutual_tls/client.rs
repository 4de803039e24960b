//! The side that calls.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::material::{Material, provider};
use super::reloading::Reloading;
use super::{State, TlsError, TlsFiles};

/// TLS of a client: it shows our certificate, and accepts only servers with a certificate from one
/// of our authorities for the called name.
#[derive(Clone)]
pub struct ClientTls(Arc<Reloading<Identity>>);

/// The identity for the next connection.
struct Identity {
    certified: Arc<CertifiedKey>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be used, and why.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Reloading::open(files, build)?)))
    }

    /// A configuration whose every connection goes by the files as they were last read.
    ///
    /// # Errors
    /// When the library cannot do TLS 1.3.
    pub fn config(&self) -> Result<ClientConfig, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Latest(self.clone())))
            .with_client_cert_resolver(Arc::new(Latest(self.clone())));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
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

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

fn build(material: Material) -> Result<Identity, TlsError> {
    let verifier =
        WebPkiServerVerifier::builder_with_provider(material.authorities, provider()).build()?;
    Ok(Identity {
        certified: material.certified,
        verifier,
    })
}

/// The library's own rules, by the files as they were last read: nothing is judged here.
#[derive(Debug)]
struct Latest(ClientTls);

impl Latest {
    fn verifier(&self) -> Arc<WebPkiServerVerifier> {
        Arc::clone(&self.0.0.get().verifier)
    }
}

impl ServerCertVerifier for Latest {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier().verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier().supported_verify_schemes()
    }
}

impl ResolvesClientCert for Latest {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.0.get().certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
