//! Remembered positions, and the write that proves that the database takes writes.

use dps_application::ports::store::StoreError;

use crate::database::Database;
use crate::sql::{Sql, args, statements};

/// The row that [`ping`] writes.
const PING: &str = "store.ping";

statements! {
    PUT = Sql::both(
        "INSERT INTO cursors (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    SELECT = Sql::both("SELECT name, value FROM cursors WHERE name = $1");
}

pub(crate) async fn get(database: &Database, name: &str) -> Result<Option<String>, StoreError> {
    let mut session = database.read("read a cursor").await?;
    match session.fetch(SELECT, args![name]).await? {
        Some(row) => row.fields("cursors", "name").get("value").map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn put(database: &Database, name: &str, value: &str) -> Result<(), StoreError> {
    let mut session = database.write("store a cursor").await?;
    session.execute(PUT, args![name, value]).await?;
    session.commit().await
}

/// Writes and commits: a full disk, a read-only file or a standby server all fail here.
pub(crate) async fn ping(database: &Database) -> Result<(), StoreError> {
    let mut session = database.write("test that the database takes writes").await?;
    session.execute(PUT, args![PING, ""]).await?;
    session.commit().await
}
