//! A conversation with either database: one connection for single statements, or one transaction.

use std::marker::PhantomData;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Database, Postgres, Sqlite, Transaction};

use crate::driver_error::DriverError;
use crate::errors::SqlErrors;
use crate::row::Row;
use crate::sql::{Arg, Sql};
use crate::times::Timer;

/// Longest duration of one exchange with the database.
const STATEMENT_BOUND: Duration = Duration::from_secs(30);

/// The connection or transaction that statements run on. Dropping a transaction that was not
/// committed rolls it back.
pub(crate) enum Handle<D: Database> {
    Single(PoolConnection<D>),
    Transaction(Transaction<'static, D>),
}

impl<D: Database> Handle<D> {
    fn connection(&mut self) -> &mut D::Connection {
        match self {
            Self::Single(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

/// The database at the other end.
pub(crate) enum Link {
    Postgres(Handle<Postgres>),
    Sqlite(Handle<Sqlite>),
}

/// Statements of one operation; their errors name it.
pub struct Session<E> {
    link: Link,
    operation: &'static str,
    /// Ends with the session.
    _timer: Option<Timer>,
    errors: PhantomData<fn() -> E>,
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

impl<E: SqlErrors> Session<E> {
    pub(crate) const fn new(link: Link, operation: &'static str, timer: Option<Timer>) -> Self {
        Self {
            link,
            operation,
            _timer: timer,
            errors: PhantomData,
        }
    }

    /// Returns all rows of the statement's result.
    pub async fn fetch_all(&mut self, sql: Sql, args: Vec<Arg>) -> Result<Vec<Row<E>>, E::Error> {
        let link = &mut self.link;
        let work = async {
            Ok(match link {
                Link::Postgres(handle) => {
                    let rows = bind!(sql.postgres, args)
                        .fetch_all(handle.connection())
                        .await?;
                    rows.into_iter().map(Row::from).collect()
                }
                Link::Sqlite(handle) => {
                    let rows = bind!(sql.sqlite, args)
                        .fetch_all(handle.connection())
                        .await?;
                    rows.into_iter().map(Row::from).collect()
                }
            })
        };
        Self::bounded(self.operation, work).await
    }

    /// Returns the first row of the statement's result, if any.
    pub async fn fetch(&mut self, sql: Sql, args: Vec<Arg>) -> Result<Option<Row<E>>, E::Error> {
        Ok(self.fetch_all(sql, args).await?.into_iter().next())
    }

    /// Runs the statement; returns how many rows it touched.
    pub async fn execute(&mut self, sql: Sql, args: Vec<Arg>) -> Result<u64, E::Error> {
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
        Self::bounded(self.operation, work).await
    }

    /// Commits the writes of a transaction. Single statements are committed already.
    pub async fn commit(self) -> Result<(), E::Error> {
        let operation = self.operation;
        let work = async {
            match self.link {
                Link::Postgres(Handle::Transaction(transaction)) => transaction.commit().await,
                Link::Sqlite(Handle::Transaction(transaction)) => transaction.commit().await,
                Link::Postgres(Handle::Single(_)) | Link::Sqlite(Handle::Single(_)) => Ok(()),
            }
        };
        Self::bounded(operation, work).await
    }

    /// Runs one exchange with the database within the bound of all statements.
    pub async fn bounded<T>(
        operation: &'static str,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, E::Error> {
        let error = match tokio::time::timeout(STATEMENT_BOUND, work).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => DriverError::from(error),
            Err(_) => DriverError::timed_out(STATEMENT_BOUND),
        };
        Err(E::unavailable(operation, error))
    }
}
