//! One bucket, and the token of it that a domain holds: read, locked and written.

use dps_application::ports::store::StoreError;
use dps_domain::limits::{Bucket, BucketKey, Limit};
use dps_domain::{DomainId, Timestamp};

use crate::sql::{Row, Session, Sql, args, statements};
use crate::term::lease_now;

pub(super) const TABLE: &str = "rate_limit_buckets";
pub(super) const SLOTS: &str = "rate_limit_slots";

statements! {
    READ = Sql::both("SELECT bucket, full_at, spent, parked_until FROM rate_limit_buckets WHERE bucket = $1");
    /// Makes the bucket if there is none, and locks it; returns the time that all replicas share.
    LOCK = Sql::each(
        concat!(
            "INSERT INTO rate_limit_buckets (bucket, full_at, spent, parked_until) VALUES ($1, 0, 0, 0) \
             ON CONFLICT (bucket) DO UPDATE SET full_at = rate_limit_buckets.full_at \
             RETURNING bucket, full_at, spent, parked_until, ", lease_now!("$2"), " AS now_at",
        ),
        "INSERT INTO rate_limit_buckets (bucket, full_at, spent, parked_until) VALUES ($1, 0, 0, 0) \
         ON CONFLICT (bucket) DO UPDATE SET full_at = rate_limit_buckets.full_at \
         RETURNING bucket, full_at, spent, parked_until, $2 AS now_at",
    );
    WRITE = Sql::both(
        "UPDATE rate_limit_buckets SET full_at = $2, spent = $3, parked_until = $4 WHERE bucket = $1",
    );
    HELD = Sql::both("SELECT bucket, slot_at FROM rate_limit_slots WHERE domain_id = $1 AND bucket = $2");
    HOLD = Sql::both(
        "INSERT INTO rate_limit_slots (domain_id, bucket, slot_at, interval_micros) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (domain_id, bucket) DO UPDATE SET slot_at = excluded.slot_at, \
         interval_micros = excluded.interval_micros",
    );
    LET_GO = Sql::both("DELETE FROM rate_limit_slots WHERE domain_id = $1 AND bucket = $2");
}

pub(super) fn read(row: Option<&Row>) -> Result<Bucket, StoreError> {
    let Some(row) = row else {
        return Ok(Bucket::default());
    };
    let fields = row.fields(TABLE, "bucket");
    Ok(Bucket {
        full_at: fields.at("full_at")?,
        spent: fields.count("spent")?,
        blocked_until: fields.at("parked_until")?,
    })
}

/// Reads the bucket without a lock.
pub(super) async fn find(session: &mut Session, key: &BucketKey) -> Result<Bucket, StoreError> {
    read(session.fetch(READ, args![key.as_str()]).await?.as_ref())
}

/// The bucket, locked until the end of the transaction.
pub(super) async fn lock_in_tx(
    session: &mut Session,
    key: &BucketKey,
) -> Result<Bucket, StoreError> {
    let args = args![key.as_str(), None::<Timestamp>];
    read(session.fetch(LOCK, args).await?.as_ref())
}

/// As [`lock_in_tx`], without what a wrong clock wrote into it. `now` is
/// [`Term::now`](crate::term::Term::now).
pub(crate) async fn lock_believed_in_tx(
    session: &mut Session,
    key: &BucketKey,
    limit: &Limit,
    now: Option<Timestamp>,
) -> Result<Bucket, StoreError> {
    let row = session.fetch(LOCK, args![key.as_str(), now]).await?;
    let bucket = read(row.as_ref())?;
    let Some(row) = &row else { return Ok(bucket) };
    let believed = bucket.believed(limit, row.fields(TABLE, "bucket").at("now_at")?);
    if believed != bucket {
        let (full_at, believed_at) = (bucket.full_at, believed.full_at);
        tracing::warn!(bucket = %key, %full_at, %believed_at, "limit.booked_by_a_wrong_clock");
        write_in_tx(session, key, believed).await?;
    }
    Ok(believed)
}

/// Writes a locked bucket.
pub(crate) async fn write_in_tx(
    session: &mut Session,
    key: &BucketKey,
    bucket: Bucket,
) -> Result<(), StoreError> {
    let args = args![
        key.as_str(),
        bucket.full_at,
        bucket.spent,
        bucket.blocked_until
    ];
    session.execute(WRITE, args).await.map(drop)
}

pub(super) async fn held(
    session: &mut Session,
    domain: DomainId,
    key: &BucketKey,
) -> Result<Option<Timestamp>, StoreError> {
    let row = session.fetch(HELD, args![domain, key.as_str()]).await?;
    row.map(|row| row.fields(SLOTS, "bucket").at("slot_at"))
        .transpose()
}

pub(super) async fn hold_in_tx(
    session: &mut Session,
    domain: DomainId,
    key: &BucketKey,
    limit: &Limit,
    slot: Option<Timestamp>,
) -> Result<(), StoreError> {
    match slot {
        Some(slot) => {
            let micros = u64::try_from(limit.interval().as_micros()).unwrap_or(u64::MAX);
            let args = args![domain, key.as_str(), slot, micros];
            session.execute(HOLD, args).await
        }
        None => session.execute(LET_GO, args![domain, key.as_str()]).await,
    }
    .map(drop)
}
