//! Remembered positions, and the write that proves that the database takes writes.

use dps_application::ports::store::StoreError;

use crate::sql::{Database, Session, Sql, args, statements};

/// The row that [`ping`] writes.
const PING: &str = "store.ping";

statements! {
    /// Writes another value each time: SQLite does not write a page whose bytes stay the same.
    TOUCH = Sql::both(
        "INSERT INTO cursors (name, value) VALUES ($1, '0') \
         ON CONFLICT (name) DO UPDATE SET value = CASE cursors.value WHEN '0' THEN '1' ELSE '0' END",
    );
    /// Unless there is one.
    BEGIN = Sql::both("INSERT INTO cursors (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
    ADVANCE = Sql::both("UPDATE cursors SET value = $3 WHERE name = $1 AND value = $2");
    SELECT = Sql::both("SELECT name, value FROM cursors WHERE name = $1");
}

pub(crate) async fn get(database: &Database, name: &str) -> Result<Option<String>, StoreError> {
    let mut session = database.read("read a cursor").await?;
    match session.fetch(SELECT, args![name]).await? {
        Some(row) => row.fields("cursors", "name").get("value").map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn advance(
    database: &Database,
    name: &str,
    from: Option<&str>,
    to: &str,
) -> Result<bool, StoreError> {
    let mut session = database.write("move a cursor").await?;
    let moved = advance_in_tx(&mut session, name, from, to).await?;
    session.commit().await?;
    Ok(moved)
}

pub(crate) async fn advance_in_tx(
    session: &mut Session,
    name: &str,
    from: Option<&str>,
    to: &str,
) -> Result<bool, StoreError> {
    let moved = match from {
        Some(from) => session.execute(ADVANCE, args![name, from, to]).await?,
        None => session.execute(BEGIN, args![name, to]).await?,
    };
    Ok(moved == 1)
}

/// Writes and commits: a full disk, a read-only file or a standby server all fail here.
pub(crate) async fn ping(database: &Database) -> Result<(), StoreError> {
    let mut session = database
        .write("test that the database takes writes")
        .await?;
    session.execute(TOUCH, args![PING]).await?;
    session.commit().await
}
