//! SQL as the store uses it: with the port's errors, and with writes that a lease guards.

use dps_application::ports::store::StoreError;
pub(crate) use dps_database::{Arg, Sql, args, readable, statements};
use dps_database::{CorruptRow, DriverError, SqlErrors};

/// Makes the port's errors of those of statements and rows.
pub(crate) enum StoreErrors {}

impl SqlErrors for StoreErrors {
    type Error = StoreError;

    fn unavailable(operation: &'static str, source: DriverError) -> StoreError {
        StoreError::Unavailable {
            operation,
            source: Box::new(source),
        }
    }

    fn corrupt(row: CorruptRow) -> StoreError {
        StoreError::Corrupt {
            table: row.table,
            row: row.row,
            reason: row.reason,
        }
    }
}

pub(crate) type Database = dps_database::Database<StoreErrors>;
pub(crate) type Session = dps_database::Session<StoreErrors>;
pub(crate) type Row = dps_database::Row<StoreErrors>;

/// Writes that a lease token guards.
pub(crate) trait LeasedWrite {
    /// Runs the statement; any number of rows but one means that the lease is lost.
    async fn execute_leased(&mut self, sql: Sql, args: Vec<Arg>) -> Result<(), StoreError>;
}

impl LeasedWrite for Session {
    async fn execute_leased(&mut self, sql: Sql, args: Vec<Arg>) -> Result<(), StoreError> {
        match self.execute(sql, args).await? {
            1 => Ok(()),
            _ => Err(StoreError::LeaseLost),
        }
    }
}
