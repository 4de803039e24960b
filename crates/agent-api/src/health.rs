//! How an agent is.

use dps_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// When this agent's process started, by its own clock. Another moment than was seen before
    /// means that the agent was restarted and has forgotten the challenges that it was given. An
    /// older agent leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// The HAProxy next to the agent.
    pub haproxy: HaproxyHealth,
    /// Certificates on the agent's disk.
    pub certificates: u64,
    /// Challenges that are answered right now.
    pub challenges: u64,
    /// Files that were set aside because HAProxy could not have started with them.
    pub quarantined: u64,
    /// When HAProxy's memory was last brought in line with the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_repair_at: Option<Timestamp>,
    /// The agent's own TLS certificate; absent where it speaks no TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsHealth>,
}

/// The certificate that the agent shows to the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsHealth {
    /// Last moment of its validity.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Timestamp,
    /// Why the files, changed since they were last read, cannot be used; absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Whether the agent can do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum HealthStatus {
    /// HAProxy answers and serves what is on disk.
    Ok,
    /// HAProxy does not answer, or does not serve all that is on disk yet; also whatever a newer
    /// agent says beside `ok`.
    #[serde(other)]
    Degraded,
}

/// The state of HAProxy by its Runtime API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HaproxyHealth {
    /// Whether it answered the last request.
    pub reachable: bool,
    /// Its version, such as `2.6.12-1+deb12u4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Why it does not answer or cannot be brought in line with the disk; absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
