//! Leases on work records: acquiring what is due, recording the outcome, giving back.
//!
//! A record can be acquired from its column `acquirable_at` on, which is the moment it is due or, while somebody holds it, the
//! moment their lease ends. So acquiring reads one range of one index from its start, whatever else is stored, and a record
//! that kills its workers goes to the back of the queue by itself.

use dps_application::ports::store::{Completion, Lease, StoreError};
use dps_domain::phase::Lane;
use dps_domain::{DomainId, LeaseToken, Timestamp};

use super::park::park_in_tx;
use super::{COMPLETE, TABLE, accompany_in_tx, columns, read, record_args};
use crate::database::Database;
use crate::sql::{Sql, args, statements};
use crate::term::{Term, lease_now};

statements! {
    /// Whether a record is due is up to the caller's time, whether somebody holds it is not.
    /// SQLite has one writer, which holds the lock since BEGIN IMMEDIATE; PostgreSQL steps over rows that others are taking.
    ACQUIRE = Sql::each(
        concat!(
            "WITH due AS (SELECT id AS due_id FROM custom_domains WHERE lane = $1 AND acquirable_at <= $2 \
             AND (lease_expires_at IS NULL OR lease_expires_at <= ", lease_now!("$6"), ") \
             ORDER BY acquirable_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
             UPDATE custom_domains SET lease_token = $4, lease_expires_at = ", lease_now!("$6"), " + $5, \
             attempt = attempt + 1 FROM due WHERE id = due_id RETURNING ", columns!(),
        ),
        concat!(
            "UPDATE custom_domains SET lease_token = $4, lease_expires_at = $6 + $5, attempt = attempt + 1 \
             WHERE id IN (SELECT id FROM custom_domains WHERE lane = $1 AND acquirable_at <= $2 \
             AND (lease_expires_at IS NULL OR lease_expires_at <= $6) ORDER BY acquirable_at LIMIT $3) RETURNING ", columns!(),
        ),
    );
    NEXT_DUE = Sql::both("SELECT MIN(acquirable_at) AS at FROM custom_domains WHERE lane = $1");
    RELEASE = Sql::both(
        "UPDATE custom_domains SET lease_token = NULL, lease_expires_at = NULL, \
         attempt = CASE WHEN attempt > 0 THEN attempt - 1 ELSE 0 END WHERE id = $1 AND lease_token = $2",
    );
    /// What belongs to the record goes with it, by its foreign keys.
    FORGET = Sql::both("DELETE FROM custom_domains WHERE id = $1 AND lease_token = $2");
}

/// What is asked for when acquiring.
pub(crate) struct Ask {
    pub(crate) lane: Lane,
    pub(crate) now: Timestamp,
    pub(crate) term: Term,
    pub(crate) limit: usize,
    /// One token for all records of this call; what proves a lease is the token together with the record.
    pub(crate) token: LeaseToken,
    /// Lines of history that stay of a row that is parked.
    pub(crate) kept: u32,
}

pub(crate) async fn acquire_due(database: &Database, ask: Ask) -> Result<Vec<Lease>, StoreError> {
    let Ask {
        lane,
        now,
        term,
        limit,
        token,
        kept,
    } = ask;
    let mut session = database.write("lease due domains").await?;
    let args = args![lane.as_str(), now, limit, token, term.micros, term.now];
    let rows = session.fetch_all(ACQUIRE, args).await?;
    let mut leases = Vec::with_capacity(rows.len());
    for row in &rows {
        match read(row) {
            Ok(record) => leases.push(Lease { record, token }),
            Err(error) => park_in_tx(&mut session, row, token, now, (&error, kept)).await?,
        }
    }
    session.commit().await?;
    leases.sort_by_key(|lease| (lease.record.next_attempt_at, lease.record.id));
    Ok(leases)
}

pub(crate) async fn next_due(database: &Database, lane: Lane) -> Result<Option<Timestamp>, StoreError> {
    let mut session = database.read("find the next due domain").await?;
    match session.fetch(NEXT_DUE, args![lane.as_str()]).await? {
        Some(row) => row.fields(TABLE, "at").at_if_any("at"),
        None => Ok(None),
    }
}

pub(crate) async fn complete(
    database: &Database,
    token: LeaseToken,
    completion: &Completion,
    kept: u32,
) -> Result<(), StoreError> {
    let mut session = database.write("record a step's outcome").await?;
    let args = record_args(&completion.record, token);
    session.execute_leased(COMPLETE, args).await?;
    accompany_in_tx(&mut session, completion, kept).await?;
    session.commit().await
}

pub(crate) async fn release(database: &Database, id: DomainId, token: LeaseToken) -> Result<(), StoreError> {
    let mut session = database.write("give a lease back").await?;
    session.execute_leased(RELEASE, args![id, token]).await?;
    session.commit().await
}

pub(crate) async fn forget(database: &Database, id: DomainId, token: LeaseToken) -> Result<(), StoreError> {
    let mut session = database.write("forget a domain").await?;
    session.execute_leased(FORGET, args![id, token]).await?;
    session.commit().await
}
