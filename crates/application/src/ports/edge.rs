//! An edge, which is an HAProxy and its agent, and the directory of all edges.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use dps_domain::inventory::Entry;
use dps_domain::probe::ProbeAnswer;
use dps_domain::{Failure, Hostname, Timestamp};
use secrecy::SecretString;

/// A certificate to deploy at an edge.
#[derive(Debug, Clone)]
pub struct DeployRequest {
    /// Server name (SNI) that selects the certificate.
    pub hostname: Hostname,
    /// Chain, leaf first, PEM.
    pub chain_pem: String,
    /// Private key, PEM.
    pub key_pem: SecretString,
    /// SHA-256 of the DER of the leaf, 64 lower-case hex digits.
    pub fingerprint: String,
    /// Order of the certificates of one hostname: an edge refuses a lower one than it holds.
    pub generation: u64,
}

/// One edge.
#[async_trait]
pub trait Edge: Send + Sync {
    /// The edge's name in logs and reports: the agent's base URL.
    fn name(&self) -> &str;

    /// Publishes a challenge; `Ok` only after the edge returned the key authorization.
    async fn publish_challenge(
        &self,
        token: &str,
        key_authorization: &str,
    ) -> Result<(), EdgeError>;

    /// Withdraws a challenge; no error if it is not published.
    async fn withdraw_challenge(&self, token: &str) -> Result<(), EdgeError>;

    /// Deploys a certificate; `Ok` only after the edge presented it in a TLS handshake.
    async fn deploy(&self, request: &DeployRequest) -> Result<(), EdgeError>;

    /// Deploys many certificates in as few calls as possible; returns results in their order. After
    /// a call that failed as a whole, no further call is made.
    async fn deploy_batch(&self, requests: &[DeployRequest]) -> Vec<Result<(), EdgeError>>;

    /// Undeploys a hostname; no error if the edge does not hold it. With `up_to`, a certificate of
    /// a higher generation is kept.
    async fn undeploy(
        &self,
        hostname: &Hostname,
        up_to: Option<u64>,
    ) -> Result<UndeployResult, EdgeError>;

    /// Fetches a token from an address, as [`HttpProbe`](super::HttpProbe) does from the service.
    async fn probe(
        &self,
        _host: &Hostname,
        _address: IpAddr,
        _token: &str,
        _expected: &str,
    ) -> Result<EdgeProbe, EdgeError> {
        Ok(EdgeProbe::Unsupported)
    }

    /// Makes a TLS handshake with the edge for a hostname, and returns what it presents.
    async fn presented(&self, _hostname: &Hostname) -> Result<Presented, EdgeError> {
        Ok(Presented::Unsupported)
    }

    /// Returns the edge's health; `Ok` only if it can install and serve certificates.
    async fn check(&self) -> Result<EdgeHealth, EdgeError>;

    /// Returns a page of the inventory, in order of hostnames; `cursor` is the `next` of the
    /// previous page.
    async fn inventory(&self, cursor: Option<&str>, limit: u32)
    -> Result<InventoryPage, EdgeError>;
}

/// Result of [`Edge::probe`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EdgeProbe {
    /// The address answered so.
    Answered(ProbeAnswer),
    /// The agent is too old to probe.
    Unsupported,
}

/// Result of [`Edge::presented`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// The certificate with this fingerprint, SHA-256 in lower-case hex.
    Certificate(String),
    /// No certificate; the text is the reason.
    Nothing(String),
    /// The agent is too old to make a handshake on request.
    Unsupported,
}

/// Result of [`Edge::undeploy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndeployResult {
    /// The edge holds no certificate of the hostname.
    Done,
    /// The edge holds a newer certificate, and kept it.
    NewerKept,
}

/// State of an edge that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeHealth {
    /// Start of the agent. If it changed, the agent was restarted and may have lost certificates.
    /// `None` if the agent does not report it.
    pub started_at: Option<Timestamp>,
}

/// A page of an edge's inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryPage {
    /// Certificates of this page.
    pub entries: Vec<Entry>,
    /// Cursor of the next page; `None` on the last.
    pub next: Option<String>,
    /// [`InventoryDigest`](dps_domain::inventory::InventoryDigest) of the whole inventory, in hex.
    pub digest: String,
}

/// Finds the edges that are not configured one by one.
#[async_trait]
pub trait EdgeDirectory: Send + Sync {
    /// Returns every edge that exists now. An edge keeps its name.
    async fn find(&self) -> Result<Vec<Arc<dyn Edge>>, DirectoryError>;

    /// True if the configuration allows the name, so that the edge needs no operator's approval.
    fn is_allowed(&self, _name: &str) -> bool {
        false
    }

    /// Returns an edge by its name, for use while the directory does not answer.
    fn recall(&self, name: &str) -> Option<Arc<dyn Edge>>;
}

/// The directory did not answer; the text is the cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not known which edges there are: {0}")]
pub struct DirectoryError(pub String);

/// A call to an edge failed.
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
    /// The edge presents another certificate than the one deployed.
    #[error("the edge {edge} presents another certificate: {detail}")]
    Mismatch {
        /// The edge.
        edge: String,
        /// The presented certificate, in words.
        detail: String,
    },
    /// A local fault, such as no descriptor, no memory or no route. Says nothing about the edge.
    #[error("local fault: no request could be sent to the edge {edge}: {detail}")]
    Local {
        /// The edge.
        edge: String,
        /// The system's reason.
        detail: String,
    },
}

/// Class of an edge's error. All decisions about errors use the class, not the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeDisposition {
    /// A local fault: nothing was learned about the edge.
    Local,
    /// The edge does not work; any other call would fail too.
    Unreachable,
    /// The edge works and refused this request.
    Refused,
    /// The edge holds a newer certificate; nothing to do.
    Superseded,
}

impl EdgeDisposition {
    /// True if other calls to the edge would fail the same way now.
    pub const fn stops_all_calls(self) -> bool {
        match self {
            Self::Local | Self::Unreachable => true,
            Self::Refused | Self::Superseded => false,
        }
    }
}

impl EdgeError {
    /// Returns the class of the error.
    pub const fn disposition(&self) -> EdgeDisposition {
        match self {
            Self::Local { .. } => EdgeDisposition::Local,
            Self::Unreachable { .. } => EdgeDisposition::Unreachable,
            Self::Rejected { .. } | Self::Mismatch { .. } => EdgeDisposition::Refused,
            Self::Newer { .. } => EdgeDisposition::Superseded,
        }
    }

    /// Returns the message of the edge, or of the system.
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
