//! Leases on records: acquire what is due, write the outcome, release.
//!
//! A record can be acquired from `acquirable_at` on: the time it is due or, while it is leased, the
//! end of the lease. A lane has 64 shards of tenants with two queues each, in that order. Acquiring
//! visits the shards in turn and alternates between the two queues of each. It reads only the heads
//! of ranges of one index, so its cost does not depend on the number of rows. Second queues, which
//! few shards have, are read only where they have records. A record whose step crashes the process
//! moves to the end of its queue.
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

mod acquire;
pub(crate) mod statements;

use dps_application::ports::store::{
    DomainRecord, Lease, RecordWrite, RunningLease, StoreError, WriteResult,
};
use dps_domain::lane::Lane;
use dps_domain::{DomainId, DomainState, LeaseToken, Status, Timestamp};

pub(crate) use self::acquire::{AcquireRequest, acquire_due, acquire_queued};
use self::statements::{
    COMPLETE, COMPLETE_AND_COUNT, COMPLETE_AND_EXTEND, EXTEND_AGAIN, FORGET, NEXT_DUE,
    NEXT_DUE_OF_CROWDS, NEXT_URGENT, OutcomeWrite, RELEASE, RUNNING, WAITING,
};
use super::accompany::{accompany_in_tx, is_unaccompanied, may_have_ended_a_need};
use super::row::{Rules, TABLE, holds_tokens, read, record_args};
use crate::ledger;
use crate::sql::{Arg, Database, LeasedWrite as _, Row, Session, args};
use crate::term::Term;

pub(crate) async fn waiting(database: &Database, lane: Lane, most: u32) -> Result<u32, StoreError> {
    let mut session = database.read("count the waiting records").await?;
    match session.fetch(WAITING, args![lane.as_str(), most]).await? {
        Some(row) => row.fields(TABLE, "waiting").count("waiting"),
        None => Ok(0),
    }
}

pub(crate) async fn next_due(
    database: &Database,
    lane: Lane,
) -> Result<Option<Timestamp>, StoreError> {
    let mut session = database.read("find the next due domain").await?;
    let row = session.fetch(NEXT_DUE, args![lane.as_str()]).await?;
    let mut due = vec![moment(row.as_ref())?];
    let crowd: Option<i64> = match &row {
        Some(row) => row.fields(TABLE, "at").get("crowd")?,
        None => None,
    };
    if crowd.is_some() {
        let row = session.fetch(NEXT_DUE_OF_CROWDS, args![lane.as_str()]);
        due.push(moment(row.await?.as_ref())?);
    }
    if lane == Lane::Urgent {
        let row = session.fetch(NEXT_URGENT, Vec::new());
        due.push(moment(row.await?.as_ref())?);
    }
    Ok(due.into_iter().flatten().min())
}

/// The running lease of a record. `now` is [`Term::now`].
pub(crate) async fn running(
    database: &Database,
    id: DomainId,
    now: Option<Timestamp>,
) -> Result<Option<RunningLease>, StoreError> {
    let mut session = database.read("read a lease").await?;
    let row = session.fetch(RUNNING, args![id, now]).await?;
    let read = |row: Row| {
        let fields = row.fields(TABLE, "at");
        let token: String = fields.get("lease_token")?;
        Ok(RunningLease {
            until: fields.at("at")?,
            holder: LeaseToken::holder_in(&token).map(str::to_owned),
        })
    };
    row.map(read).transpose()
}

/// The time in the column `at` of a row.
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
    rules: Rules<'_>,
) -> Result<Vec<WriteResult>, StoreError> {
    const OPERATION: &str = "record the outcomes of steps";
    let mut session = match outcomes {
        [(_, write)] if is_unaccompanied(write, rules) => database.write_singly(OPERATION).await?,
        _ => database.write(OPERATION).await?,
    };
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_unstable_by_key(|index| outcomes[*index].1.record().id);
    let mut results = vec![WriteResult::LeaseLost; outcomes.len()];
    for index in order {
        let (token, write) = &outcomes[index];
        let args = record_args(write.record(), *token, rules);
        let holds_tokens = if may_have_ended_a_need(write) {
            let row = fetch(&mut session, COMPLETE_AND_COUNT, write.record(), args).await?;
            let Some(row) = row else {
                continue;
            };
            holds_tokens(&row)?
        } else {
            match execute(&mut session, COMPLETE, write.record(), args).await {
                Ok(()) => true,
                Err(StoreError::LeaseLost) => continue,
                Err(error) => return Err(error),
            }
        };
        accompany_in_tx(&mut session, write, holds_tokens, rules).await?;
        results[index] = WriteResult::Written;
    }
    session.commit().await?;
    Ok(results)
}

/// Whether the row probably has the state of this record already: steps of served domains and
/// repeated failures seldom change it.
fn may_keep_state(record: &DomainRecord) -> bool {
    match record.last_failure {
        Some(_) => record.attempt > 1,
        None => DomainState::of(record).status == Status::Active,
    }
}

/// Writes an outcome and returns its row; `None` if the lease is lost. Writes no state to a row
/// that has it already.
async fn fetch(
    session: &mut Session,
    write: OutcomeWrite,
    record: &DomainRecord,
    args: Vec<Arg>,
) -> Result<Option<Row>, StoreError> {
    if may_keep_state(record) {
        let written = session.fetch(write.same_state, args.clone()).await?;
        if written.is_some() {
            return Ok(written);
        }
    }
    session.fetch(write.any_state, args).await
}

/// As [`fetch`], without the row.
async fn execute(
    session: &mut Session,
    write: OutcomeWrite,
    record: &DomainRecord,
    args: Vec<Arg>,
) -> Result<(), StoreError> {
    if may_keep_state(record) && session.execute(write.same_state, args.clone()).await? == 1 {
        return Ok(());
    }
    session.execute_leased(write.any_state, args).await
}

/// Writes an outcome and extends the lease under the token `next`.
pub(crate) async fn complete_and_extend(
    database: &Database,
    token: LeaseToken,
    write: &RecordWrite,
    next: LeaseToken,
    term: Term,
    rules: Rules<'_>,
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
    let written = fetch(&mut session, COMPLETE_AND_EXTEND, settled, args).await?;
    let row = if let Some(row) = written {
        accompany_in_tx(&mut session, write, holds_tokens(&row)?, rules).await?;
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
    let mut session = database.write_singly("release a lease").await?;
    session.execute_leased(RELEASE, args![id, token]).await
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
