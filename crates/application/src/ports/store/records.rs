//! The work records and their history.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use dps_domain::lane::{Lane, LaneInputs};
use dps_domain::limits::Entry;
use dps_domain::renewal::info::RenewalInfo;
use dps_domain::{DomainId, EventKind, Failure, Hostname, LeaseToken, OrderGate, Phase, Timestamp};

use super::error::StoreError;
use crate::ports::cabinet::StatusReport;

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
    /// Whether an order may be placed for the name.
    pub order_gate: OrderGate,
    /// From when on the renewal is urgent; `None` while no certificate is served.
    pub urgent_from: Option<Timestamp>,
    /// What went wrong last; cleared by progress.
    pub last_failure: Option<Failure>,
    /// The Cabinet's version of the domain, for `If-Match`.
    pub cabinet_version: u64,
    /// Counts writes of this record; guards [`RecordStore::domain_update`].
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
            order_gate: OrderGate::Open,
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
            Phase::Failed
                if self
                    .last_failure
                    .as_ref()
                    .is_some_and(Failure::leaves_name_free) =>
            {
                NameHold::None
            }
            Phase::Failed => NameHold::Failed,
            Phase::Leaving => NameHold::Leaving,
            Phase::Onboarding(_) | Phase::Live { .. } | Phase::Expired { .. } => NameHold::Held,
        }
    }

    /// Lifts a pause of the CA: somebody asks to go on, so the name was unpaused there.
    pub const fn lift_pause(&mut self) {
        self.order_gate = self.order_gate.lifted();
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

/// One line of a domain's history.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainEvent {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
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
        kind: EventKind,
        detail: serde_json::Value,
        replica: &str,
    ) -> Self {
        Self {
            at: record.updated_at,
            kind,
            phase: record.phase.name().to_owned(),
            detail,
            duration: None,
            replica: replica.to_owned(),
        }
    }

    /// Whether a line of the same kind is replaced by it, when that is the newest of the domain:
    /// what is confirmed every day must not push out the lines that explain a fault.
    pub fn replaces_its_like(&self) -> bool {
        self.kind == EventKind::DnsConfirmed
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
    /// What is known from now on of the CA's wishes for the certificate that the record serves;
    /// `None` leaves that as it is. It goes with a record that is leaving.
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
        let hostname =
            |text: &str| Hostname::parse(text).map_err(|error| format!("{text}: {error}"));
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

/// The work records and their history.
#[async_trait]
pub trait RecordStore: Send + Sync {
    /// Inserts a record unless its id is there already; returns whether it was inserted. Every
    /// write puts the record into its [`lane`](DomainRecord::lane).
    async fn domain_insert(&self, completion: Completion) -> Result<bool, StoreError>;

    /// As [`Self::domain_insert`] for many, in one transaction where the store can: answers for
    /// each whether it was inserted.
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
    async fn domain_by_hostname(
        &self,
        hostname: &Hostname,
    ) -> Result<Option<DomainRecord>, StoreError>;

    /// Records by hostname, for people.
    async fn domains(&self, filter: &DomainFilter) -> Result<Vec<DomainRecord>, StoreError>;

    /// Writes a record from outside a lease (intake, operator, the CA's wishes), if nobody wrote it
    /// since it was read (`revision`). Returns whether it was written. Takes away a running lease,
    /// so that its holder will find it lost, unless the phase is one in which a step [changes
    /// something at the CA](dps_domain::Issuance::is_at_ca) and phase and target stay: nobody else
    /// may take up its order then.
    async fn domain_update(&self, completion: Completion) -> Result<bool, StoreError>;

    /// Forgets a record that the caller holds, with everything of its own: orders, certificates,
    /// history. `LeaseLost` if the token is stale.
    async fn domain_forget(&self, id: DomainId, token: LeaseToken) -> Result<(), StoreError>;

    /// The newest events of a domain, newest first.
    async fn events(&self, id: DomainId, limit: u32) -> Result<Vec<DomainEvent>, StoreError>;

    /// Drops up to `limit` events of any domain that are older at `now` than the store keeps them,
    /// the oldest first; returns how many.
    async fn events_prune(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
