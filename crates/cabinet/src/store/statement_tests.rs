//! Every statement is prepared on both databases.

use dps_database::Sql;
use sqlx::{Executor as _, PgPool, SqlSafeStr as _, SqlitePool};

use super::{Database, connect, list, transaction};
use dps_database::Pools;

fn every_statement() -> impl Iterator<Item = (&'static str, Sql)> {
    [super::ALL, list::ALL, transaction::ALL]
        .into_iter()
        .flatten()
        .copied()
}

#[tokio::test]
async fn every_statement_prepares_on_sqlite() {
    let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    let pool: SqlitePool = options.connect("sqlite::memory:").await.unwrap();
    let database = Database::new(Pools::Sqlite {
        writer: pool.clone(),
        readers: pool.clone(),
    });
    database.migrate(&connect::SCHEMA).await.unwrap();
    for (name, sql) in every_statement() {
        let prepared = pool.prepare(sql.sqlite.into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
}

#[tokio::test]
async fn every_statement_prepares_on_postgresql() {
    let url = dps_lab::postgres::fresh_database().await.unwrap();
    let pool = PgPool::connect(&url).await.unwrap();
    let database = Database::new(Pools::Postgres(pool.clone()));
    database.migrate(&connect::SCHEMA).await.unwrap();
    for (name, sql) in every_statement() {
        let prepared = pool.prepare(sql.postgres.into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
}
