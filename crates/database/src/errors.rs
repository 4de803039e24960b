//! The errors of statements and rows, and how a store makes its own of them.

use std::fmt::Display;

use crate::driver_error::DriverError;

/// The errors of the store that uses a [`Database`](crate::Database).
pub trait SqlErrors: 'static {
    /// The store's error.
    type Error: Display;

    /// Returns the error of an operation that the database did not finish.
    fn unavailable(operation: &'static str, source: DriverError) -> Self::Error;

    /// Returns the error of a row that cannot be read.
    fn corrupt(row: CorruptRow) -> Self::Error;
}

/// A row that cannot be read: edited by hand, or written by a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the row {row} of {table} cannot be read: {reason}")]
pub struct CorruptRow {
    /// The table.
    pub table: &'static str,
    /// The row's key.
    pub row: String,
    /// The column and its fault.
    pub reason: String,
}
