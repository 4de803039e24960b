//! Wire types of the admin API, contract v1, one for each noun.
//!
//! The commands print them with `--json`. Fields are in camel case, times are text as in RFC 3339,
//! and a field that is `null` has no value. Readers ignore fields that they do not know.

mod action;
mod activity;
mod ca;
mod counts;
mod diagnosis;
mod domain;
mod edge;
mod explanation;
mod freeze;
mod issuance;
mod job;
mod limit;
mod removals;
mod system;
mod tenant;
mod webhook;

pub use action::{Acted, Action, RevocationPreview, RevokeRequest};
pub use activity::{Activities, Activity};
pub use ca::{AccountLimit, CaAccount};
pub use counts::{Cause, Count, CountBy, CountGroup, Fleet, StatusCount};
pub use diagnosis::{Diagnosis, DiagnosisRow};
pub use domain::{Claim, Domain, DomainDetail, Domains, EdgeDeployment, HistoryLine, Renewal};
pub use edge::{ApproveRequest, Approved, CompareRequest, ComparisonDue, Edge, Edges};
pub use explanation::{
    DnsEvidence, EdgeCertificate, Evidence, Explanation, KnownOrder, NextStep, ProbeEvidence,
    RunningLease, TouchedLimit, WantedCertificate,
};
pub use freeze::Freeze;
pub use issuance::{Issuance, Pause, PauseRequest, PauseScopeName, Resumed};
pub use job::{Job, JobFilter, JobPreview, JobRequest, Jobs};
pub use limit::{LiftRequest, Lifted, Limit, Limits};
pub use removals::Removals;
pub use system::{Database, Key, Queue, Readiness, ReadinessCheck, ReplicaState, System, Task};
pub use tenant::{Tenant, TenantDetail, Tenants};
pub use webhook::{RedeliverRequest, Redelivering, WebhookReceiver, WebhookReceivers};

/// The detail of the refusal for a path that the API does not have.
pub const NO_SUCH_PATH: &str = "there is nothing at this path";
