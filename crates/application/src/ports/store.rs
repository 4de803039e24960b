//! The CertificateStore: work records, certificates, orders, accounts, events and the outbox.
//!
//! Every method is one short transaction; none is held open during a call to another party. A
//! lookup answers `Option`; a guarded write returns whether the guard held.

pub mod accounts;
pub mod actions;
pub mod certificates;
pub mod deployments;
pub mod error;
pub mod idempotency;
pub mod jobs;
pub mod leases;
pub mod limits;
pub mod orders;
pub mod outbox;
pub mod pauses;
pub mod periodic;
pub mod prune;
pub mod records;
pub mod revocations;
pub mod secrets;
pub mod system;
pub mod targets;
pub mod webhooks;

use async_trait::async_trait;

use super::fleet::FleetStore;
use super::fleet_view::FleetView;
use super::renewal_info::RenewalInfoStore;
use super::sync::SyncStore;

pub use accounts::{AccountStore, StoredAccount};
pub use actions::{ActionStore, RecordedAction};
pub use certificates::{IssuedStore, NewCertificate, Served, StoredCertificate};
pub use deployments::{Deployed, Deployment, DeploymentStore, Desired};
pub use error::StoreError;
pub use idempotency::IdempotencyStore;
pub use jobs::JobStore;
pub use leases::{Lease, LeaseStore, RunningLease, WriteResult};
pub use limits::{Debit, LimitStore, Taken};
pub use orders::{OrderStore, StoredChallenge, StoredOrder};
pub use outbox::{OutboxLease, OutboxStore};
pub use pauses::{PauseStore, WaitingOrders};
pub use periodic::{PeriodicTaskLease, PeriodicTaskStore, comparison_task};
pub use prune::{PruneBatch, PruneStore, Pruned};
pub use records::{Claimants, DomainEvent, DomainRecord, NameHold, RecordStore, RecordWrite};
pub use revocations::{ClaimedRevocation, RevocationStore};
pub use secrets::{SecretRow, SecretStore};
pub use system::{DatabaseState, PeriodicTaskState, Replica, SystemStore};
pub use targets::TargetStore;
pub use webhooks::{
    GiveUp, Redelivered, Redelivery, WebhookDelivery, WebhookState, WebhookStore, WebhooksWaiting,
};

/// The CertificateStore: the sum of its slices.
#[async_trait]
pub trait CertificateStore:
    AccountStore
    + ActionStore
    + IssuedStore
    + DeploymentStore
    + IdempotencyStore
    + JobStore
    + LeaseStore
    + LimitStore
    + OrderStore
    + OutboxStore
    + PauseStore
    + PeriodicTaskStore
    + PruneStore
    + RecordStore
    + RevocationStore
    + SecretStore
    + SystemStore
    + TargetStore
    + WebhookStore
    + FleetStore
    + FleetView
    + RenewalInfoStore
    + SyncStore
{
    /// Answers if the database can be written to.
    async fn ping(&self) -> Result<(), StoreError>;
}
