//! One edge: an HAProxy with its `HAProxyDomainAgent`. And the list of those that there are.

use std::sync::Arc;

use async_trait::async_trait;
use dps_domain::inventory::Entry;
use dps_domain::{Failure, Hostname, Timestamp};
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
    async fn publish_challenge(
        &self,
        token: &str,
        key_authorization: &str,
    ) -> Result<(), EdgeError>;

    /// Withdraws a challenge; no error when it is not there.
    async fn withdraw_challenge(&self, token: &str) -> Result<(), EdgeError>;

    /// Applies a certificate; `Ok` only after the edge presented it in a TLS handshake.
    async fn apply(&self, deployment: &Deployment) -> Result<(), EdgeError>;

    /// Applies many certificates in as few calls as possible; the results are in their order. After
    /// a call that failed as a whole nothing more is asked.
    async fn apply_batch(&self, deployments: &[Deployment]) -> Vec<Result<(), EdgeError>>;

    /// Undeploys a hostname; no error when it is not there. With a generation, a newer certificate
    /// stays.
    async fn remove(&self, hostname: &Hostname, up_to: Option<u64>) -> Result<Removal, EdgeError>;

    /// Answers if the edge can take and serve certificates.
    async fn check(&self) -> Result<EdgeHealth, EdgeError>;

    /// A page of what it holds, in the order of hostnames; `cursor` is that of the page before.
    async fn inventory(&self, cursor: Option<&str>, limit: u32)
    -> Result<InventoryPage, EdgeError>;
}

/// The result of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The edge serves nothing of the hostname.
    Done,
    /// The edge serves a newer certificate than the one to be removed.
    NewerStays,
}

/// How an edge that works is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeHealth {
    /// When its agent was started: another moment than before means that it may have lost what it
    /// had. `None` if it does not say.
    pub started_at: Option<Timestamp>,
}

/// A page of what an edge holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryPage {
    /// Its certificates.
    pub entries: Vec<Entry>,
    /// Gets the next page; `None` on the last.
    pub next: Option<String>,
    /// The [`InventoryDigest`](dps_domain::inventory::InventoryDigest) of all that it holds, in
    /// hex.
    pub digest: String,
}

/// Tells which edges there are, where that is not fixed.
#[async_trait]
pub trait EdgeDirectory: Send + Sync {
    /// Every edge that there is now. The same edge keeps its name.
    async fn find(&self) -> Result<Vec<Arc<dyn Edge>>, DirectoryError>;

    /// Whether an edge needs no operator's approval, because its name is among those that the
    /// configuration allows.
    fn is_allowed(&self, _name: &str) -> bool {
        false
    }

    /// An edge by its name, to go on with while the directory does not answer.
    fn recall(&self, name: &str) -> Option<Arc<dyn Edge>>;
}

/// The directory does not say which edges there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not known which edges there are: {0}")]
pub struct DirectoryError(pub String);

/// An edge did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// No connection, no answer in time, or an answer that means the edge is not working.
    #[error("the edge {edge} is unreachable: {detail}")]
    Unreachable {
        /// The edge.
        edge: String,
        /// The cause in words.
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
    /// The edge holds a newer certificate of the hostname.
    #[error("the edge {edge} holds a newer certificate: {detail}")]
    Newer {
        /// The edge.
        edge: String,
        /// The agent's reason.
        detail: String,
    },
    /// The edge presents another certificate than the one applied.
    #[error("the edge {edge} presents another certificate: {detail}")]
    Mismatch {
        /// The edge.
        edge: String,
        /// The presented certificate, in words.
        detail: String,
    },
    /// Our own machine could not call: no descriptor, no memory, no route. Says nothing about the
    /// edge.
    #[error("our own machine could not call the edge {edge}: {detail}")]
    Local {
        /// The edge.
        edge: String,
        /// The system's reason.
        detail: String,
    },
}

/// The consequence of an error of an edge for the work that met it. Everything that treats one
/// error differently from another goes by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeDisposition {
    /// Our own machine failed: nothing was learned about the edge.
    Local,
    /// The edge does not work, whatever is asked of it.
    Unreachable,
    /// The edge works and did not do this.
    Refused,
    /// The edge has something newer: there is nothing to do.
    Superseded,
}

impl EdgeDisposition {
    /// Whether other calls to the edge would fail the same way now.
    pub const fn stops_all_calls(self) -> bool {
        match self {
            Self::Local | Self::Unreachable => true,
            Self::Refused | Self::Superseded => false,
        }
    }
}

impl EdgeError {
    /// Returns the consequence for the work that met the error.
    pub const fn disposition(&self) -> EdgeDisposition {
        match self {
            Self::Local { .. } => EdgeDisposition::Local,
            Self::Unreachable { .. } => EdgeDisposition::Unreachable,
            Self::Rejected { .. } | Self::Mismatch { .. } => EdgeDisposition::Refused,
            Self::Newer { .. } => EdgeDisposition::Superseded,
        }
    }

    /// The words of the edge, or of the system.
    pub fn detail(&self) -> &str {
        match self {
            Self::Unreachable { detail, .. }
            | Self::Newer { detail, .. }
            | Self::Mismatch { detail, .. }
            | Self::Local { detail, .. } => detail,
            Self::Rejected { reason, .. } => reason,
        }
    }
}

impl From<EdgeError> for Failure {
    fn from(error: EdgeError) -> Self {
        match error {
            EdgeError::Unreachable { edge, detail } => Self::EdgeUnreachable { edge, detail },
            EdgeError::Rejected { edge, reason }
            | EdgeError::Newer {
                edge,
                detail: reason,
            } => Self::EdgeRejected { edge, reason },
            EdgeError::Mismatch { edge, detail } => Self::EdgeMismatch { edge, detail },
            local @ EdgeError::Local { .. } => Self::Internal {
                detail: local.to_string(),
            },
        }
    }
}
