//! Errors of the store.

use dps_database::{ConnectError, CorruptRow, DriverError, MigrateError, SqlErrors};

/// The database cannot be used or gave something that is no domain.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] ConnectError),
    /// The tables cannot be brought up to date.
    #[error(transparent)]
    Migration(#[from] MigrateError),
    /// The database does not answer, is busy, or refused a statement.
    #[error("the database failed while trying to {operation}")]
    Unavailable {
        /// The purpose of the statement.
        operation: &'static str,
        /// The driver's error.
        source: DriverError,
    },
    /// A stored row holds something that the Cabinet never writes.
    #[error(transparent)]
    Corrupt(CorruptRow),
}

impl StoreError {
    /// Whether the same call may succeed in a moment.
    pub(crate) const fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { source, .. } => source.is_transient(),
            Self::Open(_) | Self::Migration(_) | Self::Corrupt(_) => false,
        }
    }
}

impl SqlErrors for StoreError {
    type Error = Self;

    fn unavailable(operation: &'static str, source: DriverError) -> Self {
        Self::Unavailable { operation, source }
    }

    fn corrupt(row: CorruptRow) -> Self {
        Self::Corrupt(row)
    }
}
