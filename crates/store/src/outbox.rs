//! Reports that wait for the Cabinet, in order per domain.
//!
//! Only the oldest report of a domain has a due time; the others get theirs when it leaves. So
//! acquiring reads one range of one index however many reports pile up while the Cabinet is
//! down. A transaction that adds or removes a report locks the domain's row first. Otherwise two of
//! them could each leave the next report to the other.
//!
//! Reports of progress go first. A customer who waits for the certificate must not wait for
//! thousands of reports that repeat that DNS is not ready.

use dps_application::cabinet::outbox::{Waiting, replaced};
use dps_application::ports::cabinet::StatusReport;
use dps_application::ports::store::{OutboxLease, StoreError};
use dps_domain::bounds;
use dps_domain::{DomainId, LeaseToken, Timestamp};

use crate::domains::cabinet_version::{raise_cabinet_version_in_tx, set_cabinet_version_in_tx};
use crate::domains::lock::lock_in_tx;
use crate::json::to_json;
use crate::sql::{Database, LeasedWrite as _, Row, Session, Sql, args, statements};
use crate::term::{Term, lease_now};

const TABLE: &str = "outbox";

/// The columns of an [`OutboxLease`].
macro_rules! columns {
    () => {
        "id, domain_id, report, attempt, \
         (SELECT cabinet_version FROM custom_domains WHERE custom_domains.id = outbox.domain_id) AS cabinet_version"
    };
}

/// Leases due reports, the longest due first.
macro_rules! acquire {
    ($which:literal) => {
        Sql::each(
            concat!(
                "WITH due AS (SELECT id AS due_id FROM outbox WHERE ",
                $which,
                "acquirable_at <= $1 AND (lease_expires_at IS NULL OR lease_expires_at <= ",
                lease_now!("$5"),
                ") ORDER BY acquirable_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
                 UPDATE outbox SET lease_token = $3, lease_expires_at = ",
                lease_now!("$5"),
                " + $4, attempt = attempt + 1 FROM due WHERE id = due_id RETURNING ",
                columns!(),
            ),
            concat!(
                "UPDATE outbox SET lease_token = $3, lease_expires_at = $5 + $4, attempt = attempt + 1 \
                 WHERE id IN (SELECT id FROM outbox WHERE ",
                $which,
                "acquirable_at <= $1 AND (lease_expires_at IS NULL OR lease_expires_at <= $5) \
                 ORDER BY acquirable_at LIMIT $2) RETURNING ",
                columns!(),
            ),
        )
    };
}

statements! {
    WAITING = Sql::both("SELECT id, status, lease_token FROM outbox WHERE domain_id = $1 ORDER BY id");
    /// Not if it is leased.
    REPLACE = Sql::both("UPDATE outbox SET report = $2 WHERE id = $1 AND lease_token IS NULL");
    DELETE_AFTER = Sql::both("DELETE FROM outbox WHERE domain_id = $1 AND id > $2");
    ENQUEUE = Sql::both(
        "INSERT INTO outbox (domain_id, report, status, attempt, next_attempt_at, created_at) VALUES ($1, $2, $4, 0, \
         CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE domain_id = $1) THEN NULL ELSE CAST($3 AS BIGINT) END, $3)",
    );
    COUNT = Sql::both(
        "SELECT COUNT(*) AS reports FROM (SELECT 1 AS one FROM outbox LIMIT $1) AS counted",
    );
    OLDEST = Sql::both("SELECT MIN(created_at) AS at FROM outbox");
    ACQUIRE = acquire!("");
    ACQUIRE_PROGRESS = acquire!("status <> 'PendingDns' AND ");
    NEXT_DUE = Sql::both("SELECT MIN(acquirable_at) AS at FROM outbox");
    DELETE = Sql::both("DELETE FROM outbox WHERE id = $1 AND lease_token = $2");
    PROMOTE = Sql::both(
        "UPDATE outbox SET next_attempt_at = created_at WHERE next_attempt_at IS NULL \
         AND id = (SELECT MIN(id) FROM outbox WHERE domain_id = $1)",
    );
    RETRY = Sql::both(
        "UPDATE outbox SET next_attempt_at = $3, lease_token = NULL, lease_expires_at = NULL \
         WHERE id = $1 AND lease_token = $2",
    );
    DELETE_ALL = Sql::both("DELETE FROM outbox WHERE domain_id = $1");
}

/// Adds a report, or puts it in the place of one that it makes superfluous. The caller has written
/// the domain's row in the same transaction, so no other process adds or removes another meanwhile.
/// Only the oldest can become leased.
pub(crate) async fn enqueue_in_tx(
    session: &mut Session,
    domain: DomainId,
    report: &StatusReport,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (status, text) = (report.status, to_json(&*bounds::report(report)));
    let rows = session.fetch_all(WAITING, args![domain]).await?;
    let waiting = rows.iter().map(waiting).collect::<Result<Vec<_>, _>>()?;
    if let Some(place) = replaced(&waiting, status)
        && session
            .execute(REPLACE, args![place, text.as_str()])
            .await?
            == 1
    {
        session.execute(DELETE_AFTER, args![domain, place]).await?;
        return Ok(());
    }
    session
        .execute(ENQUEUE, args![domain, text, now, status.as_str()])
        .await
        .map(drop)
}

fn waiting(row: &Row) -> Result<Waiting, StoreError> {
    let fields = row.fields(TABLE, "id");
    let (status, token): (String, Option<String>) =
        (fields.get("status")?, fields.get("lease_token")?);
    Ok(Waiting {
        id: fields.get("id")?,
        status: status.parse().ok(),
        leased: token.is_some(),
    })
}

/// How many reports wait, up to `most`.
pub(crate) async fn count(database: &Database, most: u32) -> Result<u32, StoreError> {
    let mut session = database.read("count the reports").await?;
    let row = session.fetch(COUNT, args![most]).await?;
    row.map_or(Ok(0), |row| row.fields(TABLE, "reports").count("reports"))
}

/// Since when the oldest report has been waiting.
pub(crate) async fn oldest(database: &Database) -> Result<Option<Timestamp>, StoreError> {
    let mut session = database.read("find the oldest report").await?;
    match session.fetch(OLDEST, Vec::new()).await? {
        Some(row) => row.fields(TABLE, "at").at_if_any("at"),
        None => Ok(None),
    }
}

fn read(row: &Row, token: LeaseToken) -> Result<OutboxLease, StoreError> {
    let fields = row.fields(TABLE, "id");
    Ok(OutboxLease {
        id: fields.get("id")?,
        domain_id: fields.parse("domain_id")?,
        cabinet_version: fields.count("cabinet_version")?,
        report: fields.json("report")?,
        attempt: fields.count("attempt")?,
        token,
    })
}

pub(crate) async fn acquire(
    database: &Database,
    now: Timestamp,
    term: Term,
    limit: usize,
    token: LeaseToken,
) -> Result<Vec<OutboxLease>, StoreError> {
    let mut session = database.write("lease due reports").await?;
    let terms = |limit: usize| args![now, limit, token, term.micros, term.now];
    // A quarter is left to the others, so that they come through however much progress there is.
    let mut rows = session
        .fetch_all(ACQUIRE_PROGRESS, terms(limit - limit / 4))
        .await?;
    let others = limit.saturating_sub(rows.len());
    rows.extend(session.fetch_all(ACQUIRE, terms(others)).await?);
    session.commit().await?;
    let mut leases = Vec::with_capacity(rows.len());
    for row in &rows {
        match read(row, token) {
            Ok(lease) => leases.push(lease),
            Err(error) => discard(database, row, token, &error).await?,
        }
    }
    leases.sort_by_key(|lease| lease.id);
    Ok(leases)
}

/// Drops a report that cannot be read: the domain's record still holds what it said, and the next
/// report will say it.
async fn discard(
    database: &Database,
    row: &Row,
    token: LeaseToken,
    error: &StoreError,
) -> Result<(), StoreError> {
    tracing::error!(%error, "report.unreadable");
    let fields = row.fields(TABLE, "id");
    let id: i64 = fields.get("id")?;
    let domain: String = fields.get("domain_id")?;
    let mut session = database.write("drop an unreadable report").await?;
    if let Ok(domain) = domain.parse() {
        lock_in_tx(&mut session, domain).await?;
    }
    session.execute(DELETE, args![id, token]).await?;
    session.execute(PROMOTE, args![domain]).await?;
    session.commit().await
}

pub(crate) async fn next_due(database: &Database) -> Result<Option<Timestamp>, StoreError> {
    let mut session = database.read("find the next due report").await?;
    match session.fetch(NEXT_DUE, Vec::new()).await? {
        Some(row) => row.fields(TABLE, "at").at_if_any("at"),
        None => Ok(None),
    }
}

pub(crate) async fn done(
    database: &Database,
    lease: &OutboxLease,
    version: Option<u64>,
) -> Result<(), StoreError> {
    let domain = lease.domain_id;
    let mut session = database.write("finish a report").await?;
    match version {
        Some(version) => raise_cabinet_version_in_tx(&mut session, domain, version).await?,
        None => lock_in_tx(&mut session, domain).await?,
    }
    session
        .execute_leased(DELETE, args![lease.id, lease.token])
        .await?;
    session.execute(PROMOTE, args![domain]).await?;
    session.commit().await
}

pub(crate) async fn retry(
    database: &Database,
    lease: &OutboxLease,
    at: Timestamp,
    version: Option<u64>,
) -> Result<(), StoreError> {
    let mut session = database.write("put a report off").await?;
    if let Some(version) = version {
        set_cabinet_version_in_tx(&mut session, lease.domain_id, version).await?;
    }
    session
        .execute_leased(RETRY, args![lease.id, lease.token, at])
        .await?;
    session.commit().await
}

pub(crate) async fn drop_all(database: &Database, domain: DomainId) -> Result<(), StoreError> {
    let mut session = database.write("drop a domain's reports").await?;
    lock_in_tx(&mut session, domain).await?;
    session.execute(DELETE_ALL, args![domain]).await?;
    session.commit().await
}
