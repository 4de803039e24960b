//! Leases on work records: acquiring what is due, recording the outcome, giving back.
//!
//! A record can be acquired from its column `acquirable_at` on, which is the moment it is due or,
//! while somebody holds it, the moment their lease ends. A lane is 128 queues in that order, two
//! for each of 64 shards of tenants, and acquiring takes from each shard in turn, now from one of
//! its queues and now from the other: it reads the heads of ranges of one index, whatever else is
//! stored, and a record that kills its workers goes to the back of its queue by itself.
//!
//! The shard of which the fewest records are leased, by any replica, has the first turn. A tenant
//! whose steps take long so holds no more permits than others, once others have work.
//!
//! Rounds: one record of each shard first; then as many of each as would fill the order if all had
//! as many, less what is leased of it already; then whatever there is. So an empty lane costs one
//! statement, a lane full of tenants one, and a lane of one tenant two.

use dps_application::ports::store::{DomainRecord, Lease, RecordWrite, StoreError};
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, Limit};
use dps_domain::shard::{Round, SHARDS};
use dps_domain::{DomainId, LeaseToken, Timestamp};

use super::park::park_in_tx;
use super::{
    COMPLETE, Rules, TABLE, accompany_in_tx, assignments, columns, queue, read, record_args,
};
use crate::ledger;
use crate::shard::Turns;
use crate::sql::{Database, LeasedWrite as _, Row, Session, Sql, args, statements};
use crate::term::{Term, lease_now};

/// Renewals that are moved to the urgent lane at a time, for each that is asked for: enough that
/// tenants can take turns.
const PROMOTED_PER_LEASE: usize = 4;

/// The numbers from 0 to the given one, as `shards`.
macro_rules! shards {
    ($last:literal) => {
        concat!(
            "WITH RECURSIVE shards (shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM shards WHERE shard < ",
            $last,
            ") "
        )
    };
}

/// The shards in the order of their turns: that of which the fewest records are leased first, and
/// from `$7` on among equals. `first_half` is the queue of the shard that comes first: that of
/// which fewer are leased, else the one that the shard's bit in `$9` names. Held records are found
/// by an index that has nothing else in it.
macro_rules! turns {
    ($lease_now:expr) => {
        concat!(
            shards!("63"), ", held AS (SELECT tenant_shard AS queue, COUNT(*) AS leased FROM custom_domains \
             WHERE lane = $1 AND lease_expires_at IS NOT NULL AND lease_expires_at > ", $lease_now, " GROUP BY tenant_shard), \
             places AS (SELECT shard AS place, CAST((shard + $7) % 64 AS INTEGER) AS shard FROM shards), \
             counted AS (SELECT place, places.shard, COALESCE(few.leased, 0) AS few, COALESCE(crowd.leased, 0) AS crowd FROM places \
             LEFT JOIN held AS few ON few.queue = places.shard LEFT JOIN held AS crowd ON crowd.queue = places.shard + 64), \
             turns AS (SELECT shard, few + crowd AS leased, CASE WHEN crowd < few THEN 1 WHEN crowd > few THEN 0 \
             ELSE (CAST($9 AS BIGINT) >> shard) & 1 END AS first_half FROM counted ORDER BY few + crowd, place LIMIT 64) "
        )
    };
}

/// The due records of one queue that nobody holds. Whether a record is due is up to the caller's
/// time, whether somebody holds it is not.
macro_rules! due_in_queue {
    ($lease_now:expr) => {
        concat!(
            "SELECT id FROM custom_domains WHERE lane = $1 AND tenant_shard = turns.shard \
             + 64 * ((half + turns.first_half) & 1) AND acquirable_at <= $2 \
             AND (lease_expires_at IS NULL OR lease_expires_at <= ",
            $lease_now,
            ") ORDER BY acquirable_at LIMIT $8"
        )
    };
}

/// How many records of the shard whose turn it is are taken: up to `$8`, or up to `$8` less what is
/// leased of it where `$10` is 1.
macro_rules! allowed {
    () => {
        "$8 - CAST($10 AS BIGINT) * turns.leased"
    };
}

statements! {
    /// The shards are looked at one after the other, and records of each are taken until there are
    /// `$3`: a row is locked when it is taken and not before. PostgreSQL steps over rows that
    /// others are taking; SQLite has one writer, which holds the lock since BEGIN IMMEDIATE.
    ACQUIRE = Sql::each(
        concat!(
            "UPDATE custom_domains SET lease_token = $4, lease_expires_at = ", lease_now!("$6"), " + $5, attempt = attempt + 1 \
             WHERE id = ANY (ARRAY(", turns!(lease_now!("$6")), "SELECT taken.id FROM turns CROSS JOIN LATERAL (\
             SELECT due.id FROM (VALUES (0), (1)) AS halves (half) CROSS JOIN LATERAL (",
            due_in_queue!(lease_now!("$6")), " FOR UPDATE SKIP LOCKED) AS due LIMIT GREATEST(", allowed!(), ", 0)) AS taken \
             LIMIT $3)) \
             RETURNING tenant_shard, ", columns!(),
        ),
        concat!(
            "UPDATE custom_domains SET lease_token = $4, lease_expires_at = $6 + $5, attempt = attempt + 1 \
             WHERE id IN (", turns!("$6"), "SELECT taken.value FROM turns CROSS JOIN json_each((\
             SELECT json_group_array(id) FROM (SELECT due.value AS id FROM (SELECT 0 AS half UNION ALL SELECT 1) \
             CROSS JOIN json_each((SELECT json_group_array(id) FROM (", due_in_queue!("$6"), "))) AS due LIMIT $8))) \
             AS taken WHERE taken.key < ", allowed!(), " LIMIT $3) \
             RETURNING tenant_shard, ", columns!(),
        ),
    );
    WAITING = Sql::both(
        "SELECT COUNT(*) AS waiting FROM (SELECT lane FROM custom_domains WHERE lane = $1 LIMIT $2) AS queue",
    );
    NEXT_DUE = Sql::both(concat!(
        shards!("127"), "SELECT MIN((SELECT acquirable_at FROM custom_domains WHERE lane = $1 AND tenant_shard = shard \
         AND acquirable_at IS NOT NULL ORDER BY acquirable_at LIMIT 1)) AS at FROM shards",
    ));
    /// Moves renewals to the urgent lane that became urgent while they waited.
    PROMOTE = Sql::each(
        "UPDATE custom_domains SET lane = $1 WHERE id = ANY (ARRAY(SELECT id FROM custom_domains \
         WHERE lane IN ('renewal', 'recheck') AND urgent_from <= $2 \
         ORDER BY urgent_from LIMIT $3 FOR UPDATE SKIP LOCKED))",
        "UPDATE custom_domains SET lane = $1 WHERE id IN (SELECT id FROM custom_domains \
         WHERE lane IN ('renewal', 'recheck') AND urgent_from <= $2 ORDER BY urgent_from LIMIT $3)",
    );
    NEXT_URGENT = Sql::both(
        "SELECT urgent_from AS at FROM custom_domains WHERE lane IN ('renewal', 'recheck') AND urgent_from IS NOT NULL \
         ORDER BY urgent_from LIMIT 1",
    );
    GO_ON = Sql::each(
        concat!(
            "UPDATE custom_domains SET ", assignments!(), ", lease_token = $21, lease_expires_at = ", lease_now!("$23"), " + $22 \
             WHERE id = $1 AND lease_token = $2 RETURNING ", columns!(),
        ),
        concat!(
            "UPDATE custom_domains SET ", assignments!(), ", lease_token = $21, lease_expires_at = $23 + $22 \
             WHERE id = $1 AND lease_token = $2 RETURNING ", columns!(),
        ),
    );
    PROLONG = Sql::each(
        concat!(
            "UPDATE custom_domains SET lease_expires_at = ", lease_now!("$4"), " + $3 WHERE id = $1 AND lease_token = $2 RETURNING ",
            columns!(),
        ),
        concat!(
            "UPDATE custom_domains SET lease_expires_at = $4 + $3 WHERE id = $1 AND lease_token = $2 RETURNING ", columns!(),
        ),
    );
    RELEASE = Sql::both(
        "UPDATE custom_domains SET lease_token = NULL, lease_expires_at = NULL, \
         attempt = CASE WHEN attempt > 0 THEN attempt - 1 ELSE 0 END WHERE id = $1 AND lease_token = $2",
    );
    /// What belongs to the record goes with it, by its foreign keys; tokens that it holds are given
    /// back before.
    FORGET = Sql::both("DELETE FROM custom_domains WHERE id = $1 AND lease_token = $2");
}

/// The statement that acquires due records, for the benchmark.
#[cfg(feature = "bench")]
pub const ACQUIRE_STATEMENT: Sql = ACQUIRE;

/// What is asked for when acquiring.
pub(crate) struct Ask {
    pub(crate) lane: Lane,
    pub(crate) now: Timestamp,
    pub(crate) term: Term,
    pub(crate) limit: usize,
    /// One token for all records of this call; what proves a lease is the token together with the
    /// record.
    pub(crate) token: LeaseToken,
    /// What is kept of the history of a row that is parked.
    pub(crate) kept: u32,
}

pub(crate) async fn acquire_due(
    database: &Database,
    turns: &Turns,
    ask: &Ask,
) -> Result<Vec<Lease>, StoreError> {
    let mut session = database.write("lease due domains").await?;
    let leased = acquire_in_tx(&mut session, turns, ask).await?;
    session.commit().await?;
    Ok(leased.told(turns, ask))
}

/// As many as the bucket has tokens, and a token for each. The bucket is locked first and the
/// records are stepped over where others hold them, so that nobody waits for anybody in a circle.
pub(crate) async fn acquire_queued(
    database: &Database,
    turns: &Turns,
    (orders, limit): (&BucketKey, &Limit),
    mut ask: Ask,
) -> Result<Vec<Lease>, StoreError> {
    let mut session = database.write("lease queued domains").await?;
    let bucket = ledger::lock_believed_in_tx(&mut session, (orders, limit), ask.term.now).await?;
    let tokens = usize::try_from(bucket.tokens(limit, ask.now)).unwrap_or(usize::MAX);
    ask.limit = ask.limit.min(tokens);
    let leased = acquire_in_tx(&mut session, turns, &ask).await?;
    let taken = u32::try_from(leased.leases.len()).unwrap_or(u32::MAX);
    if taken > 0 {
        ledger::write_in_tx(&mut session, orders, bucket.count(limit, ask.now, taken)).await?;
    }
    session.commit().await?;
    Ok(leased.told(turns, &ask))
}

/// What one call leased, and which shards were served.
struct Leased {
    leases: Vec<Lease>,
    first: u32,
    served: Vec<u32>,
}

impl Leased {
    /// Once it is certain, the next call begins with the shard after these.
    fn told(self, turns: &Turns, ask: &Ask) -> Vec<Lease> {
        turns.served(ask.lane, self.first, &self.served);
        self.leases
    }
}

async fn acquire_in_tx(
    session: &mut Session,
    turns: &Turns,
    ask: &Ask,
) -> Result<Leased, StoreError> {
    if ask.lane == Lane::Urgent {
        let promoted = ask.limit.saturating_mul(PROMOTED_PER_LEASE);
        session
            .execute(PROMOTE, args![ask.lane.as_str(), ask.now, promoted])
            .await?;
    }
    let (first, halves) = turns.next(ask.lane);
    let rows = take_in_turn(session, (first, halves), ask).await?;
    let mut leases = Vec::with_capacity(rows.len());
    let mut served = Vec::with_capacity(rows.len());
    for row in &rows {
        let shard = row.fields(TABLE, "id").count("tenant_shard");
        served.push(shard.unwrap_or(first) % SHARDS);
        match read(row) {
            Ok(record) => leases.push(Lease {
                record,
                token: ask.token,
            }),
            Err(error) => park_in_tx(session, row, ask.token, ask.now, (&error, ask.kept)).await?,
        }
    }
    leases.sort_by_key(|lease| (lease.record.next_attempt_at, lease.record.id));
    Ok(Leased {
        leases,
        first,
        served,
    })
}

pub(crate) async fn waiting(database: &Database, lane: Lane, most: u32) -> Result<u32, StoreError> {
    let mut session = database.read("count who waits").await?;
    match session.fetch(WAITING, args![lane.as_str(), most]).await? {
        Some(row) => row.fields(TABLE, "waiting").count("waiting"),
        None => Ok(0),
    }
}

/// The rounds described above.
async fn take_in_turn(
    session: &mut Session,
    (first, halves): (u32, i64),
    ask: &Ask,
) -> Result<Vec<Row>, StoreError> {
    let mut taken = Vec::new();
    let mut round = Some(Round::First).filter(|_| ask.limit > 0);
    while let Some(this) = round {
        let missing = ask.limit - taken.len();
        let (per_shard, counts_leased) = this.per_shard(missing);
        let args = args![
            ask.lane.as_str(),
            ask.now,
            missing,
            ask.token,
            ask.term.micros,
            ask.term.now,
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

/// The only column of a row that answers a moment.
fn moment(row: Option<&Row>) -> Result<Option<Timestamp>, StoreError> {
    match row {
        Some(row) => row.fields(TABLE, "at").at_if_any("at"),
        None => Ok(None),
    }
}

/// In the order of their ids, so that no two replicas wait for each other's rows in a circle. Of
/// several outcomes none writes to the ledger, whose buckets have an order of their own.
pub(crate) async fn complete_all(
    database: &Database,
    outcomes: &[(LeaseToken, RecordWrite)],
    rules: Rules,
) -> Result<Vec<bool>, StoreError> {
    let mut session = database.write("record the outcomes of steps").await?;
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_unstable_by_key(|index| outcomes[*index].1.record.id);
    let mut recorded = vec![false; outcomes.len()];
    for index in order {
        let (token, completion) = &outcomes[index];
        let args = record_args(&completion.record, *token, rules);
        match session.execute_leased(COMPLETE, args).await {
            Ok(()) => accompany_in_tx(&mut session, completion, rules).await?,
            Err(StoreError::LeaseLost) => continue,
            Err(error) => return Err(error),
        }
        recorded[index] = true;
    }
    session.commit().await?;
    Ok(recorded)
}

/// The lease goes on under the token `next`.
pub(crate) async fn complete_and_extend(
    database: &Database,
    (token, completion): (LeaseToken, &RecordWrite),
    (next, term): (LeaseToken, Term),
    rules: Rules,
) -> Result<Lease, StoreError> {
    let mut session = database
        .write("record the outcome of a step and go on")
        .await?;
    let settled = &completion.record;
    let leased = DomainRecord {
        attempt: settled.attempt.saturating_add(1),
        ..settled.clone()
    };
    let mut args = record_args(&leased, token, rules);
    args.extend(args![next, term.micros, term.now]);
    let row = if let Some(row) = session.fetch(GO_ON, args).await? {
        accompany_in_tx(&mut session, completion, rules).await?;
        Some(row)
    } else {
        // The answer to an earlier try was lost.
        let args = args![settled.id, next, term.micros, term.now];
        session.fetch(PROLONG, args).await?
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
    let mut session = database.write("give a lease back").await?;
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
