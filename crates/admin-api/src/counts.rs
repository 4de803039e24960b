//! Counts of domains, and the fleet as a whole.

use std::borrow::Cow;

use dps_domain::{Actor, Status, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The groups of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum CountBy {
    /// By status.
    Status,
    /// By the code of the last failure.
    Code,
    /// By tenant.
    Tenant,
    /// By who must act.
    Actor,
}

/// A count of domains, as `dps domains count --json` prints it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// Domains in all.
    pub domains: u64,
    /// The groups; absent if there are none.
    pub by: Option<CountBy>,
    /// The domains of each group, the largest first; empty without groups.
    pub groups: Vec<CountGroup>,
}

/// A group of a count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountGroup {
    /// The status, code, tenant or actor; absent for domains without a failure.
    pub key: Option<String>,
    /// Domains.
    pub domains: u64,
}

/// The fleet as a whole, as `dps fleet --json` prints it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// The time of the counts.
    #[schema(value_type = String, format = DateTime)]
    pub counted_at: Timestamp,
    /// The time of the earlier counts that `change` compares with; absent without any.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub compared_with: Option<Timestamp>,
    /// Domains in all.
    pub domains: u64,
    /// The domains of every status.
    pub statuses: Vec<StatusCount>,
    /// The causes of failures, the most frequent first.
    pub causes: Vec<Cause>,
    /// Domains whose certificate ends within a week, those that moved away left out.
    pub expiring: u64,
}

/// The domains of a status.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusCount {
    /// The status.
    #[schema(value_type = String)]
    pub status: Status,
    /// Domains.
    pub domains: u64,
    /// Domains more than at the earlier time, negative if fewer; absent without that time.
    pub change: Option<i64>,
}

/// The domains whose last failure has a code.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The code.
    #[schema(value_type = String)]
    pub code: Cow<'static, str>,
    /// Who must act.
    #[schema(value_type = String)]
    pub actor: Actor,
    /// Domains.
    pub domains: u64,
    /// Of these, domains that are served.
    pub served: u64,
    /// Domains more than at the earlier time, negative if fewer; absent without that time.
    pub change: Option<i64>,
}
