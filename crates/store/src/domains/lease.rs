//! Leases on records: acquire what is due, write the outcome, release.
//!
//! A record can be acquired from `acquirable_at` on: the time it is due or, while it is leased, the
//! end of the lease. A lane has 64 shards of tenants with two queues each, in that order. Acquiring
//! visits the shards in turn and alternates between the two queues of each. It reads only the heads
//! of ranges of one index, so its cost does not depend on the number of rows. A record whose step
//! crashes the process moves to the end of its queue.
//!
//! The shard with the fewest leased records, by any replica, has the first turn. So a tenant whose
//! steps take long holds no more permits than others, once others have work.
//!
//! An acquisition has up to three rounds:
//!
//! 1. one record of each shard;
//! 2. an equal share of each shard, less the records of it that are leased;
//! 3. the first records that are left.
//!
//! An empty lane and a lane full of tenants cost one statement, a lane of one tenant two.

pub(crate) mod statements;

use dps_application::ports::store::{DomainRecord, Lease, RecordWrite, StoreError, WriteResult};
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, Limit};
use dps_domain::shard::{Round, SHARDS};
use dps_domain::{DomainId, LeaseToken, Timestamp};

use self::statements::{
    ACQUIRE, COMPLETE, COMPLETE_AND_EXTEND, EXTEND_AGAIN, FORGET, NEXT_DUE, NEXT_URGENT, PROMOTE,
    RELEASE, WAITING,
};
use super::accompany::accompany_in_tx;
use super::put_off::put_off_in_tx;
use super::row::{Rules, TABLE, read, record_args};
use crate::ledger::{self, bucket};
use crate::shard::Turns;
use crate::sql::{Database, LeasedWrite as _, Row, Session, args};
use crate::term::Term;

/// Renewals that are moved to the urgent lane at a time, for each requested record: enough that
/// tenants can take turns.
const PROMOTED_PER_LEASE: usize = 4;

/// A request for due records of one lane.
pub(crate) struct AcquireRequest {
    pub(crate) lane: Lane,
    pub(crate) now: Timestamp,
    pub(crate) term: Term,
    pub(crate) limit: usize,
    /// One token for all records of this call. The token and the record together prove a lease.
    pub(crate) token: LeaseToken,
    /// Lines of history that are kept of a row that cannot be read.
    pub(crate) kept: u32,
}

pub(crate) async fn acquire_due(
    database: &Database,
    turns: &Turns,
    request: &AcquireRequest,
) -> Result<Vec<Lease>, StoreError> {
    let mut session = database.write("lease due domains").await?;
    let leased = acquire_in_tx(&mut session, turns, request).await?;
    session.commit().await?;
    Ok(leased.advance_turns(turns, request))
}

/// Leases as many records as the bucket has tokens, and takes a token for each.
// The bucket is locked first, and locked records are skipped. This order prevents deadlocks.
pub(crate) async fn acquire_queued(
    database: &Database,
    turns: &Turns,
    orders: &BucketKey,
    limit: &Limit,
    mut request: AcquireRequest,
) -> Result<Vec<Lease>, StoreError> {
    let mut session = database.write("lease queued domains").await?;
    let bucket = bucket::lock_believed_in_tx(&mut session, orders, limit, request.term.now).await?;
    let tokens = usize::try_from(bucket.tokens(limit, request.now)).unwrap_or(usize::MAX);
    request.limit = request.limit.min(tokens);
    let leased = acquire_in_tx(&mut session, turns, &request).await?;
    let taken = u32::try_from(leased.leases.len()).unwrap_or(u32::MAX);
    if taken > 0 {
        bucket::write_in_tx(
            &mut session,
            orders,
            bucket.count(limit, request.now, taken),
        )
        .await?;
    }
    session.commit().await?;
    Ok(leased.advance_turns(turns, &request))
}

/// The leases of one call, and the shards that they come from.
struct Acquired {
    leases: Vec<Lease>,
    first: u32,
    served: Vec<u32>,
}

impl Acquired {
    /// Ends the turns of these shards. Call it after the commit: the next call begins after them.
    fn advance_turns(self, turns: &Turns, request: &AcquireRequest) -> Vec<Lease> {
        turns.served(request.lane, self.first, &self.served);
        self.leases
    }
}

async fn acquire_in_tx(
    session: &mut Session,
    turns: &Turns,
    request: &AcquireRequest,
) -> Result<Acquired, StoreError> {
    if request.lane == Lane::Urgent {
        let promoted = request.limit.saturating_mul(PROMOTED_PER_LEASE);
        session
            .execute(PROMOTE, args![request.lane.as_str(), request.now, promoted])
            .await?;
    }
    let (first, halves) = turns.next(request.lane);
    let rows = take_in_turn(session, first, halves, request).await?;
    let mut leases = Vec::with_capacity(rows.len());
    let mut served = Vec::with_capacity(rows.len());
    for row in &rows {
        let shard = row.fields(TABLE, "id").count("tenant_shard");
        served.push(shard.unwrap_or(first) % SHARDS);
        match read(row) {
            Ok(record) => leases.push(Lease {
                record,
                token: request.token,
            }),
            Err(error) => {
                put_off_in_tx(
                    session,
                    row,
                    request.token,
                    request.now,
                    &error,
                    request.kept,
                )
                .await?;
            }
        }
    }
    leases.sort_by_key(|lease| (lease.record.next_attempt_at, lease.record.id));
    Ok(Acquired {
        leases,
        first,
        served,
    })
}

pub(crate) async fn waiting(database: &Database, lane: Lane, most: u32) -> Result<u32, StoreError> {
    let mut session = database.read("count the waiting records").await?;
    match session.fetch(WAITING, args![lane.as_str(), most]).await? {
        Some(row) => row.fields(TABLE, "waiting").count("waiting"),
        None => Ok(0),
    }
}

/// Acquires in the rounds that the module describes.
async fn take_in_turn(
    session: &mut Session,
    first: u32,
    halves: i64,
    request: &AcquireRequest,
) -> Result<Vec<Row>, StoreError> {
    let mut taken = Vec::new();
    let mut round = Some(Round::First).filter(|_| request.limit > 0);
    while let Some(this) = round {
        let missing = request.limit - taken.len();
        let (per_shard, counts_leased) = this.per_shard(missing);
        let args = args![
            request.lane.as_str(),
            request.now,
            missing,
            request.token,
            request.term.micros,
            request.term.now,
            first,
            per_shard,
            halves,
            u32::from(counts_leased),
        ];
        let rows = session.fetch_all(ACQUIRE, args).await?;
        round = this.next(rows.len(), missing - rows.len());
        taken.extend(rows);
    }
    Ok(taken)
}

pub(crate) async fn next_due(
    database: &Database,
    lane: Lane,
) -> Result<Option<Timestamp>, StoreError> {
    let mut session = database.read("find the next due domain").await?;
    let due = moment(
        session
            .fetch(NEXT_DUE, args![lane.as_str()])
            .await?
            .as_ref(),
    )?;
    if lane != Lane::Urgent {
        return Ok(due);
    }
    let urgent = moment(session.fetch(NEXT_URGENT, Vec::new()).await?.as_ref())?;
    Ok(due.into_iter().chain(urgent).min())
}

/// The only column of a row that holds a time.
fn moment(row: Option<&Row>) -> Result<Option<Timestamp>, StoreError> {
    match row {
        Some(row) => row.fields(TABLE, "at").at_if_any("at"),
        None => Ok(None),
    }
}

/// Writes outcomes in order of their ids; returns the results in the given order.
// One order of rows prevents deadlocks between replicas. Outcomes that are written together do not
// change the ledger: its buckets are locked in another order.
pub(crate) async fn complete_all(
    database: &Database,
    outcomes: &[(LeaseToken, RecordWrite)],
    rules: Rules,
) -> Result<Vec<WriteResult>, StoreError> {
    let mut session = database.write("record the outcomes of steps").await?;
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_unstable_by_key(|index| outcomes[*index].1.record().id);
    let mut results = vec![WriteResult::LeaseLost; outcomes.len()];
    for index in order {
        let (token, write) = &outcomes[index];
        let args = record_args(write.record(), *token, rules);
        match session.execute_leased(COMPLETE, args).await {
            Ok(()) => accompany_in_tx(&mut session, write, rules).await?,
            Err(StoreError::LeaseLost) => continue,
            Err(error) => return Err(error),
        }
        results[index] = WriteResult::Written;
    }
    session.commit().await?;
    Ok(results)
}

/// Writes an outcome and extends the lease under the token `next`.
pub(crate) async fn complete_and_extend(
    database: &Database,
    token: LeaseToken,
    write: &RecordWrite,
    next: LeaseToken,
    term: Term,
    rules: Rules,
) -> Result<Lease, StoreError> {
    let mut session = database
        .write("record an outcome and extend the lease")
        .await?;
    let settled = write.record();
    let leased = DomainRecord {
        attempt: settled.attempt.saturating_add(1),
        ..settled.clone()
    };
    let mut args = record_args(&leased, token, rules);
    args.extend(args![next, term.micros, term.now]);
    let row = if let Some(row) = session.fetch(COMPLETE_AND_EXTEND, args).await? {
        accompany_in_tx(&mut session, write, rules).await?;
        Some(row)
    } else {
        // The lease was lost, or an earlier try was committed and its response was lost. In the
        // second case the record has the token `next`.
        let args = args![settled.id, next, term.micros, term.now];
        session.fetch(EXTEND_AGAIN, args).await?
    };
    let record = read(row.as_ref().ok_or(StoreError::LeaseLost)?)?;
    session.commit().await?;
    Ok(Lease {
        record,
        token: next,
    })
}

pub(crate) async fn release(
    database: &Database,
    id: DomainId,
    token: LeaseToken,
) -> Result<(), StoreError> {
    let mut session = database.write("release a lease").await?;
    session.execute_leased(RELEASE, args![id, token]).await?;
    session.commit().await
}

pub(crate) async fn forget(
    database: &Database,
    id: DomainId,
    token: LeaseToken,
) -> Result<(), StoreError> {
    let mut session = database.write("forget a domain").await?;
    ledger::release_in_tx(&mut session, id, Timestamp::EPOCH).await?;
    session.execute_leased(FORGET, args![id, token]).await?;
    session.commit().await
}
