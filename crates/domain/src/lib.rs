//! The pure heart of the service: what a custom domain is, where it stands, and what happens next.
//!
//! A custom domain walks through [`Phase`]s. [`decide::next_action`] computes the next action from
//! the stored phase and the time. Its result comes back as an [`Event`] and moves the phase by
//! value. Policies ([`backoff`], [`renewal`], [`limits`], the DNS and HTTP verdicts in [`dns`] and
//! [`probe`]) are pure functions, with time and randomness as arguments. Whatever can go wrong
//! for a customer is one code of the closed catalogue in [`failure`]. Nothing here does I/O, reads
//! a clock or draws a random number.

pub mod action;
pub mod address;
pub mod backoff;
pub mod bounds;
pub mod caa;
pub mod causes;
pub mod cdn;
pub mod decide;
pub mod diagnosis;
pub mod dns;
pub mod event_kind;
pub mod explain;
pub mod failure;
pub mod fleet;
pub mod hostname;
pub mod idempotency;
pub mod ids;
pub mod inventory;
pub mod job;
pub mod lane;
mod lease_token;
pub mod limits;
pub mod name_rules;
pub mod order_gate;
pub mod outcome;
pub mod ownership;
pub mod pause;
pub mod phase;
pub mod policy;
pub mod probe;
pub mod reachability;
pub mod record;
pub mod renewal;
pub mod retention;
pub mod revocation;
pub mod sentence;
pub mod shard;
pub mod shares;
pub mod status;
pub mod text;
pub mod timestamp;
pub mod until;
pub mod webhook;

pub use causes::with_causes;
pub use event_kind::EventKind;
pub use failure::{Actor, Failure, FailureCode};
pub use fleet::DomainState;
pub use hostname::{Hostname, HostnameError};
pub use ids::{ActionId, CertificateId, DomainId, JobId, OrderId};
pub use lease_token::LeaseToken;
pub use name_rules::{NameRules, NameSuffix};
pub use order_gate::OrderGate;
pub use ownership::Ownership;
pub use phase::{DnsState, Event, IllegalTransition, Issuance, Phase};
pub use status::Status;
pub use timestamp::Timestamp;
pub use until::{Purpose, Until};
