//! TLS in which both sides show a certificate, between processes of ours.
//!
//! Each side has three PEM files: its certificate chain, its key, and the authorities that it
//! trusts. [`ServerTls`] and [`ClientTls`] read them at the start and again when they change. So a
//! renewed certificate is used for the next connection, without a restart. If the new files cannot
//! be used, the previous ones stay in force, and the error is reported. Only TLS 1.3 is spoken, and
//! no session is resumed: every connection is judged by the files of its own moment.

mod client;
mod material;
mod reloading;
mod server;

use std::path::PathBuf;

pub use client::ClientTls;
pub use material::TlsError;
pub use reloading::{State, watch};
pub use server::ServerTls;

/// The three files of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate in PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key in PEM, unencrypted.
    pub key: PathBuf,
    /// The authorities in PEM that the other side's certificate must come from; one or several.
    pub authorities: PathBuf,
}

impl TlsFiles {
    /// The three of them, or none where none is given.
    ///
    /// # Errors
    /// The places in this order, 0 to 2, of those that are missing beside others that are given.
    pub fn all_or_none(
        certificate: Option<&PathBuf>,
        key: Option<&PathBuf>,
        authorities: Option<&PathBuf>,
    ) -> Result<Option<Self>, Vec<usize>> {
        match (certificate, key, authorities) {
            (Some(certificate), Some(key), Some(authorities)) => Ok(Some(Self {
                certificate: certificate.clone(),
                key: key.clone(),
                authorities: authorities.clone(),
            })),
            (None, None, None) => Ok(None),
            given => {
                let given = [given.0, given.1, given.2];
                Err((0..given.len())
                    .filter(|place| given[*place].is_none())
                    .collect())
            }
        }
    }
}

#[cfg(test)]
mod tests;
