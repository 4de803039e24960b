//! Wire types of the HAProxyDomainAgent and a client for them.
//!
//! An agent stands next to each HAProxy. The service sends it certificates ([`ApplyRequest`], or
//! many in a [`BatchRequest`]), reads its inventory ([`InventoryPage`]) and publishes HTTP-01
//! challenges ([`ChallengePublication`]). Both sides share these types, so they cannot drift apart.
//! Unknown fields are ignored, so either side may be one version ahead. Every refusal is a
//! [`Problem`] document (RFC 9457) with a stable [`ProblemCode`]. The [`AgentClient`] turns it into
//! an [`AgentError`] that says whether a later retry can help.

mod batch;
mod certificates;
mod challenges;
mod client;
mod error;
mod handshakes;
mod health;
mod probes;
mod problem;

pub use batch::{BatchAnswer, BatchRequest, BatchResult, MAX_BATCH_BYTES, MAX_BATCH_CERTIFICATES};
pub use certificates::{
    Applied, ApplyOutcome, ApplyRequest, CertificateState, InventoryItem, InventoryPage,
};
pub use challenges::{
    CHALLENGE_PATH_PREFIX, ChallengePublication, ChallengeToken, ChallengeTokenError,
};
pub use client::{Access, AgentClient, ClientOptions};
pub use dps_domain::inventory::InventoryDigest;
pub use error::AgentError;
pub use handshakes::Presented;
pub use health::{HaproxyHealth, Health, HealthStatus, TlsHealth};
pub use probes::{ProbeRequest, ProbeResult};
pub use problem::{PROBLEM_CONTENT_TYPE, Problem, ProblemCode};
