//! What a store answers when it cannot do what it was asked.

/// The store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else holds the record by now; drop the work.
    #[error("the lease was lost")]
    LeaseLost,
    /// The database does not answer, is full, read-only or refuses.
    #[error("the store is unavailable while trying to {operation}")]
    Unavailable {
        /// What was being done.
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
        /// What is wrong with it.
        reason: String,
    },
}
