//! The schema's versions and how a database gets from one to the next.

use std::borrow::Cow;

use dps_database::DriverError;
use sqlx::migrate::{MigrateError as SqlxMigrateError, Migration, MigrationType, Migrator};
use sqlx::{Connection, PgConnection, SqlSafeStr};

use crate::database::Database;

/// The database could not be brought to this program's schema.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer program was here first.
    #[error(
        "the database was migrated by a newer version of this program (it has migration {version}, which this one does not know); run that version or restore a backup"
    )]
    NewerDatabase {
        /// The unknown migration.
        version: i64,
    },
    /// The database has another text of a migration than this program.
    #[error(
        "migration {version} was applied in another form than this program has; the database is not ours to change"
    )]
    Altered {
        /// The migration.
        version: i64,
    },
    /// The database refused or is gone.
    #[error("the database could not be migrated")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The database does not have this program's schema, and the process may not change it.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// An older program was here last, or none yet.
    #[error(
        "this database has schema {found}, this program wants {wanted}: run `dps migrate` (stop older versions of the service first)"
    )]
    Older {
        /// The newest migration that the database has; 0 without any.
        found: i64,
        /// The newest migration that this program has.
        wanted: i64,
    },
    /// A newer program was here.
    #[error(
        "this database has schema {found}, this program knows {known}: use the newer version's `dps`"
    )]
    Newer {
        /// The newest migration that the database has.
        found: i64,
        /// The newest migration that this program has.
        known: i64,
    },
    /// The database refused or is gone.
    #[error("the database's schema cannot be read")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<SqlxMigrateError> for MigrateError {
    fn from(error: SqlxMigrateError) -> Self {
        match error {
            SqlxMigrateError::VersionMissing(version) => Self::NewerDatabase { version },
            SqlxMigrateError::VersionMismatch(version) => Self::Altered { version },
            SqlxMigrateError::Execute(error) | SqlxMigrateError::ExecuteMigration(error, _) => {
                error.into()
            }
            other => Self::Failed(Box::new(other)),
        }
    }
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(Box::new(DriverError::from(error)))
    }
}

/// Version, name and text of one migration.
pub(crate) type Script = (i64, &'static str, &'static str);

/// The scripts of one folder. Both folders have the same versions and names.
macro_rules! scripts {
    ($folder:literal) => {
        scripts!($folder:
            1 "0001" "work_records",
            2 "0002" "certificates",
            3 "0003" "history_and_reports",
            4 "0004" "rate_limits",
            5 "0005" "fair_lanes",
            6 "0006" "limits_ledger",
            7 "0007" "renewal_information",
            8 "0008" "timeline_and_sync",
            14 "0014" "reports_of_progress",
            15 "0015" "fleet",
            16 "0016" "renewal_questions",
            18 "0018" "limit_slots",
            19 "0019" "crowds",
            20 "0020" "keys_of_orders",
            22 "0022" "approved_edges",
            23 "0023" "soonest_expiry",
            24 "0024" "leased_records",
            25 "0025" "lost_orders_and_old_keys",
            26 "0026" "moved_away",
        )
    };
    ($folder:literal: $($version:literal $digits:literal $name:literal,)+) => {
        &[$((
            $version,
            $name,
            include_str!(concat!("../migrations/", $folder, "/", $digits, "_", $name, ".sql")),
        )),+]
    };
}

pub(crate) const POSTGRES: &[Script] = scripts!("postgres");
pub(crate) const SQLITE: &[Script] = scripts!("sqlite");

fn migrator(scripts: &[Script]) -> Migrator {
    let migration = |&(version, name, text): &Script| {
        let sql = text.into_sql_str();
        Migration::new(
            version,
            Cow::Borrowed(name),
            MigrationType::Simple,
            sql,
            false,
        )
    };
    Migrator::with_migrations(scripts.iter().map(migration).collect())
}

/// Applies what is missing. Processes that do so at the same time wait for each other.
///
/// `run_direct`, because the future of `run` on a borrowed connection cannot be sent between
/// threads.
pub(crate) async fn migrate(database: &Database) -> Result<(), MigrateError> {
    match database {
        // A connection of its own, without the pool's bounds: a migration may take long. The
        // migrator holds an advisory lock.
        Database::Postgres(pool) => {
            let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
            migrator(POSTGRES)
                .run_direct(None, &mut connection, false)
                .await?;
            connection.close().await?;
        }
        // One transaction around all, begun with the write lock, because the migrator itself does
        // not lock SQLite.
        Database::Sqlite { writer, .. } => {
            let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
            migrator(SQLITE)
                .run_direct(None, &mut *transaction, false)
                .await?;
            transaction.commit().await?;
        }
    }
    Ok(())
}

/// Compares the database's migrations with this program's, and changes nothing.
pub(crate) async fn check(database: &Database) -> Result<(), SchemaError> {
    let sql = "SELECT version FROM _sqlx_migrations WHERE success";
    let applied: Result<Vec<i64>, sqlx::Error> = match database {
        Database::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await,
        Database::Sqlite { readers, .. } => sqlx::query_scalar(sql).fetch_all(readers).await,
    };
    let applied = match applied {
        Ok(applied) => applied,
        Err(error) if is_missing_table(&error) => Vec::new(),
        Err(error) => return Err(SchemaError::Failed(Box::new(error))),
    };
    compare(&applied, SQLITE)
}

fn compare(applied: &[i64], scripts: &[Script]) -> Result<(), SchemaError> {
    let ours = || scripts.iter().map(|(version, ..)| *version);
    let found = applied.iter().copied().max().unwrap_or_default();
    let wanted = ours().max().unwrap_or_default();
    if applied
        .iter()
        .any(|version| !ours().any(|known| known == *version))
    {
        return Err(SchemaError::Newer {
            found,
            known: wanted,
        });
    }
    if ours().all(|version| applied.contains(&version)) {
        return Ok(());
    }
    Err(SchemaError::Older { found, wanted })
}

/// Whether nobody has migrated yet.
fn is_missing_table(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return false;
    };
    // PostgreSQL's undefined_table; SQLite has no code of its own for it.
    error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;
    use sqlx::{Executor, PgPool, Row as _};

    use super::*;

    /// A domain that is served and one that is not, as an earlier version wrote them.
    const DOMAINS: &str = "INSERT INTO custom_domains (id, tenant_shard, tenant_id, hostname, cname_target, phase, attempt, \
        next_attempt_at, pending_since, failed_validations, order_not_before, upkeep, serving_certificate_id, cabinet_version, \
        revision, created_at, updated_at) VALUES \
        ('served', 0, '', 'served.example', '', '', 0, 77, 0, 0, 0, 'of no form', 'certificate', 0, 0, 0, 0), \
        ('waiting', 0, '', 'waiting.example', '', '', 0, 5, 0, 0, 0, NULL, NULL, 0, 0, 0, 0)";
    const QUESTIONS: &str = "SELECT domain_id, certificate_id, ask_at FROM renewal_questions";

    fn before(scripts: &[Script], version: i64) -> &[Script] {
        let end = scripts.iter().position(|(number, _, _)| *number == version);
        &scripts[..end.unwrap()]
    }

    /// Migrates as far as that version did, writes what it wrote, and migrates on; answers the
    /// polls there are then.
    macro_rules! migrated {
        ($connection:expr, $scripts:expr) => {{
            let mut connection = $connection.await.unwrap();
            let earlier = migrator(before($scripts, 16));
            earlier
                .run_direct(None, &mut *connection, false)
                .await
                .unwrap();
            connection.execute(DOMAINS).await.unwrap();
            let whole = migrator($scripts);
            whole
                .run_direct(None, &mut *connection, false)
                .await
                .unwrap();
            let rows = connection.fetch_all(QUESTIONS).await.unwrap();
            let poll = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2)));
            poll.collect::<Vec<(String, String, i64)>>()
        }};
    }

    #[test]
    fn a_schema_that_is_not_ours_is_named_with_what_to_do() {
        let scripts: [Script; 2] = [(1, "one", ""), (4, "four", "")];
        assert!(compare(&[1, 4], &scripts).is_ok());
        let told = |applied: &[i64]| compare(applied, &scripts).unwrap_err().to_string();
        assert!(told(&[]).contains("schema 0, this program wants 4: run `dps migrate`"));
        assert!(told(&[1]).contains("schema 1, this program wants 4: run `dps migrate`"));
        assert!(told(&[1, 4, 9]).contains("schema 9, this program knows 4"));
    }

    #[tokio::test]
    async fn certificates_of_an_earlier_version_are_polled_after_their_next_recheck() {
        let expected = [("served".to_owned(), "certificate".to_owned(), 77)];
        let sqlite = SqlitePoolOptions::new().max_connections(1);
        let sqlite = sqlite.connect("sqlite::memory:").await.unwrap();
        assert_eq!(migrated!(sqlite.acquire(), SQLITE), expected);
        let url = dps_lab::postgres::fresh_database().await.unwrap();
        let postgres = PgPool::connect(&url).await.unwrap();
        assert_eq!(migrated!(postgres.acquire(), POSTGRES), expected);
    }
}
