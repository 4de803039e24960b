//! Section `Agent:Tls`: the listener that the service calls with a certificate of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use dps_host::mutual_tls::{ServerTls, TlsFiles};
use serde::{Deserialize, Serialize};

use super::SettingsError;

/// Section `Agent:Tls`. Without the three files there is no such listener. With them, `/internal/…`
/// is answered there and nowhere else.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct Tls {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The agent's certificate in PEM, for the name or address that the service calls.
    pub certificate_file: Option<PathBuf>,
    /// Its private key in PEM.
    pub key_file: Option<PathBuf>,
    /// The authority whose client certificates are let in, in PEM. It must sign them for no client
    /// but services of ours.
    pub client_ca_file: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 9403)),
            certificate_file: None,
            key_file: None,
            client_ca_file: None,
        }
    }
}

/// A listener that can be opened.
#[derive(Clone)]
pub(crate) struct TlsListener {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Arc<ServerTls>,
}

const FILES: [&str; 3] = ["CertificateFile", "KeyFile", "ClientCaFile"];

impl Tls {
    pub(super) fn open(&self) -> Result<Option<TlsListener>, SettingsError> {
        let files = TlsFiles::all_or_none(
            self.certificate_file.as_ref(),
            self.key_file.as_ref(),
            self.client_ca_file.as_ref(),
        )
        .map_err(|places| SettingsError::TlsIncomplete {
            missing: places
                .first()
                .map_or("CertificateFile", |place| FILES[*place]),
        })?;
        let Some(files) = files else { return Ok(None) };
        Ok(Some(TlsListener {
            address: self.listen,
            tls: Arc::new(ServerTls::open(files).map_err(SettingsError::Tls)?),
        }))
    }
}
