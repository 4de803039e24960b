//! A conversation with either database: one connection for reading, or one transaction for writing.

use std::time::Duration;

use dps_application::ports::store::StoreError;
use dps_database::DriverError;
use sqlx::pool::PoolConnection;
use sqlx::{Database, Postgres, Sqlite, Transaction};

use crate::row::Row;
use crate::sql::{Arg, Sql};

/// No statement may take longer, wherever the database is; work is leased, so the next pass tries
/// again.
const STATEMENT_BOUND: Duration = Duration::from_secs(30);

/// What statements run on. Dropping a transaction that was not committed rolls it back.
pub(crate) enum Handle<D: Database> {
    Reading(PoolConnection<D>),
    Writing(Transaction<'static, D>),
}

impl<D: Database> Handle<D> {
    fn connection(&mut self) -> &mut D::Connection {
        match self {
            Self::Reading(connection) => connection,
            Self::Writing(transaction) => transaction,
        }
    }
}

/// The database at the other end.
pub(crate) enum Link {
    Postgres(Handle<Postgres>),
    Sqlite(Handle<Sqlite>),
}

/// Statements of one operation; their errors name it.
pub(crate) struct Session {
    link: Link,
    operation: &'static str,
}

macro_rules! bind {
    ($text:expr, $args:expr) => {
        $args
            .into_iter()
            .fold(sqlx::query($text), |query, arg| match arg {
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::Blob(value) => query.bind(value),
                Arg::Flag(value) => query.bind(value),
            })
    };
}

impl Session {
    pub(crate) fn new(link: Link, operation: &'static str) -> Self {
        Self { link, operation }
    }

    /// All rows that the statement answers.
    pub(crate) async fn fetch_all(
        &mut self,
        sql: Sql,
        args: Vec<Arg>,
    ) -> Result<Vec<Row>, StoreError> {
        let link = &mut self.link;
        let work = async {
            Ok(match link {
                Link::Postgres(handle) => {
                    let rows = bind!(sql.postgres, args)
                        .fetch_all(handle.connection())
                        .await?;
                    rows.into_iter().map(Row::Postgres).collect()
                }
                Link::Sqlite(handle) => {
                    let rows = bind!(sql.sqlite, args)
                        .fetch_all(handle.connection())
                        .await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
            })
        };
        bounded(self.operation, work).await
    }

    /// The only row that the statement answers, if any.
    pub(crate) async fn fetch(
        &mut self,
        sql: Sql,
        args: Vec<Arg>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch_all(sql, args).await?.into_iter().next())
    }

    /// Runs the statement; returns how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: Sql, args: Vec<Arg>) -> Result<u64, StoreError> {
        let link = &mut self.link;
        let work = async {
            Ok(match link {
                Link::Postgres(handle) => {
                    let done = bind!(sql.postgres, args)
                        .execute(handle.connection())
                        .await?;
                    done.rows_affected()
                }
                Link::Sqlite(handle) => {
                    let done = bind!(sql.sqlite, args).execute(handle.connection()).await?;
                    done.rows_affected()
                }
            })
        };
        bounded(self.operation, work).await
    }

    /// As [`Self::execute`] for a write that a lease token guards: any number of rows but one means
    /// that the lease is lost.
    pub(crate) async fn execute_leased(
        &mut self,
        sql: Sql,
        args: Vec<Arg>,
    ) -> Result<(), StoreError> {
        match self.execute(sql, args).await? {
            1 => Ok(()),
            _ => Err(StoreError::LeaseLost),
        }
    }

    /// Makes the writes last.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let operation = self.operation;
        let work = async {
            match self.link {
                Link::Postgres(Handle::Writing(transaction)) => transaction.commit().await,
                Link::Sqlite(Handle::Writing(transaction)) => transaction.commit().await,
                Link::Postgres(Handle::Reading(_)) | Link::Sqlite(Handle::Reading(_)) => Ok(()),
            }
        };
        bounded(operation, work).await
    }
}

/// Runs one exchange with the database within the bound.
pub(crate) async fn bounded<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(STATEMENT_BOUND, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(StoreError::Unavailable {
            operation,
            source: Box::new(DriverError::from(source)),
        }),
        Err(elapsed) => Err(StoreError::Unavailable {
            operation,
            source: Box::new(elapsed),
        }),
    }
}
