//! Opening the store.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dps_application::ports::{Clock, Randomness};
use dps_database::{
    ConnectionStringError, OpenError, PoolDefaults, PostgresTarget, Target, open_postgres,
    prepare_file,
};
use dps_domain::shard::ShardKey;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqlitePool};
use tokio::sync::OnceCell;

use crate::database::Database;
use crate::migrations::{self, MigrateError, SchemaError};
use crate::shard::Turns;

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// Where lease tokens come from.
    pub randomness: Arc<dyn Randomness>,
    /// By whose time leases run on SQLite: a clock of this process that never jumps.
    pub steady: Arc<dyn Clock>,
    /// Whether leases on PostgreSQL run by the server's time, as replicas need it. If not they run
    /// by `steady` there too, for a test that owns the time.
    pub server_time: bool,
    /// Connections at most: to PostgreSQL in all (unless the connection string says `Maximum Pool
    /// Size`), on SQLite for reading.
    pub max_connections: u32,
    /// How long an operation waits for a free connection, and on SQLite for another process's
    /// write, before the store counts as unavailable.
    pub acquire_timeout: Duration,
    /// How many lines of history are kept of each domain.
    pub events_per_domain: u32,
    /// How long lines of history are kept.
    pub events_max_age: Duration,
    /// Whether a SQLite file that does not exist is made. If not, its journal mode is left alone
    /// too.
    pub create: bool,
}

impl StoreOptions {
    /// The usual bounds.
    pub fn new(randomness: Arc<dyn Randomness>, steady: Arc<dyn Clock>) -> Self {
        Self {
            randomness,
            steady,
            server_time: true,
            max_connections: 16,
            acquire_timeout: Duration::from_secs(10),
            events_per_domain: 200,
            events_max_age: Duration::from_secs(180 * 24 * 3600),
            create: true,
        }
    }
}

/// The store could not be opened. Never contains the connection string's password.
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
    /// The database does not answer, or does not let us in.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// The CertificateStore on one of its databases. Clones share the connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Database,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) steady: Arc<dyn Clock>,
    pub(crate) server_time: bool,
    /// The file on SQLite.
    pub(crate) file: Option<PathBuf>,
    /// The lock of who works on it.
    pub(crate) claimed: Arc<OnceLock<File>>,
    pub(crate) events_per_domain: u32,
    pub(crate) events_max_age: Duration,
    pub(crate) turns: Arc<Turns>,
    pub(crate) shard_key: Arc<OnceCell<ShardKey>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.database {
            Database::Postgres(_) => "PostgreSQL",
            Database::Sqlite { .. } => "SQLite",
        };
        f.debug_struct("Store")
            .field("database", &kind)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database that `connection_string` names: `sqlite://path` (the file is made on
    /// first start), `sqlite::memory:`, `postgres://…` or `Host=…;Database=…` as Npgsql writes it.
    /// Call [`Self::migrate`] next.
    pub async fn connect(
        connection_string: &str,
        options: StoreOptions,
    ) -> Result<Self, ConnectError> {
        let mut place = None;
        let database = match connection_string.parse()? {
            Target::Postgres(target) => connect_postgres(*target, &options).await?,
            Target::Memory => connect_memory().await?,
            Target::File {
                path,
                read_only,
                options: file,
            } => {
                let database = connect_file(&path, read_only, *file, &options).await?;
                place = Some(path);
                database
            }
        };
        Ok(Self {
            database,
            randomness: options.randomness,
            steady: options.steady,
            server_time: options.server_time,
            file: place,
            claimed: Arc::default(),
            events_per_domain: options.events_per_domain,
            events_max_age: options.events_max_age,
            turns: Arc::default(),
            shard_key: Arc::default(),
        })
    }

    /// Brings the database to this program's schema. Safe beside others that do the same.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        migrations::migrate(&self.database).await
    }

    /// Checks that the database has this program's schema, and changes nothing.
    pub async fn check_schema(&self) -> Result<(), SchemaError> {
        migrations::check(&self.database).await
    }

    /// Closes every connection, waiting for those in use; later calls fail. SQLite folds its log
    /// into the file.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

async fn connect_postgres(
    target: PostgresTarget,
    options: &StoreOptions,
) -> Result<Database, ConnectError> {
    let defaults = PoolDefaults {
        application_name: "dps",
        max_connections: options.max_connections,
        acquire_timeout: options.acquire_timeout,
    };
    Ok(Database::Postgres(open_postgres(target, defaults).await?))
}

/// One connection that never ends, since the database ends with it.
async fn connect_memory() -> Result<Database, ConnectError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(
            SqliteConnectOptions::new()
                .in_memory(true)
                .foreign_keys(true),
        )
        .await
        .map_err(|error| OpenError::new("sqlite::memory:", error))?;
    Ok(Database::Sqlite {
        writer: pool.clone(),
        readers: pool,
    })
}

async fn connect_file(
    path: &Path,
    read_only: bool,
    file: SqliteConnectOptions,
    options: &StoreOptions,
) -> Result<Database, ConnectError> {
    let file_error = |source| ConnectError::File {
        path: path.to_path_buf(),
        source,
    };
    let create = options.create && !read_only;
    prepare_file(path, create).map_err(|source| match source.kind() {
        ErrorKind::NotFound if !create => ConnectError::Missing {
            path: path.to_path_buf(),
        },
        _ => file_error(source),
    })?;
    let mut file = file
        .read_only(read_only)
        .foreign_keys(true)
        .busy_timeout(options.acquire_timeout)
        // FULL syncs the log at every commit. With NORMAL a power cut may undo commits, and then a
        // certificate's key that was stored before finalize is gone while the CA has issued: a lost
        // certificate is an outage and counts against its limits.
        .synchronous(SqliteSynchronous::Full);
    if create {
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
    let place = path.display().to_string();
    let connect = async {
        let writer: SqlitePool = pool(1, file.clone()).await?;
        let readers: SqlitePool = pool(options.max_connections, file.read_only(true)).await?;
        Ok(Database::Sqlite { writer, readers })
    };
    connect
        .await
        .map_err(|error: sqlx::Error| OpenError::new(place, error).into())
}
