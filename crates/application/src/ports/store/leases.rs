//! Leases of records, under which their steps run.

use std::time::Duration;

use async_trait::async_trait;
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, Limit};
use dps_domain::{DomainId, LeaseToken, Timestamp};

use super::error::StoreError;
use super::records::{DomainRecord, RecordWrite};

/// Exclusive right to run the step of one record until the requested time has passed. The time
/// counts from before the request. Writing the outcome ends the lease, or extends it under a new
/// token.
#[derive(Debug)]
pub struct Lease {
    /// The record as it was when leased.
    pub record: DomainRecord,
    /// Proof of the lease.
    pub token: LeaseToken,
}

/// A lease that runs, as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningLease {
    /// When it ends, by the store's own clock, unless its holder extends it.
    pub until: Timestamp,
    /// The name of the process that holds it; `None` for one of an earlier version.
    pub holder: Option<String>,
}

/// Result of one write in [`LeaseStore::complete_all`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteResult {
    /// The outcome was written and the lease released.
    Written,
    /// The token was stale; nothing was written.
    LeaseLost,
}

impl WriteResult {
    /// Returns [`StoreError::LeaseLost`] if nothing was written.
    pub const fn into_result(self) -> Result<(), StoreError> {
        match self {
            Self::Written => Ok(()),
            Self::LeaseLost => Err(StoreError::LeaseLost),
        }
    }
}

/// Leases of records, under which their steps run.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Leases up to `limit` records of a lane that are due at `now` and not leased, for `ttl`, and
    /// counts the attempt.
    ///
    /// - The store's own clock decides whether a lease has ended, since replicas' clocks may jump.
    /// - Tenants take turns, so that many due records of one do not delay another's. Within a
    ///   tenant, the longest due comes first.
    /// - A row that cannot be read is postponed with `INTERNAL` and a log line. The others are
    ///   leased all the same.
    /// - A renewal that became urgent while it waited in another lane is leased from
    ///   [`Lane::Urgent`].
    async fn acquire_due(
        &self,
        lane: Lane,
        now: Timestamp,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<Lease>, StoreError>;

    /// As [`Self::acquire_due`] for [`Lane::OrderQueue`]. Leases no more records than the bucket of
    /// the account's orders has tokens, and takes a token for each in the same transaction.
    async fn acquire_queued(
        &self,
        (orders, limit): (&BucketKey, &Limit),
        now: Timestamp,
        ttl: Duration,
        most: usize,
    ) -> Result<Vec<Lease>, StoreError>;

    /// Returns the number of records in a lane, due or not; counted up to `most`.
    async fn waiting(&self, lane: Lane, most: u32) -> Result<u32, StoreError>;

    /// Returns when the next record of the lane can be leased; `None` if it holds none.
    async fn next_due(&self, lane: Lane) -> Result<Option<Timestamp>, StoreError>;

    /// Returns the running lease of a record; `None` if nobody holds one.
    async fn running_lease(&self, id: DomainId) -> Result<Option<RunningLease>, StoreError>;

    /// Writes outcomes and releases their leases in one transaction; returns a result for each, in
    /// their order. A stale token does not prevent the other writes. `cabinet_version` keeps the
    /// store's value, which the outbox may have changed meanwhile.
    async fn complete_all(
        &self,
        outcomes: &[(LeaseToken, RecordWrite)],
    ) -> Result<Vec<WriteResult>, StoreError>;

    /// Writes the outcome of a step and extends the lease for the record's next step. The lease
    /// continues under the token `next` for `ttl` from now, and counts an attempt. A retry after a
    /// lost response returns it again, with a new term; `LeaseLost` if the token is stale.
    async fn complete_and_extend(
        &self,
        token: LeaseToken,
        write: &RecordWrite,
        next: LeaseToken,
        ttl: Duration,
    ) -> Result<Lease, StoreError>;

    /// As [`Self::complete_all`] for one; `LeaseLost` if the token is stale.
    async fn complete(&self, token: LeaseToken, write: RecordWrite) -> Result<(), StoreError> {
        let results = self.complete_all(&[(token, write)]).await?;
        let result = results.first().copied();
        result.unwrap_or(WriteResult::LeaseLost).into_result()
    }

    /// Releases a lease whose step was not run; the attempt is not counted.
    async fn release(&self, id: DomainId, token: LeaseToken) -> Result<(), StoreError>;
}
