//! Connections to a database, and in words why there are none.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

use crate::database::Pools;
use crate::driver_error::DriverError;
use crate::sqlite;
use crate::target::{ConnectionStringError, PostgresTarget, Target};

/// Longest duration of the attempt that finds out why all before it failed.
const LAST_ATTEMPT: Duration = Duration::from_secs(2);

/// How a database is opened.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// The name by which a server knows the connections.
    pub application_name: &'static str,
    /// Connections at most: to PostgreSQL in all (unless the connection string says `Maximum Pool
    /// Size`), on SQLite for reading.
    pub max_connections: u32,
    /// How long a call waits for a free connection, and on SQLite for another process's write.
    pub acquire_timeout: Duration,
    /// Whether a SQLite file that does not exist is made. If not, its journal mode is left alone
    /// too.
    pub create: bool,
    /// Whether a power cut may undo the last commits on SQLite; PostgreSQL ignores it.
    pub durability: Durability,
}

/// How safe the last commits on SQLite are from a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The log is synced at every commit.
    EveryCommit,
    /// The last commits may be undone; the file is never damaged.
    RecentCommitsMayBeLost,
}

/// The database could not be opened. Never contains the connection string's password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The connection string is wrong.
    #[error(transparent)]
    ConnectionString(#[from] ConnectionStringError),
    /// There is no database file, and none was to be made.
    #[error("there is no database {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The database file cannot be made or opened.
    #[error("the database file {} cannot be opened", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The server does not answer.
    #[error(
        "the database at {place} does not answer: {reason}; start it, or correct the host and port in the \
         connection string"
    )]
    Unreachable {
        /// The server's host and port, or the file.
        place: String,
        /// The system's reason.
        reason: String,
    },
    /// The database refuses the connection.
    #[error("the database at {place} refuses the connection: {reason}; {remedy}")]
    Refused {
        /// The server's host and port, or the file.
        place: String,
        /// The database's reason.
        reason: String,
        /// The remedy.
        remedy: &'static str,
    },
}

impl ConnectError {
    /// The driver's error about the database at `place`.
    pub(crate) fn new(place: impl Into<String>, error: sqlx::Error) -> Self {
        let (place, error) = (place.into(), DriverError::from(error));
        let reason = error.to_string();
        if error.is_unreachable() {
            return Self::Unreachable { place, reason };
        }
        let remedy = error.remedy();
        Self::Refused {
            place,
            reason,
            remedy,
        }
    }
}

/// Opens the database that the connection string names.
pub(crate) async fn open(target: Target, options: &OpenOptions) -> Result<Pools, ConnectError> {
    match target {
        Target::Postgres(server) => open_postgres(*server, options).await.map(Pools::Postgres),
        Target::Memory => sqlite::open_memory(options).await,
        Target::File {
            path,
            read_only,
            options: file,
        } => {
            let options = OpenOptions {
                create: options.create && !read_only,
                ..*options
            };
            sqlite::open_file(&path, file.read_only(read_only), &options).await
        }
    }
}

/// Opens a pool of connections to PostgreSQL. The server ends statements of more than 30 s and
/// transactions that are idle for a minute.
async fn open_postgres(
    target: PostgresTarget,
    options: &OpenOptions,
) -> Result<PgPool, ConnectError> {
    let mut server = target.options;
    let place = format!("{}:{}", server.get_host(), server.get_port());
    if server.get_application_name().is_none() {
        server = server.application_name(options.application_name);
    }
    let pool = PgPoolOptions::new()
        .max_connections(target.max_connections.unwrap_or(options.max_connections))
        .acquire_timeout(options.acquire_timeout)
        .after_connect(|connection, _| {
            // The server gives up with us, and never keeps a lock for a client that is gone.
            let bounds =
                "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'";
            Box::pin(async move { connection.execute(bounds).await.map(drop) })
        })
        .connect_with(server.clone())
        .await;
    match pool {
        Ok(pool) => Ok(pool),
        Err(error) => Err(ConnectError::new(place, reason(&server, error).await)),
    }
}

/// Returns why a pool had no connection in time: it repeats its attempts and drops their errors.
async fn reason(server: &PgConnectOptions, error: sqlx::Error) -> sqlx::Error {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return error;
    }
    let attempt = PgConnection::connect_with(server);
    match tokio::time::timeout(LAST_ATTEMPT, attempt).await {
        Ok(Err(reason)) => reason,
        Ok(Ok(_)) | Err(_) => error,
    }
}
