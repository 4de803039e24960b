//! Leases due records of a lane, in the rounds that [`lease`](super) describes.

use dps_application::ports::store::{Lease, StoreError};
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, Limit};
use dps_domain::shard::{Round, SHARDS};
use dps_domain::{LeaseToken, Timestamp};

use super::statements::{ACQUIRE, ACQUIRE_FIRST, PROMOTE};
use crate::domains::put_off::put_off_in_tx;
use crate::domains::row::{TABLE, read};
use crate::ledger::bucket;
use crate::shard::Turns;
use crate::sql::{Database, Row, Session, args};
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

/// Leases due records. Each round is a transaction of its own.
pub(crate) async fn acquire_due(
    database: &Database,
    turns: &Turns,
    request: &AcquireRequest,
) -> Result<Vec<Lease>, StoreError> {
    let mut session = database.write_singly("lease due domains").await?;
    if request.lane == Lane::Urgent {
        let promoted = request.limit.saturating_mul(PROMOTED_PER_LEASE);
        session
            .execute(PROMOTE, args![request.lane.as_str(), request.now, promoted])
            .await?;
    }
    let mut taken = Taken::in_turn(&mut session, turns, request).await;
    drop(session);
    // Later failures must not lose the leases of the rounds before.
    let failed = taken.error.take().filter(|_| taken.rows.is_empty());
    if let Some(error) = failed {
        return Err(error);
    }
    taken.advance_turns(turns, request);
    let acquired = Acquired::read(&taken.rows, request);
    if acquired.unreadable.is_empty() {
        return Ok(acquired.leases);
    }
    let put_off = acquired.put_off_unreadable_alone(database, request).await;
    if acquired.leases.is_empty() {
        put_off?;
    }
    Ok(acquired.leases)
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
    let mut taken = Taken::in_turn(&mut session, turns, &request).await;
    if let Some(error) = taken.error.take() {
        return Err(error);
    }
    let acquired = Acquired::read(&taken.rows, &request);
    acquired.put_off_unreadable(&mut session, &request).await?;
    let count = u32::try_from(acquired.leases.len()).unwrap_or(u32::MAX);
    if count > 0 {
        bucket::write_in_tx(
            &mut session,
            orders,
            bucket.count(limit, request.now, count),
        )
        .await?;
    }
    session.commit().await?;
    taken.advance_turns(turns, &request);
    Ok(acquired.leases)
}

/// The rows that one call leased.
struct Taken {
    rows: Vec<Row>,
    /// Why the rounds ended early, if they did.
    error: Option<StoreError>,
    /// The shard that had the first turn.
    first: u32,
}

impl Taken {
    async fn in_turn(session: &mut Session, turns: &Turns, request: &AcquireRequest) -> Self {
        let (first, halves) = turns.next(request.lane);
        let mut taken = Self {
            rows: Vec::new(),
            error: None,
            first,
        };
        let mut round = Some(Round::First).filter(|_| request.limit > 0);
        while let Some(this) = round {
            let missing = request.limit - taken.rows.len();
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
            let acquire = match this {
                Round::First => ACQUIRE_FIRST,
                Round::Level(_) | Round::Rest => ACQUIRE,
            };
            match session.fetch_all(acquire, args).await {
                Ok(rows) => {
                    round = this.next(rows.len(), missing - rows.len());
                    taken.rows.extend(rows);
                }
                Err(error) => {
                    taken.error = Some(error);
                    round = None;
                }
            }
        }
        taken
    }

    /// Ends the turns of the shards of these rows. Call it after the commit: the next call begins
    /// after them.
    fn advance_turns(&self, turns: &Turns, request: &AcquireRequest) {
        let shard = |row: &Row| row.fields(TABLE, "id").count("tenant_shard");
        let shards = self.rows.iter().map(shard);
        let served: Vec<u32> = shards
            .map(|shard| shard.unwrap_or(self.first) % SHARDS)
            .collect();
        turns.served(request.lane, self.first, &served);
    }
}

/// The leases of the rows, and the rows that cannot be read.
struct Acquired<'r> {
    leases: Vec<Lease>,
    unreadable: Vec<(&'r Row, StoreError)>,
}

impl<'r> Acquired<'r> {
    fn read(rows: &'r [Row], request: &AcquireRequest) -> Self {
        let (mut leases, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in rows {
            match read(row) {
                Ok(record) => leases.push(Lease {
                    record,
                    token: request.token,
                }),
                Err(error) => unreadable.push((row, error)),
            }
        }
        leases.sort_by_key(|lease| (lease.record.next_attempt_at, lease.record.id));
        Self { leases, unreadable }
    }

    async fn put_off_unreadable_alone(
        &self,
        database: &Database,
        request: &AcquireRequest,
    ) -> Result<(), StoreError> {
        let mut session = database.write("put off unreadable domains").await?;
        self.put_off_unreadable(&mut session, request).await?;
        session.commit().await
    }

    async fn put_off_unreadable(
        &self,
        session: &mut Session,
        request: &AcquireRequest,
    ) -> Result<(), StoreError> {
        let (token, now, kept) = (request.token, request.now, request.kept);
        for (row, error) in &self.unreadable {
            put_off_in_tx(session, row, token, now, error, kept).await?;
        }
        Ok(())
    }
}
