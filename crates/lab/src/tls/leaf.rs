//! The certificate a server shows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::{client_config, trusting_config};
use crate::LabError;

/// How long connecting and shaking hands may take together.
const HANDSHAKE_BOUND: Duration = Duration::from_secs(10);

/// A leaf certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate itself.
    pub der: Vec<u8>,
    /// SHA-256 over the DER, lower-case hexadecimal.
    pub fingerprint: String,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// The end of its life.
    pub not_after: OffsetDateTime,
}

/// Shakes hands with `address` sending `host` as SNI, verifies the chain against `root_pem`, and
/// returns the leaf.
///
/// # Errors
/// [`LabError::Io`] when connecting or the handshake fails, also because the certificate is not
/// valid for `host`.
pub async fn served_leaf(
    address: SocketAddr,
    host: &str,
    root_pem: &str,
) -> Result<Leaf, LabError> {
    handshake(address, host, &client_config(root_pem)?)
        .await
        .map(|(_, leaf)| leaf)
}

/// Shakes hands with `address` sending `host` as SNI, or no SNI. Returns the leaf that it
/// presents, expired or of any name and issuer. `None` if the server refuses the name with the
/// alert `unrecognized_name` (RFC 6066 §3).
///
/// # Errors
/// [`LabError::Io`] when connecting or the handshake fails otherwise.
pub async fn presented_leaf(
    address: SocketAddr,
    host: Option<&str>,
) -> Result<Option<Leaf>, LabError> {
    let mut config = trusting_config();
    config.enable_sni = host.is_some();
    let host = host.unwrap_or("without-sni.test");
    match handshake(address, host, &Arc::new(config)).await {
        Ok((_, leaf)) => Ok(Some(leaf)),
        Err(LabError::Io { source, .. }) if is_unrecognized_name(&source) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_unrecognized_name(error: &std::io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    let refused = rustls::Error::AlertReceived(AlertDescription::UnrecognisedName);
    error == Some(&refused)
}

/// One full handshake, bounded in time.
pub(super) async fn handshake(
    address: SocketAddr,
    host: &str,
    config: &Arc<ClientConfig>,
) -> Result<(TlsStream<TcpStream>, Leaf), LabError> {
    let name =
        ServerName::try_from(host.to_owned()).map_err(|error| LabError::invalid(host, error))?;
    let connector = TlsConnector::from(Arc::clone(config));
    let connect = async {
        connector
            .connect(name, TcpStream::connect(address).await?)
            .await
    };
    let connected = tokio::time::timeout(HANDSHAKE_BOUND, connect).await;
    let stream = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let stream = stream.map_err(LabError::io(format!(
        "shake hands with {address} for {host}"
    )))?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = chain
        .first()
        .ok_or_else(|| LabError::invalid("the server's chain", "it is empty"))?;
    let leaf = Leaf::parse(leaf)?;
    Ok((stream, leaf))
}

impl Leaf {
    /// Reads a certificate from DER.
    ///
    /// # Errors
    /// [`LabError::Invalid`] when it is none.
    pub fn parse(der: &[u8]) -> Result<Self, LabError> {
        let parsed = x509_parser::parse_x509_certificate(der);
        let (_, certificate) =
            parsed.map_err(|error| LabError::invalid("a leaf certificate", error))?;
        Ok(Self {
            fingerprint: fingerprint(der),
            serial: hex::encode(certificate.raw_serial()),
            not_after: certificate.validity().not_after.to_datetime(),
            der: der.to_vec(),
        })
    }
}

/// SHA-256 in lower-case hexadecimal.
fn fingerprint(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}
