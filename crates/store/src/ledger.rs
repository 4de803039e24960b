//! The ledger of a CA's limits: buckets that all replicas share, and the tokens that domains hold
//! of them.
//!
//! The arithmetic is the domain's; here it runs between two statements that lock and write each
//! bucket. Buckets are locked in the order of their keys, after the record if there is one, so that
//! two transactions never wait for each other.

pub(crate) mod bucket;
pub(crate) mod compact;
pub(crate) mod operator;

use std::time::Duration;

use dps_application::ports::store::{Debit, StoreError, Taken};
use dps_domain::limits::{BucketKey, Change, Charge, Entry, Limit, Position, Ruling, rule};
use dps_domain::{DomainId, LeaseToken, Timestamp};

use self::bucket::{SLOTS, find, held, hold_in_tx, lock_believed_in_tx, lock_in_tx, write_in_tx};
use crate::domains::lock::{Issuing, lock_to_order_in_tx, may_order};
use crate::sql::{Database, Session, Sql, args, statements};

statements! {
    LET_ALL_GO = Sql::both("DELETE FROM rate_limit_slots WHERE domain_id = $1 RETURNING bucket, interval_micros");
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
        return gates(database, domain, charges, now).await;
    }
    let mut session = database.write("debit the limits of the CA").await?;
    if lock_to_order_in_tx(&mut session, domain, token).await? == Issuing::Paused {
        return Ok(Debit::Paused);
    }
    let mut before = Vec::with_capacity(charges.len());
    for charge in charges {
        before.push(if charge.limit.is_none() {
            Position {
                bucket: find(&mut session, &charge.key).await?,
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
    domain: DomainId,
    charges: &[Charge],
    now: Timestamp,
) -> Result<Debit, StoreError> {
    let mut session = database.read("read the limits of the CA").await?;
    if may_order(&mut session, domain).await? == Issuing::Paused {
        return Ok(Debit::Paused);
    }
    let mut positions = Vec::with_capacity(charges.len());
    for charge in charges {
        positions.push(Position {
            bucket: find(&mut session, &charge.key).await?,
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
    let is_effective =
        |entry: &&Entry| matches!(entry.change, Change::Block(_)) || !entry.limit.is_none();
    let mut entries: Vec<_> = entries.iter().filter(is_effective).collect();
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
