//! An error of the store.

/// The store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The lease ended, or another write ended it; drop the work.
    #[error("the lease was lost")]
    LeaseLost,
    /// The database does not answer, is full, read-only or refuses.
    #[error("the store is unavailable while trying to {operation}")]
    Unavailable {
        /// The operation that failed.
        operation: &'static str,
        /// The driver's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row cannot be read: edited by hand, or written by a newer version.
    #[error("the row {row} of {table} cannot be read: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row.
        row: String,
        /// Its fault.
        reason: String,
    },
}
