//! Synchronisation with the Cabinet: periodic tasks of one replica at a time, and the domains that
//! the Cabinet was seen to know.
//!
//! Several identifiers at once travel as one JSON text, which both databases can take apart.

use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::store::PeriodicTaskLease;
use dps_application::ports::store::PeriodicTaskStore;
use dps_application::ports::store::StoreError;
use dps_application::ports::sync::{CabinetPresence, KnownRecord, SyncStore};
use dps_domain::{DomainId, Phase, Timestamp};

use crate::connect::Store;
use crate::cursors;
use crate::domains::row::{TABLE, columns, read};
use crate::json::to_json;
use crate::sql::{LeasedWrite as _, Row, Sql, args, readable, statements};

const PRESENCES: &str = "cabinet_sightings";

statements! {
    TASK_INSERT = Sql::both("INSERT INTO chores (name, due_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
    /// While it is in hand it is due at `$5`, which is never: whatever is earlier then is a call
    /// that came meanwhile. One whose holder died is taken over.
    TASK_ACQUIRE = Sql::both(
        "UPDATE chores SET lease_token = $3, lease_expires_at = $4, due_at = $5 WHERE name = $1 \
         AND ((lease_expires_at IS NULL AND due_at <= $2) OR lease_expires_at <= $2) RETURNING name, progress",
    );
    TASK_EXTEND = Sql::both(
        "UPDATE chores SET progress = $3, lease_expires_at = $4 WHERE name = $1 AND lease_token = $2",
    );
    TASK_RELEASE = Sql::both(
        "UPDATE chores SET progress = $3, due_at = CASE WHEN due_at < $4 THEN due_at ELSE $4 END, ran_at = $5, \
         lease_token = NULL, lease_expires_at = NULL WHERE name = $1 AND lease_token = $2",
    );
    TASK_MAKE_DUE = Sql::both(
        "INSERT INTO chores (name, due_at) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET due_at = CASE WHEN chores.due_at < $2 THEN chores.due_at ELSE $2 END",
    );
    KNOWN = Sql::each(
        concat!(
            "SELECT ", columns!(), ", CAST(CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE domain_id = custom_domains.id) \
             THEN 1 ELSE 0 END AS BIGINT) AS reports FROM custom_domains \
             WHERE id IN (SELECT json_array_elements_text(CAST($1 AS json)))",
        ),
        concat!(
            "SELECT ", columns!(), ", EXISTS (SELECT 1 FROM outbox WHERE domain_id = custom_domains.id) AS reports \
             FROM custom_domains WHERE id IN (SELECT value FROM json_each($1))",
        ),
    );
    COUNT = Sql::both("SELECT COUNT(*) AS domains FROM custom_domains WHERE phase <> $1 AND phase <> $2");
    PRESENT = Sql::each(
        "INSERT INTO cabinet_sightings (domain_id, run) SELECT id, CAST($1 AS BIGINT) FROM custom_domains \
         WHERE id IN (SELECT json_array_elements_text(CAST($2 AS json))) \
         ON CONFLICT (domain_id) DO UPDATE SET run = excluded.run, missing_since = NULL",
        "INSERT INTO cabinet_sightings (domain_id, run) SELECT id, $1 FROM custom_domains \
         WHERE id IN (SELECT value FROM json_each($2)) \
         ON CONFLICT (domain_id) DO UPDATE SET run = excluded.run, missing_since = NULL",
    );
    /// `domain_id > $2` says nothing new, but lets a merge of both indexes begin at the page
    /// instead of at the first row.
    PRESENCES_PAGE = Sql::both(
        "SELECT id, created_at, CAST(CASE WHEN run = $1 AND missing_since IS NULL THEN 1 ELSE 0 END AS BIGINT) AS seen \
         FROM custom_domains LEFT JOIN cabinet_sightings ON domain_id = id AND domain_id > $2 \
         WHERE id > $2 AND phase <> $3 AND phase <> $4 ORDER BY id LIMIT $5",
    );
    MISSING = Sql::each(
        "INSERT INTO cabinet_sightings (domain_id, run, missing_since) SELECT id, CAST($1 AS BIGINT), CAST($3 AS BIGINT) \
         FROM custom_domains WHERE id = $2 \
         ON CONFLICT (domain_id) DO UPDATE SET run = excluded.run, \
         missing_since = COALESCE(cabinet_sightings.missing_since, excluded.missing_since) \
         RETURNING domain_id, missing_since",
        "INSERT INTO cabinet_sightings (domain_id, run, missing_since) SELECT id, $1, $3 \
         FROM custom_domains WHERE id = $2 \
         ON CONFLICT (domain_id) DO UPDATE SET run = excluded.run, \
         missing_since = COALESCE(cabinet_sightings.missing_since, excluded.missing_since) \
         RETURNING domain_id, missing_since",
    );
    MISSING_PAGE = Sql::both(
        "SELECT domain_id FROM cabinet_sightings WHERE missing_since IS NOT NULL AND domain_id > $3 AND run = $1 \
         AND missing_since <= $2 ORDER BY domain_id LIMIT $4",
    );
}

fn texts(ids: &[DomainId]) -> String {
    to_json(&ids.iter().map(DomainId::to_string).collect::<Vec<_>>())
}

fn text(id: Option<DomainId>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn known(row: &Row) -> Result<KnownRecord, StoreError> {
    let reports: i64 = row.fields(TABLE, "id").get("reports")?;
    Ok(KnownRecord {
        record: read(row)?,
        reports_wait: reports != 0,
    })
}

fn presence(row: &Row) -> Result<CabinetPresence, StoreError> {
    let fields = row.fields(TABLE, "id");
    let seen: i64 = fields.get("seen")?;
    Ok(CabinetPresence {
        id: fields.parse("id")?,
        seen: seen != 0,
        created_at: fields.at("created_at")?,
    })
}

#[async_trait]
impl SyncStore for Store {
    async fn cursor(&self, name: &str) -> Result<Option<String>, StoreError> {
        cursors::get(&self.database, name).await
    }

    async fn cursor_advance(
        &self,
        name: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<bool, StoreError> {
        cursors::advance(&self.database, name, from, to).await
    }

    async fn known(&self, ids: &[DomainId]) -> Result<Vec<KnownRecord>, StoreError> {
        let mut session = self.database.read("read the domains of a page").await?;
        let rows = session.fetch_all(KNOWN, args![texts(ids)]).await?;
        Ok(readable(&rows, known))
    }

    async fn count_domains(&self) -> Result<u64, StoreError> {
        let mut session = self.database.read("count the domains").await?;
        let [leaving, gone] = [&Phase::Leaving, &Phase::Gone].map(to_json);
        let row = session.fetch(COUNT, args![leaving, gone]).await?;
        row.map_or(Ok(0), |row| row.fields(TABLE, "domains").count("domains"))
    }

    async fn cabinet_mark_seen(&self, run: i64, ids: &[DomainId]) -> Result<(), StoreError> {
        let mut session = self
            .database
            .write("note which domains the Cabinet knows")
            .await?;
        session.execute(PRESENT, args![run, texts(ids)]).await?;
        session.commit().await
    }

    async fn cabinet_presences(
        &self,
        run: i64,
        after: Option<DomainId>,
        limit: u32,
    ) -> Result<Vec<CabinetPresence>, StoreError> {
        let mut session = self
            .database
            .read("read which domains the Cabinet knows")
            .await?;
        let done = [&Phase::Leaving, &Phase::Gone].map(to_json);
        let [leaving, gone] = done;
        let args = args![run, text(after), leaving, gone, limit];
        let rows = session.fetch_all(PRESENCES_PAGE, args).await?;
        Ok(readable(&rows, presence))
    }

    async fn cabinet_mark_missing(
        &self,
        run: i64,
        id: DomainId,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let mut session = self.database.write("note that a domain is missing").await?;
        let row = session.fetch(MISSING, args![run, id, now]).await?;
        session.commit().await?;
        row.map_or(Ok(now), |row| {
            row.fields(PRESENCES, "domain_id").at("missing_since")
        })
    }

    async fn cabinet_missing_since(
        &self,
        run: i64,
        before: Timestamp,
        after: Option<DomainId>,
        limit: u32,
    ) -> Result<Vec<DomainId>, StoreError> {
        let mut session = self.database.read("read which domains are missing").await?;
        let args = args![run, before, text(after), limit];
        let rows = session.fetch_all(MISSING_PAGE, args).await?;
        Ok(readable(&rows, |row| {
            row.fields(PRESENCES, "domain_id").parse("domain_id")
        }))
    }
}

#[async_trait]
impl PeriodicTaskStore for Store {
    async fn periodic_acquire(
        &self,
        name: &str,
        now: Timestamp,
        ttl: Duration,
        first_due: Timestamp,
    ) -> Result<Option<PeriodicTaskLease>, StoreError> {
        let token = self.new_token(now);
        let mut session = self.database.write("acquire a task").await?;
        session.execute(TASK_INSERT, args![name, first_due]).await?;
        let row = session
            .fetch(
                TASK_ACQUIRE,
                args![name, now, token, now + ttl, Timestamp::NEVER],
            )
            .await?;
        session.commit().await?;
        row.map(|row| {
            Ok(PeriodicTaskLease {
                name: name.to_owned(),
                token,
                progress: row.fields("chores", "name").get("progress")?,
            })
        })
        .transpose()
    }

    async fn periodic_extend(
        &self,
        lease: &PeriodicTaskLease,
        progress: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut session = self.database.write("remember a task's progress").await?;
        let args = args![lease.name.as_str(), lease.token, progress, until];
        session.execute_leased(TASK_EXTEND, args).await?;
        session.commit().await
    }

    async fn periodic_release(
        &self,
        lease: &PeriodicTaskLease,
        progress: Option<&str>,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut session = self.database.write("lay a task down").await?;
        let now = self.steady.now();
        let args = args![lease.name.as_str(), lease.token, progress, due_at, now];
        session.execute_leased(TASK_RELEASE, args).await?;
        session.commit().await
    }

    async fn periodic_make_due(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut session = self.database.write("make a task due").await?;
        session.execute(TASK_MAKE_DUE, args![name, now]).await?;
        session.commit().await
    }
}
