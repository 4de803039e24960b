//! The CertificateStore: work records, certificates, orders, accounts, events and the outbox.
//!
//! Every method is one short transaction; none is held open while talking to anybody else. A lookup answers `Option`; a
//! guarded write answers whether the guard held.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use dps_domain::lane::{Lane, LaneInputs};
use dps_domain::limits::{Bucket, BucketKey, CaLimits, Charge, Entry, Limit, LimitKind};
use dps_domain::renewal::info::RenewalInfo;
use dps_domain::{CertificateId, DomainId, Failure, Hostname, LeaseToken, OrderId, Phase, Timestamp};

use super::cabinet::StatusReport;
use super::fleet::FleetStore;
use super::pki::CertificateFacts;
use super::renewal_info::RenewalInfoStore;
use super::sync::SyncStore;
use super::vault::{SealedSecret, SecretPurpose};

/// The work record of one custom domain.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainRecord {
    /// The domain, as the Cabinet names it.
    pub id: DomainId,
    /// Whose it is.
    pub tenant_id: String,
    /// The name we check, probe and certify.
    pub hostname: Hostname,
    /// Where its CNAME must point.
    pub cname_target: Hostname,
    /// Where it stands.
    pub phase: Phase,
    /// Attempts since the last progress, this one included (counted when the lease is acquired).
    pub attempt: u32,
    /// When it is due; `None` rests until somebody asks.
    pub next_attempt_at: Option<Timestamp>,
    /// Since when the customer's side is waited for.
    pub pending_since: Timestamp,
    /// Failed validations at the CA in a row.
    pub failed_validations: u32,
    /// Orders since the last deployed certificate that led to none, without a failed validation.
    pub lost_orders: u32,
    /// Before this moment no order is placed for the name.
    pub order_not_before: Timestamp,
    /// From when on the renewal is urgent; `None` while no certificate is served.
    pub urgent_from: Option<Timestamp>,
    /// What went wrong last; cleared by progress.
    pub last_failure: Option<Failure>,
    /// The Cabinet's version of the domain, for `If-Match`.
    pub cabinet_version: u64,
    /// Counts writes of this record; guards [`CertificateStore::domain_update`].
    pub revision: i64,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

impl DomainRecord {
    /// The record of a domain that is new: it begins at [`Phase::START`] and is due at once.
    pub const fn new(
        id: DomainId,
        tenant_id: String,
        hostname: Hostname,
        cname_target: Hostname,
        cabinet_version: u64,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant_id,
            hostname,
            cname_target,
            phase: Phase::START,
            attempt: 0,
            next_attempt_at: Some(now),
            pending_since: now,
            failed_validations: 0,
            lost_orders: 0,
            order_not_before: Timestamp::EPOCH,
            urgent_from: None,
            last_failure: None,
            cabinet_version,
            revision: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// The lane in which it waits, as of the moment it is due. The store writes it with the record.
    pub fn lane(&self) -> Option<Lane> {
        let due = self.next_attempt_at.unwrap_or(self.updated_at);
        let standing = LaneInputs {
            phase: &self.phase,
            attempt: self.attempt,
            failed_validations: self.failed_validations,
            last_failure: self.last_failure.as_ref(),
            urgent_from: self.urgent_from,
        };
        standing.lane(due.max(self.updated_at))
    }

    /// How firmly it holds its hostname.
    pub fn name_hold(&self) -> NameHold {
        match self.phase {
            Phase::Gone => NameHold::Gone,
            Phase::Failed if self.last_failure.as_ref().is_some_and(Failure::leaves_name_free) => {
                NameHold::None
            }
            Phase::Failed => NameHold::Failed,
            Phase::Leaving => NameHold::Leaving,
            Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. } => NameHold::Held,
        }
    }

    /// Somebody asks to go on: if the CA had paused the name, it was unpaused there.
    pub fn lift_pause(&mut self) {
        if matches!(self.last_failure, Some(Failure::AcmePaused { .. })) {
            self.order_not_before = Timestamp::EPOCH;
        }
    }
}

/// How firmly a record holds its hostname, the loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameHold {
    /// It was removed.
    Gone,
    /// Its claim was refused, or it gave the name up when it had moved away for long.
    None,
    /// It failed and may be tried again.
    Failed,
    /// It is being taken down.
    Leaving,
    /// It is worked at or served.
    Held,
}

/// The right to step one record for the time that was asked for, counted from before the asking. Completing it consumes it.
#[derive(Debug)]
pub struct Lease {
    /// The record as it was when leased.
    pub record: DomainRecord,
    /// Proof of the lease.
    pub token: LeaseToken,
}

/// The time for which the key of a certificate is kept after a newer one is stored, for a deployment
/// that is under way.
pub const SUPERSEDED_KEY_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// The kind of the line that says that a live domain still points at us.
pub const DNS_CONFIRMED: &str = "dns.confirmed";

/// One line of a domain's history.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainEvent {
    /// When.
    pub at: Timestamp,
    /// What, as a stable word: `dns.ready`, `order.placed`, `deployed`, a failure code in lower case…
    pub kind: String,
    /// The phase's name after it.
    pub phase: String,
    /// Evidence as JSON; never a key.
    pub detail: serde_json::Value,
    /// How long the step took.
    pub duration: Option<Duration>,
    /// The process that did it, or that an operator used; empty where the store did it by itself.
    pub replica: String,
}

impl DomainEvent {
    /// The line about a record that was just changed, at the moment of the change.
    pub fn of(
        record: &DomainRecord,
        kind: impl Into<String>,
        detail: serde_json::Value,
        replica: &str,
    ) -> Self {
        Self {
            at: record.updated_at,
            kind: kind.into(),
            phase: record.phase.name().to_owned(),
            detail,
            duration: None,
            replica: replica.to_owned(),
        }
    }

    /// Whether a line of the same kind is replaced by it, when that is the newest of the domain:
    /// what is confirmed every day must not push out the lines that explain a fault.
    pub fn replaces_its_like(&self) -> bool {
        self.kind == DNS_CONFIRMED
    }
}

/// What is written with a record in one transaction.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The new record. `id` and `created_at` never change; `revision` is counted by the store.
    pub record: DomainRecord,
    /// What the Cabinet is to be told, put into the outbox as [`crate::cabinet::outbox`] says.
    pub report: Option<StatusReport>,
    /// The line for the history.
    pub event: Option<DomainEvent>,
    /// What it means for the buckets of the CA's limits. Tokens that the domain holds are given
    /// back besides, in the same transaction, once no order is under way or wanted.
    pub ledger: Vec<Entry>,
    /// What is known from now on of the CA's wishes for the certificate that the record serves; `None` leaves that as it is. It goes
    /// with a record that is leaving.
    pub renewal_info: Option<RenewalInfo>,
}

impl Completion {
    /// The record alone.
    pub const fn of(record: DomainRecord) -> Self {
        Self {
            record,
            report: None,
            event: None,
            ledger: Vec::new(),
            renewal_info: None,
        }
    }
}

/// What came of asking the ledger for the tokens of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debit {
    /// Every token was taken.
    Granted,
    /// None was taken. What the domain waits for is kept for it at that moment, or is parked until then.
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
}

/// Tokens taken from a bucket for whatever they are spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many.
    pub count: u32,
    /// When there is another.
    pub next_at: Timestamp,
}

/// An order under way or done (RFC 8555 §7.1.3).
#[derive(Debug, Clone, PartialEq)]
pub struct StoredOrder {
    /// Our identifier.
    pub id: OrderId,
    /// Whose it is.
    pub domain_id: DomainId,
    /// The CA it is at.
    pub directory_url: String,
    /// The order's URL.
    pub url: String,
    /// Whether it can still lead to a certificate. At most one order of a domain is open.
    pub open: bool,
    /// The certificate's key, stored before finalize and erased when the certificate is stored.
    pub key: Option<SealedSecret>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// A published HTTP-01 challenge of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChallenge {
    /// The order.
    pub order_id: OrderId,
    /// The challenge's URL.
    pub url: String,
    /// The token.
    pub token: String,
    /// What is served for it.
    pub key_authorization: String,
}

/// A CA account (RFC 8555 §7.1.2). The key is stored before the account is registered.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAccount {
    /// The CA.
    pub directory_url: String,
    /// The account's key.
    pub key: SealedSecret,
    /// The account's URL once registered.
    pub url: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// A certificate to be stored.
#[derive(Debug, Clone)]
pub struct NewCertificate {
    /// Our identifier, under which the key is sealed.
    pub id: CertificateId,
    /// Whose it is.
    pub domain_id: DomainId,
    /// The order that gave it.
    pub order_id: OrderId,
    /// The name it is for.
    pub hostname: Hostname,
    /// What was read from it.
    pub facts: CertificateFacts,
    /// Its key.
    pub key: SealedSecret,
    /// When it is stored.
    pub created_at: Timestamp,
}

/// A stored certificate.
#[derive(Debug, Clone)]
pub struct StoredCertificate {
    /// What was stored.
    pub certificate: NewCertificate,
    /// Orders the certificates of one hostname, over all time: greater than that of any earlier one, whatever the clock did.
    pub generation: u64,
}

/// A report that waits in the outbox, leased.
#[derive(Debug, Clone)]
pub struct OutboxLease {
    /// The row.
    pub id: i64,
    /// The domain.
    pub domain_id: DomainId,
    /// The Cabinet's version of the domain as we know it.
    pub cabinet_version: u64,
    /// What to tell.
    pub report: StatusReport,
    /// Tries so far, this one included.
    pub attempt: u32,
    /// Proof of the lease.
    pub token: LeaseToken,
}

/// A page of records for people.
#[derive(Debug, Clone, Default)]
pub struct DomainFilter {
    /// Only names that contain this.
    pub hostname_contains: Option<String>,
    /// Start after the record at this place.
    pub after: Option<PageKey>,
    /// At most so many.
    pub limit: u32,
}

/// The place of a record in lists: by hostname, which several may share, and then by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageKey {
    /// The record's hostname.
    pub hostname: Hostname,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its identifier.
    pub id: DomainId,
}

impl PageKey {
    /// The place of a record.
    pub fn of(record: &DomainRecord) -> Self {
        Self {
            hostname: record.hostname.clone(),
            created_at: record.created_at,
            id: record.id,
        }
    }

    /// The place behind every record of a hostname.
    pub const fn behind(hostname: Hostname) -> Self {
        Self {
            hostname,
            created_at: Timestamp::NEVER,
            id: DomainId::LAST,
        }
    }
}

impl fmt::Display for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.created_at.unix_micros();
        write!(f, "{}/{micros}/{}", self.hostname, self.id)
    }
}

impl FromStr for PageKey {
    type Err = String;

    /// Reads what [`fmt::Display`] wrote, or a hostname alone: behind all records of that name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hostname = |text: &str| Hostname::parse(text).map_err(|error| format!("{text}: {error}"));
        let Some((host, rest)) = text.split_once('/') else {
            return Ok(Self::behind(hostname(text)?));
        };
        let wanted = || format!("{text}: give a hostname, or a place as an earlier page named it");
        let (micros, id) = rest.split_once('/').ok_or_else(wanted)?;
        Ok(Self {
            hostname: hostname(host)?,
            created_at: Timestamp::from_unix_micros(micros.parse().map_err(|_| wanted())?),
            id: id.parse().map_err(|_| wanted())?,
        })
    }
}

/// A secret in its row, for the rotation of key-encryption keys.
#[derive(Debug, Clone)]
pub struct SecretRow {
    /// What the secret is for, which tells the table.
    pub purpose: SecretPurpose,
    /// The row's identity, as in [`super::vault::SecretContext`].
    pub row: String,
    /// The secret.
    pub sealed: SealedSecret,
}

/// The store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else holds the record by now; drop the work.
    #[error("the lease was lost")]
    LeaseLost,
    /// The database does not answer, is full, read-only or refuses.
    #[error("the store is unavailable while trying to {operation}")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// The driver's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row cannot be read: edited by hand, or written by a newer version.
    #[error("the row {row} of {table} cannot be read: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row.
        row: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The CertificateStore.
#[async_trait]
pub trait CertificateStore: SyncStore + FleetStore + RenewalInfoStore {
    /// Answers if the database can be written to.
    async fn ping(&self) -> Result<(), StoreError>;

    // ---- work records

    /// Inserts a record unless its id is there already; answers whether it was inserted. Every write puts the record into its
    /// [`lane`](DomainRecord::lane).
    async fn domain_insert(&self, completion: Completion) -> Result<bool, StoreError>;

    /// As [`Self::domain_insert`] for many, in one transaction where the store can: answers for each whether it was inserted.
    async fn domains_insert(&self, completions: Vec<Completion>) -> Result<Vec<bool>, StoreError> {
        let mut inserted = Vec::with_capacity(completions.len());
        for completion in completions {
            inserted.push(self.domain_insert(completion).await?);
        }
        Ok(inserted)
    }

    /// One record.
    async fn domain(&self, id: DomainId) -> Result<Option<DomainRecord>, StoreError>;

    /// The record that holds a hostname most firmly, by [`DomainRecord::name_hold`]; the newest of
    /// several.
    async fn domain_by_hostname(&self, hostname: &Hostname) -> Result<Option<DomainRecord>, StoreError>;

    /// Records by hostname, for people.
    async fn domains(&self, filter: &DomainFilter) -> Result<Vec<DomainRecord>, StoreError>;

    /// Writes a record from outside a lease (intake, operator, the CA's wishes), if nobody wrote it since it was read (`revision`).
    /// Answers whether it was written. Takes away a running lease, so that its holder will find it lost, unless the phase is one in which a step
    /// [changes something at the CA](dps_domain::Issuance::is_at_ca) and phase and target stay: nobody else may take up its order then.
    async fn domain_update(&self, completion: Completion) -> Result<bool, StoreError>;

    /// Leases up to `limit` records of a lane that are due at `now` and that nobody holds, for `ttl`, and counts the attempt. Whether
    /// somebody holds a record is judged by the store's own time, not by `now`: replicas' clocks may jump. Tenants take turns: many
    /// due records of one do not keep those of another waiting. Among one tenant's the longest due comes first. A row that
    /// cannot be read is parked for a while with `INTERNAL` and a log line, and stops no other.
    ///
    /// Renewals that became urgent while they waited in another lane are in [`Lane::Urgent`] when that is acquired from.
    async fn acquire_due(
        &self,
        lane: Lane,
        now: Timestamp,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<Lease>, StoreError>;

    /// The same for the queue of first issues, as many at most as the bucket of the account's orders has tokens, which are taken in the
    /// same transaction: one for each record.
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

    /// Records outcomes and releases their leases in one transaction; answers for each whether it was recorded. Nothing is written of
    /// one whose token is stale, and the others are recorded all the same. `cabinet_version` is left as the store has it, since
    /// the outbox moves it meanwhile.
    async fn complete_all(&self, outcomes: &[(LeaseToken, Completion)]) -> Result<Vec<bool>, StoreError>;

    /// Records the outcome of a step after which the record is due for its next one: as [`Self::complete`], but the lease goes on under
    /// the token `next`, for `ttl` from now, and the attempt is counted. Answers that lease, and if the answer is lost, again and with its
    /// time begun anew; `LeaseLost` if the token is stale.
    async fn complete_and_extend(
        &self,
        token: LeaseToken,
        completion: &Completion,
        next: LeaseToken,
        ttl: Duration,
    ) -> Result<Lease, StoreError>;

    /// As [`Self::complete_all`] for one; `LeaseLost` if the token is stale.
    async fn complete(&self, token: LeaseToken, completion: Completion) -> Result<(), StoreError> {
        match self.complete_all(&[(token, completion)]).await?.as_slice() {
            [true] => Ok(()),
            _ => Err(StoreError::LeaseLost),
        }
    }

    /// Gives a lease back untouched, with its attempt.
    async fn release(&self, id: DomainId, token: LeaseToken) -> Result<(), StoreError>;

    /// Forgets a record that the caller holds, with everything of its own: orders, certificates, history. `LeaseLost` if the token is
    /// stale.
    async fn domain_forget(&self, id: DomainId, token: LeaseToken) -> Result<(), StoreError>;

    /// The newest events of a domain, newest first.
    async fn events(&self, id: DomainId, limit: u32) -> Result<Vec<DomainEvent>, StoreError>;

    /// Drops up to `limit` events of any domain that are older at `now` than the store keeps them, the oldest first; answers how
    /// many.
    async fn events_prune(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;

    // ---- limits of the CA

    /// Takes the tokens of every charge for a domain, or none, in one transaction; the charges are in the order of their keys. What the
    /// domain holds already is not taken again. `LeaseLost` if the token is stale. Without a limit among the charges, nothing is written.
    async fn ledger_debit(
        &self,
        domain: DomainId,
        token: LeaseToken,
        charges: &[Charge],
        now: Timestamp,
    ) -> Result<Debit, StoreError>;

    /// Takes up to `most` tokens of one bucket, for nobody in particular.
    async fn ledger_take(
        &self,
        key: &BucketKey,
        limit: &Limit,
        now: Timestamp,
        most: u32,
    ) -> Result<Taken, StoreError>;

    /// Writes entries that belong to no step's outcome.
    async fn ledger_apply(&self, entries: &[Entry], now: Timestamp) -> Result<(), StoreError>;

    /// A bucket as it stands; full if nobody used it.
    async fn ledger_bucket(&self, key: &BucketKey) -> Result<Bucket, StoreError>;

    /// Up to `limit` buckets in the order of their keys, from the first after `after` on.
    async fn ledger_buckets(&self, after: &str, limit: u32) -> Result<Vec<(BucketKey, Bucket)>, StoreError>;

    /// Makes a bucket full again: drops what was counted, what is parked, and the tokens that
    /// domains hold of it.
    async fn ledger_lift(&self, key: &BucketKey) -> Result<(), StoreError>;

    /// Forgets up to `limit` buckets that are full; answers how many.
    async fn ledger_prune(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Lowers buckets that neither a full burst nor the tokens that domains hold of them can
    /// account for (see [`Bucket::compacted`]). Looks at up to `limit` of them behind `after`, in
    /// the order of their keys, and returns where to go on; `None` at the end.
    async fn ledger_compact(
        &self,
        limits: &CaLimits,
        now: Timestamp,
        after: Option<&BucketKey>,
        limit: u32,
    ) -> Result<Option<BucketKey>, StoreError>;

    // ---- orders

    /// Stores a new order, unless it is stored already; it becomes the domain's only open one.
    async fn order_insert(&self, order: &StoredOrder) -> Result<(), StoreError>;

    /// One order.
    async fn order(&self, id: OrderId) -> Result<Option<StoredOrder>, StoreError>;

    /// The domain's open order.
    async fn order_open(&self, domain: DomainId) -> Result<Option<StoredOrder>, StoreError>;

    /// Stores the certificate's key unless the order has one; answers the one it has now.
    /// `LeaseLost` if the order's certificate is stored, by somebody else then.
    async fn order_put_key(&self, id: OrderId, key: &SealedSecret) -> Result<SealedSecret, StoreError>;

    /// The order leads no further.
    async fn order_close(&self, id: OrderId) -> Result<(), StoreError>;

    /// Remembers the order's challenge (replacing an earlier one).
    async fn challenge_put(&self, challenge: &StoredChallenge) -> Result<(), StoreError>;

    /// The order's challenge, while it is published.
    async fn challenge(&self, order: OrderId) -> Result<Option<StoredChallenge>, StoreError>;

    /// The order's challenge is withdrawn.
    async fn challenge_delete(&self, order: OrderId) -> Result<(), StoreError>;

    // ---- certificates

    /// Stores a certificate, once per order: a second time answers the first. Closes the order and
    /// erases its key, which the certificate has from now on.
    async fn certificate_insert(&self, certificate: &NewCertificate)
    -> Result<StoredCertificate, StoreError>;

    /// Erases up to `limit` keys of certificates of which a newer one of the domain has been stored
    /// for [`SUPERSEDED_KEY_GRACE`] at `now`, and that are not served; returns how many.
    async fn certificate_keys_prune(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// One certificate. Its key is empty once it was erased.
    async fn certificate(&self, id: CertificateId) -> Result<Option<StoredCertificate>, StoreError>;

    /// The newest generation among the certificates of a domain that the caller holds, for the name
    /// that it has; `None` without any. Of a [take-down](DomainId::take_down), the newest of the
    /// name. `LeaseLost` if the token is stale.
    async fn generation_held(&self, domain: DomainId, token: LeaseToken) -> Result<Option<u64>, StoreError>;

    /// The certificate an order gave.
    async fn certificate_of_order(&self, order: OrderId) -> Result<Option<StoredCertificate>, StoreError>;

    /// The directories that the certificates which live domains serve come from.
    async fn live_directories(&self) -> Result<Vec<String>, StoreError>;

    /// The soonest end of validity among the certificates that live domains serve.
    async fn soonest_expiry(&self) -> Result<Option<Timestamp>, StoreError>;

    // ---- accounts

    /// The account at a directory.
    async fn account(&self, directory_url: &str) -> Result<Option<StoredAccount>, StoreError>;

    /// Stores an account unless the directory has one; answers the one it has now.
    async fn account_insert(&self, account: &StoredAccount) -> Result<StoredAccount, StoreError>;

    /// The account is registered under this URL.
    async fn account_set_url(&self, directory_url: &str, url: &str) -> Result<(), StoreError>;

    // ---- outbox

    /// Leases due reports, only the oldest of each domain. Time is as for [`Self::acquire_due`].
    async fn outbox_acquire(
        &self,
        now: Timestamp,
        ttl: Duration,
        limit: usize,
    ) -> Result<Vec<OutboxLease>, StoreError>;

    /// How many reports wait; counted up to `most`.
    async fn outbox_count(&self, most: u32) -> Result<u32, StoreError>;

    /// Since when the oldest report has been waiting.
    async fn outbox_oldest(&self) -> Result<Option<Timestamp>, StoreError>;

    /// When the next report can be acquired.
    async fn outbox_next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The report was taken (with the new version) or is to be dropped (`None`).
    async fn outbox_finish(&self, lease: &OutboxLease, version: Option<u64>) -> Result<(), StoreError>;

    /// The report is tried again later; `version` if the Cabinet's is known to have moved.
    async fn outbox_retry(
        &self,
        lease: &OutboxLease,
        at: Timestamp,
        version: Option<u64>,
    ) -> Result<(), StoreError>;

    /// Drops every report of a domain that is gone from the Cabinet.
    async fn outbox_drop(&self, domain: DomainId) -> Result<(), StoreError>;

    // ---- key-encryption keys

    /// Secrets of one purpose in the order of their rows, after the given row.
    async fn secrets(
        &self,
        purpose: SecretPurpose,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<SecretRow>, StoreError>;

    /// Replaces a sealed secret if it is still the one that was read; answers whether it was.
    async fn secret_replace(&self, row: &SecretRow, new: &SealedSecret) -> Result<bool, StoreError>;
}
