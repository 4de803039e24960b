//! The replicas, the periodic tasks and the database, for operators.

use async_trait::async_trait;
use dps_application::ports::store::{
    DatabaseState, PeriodicTaskState, Replica, StoreError, SystemStore,
};
use dps_domain::Timestamp;

use crate::connect::Store;
use crate::sql::{Row, Sql, args, readable, statements};

const REPLICAS: &str = "replicas";
const TASKS: &str = "chores";

statements! {
    PUT = Sql::both(
        "INSERT INTO replicas (name, version, roles, started_at, seen_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (name) DO UPDATE SET version = excluded.version, roles = excluded.roles, \
         started_at = excluded.started_at, seen_at = excluded.seen_at",
    );
    /// The replicas are few.
    FORGET = Sql::both("DELETE FROM replicas WHERE seen_at < $1");
    LIST = Sql::both("SELECT name, version, roles, started_at, seen_at FROM replicas ORDER BY name LIMIT $1");
    LIST_TASKS = Sql::both("SELECT name, due_at, lease_expires_at, ran_at FROM chores ORDER BY name LIMIT $1");
    MIGRATION = Sql::both("SELECT MAX(version) AS version FROM _sqlx_migrations");
}

fn replica(row: &Row) -> Result<Replica, StoreError> {
    let fields = row.fields(REPLICAS, "name");
    let roles: String = fields.get("roles")?;
    Ok(Replica {
        name: fields.get("name")?,
        version: fields.get("version")?,
        roles: roles.split_whitespace().map(str::to_owned).collect(),
        started_at: fields.at("started_at")?,
        seen_at: fields.at("seen_at")?,
    })
}

fn task(row: &Row) -> Result<PeriodicTaskState, StoreError> {
    let fields = row.fields(TASKS, "name");
    let time = |column| {
        let micros: Option<i64> = fields.get(column)?;
        Ok::<_, StoreError>(micros.map(Timestamp::from_unix_micros))
    };
    Ok(PeriodicTaskState {
        name: fields.get("name")?,
        due_at: Some(fields.at("due_at")?).filter(|due| *due < Timestamp::NEVER),
        leased_until: time("lease_expires_at")?,
        ran_at: time("ran_at")?,
    })
}

#[async_trait]
impl SystemStore for Store {
    async fn replica_put(
        &self,
        replica: &Replica,
        forget_before: Timestamp,
    ) -> Result<(), StoreError> {
        let mut session = self.database.write("note a replica").await?;
        let args = args![
            replica.name.as_str(),
            replica.version.as_str(),
            replica.roles.join(" "),
            replica.started_at,
            replica.seen_at,
        ];
        session.execute(PUT, args).await?;
        session.execute(FORGET, args![forget_before]).await?;
        session.commit().await
    }

    async fn replicas(&self, limit: u32) -> Result<Vec<Replica>, StoreError> {
        let mut session = self.database.read("list the replicas").await?;
        let rows = session.fetch_all(LIST, args![limit]).await?;
        Ok(readable(&rows, replica))
    }

    async fn periodic_tasks(&self, limit: u32) -> Result<Vec<PeriodicTaskState>, StoreError> {
        let mut session = self.database.read("list the periodic tasks").await?;
        let rows = session.fetch_all(LIST_TASKS, args![limit]).await?;
        Ok(readable(&rows, task))
    }

    async fn database_state(&self) -> Result<DatabaseState, StoreError> {
        let mut session = self.database.read("read the database's version").await?;
        let row = session.fetch(MIGRATION, Vec::new()).await?;
        let version = row.map(|row| row.fields("_sqlx_migrations", "version").get("version"));
        let kind = match self.database.postgres() {
            Some(_) => "PostgreSQL",
            None => "SQLite",
        };
        Ok(DatabaseState {
            kind,
            migration: version.transpose()?.flatten().unwrap_or(0),
        })
    }
}
