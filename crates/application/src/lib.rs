//! The work of the service, apart from how the outside is reached.
//!
//! A [`ports::CertificateStore`] holds one work record per custom domain. Workers lease due
//! records, make one step of work each ([`steps`]), and hand back the outcome in one transaction
//! that also releases the lease. A step reads the record, lets `dps-domain` decide, acts through a
//! port and returns an [`Outcome`](dps_domain::outcome::Outcome);
//! [`settle`](dps_domain::record::settle::settle) turns the outcome into the new record. The
//! parties outside (CA, DNS, edges, Cabinet) are traits in [`ports`]; time and randomness are ports
//! too. A crash anywhere is harmless, because the record is the truth, effects are persisted before
//! they are built upon, and every step may run twice.

pub mod ca;
pub mod cabinet;
pub mod crash_point;
pub mod edges;
pub mod engine;
pub mod local_fault;
pub(crate) mod observe;
pub mod operator;
pub mod outage;
pub mod ports;
pub mod resolvers;
pub(crate) mod retry;
pub mod rotation;
pub mod service;
pub mod spans;
pub mod steps;
pub mod survey;
pub mod wake;
pub mod webhooks;
pub mod workers;

pub use ca::request_tokens::LedgerTokens;
pub use dps_domain::policy::{FleetPolicy, LanePolicy, Policy, Shares};
pub use edges::fleet::Fleet;
pub use resolvers::Resolvers;
pub use service::Service;
pub use workers::run;
