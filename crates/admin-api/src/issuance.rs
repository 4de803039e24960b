//! Issuance and its pauses.

use dps_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The domains that a pause covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum PauseScopeName {
    /// Every domain.
    All,
    /// The domains of a tenant.
    Tenant,
    /// The domains of a hostname.
    Domain,
}

/// A pause of issuance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// The domains that it covers.
    pub scope: PauseScopeName,
    /// The tenant or hostname; absent for `all`.
    #[schema(example = "tenant-7")]
    pub subject: Option<String>,
    /// When it began, in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The operator that paused last.
    #[schema(example = "admin:oleg")]
    pub who: String,
    /// The reason that was given, if any.
    pub reason: Option<String>,
}

/// The state of issuance, as `dps issuance status --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issuance {
    /// The pauses in force, at most 1000.
    pub pauses: Vec<Pause>,
    /// Domains without a certificate whose order waits for the end of a pause.
    pub first: u64,
    /// Served domains whose renewal waits for the end of a pause.
    pub renewals: u64,
    /// Of the renewals, those that are urgent.
    pub urgent: u64,
    /// Domains whose certificate has ended, and whose order waits for the end of a pause.
    pub ended: u64,
    /// The soonest end of a certificate whose renewal waits; absent if none does.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub soonest_end: Option<Timestamp>,
}

/// The request to pause issuance or to end a pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PauseRequest {
    /// The domains.
    pub scope: PauseScopeName,
    /// The tenant or hostname; absent for `all`.
    #[serde(default)]
    #[schema(example = "tenant-7")]
    pub subject: Option<String>,
    /// Why, in one line of at most 500 characters.
    #[serde(default)]
    #[schema(example = "the CA issues wrong certificates")]
    pub reason: Option<String>,
}

/// The effect of the end of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    /// Domains whose order waited and is due now.
    pub woken: u64,
    /// Whether every waiting order was reached. If not, the same call again reaches the others.
    pub is_complete: bool,
}
