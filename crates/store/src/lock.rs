//! One process works on a SQLite file: it says so by a lock that ends with the process, however
//! that ends.

use std::fs::{OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dps_application::ports::store::StoreError;
use dps_database::FILE_MODE;
use dps_file_lock::FileLock;

use crate::connect::Store;
use crate::sql::{Sql, statements};

statements! {
    SERVER_TIME = Sql::each(
        "SELECT CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT) AS at",
        "SELECT 0 AS at",
    );
    FREE_RECORDS = Sql::both(
        "UPDATE custom_domains SET lease_token = NULL, lease_expires_at = NULL WHERE lease_token IS NOT NULL",
    );
    /// A lease that has ended is taken over whenever the task is due; one that is absent is not.
    FREE_TASKS = Sql::both(
        "UPDATE chores SET lease_token = NULL, lease_expires_at = 0 WHERE lease_token IS NOT NULL",
    );
    FREE_REPORTS = Sql::both(
        "UPDATE outbox SET lease_token = NULL, lease_expires_at = NULL WHERE lease_token IS NOT NULL",
    );
}

/// The largest difference between the machine's clock and the server's. A wrong clock would set
/// due times that hold work back in all replicas.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(600);

/// The process cannot work on the database.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process works on it.
    #[error(
        "another process of the service works on the database (it holds {}); a SQLite file serves one, use PostgreSQL for several",
        path.display()
    )]
    Taken {
        /// The lock.
        path: PathBuf,
    },
    /// The lock cannot be made.
    #[error("the lock {} cannot be had", path.display())]
    File {
        /// The lock.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// This machine's clock or the server's is wrong.
    #[error(
        "this machine's clock and that of the database server are {} s apart; set them right (NTP) and start again",
        apart.as_secs()
    )]
    Clock {
        /// How far they are apart.
        apart: Duration,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Prepares work on a SQLite file. It makes this process the only one for its lifetime, and
    /// frees the leases of a killed process at once. PostgreSQL has many replicas: what a killed
    /// one had leased is taken over when the lease ends. There only the clocks are compared.
    pub async fn lock(&self) -> Result<(), LockError> {
        let Some(file) = &self.file else {
            return self.compare_clocks().await;
        };
        let lock = lock(file)?;
        // A second call on this very store found its own lock taken above.
        let _ = self.locked.set(lock);
        let mut session = self
            .database
            .write("take over a killed process's leases")
            .await?;
        let records = session.execute(FREE_RECORDS, Vec::new()).await?;
        let reports = session.execute(FREE_REPORTS, Vec::new()).await?;
        let tasks = session.execute(FREE_TASKS, Vec::new()).await?;
        session.commit().await?;
        if records + reports + tasks > 0 {
            tracing::info!(records, reports, tasks, "leases.taken_over");
        }
        Ok(())
    }
}

impl Store {
    async fn compare_clocks(&self) -> Result<(), LockError> {
        if self.term(Duration::ZERO).now.is_some() {
            return Ok(());
        }
        let mut session = self.database.read("read the server's clock").await?;
        let Some(row) = session.fetch(SERVER_TIME, Vec::new()).await? else {
            return Ok(());
        };
        let (server, ours) = (row.fields("the server", "at").at("at")?, self.steady.now());
        let apart = server.since(ours).max(ours.since(server));
        if apart > CLOCK_TOLERANCE {
            return Err(LockError::Clock { apart });
        }
        Ok(())
    }
}

fn lock(database: &Path) -> Result<FileLock, LockError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path);
    match opened
        .map_err(TryLockError::Error)
        .and_then(FileLock::try_new)
    {
        Ok(lock) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(LockError::Taken { path }),
        Err(TryLockError::Error(source)) => Err(LockError::File { path, source }),
    }
}
