//! The ledger of a CA's limits: buckets that all replicas share, and the tokens that domains hold
//! of them.
//!
//! The arithmetic is the domain's; here it runs between two statements that lock and write each
//! bucket. Buckets are locked in the order of their keys, after the record if there is one, so that
//! two transactions never wait for each other.

use std::time::Duration;

use dps_application::ports::store::{Debit, StoreError, Taken};
use dps_domain::limits::{
    Bucket, BucketKey, CaLimits, Change, Charge, Entry, Limit, Position, Ruling, rule,
};
use dps_domain::{DomainId, LeaseToken, Timestamp};

use crate::sql::{Database, Row, Session, Sql, args, statements};
use crate::term::lease_now;

const TABLE: &str = "rate_limit_buckets";
const SLOTS: &str = "rate_limit_slots";

statements! {
    READ = Sql::both("SELECT bucket, full_at, spent, parked_until FROM rate_limit_buckets WHERE bucket = $1");
    /// Makes the bucket if there is none, and locks it; tells the time that all replicas share.
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
    LET_ALL_GO = Sql::both("DELETE FROM rate_limit_slots WHERE domain_id = $1 RETURNING bucket, interval_micros");
    /// The latest token that is held of a bucket.
    LAST_HELD = Sql::both(
        "SELECT bucket, slot_at FROM rate_limit_slots WHERE bucket = $1 ORDER BY slot_at DESC LIMIT 1",
    );
    USED = Sql::both(
        "SELECT bucket, full_at, spent, parked_until FROM rate_limit_buckets WHERE bucket > $1 AND full_at > $2 \
         ORDER BY bucket LIMIT $3",
    );
    LET_GO = Sql::both("DELETE FROM rate_limit_slots WHERE domain_id = $1 AND bucket = $2");
    /// Locks the record of whoever holds the lease.
    LEASED = Sql::each(
        "SELECT id FROM custom_domains WHERE id = $1 AND lease_token = $2 FOR UPDATE",
        "SELECT id FROM custom_domains WHERE id = $1 AND lease_token = $2",
    );
    LIST = Sql::both(
        "SELECT bucket, full_at, spent, parked_until FROM rate_limit_buckets WHERE bucket > $1 \
         ORDER BY bucket LIMIT $2",
    );
    LIFT = Sql::both("DELETE FROM rate_limit_buckets WHERE bucket = $1");
    LIFT_SLOTS = Sql::both("DELETE FROM rate_limit_slots WHERE bucket = $1");
    PRUNE = Sql::each(
        "DELETE FROM rate_limit_buckets WHERE bucket IN (SELECT bucket FROM rate_limit_buckets \
         WHERE full_at <= $1 AND parked_until <= $1 ORDER BY full_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        "DELETE FROM rate_limit_buckets WHERE bucket IN (SELECT bucket FROM rate_limit_buckets \
         WHERE full_at <= $1 AND parked_until <= $1 ORDER BY full_at LIMIT $2)",
    );
}

fn read(row: Option<&Row>) -> Result<Bucket, StoreError> {
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

/// The bucket, locked until the end of the transaction.
async fn lock_in_tx(session: &mut Session, key: &BucketKey) -> Result<Bucket, StoreError> {
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

async fn held(
    session: &mut Session,
    domain: DomainId,
    key: &BucketKey,
) -> Result<Option<Timestamp>, StoreError> {
    let row = session.fetch(HELD, args![domain, key.as_str()]).await?;
    row.map(|row| row.fields(SLOTS, "bucket").at("slot_at"))
        .transpose()
}

async fn hold_in_tx(
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

pub(crate) async fn debit(
    database: &Database,
    domain: DomainId,
    token: LeaseToken,
    charges: &[Charge],
    now: Timestamp,
    shared_now: Option<Timestamp>,
) -> Result<Debit, StoreError> {
    if charges.iter().all(|charge| charge.limit.is_none()) {
        return gates(database, charges, now).await;
    }
    let mut session = database.write("debit the limits of the CA").await?;
    if session.fetch(LEASED, args![domain, token]).await?.is_none() {
        return Err(StoreError::LeaseLost);
    }
    let mut before = Vec::with_capacity(charges.len());
    for charge in charges {
        before.push(if charge.limit.is_none() {
            let row = session.fetch(READ, args![charge.key.as_str()]).await?;
            Position {
                bucket: read(row.as_ref())?,
                slot: None,
            }
        } else {
            Position {
                bucket: lock_believed_in_tx(&mut session, &charge.key, &charge.limit, shared_now)
                    .await?,
                slot: held(&mut session, domain, &charge.key).await?,
            }
        });
    }
    let ruling = rule(charges, &before, now);
    if let Ruling::Granted(after)
    | Ruling::Wait {
        positions: after, ..
    } = &ruling
    {
        for ((charge, before), after) in charges.iter().zip(&before).zip(after) {
            if before.bucket != after.bucket {
                write_in_tx(&mut session, &charge.key, after.bucket).await?;
            }
            if before.slot != after.slot {
                hold_in_tx(&mut session, domain, &charge.key, &charge.limit, after.slot).await?;
            }
        }
    }
    session.commit().await?;
    Ok(debited(&ruling, charges))
}

/// Without a limit there is nothing to take, only the CA's word to be obeyed.
async fn gates(
    database: &Database,
    charges: &[Charge],
    now: Timestamp,
) -> Result<Debit, StoreError> {
    let mut session = database.read("read the limits of the CA").await?;
    let mut positions = Vec::with_capacity(charges.len());
    for charge in charges {
        let row = session.fetch(READ, args![charge.key.as_str()]).await?;
        positions.push(Position {
            bucket: read(row.as_ref())?,
            slot: None,
        });
    }
    Ok(debited(&rule(charges, &positions, now), charges))
}

fn debited(ruling: &Ruling, charges: &[Charge]) -> Debit {
    match *ruling {
        Ruling::Granted(_) => Debit::Granted,
        Ruling::Wait { until, charge, .. } => Debit::Wait {
            until,
            kind: charges[charge].kind,
        },
        Ruling::Queue { until, charge } => Debit::Queue {
            until,
            kind: charges[charge].kind,
        },
    }
}

pub(crate) async fn take(
    database: &Database,
    key: &BucketKey,
    limit: &Limit,
    now: Timestamp,
    shared_now: Option<Timestamp>,
    most: u32,
) -> Result<Taken, StoreError> {
    let mut session = database.write("take tokens of a limit of the CA").await?;
    let bucket = lock_believed_in_tx(&mut session, key, limit, shared_now).await?;
    let count = bucket.tokens(limit, now).min(most);
    let left = bucket.count(limit, now, count);
    if count > 0 {
        write_in_tx(&mut session, key, left).await?;
    }
    session.commit().await?;
    Ok(Taken {
        count,
        next_at: left.token_at(limit, now, 1),
    })
}

pub(crate) async fn apply(
    database: &Database,
    entries: &[Entry],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut session = database.write("correct the limits of the CA").await?;
    apply_in_tx(&mut session, None, entries, now).await?;
    session.commit().await
}

/// Writes what an outcome means for the buckets, those of `domain` with the tokens that it holds.
pub(crate) async fn apply_in_tx(
    session: &mut Session,
    domain: Option<DomainId>,
    entries: &[Entry],
    now: Timestamp,
) -> Result<(), StoreError> {
    let parks = |entry: &&Entry| matches!(entry.change, Change::Block(_)) || !entry.limit.is_none();
    let mut entries: Vec<_> = entries.iter().filter(parks).collect();
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    for entry in entries {
        let before = Position {
            bucket: lock_in_tx(session, &entry.key).await?,
            slot: match domain {
                Some(domain) => held(session, domain, &entry.key).await?,
                None => None,
            },
        };
        let after = entry.apply(before, now);
        if before.bucket != after.bucket {
            write_in_tx(session, &entry.key, after.bucket).await?;
        }
        if let Some(domain) = domain
            && before.slot != after.slot
        {
            hold_in_tx(session, domain, &entry.key, &entry.limit, after.slot).await?;
        }
    }
    Ok(())
}

/// Gives back every token that the domain holds.
pub(crate) async fn release_in_tx(
    session: &mut Session,
    domain: DomainId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = session.fetch_all(LET_ALL_GO, args![domain]).await?;
    let mut held = Vec::with_capacity(rows.len());
    for row in &rows {
        let fields = row.fields(SLOTS, "bucket");
        let micros: i64 = fields.get("interval_micros")?;
        let interval = Duration::from_micros(micros.max(0).unsigned_abs());
        held.push((
            BucketKey::stored(fields.key()),
            Limit::of_interval(interval),
        ));
    }
    held.sort_by(|one, other| one.0.cmp(&other.0));
    for (key, limit) in held {
        let before = lock_in_tx(session, &key).await?;
        let after = before.refund(&limit, now, 1);
        if before != after {
            write_in_tx(session, &key, after).await?;
        }
    }
    Ok(())
}

/// Each bucket in a transaction of its own, so that nobody waits for the page.
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

pub(crate) async fn bucket(database: &Database, key: &BucketKey) -> Result<Bucket, StoreError> {
    let mut session = database.read("read a limit of the CA").await?;
    read(session.fetch(READ, args![key.as_str()]).await?.as_ref())
}

pub(crate) async fn buckets(
    database: &Database,
    after: &str,
    limit: u32,
) -> Result<Vec<(BucketKey, Bucket)>, StoreError> {
    let mut session = database.read("list the limits of the CA").await?;
    let rows = session.fetch_all(LIST, args![after, limit]).await?;
    let keyed = |row: &Row| {
        let key = BucketKey::stored(row.fields(TABLE, "bucket").key());
        Ok((key, read(Some(row))?))
    };
    rows.iter().map(keyed).collect()
}

pub(crate) async fn lift(database: &Database, key: &BucketKey) -> Result<(), StoreError> {
    let mut session = database.write("lift a limit of the CA").await?;
    // Locked first, as a debit does it, so that the two never wait for each other.
    lock_in_tx(&mut session, key).await?;
    session.execute(LIFT_SLOTS, args![key.as_str()]).await?;
    session.execute(LIFT, args![key.as_str()]).await?;
    session.commit().await
}

pub(crate) async fn prune(
    database: &Database,
    now: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let mut session = database.write("forget full buckets").await?;
    let pruned = session.execute(PRUNE, args![now, limit]).await?;
    session.commit().await?;
    Ok(pruned)
}
