//! The leases under which records are stepped.

use std::time::Duration;

use async_trait::async_trait;
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, Limit};
use dps_domain::{DomainId, LeaseToken, Timestamp};

use super::error::StoreError;
use super::records::{DomainRecord, RecordWrite};

/// The right to step one record for the time that was asked for, counted from before the asking.
/// Completing it consumes it.
#[derive(Debug)]
pub struct Lease {
    /// The record as it was when leased.
    pub record: DomainRecord,
    /// Proof of the lease.
    pub token: LeaseToken,
}

/// The leases under which records are stepped.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Leases up to `limit` records of a lane that are due at `now` and that nobody holds, for
    /// `ttl`, and counts the attempt. Whether somebody holds a record is judged by the store's own
    /// time, not by `now`: replicas' clocks may jump. Tenants take turns: many due records of one
    /// do not keep those of another waiting. Among one tenant's the longest due comes first. A row
    /// that cannot be read is parked for a while with `INTERNAL` and a log line, and stops no
    /// other.
    ///
    /// Renewals that became urgent while they waited in another lane are in [`Lane::Urgent`] when
    /// that is acquired from.
    async fn acquire_due(
        &self,
        lane: Lane,
        now: Timestamp,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<Lease>, StoreError>;

    /// The same for the queue of first issues. It leases no more records than the bucket of the
    /// account's orders has tokens, and takes a token for each in the same transaction.
    async fn acquire_queued(
        &self,
        (orders, limit): (&BucketKey, &Limit),
        now: Timestamp,
        ttl: Duration,
        most: usize,
    ) -> Result<Vec<Lease>, StoreError>;

    /// How many records wait in a lane, due or not; counted up to `most`.
    async fn waiting(&self, lane: Lane, most: u32) -> Result<u32, StoreError>;

    /// When the next record of the lane can be acquired.
    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError>;

    /// Records outcomes and releases their leases in one transaction; returns for each whether it
    /// was recorded. Nothing is written of one whose token is stale, and the others are recorded
    /// all the same. `cabinet_version` is left as the store has it, since the outbox moves it
    /// meanwhile.
    async fn complete_all(
        &self,
        outcomes: &[(LeaseToken, RecordWrite)],
    ) -> Result<Vec<bool>, StoreError>;

    /// Writes the outcome of a step whose record is due for the next one. It is like
    /// [`Self::complete`], but the lease goes on under the token `next` for `ttl` from now, and the
    /// attempt is counted. Returns that lease. A retry after a lost response returns it again, with
    /// a new term; `LeaseLost` if the token is stale.
    async fn complete_and_extend(
        &self,
        token: LeaseToken,
        completion: &RecordWrite,
        next: LeaseToken,
        ttl: Duration,
    ) -> Result<Lease, StoreError>;

    /// As [`Self::complete_all`] for one; `LeaseLost` if the token is stale.
    async fn complete(&self, token: LeaseToken, completion: RecordWrite) -> Result<(), StoreError> {
        match self.complete_all(&[(token, completion)]).await?.as_slice() {
            [true] => Ok(()),
            _ => Err(StoreError::LeaseLost),
        }
    }

    /// Gives a lease back untouched, with its attempt.
    async fn release(&self, id: DomainId, token: LeaseToken) -> Result<(), StoreError>;
}
