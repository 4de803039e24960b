//! The pools of connections to either database.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use sqlx::{PgPool, SqlitePool};

use crate::errors::SqlErrors;
use crate::migrations::{MigrateError, Schema, SchemaError};
use crate::open::{ConnectError, OpenOptions, open};
use crate::session::{Handle, Link, Session};
use crate::target::Target;
use crate::times::{Observer, Operation, OperationTimes};

/// The connections to one database.
#[derive(Debug, Clone)]
pub enum Pools {
    /// A server, shared with other processes.
    Postgres(PgPool),
    /// A file or memory of this process.
    Sqlite {
        /// The one connection that writes.
        writer: SqlitePool,
        /// Connections that read beside it from the write-ahead log. In memory, the writer itself.
        readers: SqlitePool,
    },
}

/// The database of a store. Clones share the connections.
pub struct Database<E> {
    pools: Pools,
    observer: Observer,
    errors: PhantomData<fn() -> E>,
}

impl<E> Clone for Database<E> {
    fn clone(&self) -> Self {
        Self {
            pools: self.pools.clone(),
            observer: self.observer.clone(),
            errors: PhantomData,
        }
    }
}

impl<E> fmt::Debug for Database<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.pools {
            Pools::Postgres(_) => "PostgreSQL",
            Pools::Sqlite { .. } => "SQLite",
        })
    }
}

impl<E> Database<E> {
    /// The database of these connections.
    pub const fn new(pools: Pools) -> Self {
        Self {
            pools,
            observer: Observer(None),
            errors: PhantomData,
        }
    }

    /// The same database, with its work measured.
    #[must_use]
    pub fn observed(self, times: Option<Arc<dyn OperationTimes>>) -> Self {
        Self {
            observer: Observer(times),
            ..self
        }
    }

    /// Opens the database.
    pub async fn open(target: Target, options: &OpenOptions) -> Result<Self, ConnectError> {
        open(target, options).await.map(Self::new)
    }

    /// The connections to PostgreSQL; `None` on SQLite.
    pub const fn postgres(&self) -> Option<&PgPool> {
        match &self.pools {
            Pools::Postgres(pool) => Some(pool),
            Pools::Sqlite { .. } => None,
        }
    }

    /// Brings the database to this schema. Safe beside other processes that do the same.
    pub async fn migrate(&self, schema: &Schema) -> Result<(), MigrateError> {
        schema.migrate(&self.pools).await
    }

    /// Compares the database's migrations with this schema, and changes nothing.
    pub async fn check_schema(&self, schema: &Schema) -> Result<(), SchemaError> {
        schema.check(&self.pools).await
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Postgres(pool) => pool.close().await,
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

impl<E: SqlErrors> Database<E> {
    /// Acquires a connection for one or several reads.
    pub async fn read(&self, operation: &'static str) -> Result<Session<E>, E::Error> {
        let acquire = async {
            Ok(match &self.pools {
                Pools::Postgres(pool) => Link::Postgres(Handle::Single(pool.acquire().await?)),
                Pools::Sqlite { readers, .. } => {
                    Link::Sqlite(Handle::Single(readers.acquire().await?))
                }
            })
        };
        let link = self.connect(operation, acquire).await?;
        Ok(Session::new(
            link,
            operation,
            self.observer.begin(Operation::Read),
        ))
    }

    /// Acquires a connection for statements that write and of which each is a transaction of its
    /// own. It saves the exchanges that begin and commit one.
    pub async fn write_singly(&self, operation: &'static str) -> Result<Session<E>, E::Error> {
        let acquire = async {
            Ok(match &self.pools {
                Pools::Postgres(pool) => Link::Postgres(Handle::Single(pool.acquire().await?)),
                Pools::Sqlite { writer, .. } => {
                    Link::Sqlite(Handle::Single(writer.acquire().await?))
                }
            })
        };
        let link = self.connect(operation, acquire).await?;
        Ok(Session::new(
            link,
            operation,
            self.observer.begin(Operation::Write),
        ))
    }

    /// Begins a transaction.
    pub async fn write(&self, operation: &'static str) -> Result<Session<E>, E::Error> {
        let begin = async {
            Ok(match &self.pools {
                Pools::Postgres(pool) => Link::Postgres(Handle::Transaction(pool.begin().await?)),
                // With the write lock at once: a transaction that read first and then wrote could
                // fail without waiting when another process wrote in between.
                Pools::Sqlite { writer, .. } => Link::Sqlite(Handle::Transaction(
                    writer.begin_with("BEGIN IMMEDIATE").await?,
                )),
            })
        };
        let link = self.connect(operation, begin).await?;
        let timer = self.observer.begin(Operation::Transaction);
        Ok(Session::new(link, operation, timer))
    }

    async fn connect(
        &self,
        operation: &'static str,
        acquire: impl Future<Output = Result<Link, sqlx::Error>>,
    ) -> Result<Link, E::Error> {
        let _timer = self.observer.begin(Operation::Connect);
        Session::<E>::bounded(operation, acquire).await
    }
}
