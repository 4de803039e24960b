//! A limit of the CA.

use dps_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A limit that is used in part or waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// The limit.
    #[schema(example = "NewOrders")]
    pub limit: String,
    /// The registered domain, hostname or tenant; `null` for a limit of the account.
    pub name: Option<String>,
    /// Requests that are left; `null` for any number.
    pub left: Option<u32>,
    /// The moment of the next request; the present if one is left.
    #[schema(value_type = String, format = DateTime)]
    pub next_at: Timestamp,
    /// The end of the wait that the CA named, if it has not passed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub blocked_until: Option<Timestamp>,
}

/// A page of the limits of the configured CA that are used in part or waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// The limits.
    pub items: Vec<Limit>,
    /// The value of `after` for the next page; `null` at the end.
    pub next: Option<String>,
}

/// The request to lift a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LiftRequest {
    /// The limit.
    #[schema(example = "FailedValidations")]
    pub limit: String,
    /// The hostname or tenant whose limit is lifted; absent for all.
    pub name: Option<String>,
    /// Why, in one line of at most 500 characters, for the log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The effect of a lift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lifted {
    /// Counts that were emptied.
    pub lifted: usize,
    /// Waiting domains that are due now.
    pub woken: u32,
    /// Whether every count and waiting domain was reached. If not, the same call again reaches the
    /// others.
    pub is_complete: bool,
}
