//! The buckets of the CA's limits.

use async_trait::async_trait;
use dps_domain::limits::{Bucket, BucketKey, CaLimits, Charge, Entry, Limit, LimitKind};
use dps_domain::{DomainId, LeaseToken, Timestamp};

use super::error::StoreError;

/// The ledger's answer to the tokens of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debit {
    /// Every token was taken.
    Granted,
    /// None was taken. The token is reserved for the domain at that moment, or its bucket is
    /// blocked until then.
    Wait {
        /// When to come again.
        until: Timestamp,
        /// The limit that clears last.
        kind: LimitKind,
    },
    /// None was taken: a bucket without slots is empty, that of the account or of the tenant.
    Queue {
        /// When it has a token next.
        until: Timestamp,
        /// The limit.
        kind: LimitKind,
    },
    /// None was taken: an operator paused issuance for the domain.
    Paused,
}

/// Tokens taken from a bucket for whatever they are spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many.
    pub count: u32,
    /// When there is another.
    pub next_at: Timestamp,
}

/// The buckets of the CA's limits.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Takes the tokens of every charge for a domain, or none, in one transaction; the charges are
    /// in the order of their keys. Tokens that the domain already holds are not taken again. Takes
    /// none while a pause covers the domain; the same transaction reads the pauses. `LeaseLost` if
    /// the token is stale. Without a limit among the charges, nothing is written.
    async fn ledger_debit(
        &self,
        domain: DomainId,
        token: LeaseToken,
        charges: &[Charge],
        now: Timestamp,
    ) -> Result<Debit, StoreError>;

    /// Takes up to `most` tokens of one bucket, for no domain in particular.
    async fn ledger_take(
        &self,
        key: &BucketKey,
        limit: &Limit,
        now: Timestamp,
        most: u32,
    ) -> Result<Taken, StoreError>;

    /// Writes entries that belong to no step's outcome.
    async fn ledger_apply(&self, entries: &[Entry], now: Timestamp) -> Result<(), StoreError>;

    /// A bucket as it stands; full if it was never used.
    async fn ledger_bucket(&self, key: &BucketKey) -> Result<Bucket, StoreError>;

    /// Up to `limit` buckets in the order of their keys, from the first after `after` on.
    async fn ledger_buckets(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(BucketKey, Bucket)>, StoreError>;

    /// Makes a bucket full again: drops what was counted, what is blocked, and the tokens that
    /// domains hold of it.
    async fn ledger_lift(&self, key: &BucketKey) -> Result<(), StoreError>;

    /// Lowers buckets that neither a full burst nor the tokens that domains hold of them can
    /// account for (see [`Bucket::compacted`]). Reads up to `limit` of them after `after`, in
    /// the order of their keys, and returns where to go on; `None` at the end.
    async fn ledger_compact(
        &self,
        limits: &CaLimits,
        now: Timestamp,
        after: Option<&BucketKey>,
        limit: u32,
    ) -> Result<Option<BucketKey>, StoreError>;
}
