//! Buckets that a wrong clock filled are compacted.

use dps_application::ports::store::StoreError;
use dps_domain::Timestamp;
use dps_domain::limits::{BucketKey, CaLimits, Limit};

use super::bucket::{SLOTS, TABLE, lock_in_tx, read, write_in_tx};
use crate::sql::{Database, Sql, args, statements};

statements! {
    /// The latest token that is held of a bucket.
    LAST_HELD = Sql::both(
        "SELECT bucket, slot_at FROM rate_limit_slots WHERE bucket = $1 ORDER BY slot_at DESC LIMIT 1",
    );
    USED = Sql::both(
        "SELECT bucket, full_at, spent, parked_until FROM rate_limit_buckets WHERE bucket > $1 AND full_at > $2 \
         ORDER BY bucket LIMIT $3",
    );
}

/// Each bucket in a transaction of its own, so that no other write waits for the page.
pub(crate) async fn compact(
    database: &Database,
    limits: &CaLimits,
    now: Timestamp,
    after: Option<&BucketKey>,
    page: u32,
) -> Result<Option<BucketKey>, StoreError> {
    let after = after.map_or("", BucketKey::as_str);
    let mut session = database.read("read which limits are used").await?;
    let rows = session.fetch_all(USED, args![after, now, page]).await?;
    drop(session);
    let mut last = None;
    for row in &rows {
        let key = BucketKey::stored(row.fields(TABLE, "bucket").key());
        let (seen, limit) = (read(Some(row))?, limits.of_bucket(&key));
        if seen.compacted(&limit, now, None) != seen {
            compact_one(database, &key, &limit, now).await?;
        }
        last = Some(key);
    }
    let is_full = rows.len() >= usize::try_from(page).unwrap_or(usize::MAX);
    Ok(last.filter(|_| is_full))
}

async fn compact_one(
    database: &Database,
    key: &BucketKey,
    limit: &Limit,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut session = database.write("compact a limit of the CA").await?;
    let bucket = lock_in_tx(&mut session, key).await?;
    // A transaction that takes a token locks the bucket first, so none can be added meanwhile.
    let held = session.fetch(LAST_HELD, args![key.as_str()]).await?;
    let held = held
        .map(|row| row.fields(SLOTS, "bucket").at("slot_at"))
        .transpose()?;
    let compacted = bucket.compacted(limit, now, held);
    if compacted == bucket {
        return Ok(());
    }
    write_in_tx(&mut session, key, compacted).await?;
    session.commit().await?;
    let (full_at, compacted_at) = (bucket.full_at, compacted.full_at);
    tracing::info!(bucket = %key, %full_at, %compacted_at, "limit.compacted");
    Ok(())
}
