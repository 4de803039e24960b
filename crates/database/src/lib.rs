//! How a database is named, shown, reached and copied.
//!
//! The CertificateStore and the reference Cabinet keep their rows in SQLite or PostgreSQL. Both
//! read their connection string here, so there is one grammar, one way to mask a password and one
//! rule about unencrypted connections.

mod connection_string;
mod copy;
mod driver_error;
mod dump;
mod file;
mod npgsql;
mod open;
mod target;
mod transport;

pub use connection_string::ConnectionString;
pub use copy::{CopyError, copy_sqlite};
pub use driver_error::DriverError;
pub use dump::{Dump, DumpError, PostgresPrograms, dump_postgres};
pub use file::{FILE_MODE, prepare_file};
pub use open::{OpenError, PoolDefaults, open_postgres};
pub use target::{ConnectionStringError, PostgresTarget, Target};
pub use transport::UnverifiedTls;
