//! A consistent copy of a SQLite database that others are writing to.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::file::make_file;

/// How long the copy waits for a writer, in which a checkpoint may restart.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The copy was not made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The file of the copy exists, or its folder cannot be written to.
    #[error("cannot write the copy {}", path.display())]
    File {
        /// The copy.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// SQLite failed.
    #[error("cannot copy the database {}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's reason.
        #[source]
        source: sqlx::Error,
    },
    /// The copy has a fault.
    #[error("the copy of {} is damaged: {finding}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The finding of SQLite's integrity check.
        finding: String,
    },
}

/// Copies the SQLite database `from`, as it is at one moment, to the new file `to`, and checks the
/// copy. Others may read and write meanwhile.
pub async fn copy_sqlite(from: &Path, to: &Path) -> Result<(), CopyError> {
    let file_error = |source| CopyError::File {
        path: to.to_path_buf(),
        source,
    };
    // SQLite writes into an empty file and keeps its mode; it would make one for everybody to read.
    make_file(to).map_err(file_error)?;
    let finding = vacuum_into(from, to)
        .await
        .map_err(|source| CopyError::Sqlite {
            path: from.to_path_buf(),
            source,
        })?;
    if finding != "ok" {
        return Err(CopyError::Damaged {
            path: from.to_path_buf(),
            finding,
        });
    }
    File::open(to)
        .and_then(|copy| copy.sync_all())
        .map_err(file_error)
}

/// Copies, and returns what SQLite's check of the copy says.
async fn vacuum_into(from: &Path, to: &Path) -> Result<String, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(from)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT);
    let mut connection = options.connect().await?;
    let copied = sqlx::query("VACUUM INTO ?1")
        .bind(to.display().to_string())
        .execute(&mut connection)
        .await;
    connection.close().await?;
    copied?;
    let options = SqliteConnectOptions::new().filename(to).read_only(true);
    let mut copy = options.connect().await?;
    let finding = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut copy)
        .await;
    copy.close().await?;
    finding
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use sqlx::Executor as _;

    use super::*;

    #[tokio::test]
    async fn a_copy_is_whole_while_the_log_is_not_folded_and_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let options = SqliteConnectOptions::new()
            .filename(&from)
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let mut writer = options.connect().await.unwrap();
        let rows = "CREATE TABLE t (x); INSERT INTO t VALUES (7)";
        writer.execute(rows).await.unwrap();
        writer
            .execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (8)")
            .await
            .unwrap();

        copy_sqlite(&from, &to).await.unwrap();
        assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut copy = SqliteConnectOptions::new()
            .filename(&to)
            .connect()
            .await
            .unwrap();
        let sum: i64 = sqlx::query_scalar("SELECT SUM(x) FROM t")
            .fetch_one(&mut copy)
            .await
            .unwrap();
        assert_eq!(sum, 7, "what was not committed is not in it");
        assert!(matches!(
            copy_sqlite(&from, &to).await,
            Err(CopyError::File { .. })
        ));

        let missing = folder.path().join("missing.db");
        let other = folder.path().join("c.db");
        let error = copy_sqlite(&missing, &other).await.unwrap_err();
        assert!(matches!(error, CopyError::Sqlite { .. }), "{error:?}");
        assert!(!missing.exists());
    }
}
