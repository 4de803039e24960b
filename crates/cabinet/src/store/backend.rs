//! The store's statements, written once and compiled for each database.
//!
//! The dialects differ in three words. SQLite's writing transactions begin `IMMEDIATE`: one that
//! reads first and writes later would fail when another writer came between. PostgreSQL locks the
//! row it is about to change, and prunes past rows that another process has locked.

use async_trait::async_trait;
use dps_cabinet_api::CustomDomain;
use dps_domain::{DomainId, Timestamp};
use sqlx::AssertSqlSafe;

use super::row::{columns, details, micros, record, version};
use super::{Change, Decide, Filter, Inserted, Prunable, Store, StoreError, Update};
use crate::refusal::Refusal;
use crate::rules::{Quota, Record};

/// The creation that must leave the quota's period before the next one is possible. The rows of
/// removed domains count too: they are kept for longer than the period.
const CREATIONS: &str = "SELECT created_at FROM cabinet_domains \
                         WHERE tenant_id = $1 AND created_at > $2 AND created_at < $3 \
                         ORDER BY created_at DESC LIMIT 1 OFFSET $4";
/// As [`CREATIONS`], for retries.
const RETRIES: &str = "SELECT retried_at FROM cabinet_retries \
                       WHERE tenant_id = $1 AND retried_at > $2 AND retried_at < $3 \
                       ORDER BY retried_at DESC LIMIT 1 OFFSET $4";

macro_rules! backend {
    ($module:ident, $Database:ty, begin: $begin:literal, lock: $lock:literal, skip_locked: $skip_locked:literal) => {
        pub(super) mod $module {
            use super::*;

            type Tx = sqlx::Transaction<'static, $Database>;

            /// The store on this database.
            pub(in crate::store) struct Backend {
                writer: sqlx::Pool<$Database>,
                readers: sqlx::Pool<$Database>,
            }

            impl Backend {
                pub(in crate::store) fn new(
                    writer: sqlx::Pool<$Database>,
                    readers: sqlx::Pool<$Database>,
                ) -> Self {
                    Self { writer, readers }
                }
            }

            /// Takes the next position. The row stays locked until the transaction ends, which puts
            /// all writers for customers in line: taken first by each of them, it also keeps them
            /// from waiting for one another in a circle.
            async fn next_position(tx: &mut Tx) -> Result<i64, StoreError> {
                let sql = "UPDATE cabinet_feed SET position = position + 1 WHERE id = 1 RETURNING position";
                Ok(sqlx::query_scalar(sql).fetch_one(&mut **tx).await?)
            }

            async fn holder(tx: &mut Tx, host: &str) -> Result<Option<Record>, StoreError> {
                let sql = concat!(
                    "SELECT ",
                    columns!(),
                    " FROM cabinet_domains WHERE canonical_host = $1 AND status <> 'Removed'"
                );
                let row = sqlx::query(sql).bind(host).fetch_optional(&mut **tx).await?;
                row.as_ref().map(record).transpose()
            }

            async fn is_full(tx: &mut Tx, tenant_id: &str, max: u32) -> Result<bool, StoreError> {
                if max == 0 {
                    return Ok(false);
                }
                let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM cabinet_domains \
                           WHERE tenant_id = $1 AND status <> 'Removed' LIMIT $2) AS held";
                let held: i64 = sqlx::query_scalar(sql)
                    .bind(tenant_id)
                    .bind(i64::from(max))
                    .fetch_one(&mut **tx)
                    .await?;
                Ok(held >= i64::from(max))
            }

            /// Refuses a use if `sql` finds that the tenant reached the quota.
            async fn quota_refusal(
                tx: &mut Tx,
                sql: &'static str,
                tenant_id: &str,
                quota: Quota,
            ) -> Result<Option<Refusal>, StoreError> {
                let Some(window) = quota.window() else {
                    return Ok(None);
                };
                let used_at: Option<i64> = sqlx::query_scalar(sql)
                    .bind(tenant_id)
                    .bind(window.after.unix_micros())
                    .bind(window.before.unix_micros())
                    .bind(window.skip)
                    .fetch_optional(&mut **tx)
                    .await?;
                Ok(used_at.map(|micros| quota.refuse(Timestamp::from_unix_micros(micros))))
            }

            /// Counts a retry against its tenant, unless any number is allowed.
            async fn count_retry(
                tx: &mut Tx,
                position: i64,
                tenant_id: &str,
                quota: Quota,
            ) -> Result<(), StoreError> {
                if quota.window().is_some() {
                    let sql = "INSERT INTO cabinet_retries (position, tenant_id, retried_at) VALUES ($1, $2, $3)";
                    sqlx::query(sql)
                        .bind(position)
                        .bind(tenant_id)
                        .bind(quota.now().unix_micros())
                        .execute(&mut **tx)
                        .await?;
                }
                Ok(())
            }

            async fn add(tx: &mut Tx, new: &Record) -> Result<(), StoreError> {
                let sql = concat!(
                    "INSERT INTO cabinet_domains (",
                    columns!(),
                    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
                );
                let domain = &new.domain;
                sqlx::query(sql)
                    .bind(domain.id.to_string())
                    .bind(&domain.tenant_id)
                    .bind(&domain.hostname)
                    .bind(&domain.canonical_host)
                    .bind(&domain.cname_target)
                    .bind(&domain.status)
                    .bind(&domain.last_error_code)
                    .bind(&domain.last_error_message)
                    .bind(details(domain))
                    .bind(micros(domain.next_attempt_at))
                    .bind(micros(domain.certificate_not_after))
                    .bind(version(domain))
                    .bind(domain.created_at.unix_micros())
                    .bind(domain.updated_at.unix_micros())
                    .bind(micros(new.retried_at))
                    .bind(new.position)
                    .bind(new.change_position)
                    .execute(&mut **tx)
                    .await?;
                Ok(())
            }

            async fn write(tx: &mut Tx, next: &Record) -> Result<(), StoreError> {
                let sql = "UPDATE cabinet_domains SET status = $2, last_error_code = $3, last_error_message = $4, \
                           error_details = $5, next_attempt_at = $6, certificate_not_after = $7, version = $8, \
                           updated_at = $9, retried_at = $10, change_position = $11 WHERE id = $1";
                let domain = &next.domain;
                sqlx::query(sql)
                    .bind(domain.id.to_string())
                    .bind(&domain.status)
                    .bind(&domain.last_error_code)
                    .bind(&domain.last_error_message)
                    .bind(details(domain))
                    .bind(micros(domain.next_attempt_at))
                    .bind(micros(domain.certificate_not_after))
                    .bind(version(domain))
                    .bind(domain.updated_at.unix_micros())
                    .bind(micros(next.retried_at))
                    .bind(next.change_position)
                    .execute(&mut **tx)
                    .await?;
                Ok(())
            }

            #[async_trait]
            impl Store for Backend {
                async fn insert(
                    &self,
                    domain: CustomDomain,
                    max_per_tenant: u32,
                    creations: Quota,
                ) -> Result<Inserted, StoreError> {
                    let mut tx = self.writer.begin_with($begin).await?;
                    let position = next_position(&mut tx).await?;
                    if let Some(held) = holder(&mut tx, &domain.canonical_host).await? {
                        tx.rollback().await?;
                        return Ok(Inserted::Held(held));
                    }
                    if is_full(&mut tx, &domain.tenant_id, max_per_tenant).await? {
                        tx.rollback().await?;
                        return Ok(Inserted::TenantFull);
                    }
                    if let Some(refusal) = quota_refusal(&mut tx, CREATIONS, &domain.tenant_id, creations).await? {
                        tx.rollback().await?;
                        return Ok(Inserted::Refused(refusal));
                    }
                    let new = Record {
                        domain,
                        position,
                        change_position: position,
                        retried_at: None,
                    };
                    add(&mut tx, &new).await?;
                    tx.commit().await?;
                    Ok(Inserted::New(new))
                }

                async fn find(&self, id: DomainId) -> Result<Option<Record>, StoreError> {
                    let sql = concat!("SELECT ", columns!(), " FROM cabinet_domains WHERE id = $1");
                    let row = sqlx::query(sql)
                        .bind(id.to_string())
                        .fetch_optional(&self.readers)
                        .await?;
                    row.as_ref().map(record).transpose()
                }

                async fn list(&self, filter: &Filter, after: i64, limit: u32) -> Result<Vec<Record>, StoreError> {
                    let status = filter.status.map(|status| status.as_str());
                    let wanted = [
                        ("status", status),
                        ("tenant_id", filter.tenant_id.as_deref()),
                        ("canonical_host", filter.canonical_host.as_deref()),
                    ];
                    let mut sql = concat!("SELECT ", columns!(), " FROM cabinet_domains WHERE position > $1").to_owned();
                    let mut values = Vec::new();
                    for (column, value) in wanted {
                        if let Some(value) = value {
                            values.push(value);
                            sql.push_str(&format!(" AND {column} = ${}", values.len() + 2));
                        }
                    }
                    sql.push_str(" ORDER BY position LIMIT $2");
                    // Safe: made of the constants above; every value is bound.
                    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(after).bind(i64::from(limit));
                    for value in values {
                        query = query.bind(value);
                    }
                    let rows = query.fetch_all(&self.readers).await?;
                    rows.iter().map(record).collect()
                }

                async fn changes(&self, after: i64, limit: u32) -> Result<Vec<Record>, StoreError> {
                    let sql = concat!(
                        "SELECT ",
                        columns!(),
                        " FROM cabinet_domains WHERE change_position > $1 ORDER BY change_position LIMIT $2"
                    );
                    let rows = sqlx::query(sql)
                        .bind(after)
                        .bind(i64::from(limit))
                        .fetch_all(&self.readers)
                        .await?;
                    rows.iter().map(record).collect()
                }

                async fn last_position(&self) -> Result<i64, StoreError> {
                    let sql = "SELECT position FROM cabinet_feed WHERE id = 1";
                    Ok(sqlx::query_scalar(sql).fetch_one(&self.readers).await?)
                }

                async fn update(&self, id: DomainId, change: Change, decide: Decide) -> Result<Update, StoreError> {
                    let mut tx = self.writer.begin_with($begin).await?;
                    let change_position = match change {
                        Change::Removal | Change::Retry(_) => Some(next_position(&mut tx).await?),
                        Change::Report => None,
                    };
                    let sql = concat!("SELECT ", columns!(), " FROM cabinet_domains WHERE id = $1", $lock);
                    let row = sqlx::query(sql)
                        .bind(id.to_string())
                        .fetch_optional(&mut *tx)
                        .await?;
                    let Some(found) = row.as_ref().map(record).transpose()? else {
                        tx.rollback().await?;
                        return Ok(Update::Missing);
                    };
                    let mut next = match decide(&found) {
                        Ok(Some(next)) => next,
                        Ok(None) => {
                            tx.rollback().await?;
                            return Ok(Update::Unchanged(found));
                        }
                        Err(refusal) => {
                            tx.rollback().await?;
                            return Ok(Update::Refused(refusal));
                        }
                    };
                    next.change_position = change_position.unwrap_or(found.change_position);
                    if let Change::Retry(quota) = change {
                        let tenant_id = &found.domain.tenant_id;
                        if let Some(refusal) = quota_refusal(&mut tx, RETRIES, tenant_id, quota).await? {
                            tx.rollback().await?;
                            return Ok(Update::Refused(refusal));
                        }
                        count_retry(&mut tx, next.change_position, tenant_id, quota).await?;
                    }
                    write(&mut tx, &next).await?;
                    tx.commit().await?;
                    Ok(Update::Changed(next))
                }

                async fn prune(&self, kind: Prunable, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
                    let sql = match kind {
                        Prunable::RemovedDomains => concat!(
                            "DELETE FROM cabinet_domains WHERE id IN (SELECT id FROM cabinet_domains \
                             WHERE status = 'Removed' AND updated_at < $1 ORDER BY updated_at LIMIT $2",
                            $skip_locked,
                            ")"
                        ),
                        Prunable::Retries => concat!(
                            "DELETE FROM cabinet_retries WHERE position IN (SELECT position FROM cabinet_retries \
                             WHERE retried_at < $1 ORDER BY retried_at LIMIT $2",
                            $skip_locked,
                            ")"
                        ),
                    };
                    let done = sqlx::query(sql)
                        .bind(before.unix_micros())
                        .bind(i64::from(limit))
                        .execute(&self.writer)
                        .await?;
                    Ok(done.rows_affected())
                }

                async fn close(&self) {
                    self.readers.close().await;
                    self.writer.close().await;
                }
            }
        }
    };
}

backend!(pg, sqlx::Postgres, begin: "BEGIN", lock: " FOR UPDATE", skip_locked: " FOR UPDATE SKIP LOCKED");
backend!(lite, sqlx::Sqlite, begin: "BEGIN IMMEDIATE", lock: "", skip_locked: "");
