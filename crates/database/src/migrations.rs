//! The schema's versions and how a database gets from one to the next.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError as SqlxMigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqlSafeStr};

use crate::database::Pools;
use crate::driver_error::DriverError;

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

/// One migration.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// Its number, from which the order follows.
    pub version: i64,
    /// Its name.
    pub name: &'static str,
    /// Its statements.
    pub text: &'static str,
}

/// The migrations of one store, with the same versions and names for both databases.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The table that lists the applied ones; stores that share a database need one each.
    pub table: &'static str,
    /// Those for PostgreSQL, by version.
    pub postgres: &'static [Script],
    /// Those for SQLite, by version.
    pub sqlite: &'static [Script],
}

/// The [`Schema`](crate::Schema) of the files `<root>/postgres/<digits>_<name>.sql` and
/// `<root>/sqlite/<digits>_<name>.sql`.
#[macro_export]
macro_rules! schema {
    ($table:literal, $root:literal, $($version:literal $digits:literal $name:literal,)+) => {
        $crate::Schema {
            table: $table,
            postgres: &[$($crate::Script {
                version: $version,
                name: $name,
                text: include_str!(concat!($root, "/postgres/", $digits, "_", $name, ".sql")),
            }),+],
            sqlite: &[$($crate::Script {
                version: $version,
                name: $name,
                text: include_str!(concat!($root, "/sqlite/", $digits, "_", $name, ".sql")),
            }),+],
        }
    };
}

impl Schema {
    fn migrator(&self, scripts: &[Script]) -> Migrator {
        let migration = |script: &Script| {
            Migration::new(
                script.version,
                Cow::Borrowed(script.name),
                MigrationType::Simple,
                script.text.into_sql_str(),
                false,
            )
        };
        let mut migrator = Migrator::with_migrations(scripts.iter().map(migration).collect());
        migrator.dangerous_set_table_name(self.table);
        migrator
    }

    /// Applies the migrations that the database lacks.
    // `run_direct`, because the future of `run` on a borrowed connection cannot be sent between
    // threads.
    pub(crate) async fn migrate(&self, pools: &Pools) -> Result<(), MigrateError> {
        match pools {
            // A connection of its own, without the pool's bounds: a migration may take long. The
            // migrator holds an advisory lock.
            Pools::Postgres(pool) => {
                let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
                self.migrator(self.postgres)
                    .run_direct(None, &mut connection, false)
                    .await?;
                connection.close().await?;
            }
            // One transaction around all, begun with the write lock, because the migrator itself
            // does not lock SQLite.
            Pools::Sqlite { writer, .. } => {
                let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
                self.migrator(self.sqlite)
                    .run_direct(None, &mut *transaction, false)
                    .await?;
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// Compares the database's migrations with these.
    pub(crate) async fn check(&self, pools: &Pools) -> Result<(), SchemaError> {
        // Safe: the table's name is a constant of the program.
        let sql = AssertSqlSafe(format!("SELECT version FROM {} WHERE success", self.table));
        let applied: Result<Vec<i64>, sqlx::Error> = match pools {
            Pools::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await,
            Pools::Sqlite { readers, .. } => sqlx::query_scalar(sql).fetch_all(readers).await,
        };
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) if is_missing_table(&error) => Vec::new(),
            Err(error) => return Err(SchemaError::Failed(Box::new(error))),
        };
        compare(&applied, self.sqlite)
    }
}

fn compare(applied: &[i64], scripts: &[Script]) -> Result<(), SchemaError> {
    let ours = || scripts.iter().map(|script| script.version);
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

/// Whether no migration was applied yet.
fn is_missing_table(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return false;
    };
    // PostgreSQL's undefined_table; SQLite has no code of its own for it.
    error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_is_not_ours_is_named_with_what_to_do() {
        let script = |version| Script {
            version,
            name: "",
            text: "",
        };
        let scripts = [script(1), script(4)];
        assert!(compare(&[1, 4], &scripts).is_ok());
        let refusal = |applied: &[i64]| compare(applied, &scripts).unwrap_err().to_string();
        assert!(refusal(&[]).contains("schema 0, this program wants 4: run `dps migrate`"));
        assert!(refusal(&[1]).contains("schema 1, this program wants 4: run `dps migrate`"));
        assert!(refusal(&[1, 4, 9]).contains("schema 9, this program knows 4"));
    }
}
