//! Connections to a database, and in words why there are none.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

use crate::driver_error::DriverError;
use crate::target::PostgresTarget;

/// The attempt that tells why all before it failed.
const LAST_ATTEMPT: Duration = Duration::from_secs(2);

/// The database could not be opened. Never contains a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nobody answers.
    #[error(
        "the database at {place} does not answer: {reason}; start it, or correct the host and port in the \
         connection string"
    )]
    Silent {
        /// The server's host and port, or the file.
        place: String,
        /// What the system says.
        reason: String,
    },
    /// The database does not let us in.
    #[error("the database at {place} refuses the connection: {reason}; {remedy}")]
    Refused {
        /// The server's host and port, or the file.
        place: String,
        /// The database's reason.
        reason: String,
        /// What to do about it.
        remedy: &'static str,
    },
}

impl OpenError {
    /// The driver's error about the database at `place`.
    pub fn new(place: impl Into<String>, error: sqlx::Error) -> Self {
        let (place, error) = (place.into(), DriverError::from(error));
        let reason = error.to_string();
        if error.is_silent() {
            return Self::Silent { place, reason };
        }
        let remedy = error.remedy();
        Self::Refused {
            place,
            reason,
            remedy,
        }
    }
}

/// What a pool of connections to PostgreSQL has where the connection string says nothing else.
#[derive(Debug, Clone, Copy)]
pub struct PoolDefaults {
    /// The name by which the server knows the connections.
    pub application_name: &'static str,
    /// Connections at most.
    pub max_connections: u32,
    /// How long a call waits for a free connection.
    pub acquire_timeout: Duration,
}

/// Opens a pool of connections to PostgreSQL. The server ends statements of more than 30 s and
/// transactions that are idle for a minute.
pub async fn open_postgres(
    target: PostgresTarget,
    defaults: PoolDefaults,
) -> Result<PgPool, OpenError> {
    let mut server = target.options;
    let place = format!("{}:{}", server.get_host(), server.get_port());
    if server.get_application_name().is_none() {
        server = server.application_name(defaults.application_name);
    }
    let pool = PgPoolOptions::new()
        .max_connections(target.max_connections.unwrap_or(defaults.max_connections))
        .acquire_timeout(defaults.acquire_timeout)
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
        Err(error) => Err(OpenError::new(place, reason(&server, error).await)),
    }
}

/// Why a pool had no connection in time: it tries again and again, and keeps the reason to itself.
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
