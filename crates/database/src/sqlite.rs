//! Connections to SQLite: one that writes and several that read beside it.

use std::io::ErrorKind;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqlitePool};

use crate::database::Pools;
use crate::file::prepare_file;
use crate::open::{ConnectError, Durability, OpenOptions};

/// Opens a database in memory by one connection that never ends, since the database ends with it.
pub(crate) async fn open_memory(options: &OpenOptions) -> Result<Pools, ConnectError> {
    let memory = SqliteConnectOptions::new()
        .in_memory(true)
        .foreign_keys(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(memory)
        .await
        .map_err(|error| ConnectError::new("sqlite::memory:", error))?;
    Ok(Pools::Sqlite {
        writer: pool.clone(),
        readers: pool,
    })
}

/// Opens a file, and makes it if `options` say so.
pub(crate) async fn open_file(
    path: &Path,
    file: SqliteConnectOptions,
    options: &OpenOptions,
) -> Result<Pools, ConnectError> {
    prepare_file(path, options.create).map_err(|source| match source.kind() {
        ErrorKind::NotFound if !options.create => ConnectError::Missing {
            path: path.to_path_buf(),
        },
        _ => ConnectError::File {
            path: path.to_path_buf(),
            source,
        },
    })?;
    let mut file = file
        .foreign_keys(true)
        .busy_timeout(options.acquire_timeout)
        .synchronous(match options.durability {
            Durability::EveryCommit => SqliteSynchronous::Full,
            Durability::RecentCommitsMayBeLost => SqliteSynchronous::Normal,
        });
    if options.create {
        file = file.journal_mode(SqliteJournalMode::Wal);
    }
    let pool = |connections: u32, file: SqliteConnectOptions| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            // A full disk ends a transaction inside SQLite, where the driver does not see it: it
            // would count one more for ever.
            .after_release(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
            .connect_with(file)
    };
    let connect = async {
        // SQLite has one writer at a time; queueing for one connection is fairer than its busy
        // loop.
        let writer: SqlitePool = pool(1, file.clone()).await?;
        let readers: SqlitePool = pool(options.max_connections, file.read_only(true)).await?;
        Ok(Pools::Sqlite { writer, readers })
    };
    connect
        .await
        .map_err(|error: sqlx::Error| ConnectError::new(path.display().to_string(), error))
}
