//! The CertificateStore on PostgreSQL and on SQLite.
//!
//! Everything that the service knows about a custom domain is a row here, so that a restart forgets
//! nothing. Rows hold the record with its phase and lease, orders, certificates with sealed keys,
//! the history, and reports for the Cabinet.
//!
//! [`Store`] implements the application's port
//! [`CertificateStore`](dps_application::ports::CertificateStore), with one body of code for both
//! databases. A `Session` is a connection or a transaction of either. A statement has one text for
//! both databases, or two where they differ. A row is read column by column into the port's types;
//! errors name table, row and column. One module per table holds its statements and their use.
//! Tests prepare each statement on both databases and run one contract against both.
//!
//! Every method is one short transaction. On PostgreSQL replicas take leases concurrently
//! (`SKIP LOCKED`). SQLite has one connection that writes, which begins with the write lock, and
//! several that read from the write-ahead log meanwhile.

mod accounts;
mod actions;
mod certificates;
mod connect;
mod cursors;
mod domains;
mod events;
mod fleet;
mod fleet_view;
mod idempotency;
mod installation;
mod jobs;
mod json;
mod ledger;
mod lock;
mod migrations;
mod orders;
mod outbox;
mod pauses;
mod port;
mod prune;
mod renewal_info;
mod revocations;
mod secrets;
mod shard;
mod size;
mod sql;
#[cfg(test)]
mod statement_tests;
mod sync;
mod system;
mod targets;
mod term;
mod wakes;
mod webhooks;

pub use connect::{Store, StoreOptions};
#[cfg(feature = "bench")]
pub use domains::lease::statements::ACQUIRE_STATEMENTS as ACQUIRE;
#[cfg(feature = "bench")]
pub use dps_database::Sql;
pub use dps_database::{ConnectError, MigrateError, Operation, OperationTimes, SchemaError};
pub use lock::LockError;
