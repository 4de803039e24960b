//! An edge of the fleet.

use dps_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An edge that is or was in the fleet, or waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// Its name: the base URL of its agent.
    #[schema(example = "https://edge-1.internal:9403")]
    pub name: String,
    /// `answers`, `silent`, `on probation`, `waits for approval` or `no longer configured`.
    #[serde(rename = "standing")]
    #[schema(example = "answers")]
    pub state: String,
    /// When it was approved.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub approved_at: Option<Timestamp>,
    /// When it stopped answering, if it does not answer or is on probation.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub unreachable_since: Option<Timestamp>,
    /// When it answered again, if it is on probation.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_again_at: Option<Timestamp>,
    /// The last problem.
    pub problem: Option<String>,
    /// Domains whose current certificate it presents.
    pub presents: u64,
    /// Certificates that it should hold, at the last comparison.
    pub certificates: Option<u64>,
    /// Of these, certificates that it refused.
    #[serde(rename = "behind")]
    pub refused: Option<u64>,
    /// Certificates that it holds and the store does not know.
    pub unknown: Option<u64>,
    /// End of the last comparison.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub compared_at: Option<Timestamp>,
    /// When it was first in the fleet.
    #[schema(value_type = String, format = DateTime)]
    pub first_seen_at: Timestamp,
    /// When it was last noted to be in the fleet.
    #[schema(value_type = String, format = DateTime)]
    pub listed_at: Timestamp,
}

/// All edges, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Edges {
    /// The edges.
    pub items: Vec<Edge>,
}

/// The request to approve an edge that was found by DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveRequest {
    /// Its name.
    #[schema(example = "https://edge-1.internal:9403")]
    pub name: String,
    /// Why, in one line of at most 500 characters, for the log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The edge after the approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// Its name.
    pub name: String,
    /// When it was approved, now or before; `null` for an edge of the settings that no service has
    /// called yet.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub approved_at: Option<Timestamp>,
    /// Whether the call approved it; false if it took part before.
    pub is_new: bool,
}

/// The request to compare an edge with what it should hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompareRequest {
    /// Its name.
    #[schema(example = "https://edge-1.internal:9403")]
    pub name: String,
    /// Why, in one line of at most 500 characters, for the log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The edge whose comparison is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparisonDue {
    /// Its name.
    pub name: String,
    /// When the comparison is due. An edge that does not answer is compared when it answers again.
    #[schema(value_type = String, format = DateTime)]
    pub due_at: Timestamp,
    /// End of the last comparison.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub compared_at: Option<Timestamp>,
}
