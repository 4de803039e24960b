//! The pools of connections to either database.

use dps_application::ports::store::StoreError;
use sqlx::{PgPool, SqlitePool};

use crate::session::{Handle, Link, Session, bounded};

/// The database behind the store.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// A server, shared with other replicas.
    Postgres(PgPool),
    /// A file of this process: one connection writes, others read beside it (write-ahead log). In
    /// memory both are the same single connection.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
}

impl Database {
    /// A connection for one or several reads.
    pub(crate) async fn read(&self, operation: &'static str) -> Result<Session, StoreError> {
        let acquire = async {
            Ok(match self {
                Self::Postgres(pool) => Link::Postgres(Handle::Reading(pool.acquire().await?)),
                Self::Sqlite { readers, .. } => {
                    Link::Sqlite(Handle::Reading(readers.acquire().await?))
                }
            })
        };
        Ok(Session::new(bounded(operation, acquire).await?, operation))
    }

    /// A transaction.
    ///
    /// On SQLite it takes the write lock at once: a transaction that read first and then wrote
    /// could fail without waiting when another process wrote in between.
    pub(crate) async fn write(&self, operation: &'static str) -> Result<Session, StoreError> {
        let begin = async {
            Ok(match self {
                Self::Postgres(pool) => Link::Postgres(Handle::Writing(pool.begin().await?)),
                Self::Sqlite { writer, .. } => {
                    Link::Sqlite(Handle::Writing(writer.begin_with("BEGIN IMMEDIATE").await?))
                }
            })
        };
        Ok(Session::new(bounded(operation, begin).await?, operation))
    }

    /// Closes every connection, waiting for those in use.
    pub(crate) async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}
