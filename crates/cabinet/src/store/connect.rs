//! Opening a database and bringing its tables up to date.

use std::sync::Arc;
use std::time::Duration;

use dps_database::{
    OpenError, PoolDefaults, PostgresTarget, Target, open_postgres as open_postgres_pool,
    prepare_file,
};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqlSafeStr};

use super::backend::{lite, pg};
use super::{Store, StoreError};

/// How long a call waits for a connection, and a SQLite writer for the file.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections to PostgreSQL, and readers of SQLite.
const CONNECTIONS: u32 = 16;
/// Our own table of applied migrations, so that the Cabinet can share a database with other parts.
const MIGRATIONS_TABLE: &str = "cabinet_migrations";

/// Each migration by number and name, once per database.
const MIGRATIONS: [(i64, &str, &str, &str); 2] = [
    (
        1,
        "domains",
        include_str!("../../migrations/postgres/0001_domains.sql"),
        include_str!("../../migrations/sqlite/0001_domains.sql"),
    ),
    (
        2,
        "tenant limits",
        include_str!("../../migrations/postgres/0002_tenant_limits.sql"),
        include_str!("../../migrations/sqlite/0002_tenant_limits.sql"),
    ),
];

/// Opens the database and applies what migrations it lacks.
pub(crate) async fn open(target: Target) -> Result<Arc<dyn Store>, StoreError> {
    match target {
        Target::Postgres(server) => open_postgres(*server).await,
        Target::File {
            path,
            read_only,
            options,
        } => {
            let place = path.display().to_string();
            prepare_file(&path, !read_only).map_err(|source| StoreError::File { path, source })?;
            open_sqlite(&place, options.read_only(read_only), false).await
        }
        Target::Memory => {
            let options = SqliteConnectOptions::new().in_memory(true);
            open_sqlite("sqlite::memory:", options, true).await
        }
    }
}

async fn open_postgres(server: PostgresTarget) -> Result<Arc<dyn Store>, StoreError> {
    let defaults = PoolDefaults {
        application_name: "dps-cabinet",
        max_connections: CONNECTIONS,
        acquire_timeout: ACQUIRE_TIMEOUT,
    };
    let pool = open_postgres_pool(server, defaults).await?;
    migrator(|(_, _, postgres, _)| postgres).run(&pool).await?;
    Ok(Arc::new(pg::Backend::new(pool.clone(), pool)))
}

async fn open_sqlite(
    place: &str,
    options: SqliteConnectOptions,
    in_memory: bool,
) -> Result<Arc<dyn Store>, StoreError> {
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(ACQUIRE_TIMEOUT);
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A full disk ends a transaction inside SQLite, where the driver does not see it: it
            // would count one more for ever. A database in memory ends with its connection, and its
            // disk is never full.
            .after_release(move |connection, _| {
                Box::pin(async move { Ok(in_memory || !connection.is_in_transaction()) })
            })
    };
    // SQLite has one writer at a time; queueing for one connection is fairer than its busy loop.
    let refused = |error| OpenError::new(place, error);
    let writer = pool(1)
        .connect_with(options.clone())
        .await
        .map_err(refused)?;
    migrator(|(_, _, _, sqlite)| sqlite).run(&writer).await?;
    let readers = if in_memory {
        writer.clone()
    } else {
        pool(CONNECTIONS)
            .connect_with(options.read_only(true))
            .await
            .map_err(refused)?
    };
    Ok(Arc::new(lite::Backend::new(writer, readers)))
}

fn migrator(
    sql: impl Fn((i64, &'static str, &'static str, &'static str)) -> &'static str,
) -> Migrator {
    let migrations = MIGRATIONS.map(|migration| {
        let text = sql(migration).into_sql_str();
        Migration::new(
            migration.0,
            migration.1.into(),
            MigrationType::Simple,
            text,
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator
}
