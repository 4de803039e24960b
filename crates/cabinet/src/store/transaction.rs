//! Parts of the store's writing transactions.

use dps_database::{CorruptRow, Sql, args, statements};
use dps_domain::{DomainId, Timestamp};

use super::row::{changed_values, columns, record, values};
use super::{Row, Session, StoreError};
use crate::refusal::Refusal;
use crate::rules::{Quota, Record};
use crate::target::RemovedDomain;

/// Most removed domains that are read to find the former target of a returning tenant.
const MAX_REMOVED_CLAIMS: u32 = 100;

statements! {
    NEXT_POSITION = Sql::both("UPDATE cabinet_feed SET position = position + 1 WHERE id = 1 RETURNING position");
    CLAIM = Sql::both(concat!(
        "SELECT ",
        columns!(),
        " FROM cabinet_domains WHERE canonical_host = $1 AND tenant_id = $2 AND status <> 'Removed'"
    ));
    /// A domain that moved away and is not checked any more has released its name.
    ANY_CLAIM = Sql::both(
        "SELECT 1 FROM cabinet_domains WHERE canonical_host = $1 AND status <> 'Removed' \
         AND NOT (status = 'Failed' AND next_attempt_at IS NULL AND last_error_code IS NOT NULL \
         AND last_error_code = 'DNS_MOVED') LIMIT 1",
    );
    REMOVED_CLAIMS = Sql::both(
        "SELECT id, cname_target FROM cabinet_domains \
         WHERE canonical_host = $1 AND tenant_id = $2 AND status = 'Removed' \
         ORDER BY position DESC LIMIT $3",
    );
    HELD = Sql::both(
        "SELECT COUNT(*) AS held FROM (SELECT 1 FROM cabinet_domains \
         WHERE tenant_id = $1 AND status <> 'Removed' LIMIT $2) AS held_domains",
    );
    /// The creation that must leave the quota's period before the next one is possible. The rows
    /// of removed domains count too: they are kept for longer than the period.
    CREATED_AT = Sql::both(
        "SELECT created_at AS used_at FROM cabinet_domains \
         WHERE tenant_id = $1 AND created_at > $2 AND created_at < $3 \
         ORDER BY created_at DESC LIMIT 1 OFFSET $4",
    );
    /// As [`CREATED_AT`], for retries.
    RETRIED_AT = Sql::both(
        "SELECT retried_at AS used_at FROM cabinet_retries \
         WHERE tenant_id = $1 AND retried_at > $2 AND retried_at < $3 \
         ORDER BY retried_at DESC LIMIT 1 OFFSET $4",
    );
    COUNT_RETRY = Sql::both("INSERT INTO cabinet_retries (position, tenant_id, retried_at) VALUES ($1, $2, $3)");
    INSERT = Sql::both(concat!(
        "INSERT INTO cabinet_domains (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
    ));
    /// PostgreSQL locks the row that is about to change; SQLite has one writer.
    LOCK = Sql::each(
        concat!("SELECT ", columns!(), " FROM cabinet_domains WHERE id = $1 FOR UPDATE"),
        concat!("SELECT ", columns!(), " FROM cabinet_domains WHERE id = $1"),
    );
    UPDATE = Sql::both(
        "UPDATE cabinet_domains SET status = $2, last_error_code = $3, last_error_message = $4, \
         error_details = $5, next_attempt_at = $6, certificate_not_after = $7, \
         ownership_verification = $8, version = $9, updated_at = $10, retried_at = $11, \
         change_position = $12 WHERE id = $1",
    );
}

/// Takes the next position. The row stays locked until the transaction ends, which puts all writers
/// for customers in line.
///
/// Each of them takes it first: so none waits for another in a circle.
pub(super) async fn next_position(session: &mut Session) -> Result<i64, StoreError> {
    let Some(row) = session.fetch(NEXT_POSITION, Vec::new()).await? else {
        return Err(StoreError::Corrupt(missing_feed()));
    };
    row.fields("cabinet_feed", "position").get("position")
}

/// The error of a database without its only row of the feed.
pub(super) fn missing_feed() -> CorruptRow {
    CorruptRow {
        table: "cabinet_feed",
        row: "1".to_owned(),
        reason: "the row is missing".to_owned(),
    }
}

/// Returns the domain with which a tenant claims a name.
pub(super) async fn claim_of(
    session: &mut Session,
    host: &str,
    tenant_id: &str,
) -> Result<Option<Record>, StoreError> {
    let row = session.fetch(CLAIM, args![host, tenant_id]).await?;
    row.as_ref().map(record).transpose()
}

/// Whether any tenant claims a name.
pub(super) async fn is_claimed(session: &mut Session, host: &str) -> Result<bool, StoreError> {
    let row = session.fetch(ANY_CLAIM, args![host]).await?;
    Ok(row.is_some())
}

/// Returns the removed domains of a tenant with a name, the newest first.
pub(super) async fn removed_claims(
    session: &mut Session,
    host: &str,
    tenant_id: &str,
) -> Result<Vec<RemovedDomain>, StoreError> {
    let args = args![host, tenant_id, MAX_REMOVED_CLAIMS];
    let rows = session.fetch_all(REMOVED_CLAIMS, args).await?;
    let read = |row: &Row| {
        let fields = row.fields("cabinet_domains", "id");
        Ok(RemovedDomain {
            id: fields.parse("id")?,
            cname_target: fields.get("cname_target")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Returns the domain as it is, locked until the transaction ends.
pub(super) async fn locked(
    session: &mut Session,
    id: DomainId,
) -> Result<Option<Record>, StoreError> {
    let row = session.fetch(LOCK, args![id]).await?;
    row.as_ref().map(record).transpose()
}

/// Whether the tenant holds `max` domains or more; 0 for any number.
pub(super) async fn is_full(
    session: &mut Session,
    tenant_id: &str,
    max: u32,
) -> Result<bool, StoreError> {
    if max == 0 {
        return Ok(false);
    }
    let Some(row) = session.fetch(HELD, args![tenant_id, max]).await? else {
        return Ok(false);
    };
    let held: i64 = row.fields("cabinet_domains", "held").get("held")?;
    Ok(held >= i64::from(max))
}

/// Refuses a creation if the tenant reached the quota.
pub(super) async fn creation_refusal(
    session: &mut Session,
    tenant_id: &str,
    quota: Quota,
) -> Result<Option<Refusal>, StoreError> {
    quota_refusal(session, CREATED_AT, tenant_id, quota).await
}

/// Refuses a retry if the tenant reached the quota.
pub(super) async fn retry_refusal(
    session: &mut Session,
    tenant_id: &str,
    quota: Quota,
) -> Result<Option<Refusal>, StoreError> {
    quota_refusal(session, RETRIED_AT, tenant_id, quota).await
}

async fn quota_refusal(
    session: &mut Session,
    sql: Sql,
    tenant_id: &str,
    quota: Quota,
) -> Result<Option<Refusal>, StoreError> {
    let Some(window) = quota.window() else {
        return Ok(None);
    };
    let args = args![tenant_id, window.after, window.before, window.skip];
    let Some(row) = session.fetch(sql, args).await? else {
        return Ok(None);
    };
    let used_at: Timestamp = row.fields("uses of a tenant", "used_at").at("used_at")?;
    Ok(Some(quota.refuse(used_at)))
}

/// Counts a retry against its tenant, unless any number is allowed.
pub(super) async fn count_retry(
    session: &mut Session,
    position: i64,
    tenant_id: &str,
    quota: Quota,
) -> Result<(), StoreError> {
    if quota.window().is_some() {
        let args = args![position, tenant_id, quota.now()];
        session.execute(COUNT_RETRY, args).await?;
    }
    Ok(())
}

/// Writes a new domain.
pub(super) async fn insert(session: &mut Session, new: &Record) -> Result<(), StoreError> {
    session.execute(INSERT, values(new)).await.map(drop)
}

/// Writes the columns that change.
pub(super) async fn update(session: &mut Session, next: &Record) -> Result<(), StoreError> {
    session
        .execute(UPDATE, changed_values(next))
        .await
        .map(drop)
}
