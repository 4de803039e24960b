//! The CA directory of the installation: another one takes its place only when an operator says so.
//!
//! Visitors who trust the old CA may not trust the new one, so a directory that changed by mistake
//! turns each renewal into an outage. The store remembers the directory that certificates come
//! from. A process with another one does not start, and a replica whose directory was replaced
//! meanwhile places no order.

use crate::ports::CertificateStore;
use crate::ports::store::StoreError;

/// The cursor that holds the directory.
const CURSOR: &str = "ca.directory";
/// Replicas that start at the same moment move the cursor one after the other.
const TRIES: usize = 16;

/// The process must not work with its directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Live certificates come from another directory.
    #[error(
        "LetsEncrypt:DirectoryUrl is {configured}, but certificates that are served come from {}. Visitors who trust that CA \
         may not trust another. Set LetsEncrypt:DirectoryUrl back; or, to replace each certificate at its renewal, set \
         LetsEncrypt:AcceptDirectoryChange to true for one start",
        in_use.join(" and ")
    )]
    Changed {
        /// The directory of this process.
        configured: String,
        /// The directories that certificates come from.
        in_use: Vec<String>,
    },
    /// Other replicas move the directory to and fro.
    #[error(
        "other replicas start with another LetsEncrypt:DirectoryUrl than {configured} at this moment; give all the same one"
    )]
    Contended {
        /// The directory of this process.
        configured: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Before work begins: makes `configured` the directory of the installation, if it is not and may
/// be.
///
/// `accept` is the operator's word that another directory's certificates are to be replaced.
pub async fn claim(
    store: &dyn CertificateStore,
    configured: &str,
    accept: bool,
) -> Result<(), DirectoryError> {
    for _ in 0..TRIES {
        let remembered = store.cursor(CURSOR).await?;
        if remembered.as_deref() == Some(configured) {
            return Ok(());
        }
        let others: Vec<String> = store.live_directories().await?;
        let others: Vec<String> = others.into_iter().filter(|url| url != configured).collect();
        if !others.is_empty() {
            if !accept {
                let configured = configured.to_owned();
                return Err(DirectoryError::Changed {
                    configured,
                    in_use: others,
                });
            }
            tracing::warn!(ca.directory = configured, replaced = ?others, "ca.directory_changed");
        }
        if store
            .cursor_advance(CURSOR, remembered.as_deref(), configured)
            .await?
        {
            return Ok(());
        }
    }
    Err(DirectoryError::Contended {
        configured: configured.to_owned(),
    })
}

/// Before an order: whether the directory is still that of the installation.
pub(crate) async fn check(
    store: &dyn CertificateStore,
    configured: &str,
) -> Result<(), DirectoryError> {
    match store.cursor(CURSOR).await? {
        Some(in_use) if in_use != configured => Err(DirectoryError::Changed {
            configured: configured.to_owned(),
            in_use: vec![in_use],
        }),
        _ => Ok(()),
    }
}
