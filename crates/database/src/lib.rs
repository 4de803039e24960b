//! SQL on two databases: connection strings, connections, statements, migrations and copies.
//!
//! The CertificateStore and the reference Cabinet keep their rows in SQLite or PostgreSQL, each
//! with one body of code for both. A [`Sql`] carries its text in both dialects. A [`Session`] is a
//! connection or a transaction of either kind, and a [`Row`] is read column by column. Each store
//! says by [`SqlErrors`] which errors it makes of a failed statement and of an unreadable row.

mod connection_string;
mod copy;
mod database;
mod driver_error;
mod dump;
mod errors;
mod file;
mod migrations;
mod npgsql;
mod open;
mod row;
mod session;
mod sql;
mod sqlite;
mod target;
mod times;
mod transport;

pub use connection_string::ConnectionString;
pub use copy::{CopyError, copy_sqlite};
pub use database::{Database, Pools};
pub use driver_error::DriverError;
pub use dump::{Dump, DumpError, PostgresPrograms, dump_postgres};
pub use errors::{CorruptRow, SqlErrors};
pub use file::FILE_MODE;
pub use migrations::{MigrateError, Schema, SchemaError, Script};
pub use open::{ConnectError, Durability, OpenOptions};
pub use row::{Fields, Row, readable};
pub use session::Session;
pub use sql::{Arg, Sql};
pub use target::{ConnectionStringError, PostgresTarget, Target};
pub use times::{Operation, OperationTimes};
pub use transport::UnverifiedTls;
