//! The proof: which certificate HAProxy presents for a hostname.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dps_domain::Hostname;
use dps_x509::CertificateChain;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// No certificate was presented.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// No connection, or HAProxy ended the handshake; an unknown name does that under `strict-sni`.
    #[error("the handshake with {address} failed")]
    Failed {
        /// Where it was tried.
        address: SocketAddr,
        /// The error of the system or of TLS.
        #[source]
        source: std::io::Error,
    },
    /// Too slow.
    #[error("the handshake with {address} took longer than {limit:?}")]
    TimedOut {
        /// Where it was tried.
        address: SocketAddr,
        /// The limit.
        limit: Duration,
    },
    /// The server spoke TLS without a certificate, or TLS refuses the name.
    #[error("{address} presented no certificate")]
    NoCertificate {
        /// Where it was tried.
        address: SocketAddr,
    },
}

/// Makes handshakes with one address.
#[derive(Clone)]
pub(crate) struct Prober {
    connector: TlsConnector,
    address: SocketAddr,
    limit: Duration,
}

impl Prober {
    pub(crate) fn new(address: SocketAddr, limit: Duration) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = AnyIssuer(provider.signature_verification_algorithms);
        let mut config =
            ClientConfig::builder_with_provider(Arc::<CryptoProvider>::clone(&provider))
                .with_safe_default_protocol_versions()?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth();
        // A resumed session would show the certificate of the handshake before.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            address,
            limit,
        })
    }

    /// The fingerprint of the leaf that is presented for this name; the server has proved that it
    /// holds the key.
    pub(crate) async fn presented(&self, hostname: &Hostname) -> Result<String, HandshakeError> {
        let (address, limit) = (self.address, self.limit);
        timeout(limit, self.handshake(hostname))
            .await
            .unwrap_or(Err(HandshakeError::TimedOut { address, limit }))
    }

    async fn handshake(&self, hostname: &Hostname) -> Result<String, HandshakeError> {
        let address = self.address;
        let failed = |source| HandshakeError::Failed { address, source };
        let name = ServerName::try_from(hostname.as_str().to_owned())
            .map_err(|_| HandshakeError::NoCertificate { address })?;
        let tcp = TcpStream::connect(address).await.map_err(failed)?;
        let tls = self.connector.connect(name, tcp).await.map_err(failed)?;
        let leaf = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let leaf = leaf.ok_or(HandshakeError::NoCertificate { address })?;
        Ok(CertificateChain::fingerprint_of(leaf))
    }
}

/// Takes any issuer and any name, because the fingerprint is compared afterwards; the handshake's
/// signature must be right.
#[derive(Debug)]
struct AnyIssuer(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyIssuer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
