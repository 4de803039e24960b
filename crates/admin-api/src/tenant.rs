//! A tenant with its domains.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{CountGroup, Limit, Pause};

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its identifier in the Cabinet.
    #[schema(example = "tenant-7")]
    pub tenant_id: String,
    /// Domains.
    pub domains: u64,
    /// Whether all of its domains were counted. In a list, 10,000 are counted at most.
    pub is_complete: bool,
    /// Its domains by status, the most frequent first.
    pub statuses: Vec<CountGroup>,
    /// Domains whose order waits for a limit of the CA.
    pub limited: u64,
    /// Domains whose order waits for the end of a pause.
    pub paused: u64,
    /// Domains whose hostname another tenant claims as well, or must be proven.
    pub contested: u64,
}

/// A page of tenants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenants {
    /// The tenants, by identifier.
    pub items: Vec<Tenant>,
    /// The value of `after` for the next page; `null` at the end.
    pub next: Option<String>,
}

/// A tenant with all that concerns its orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantDetail {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: Tenant,
    /// The pauses that cover every domain of the tenant.
    pub pauses: Vec<Pause>,
    /// The limits that count its orders and are used in part or waited for.
    pub limits: Vec<Limit>,
}
