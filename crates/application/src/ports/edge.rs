//! One edge: an HAProxy with its `HAProxyDomainAgent`.

use async_trait::async_trait;
use dps_domain::{Failure, Hostname};
use secrecy::SecretString;

/// A certificate on its way to an edge.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The name it is served for.
    pub hostname: Hostname,
    /// Chain, leaf first, PEM.
    pub chain_pem: String,
    /// Its private key, PEM.
    pub key_pem: SecretString,
    /// SHA-256 of the leaf's DER, lower-case hex.
    pub fingerprint: String,
    /// Orders certificates of one hostname: an edge refuses an older one.
    pub generation: u64,
}

/// One edge.
#[async_trait]
pub trait Edge: Send + Sync {
    /// Its name in logs and reports: the agent's base URL.
    fn name(&self) -> &str;

    /// Makes the edge answer `token` with `key_authorization`, and proves that it does.
    async fn publish_challenge(&self, token: &str, key_authorization: &str) -> Result<(), EdgeError>;

    /// Withdraws a challenge; no error when it is not there.
    async fn withdraw_challenge(&self, token: &str) -> Result<(), EdgeError>;

    /// Applies a certificate; `Ok` only after the edge presented it in a TLS handshake.
    async fn apply(&self, deployment: &Deployment) -> Result<(), EdgeError>;

    /// Undeploys a hostname; no error when it is not there.
    async fn remove(&self, hostname: &Hostname) -> Result<(), EdgeError>;
}

/// An edge did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// No connection, no answer in time, or an answer that means the edge is not working.
    #[error("the edge {edge} is unreachable: {detail}")]
    Unreachable {
        /// The edge.
        edge: String,
        /// What happened.
        detail: String,
    },
    /// The edge refused, with a reason.
    #[error("the edge {edge} refused: {reason}")]
    Rejected {
        /// The edge.
        edge: String,
        /// The agent's code and detail.
        reason: String,
    },
    /// The edge presents another certificate than the one applied.
    #[error("the edge {edge} presents another certificate: {detail}")]
    Mismatch {
        /// The edge.
        edge: String,
        /// What it presented.
        detail: String,
    },
}

impl From<EdgeError> for Failure {
    fn from(error: EdgeError) -> Self {
        match error {
            EdgeError::Unreachable { edge, detail } => Self::EdgeUnreachable { edge, detail },
            EdgeError::Rejected { edge, reason } => Self::EdgeRejected { edge, reason },
            EdgeError::Mismatch { edge, detail } => Self::EdgeMismatch { edge, detail },
        }
    }
}
