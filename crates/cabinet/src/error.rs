//! Why a Cabinet cannot start or go on.

use std::net::SocketAddr;

use crate::settings::SettingsError;
use crate::store::StoreError;

/// A Cabinet cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum CabinetError {
    /// The settings contradict themselves or lack something.
    #[error("the settings of the Cabinet cannot be used")]
    Settings(#[from] SettingsError),
    /// The database cannot be opened or migrated.
    #[error("the database of the Cabinet cannot be used")]
    Store(#[from] StoreError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address of the settings.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}
