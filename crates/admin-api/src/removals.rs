//! The brake on removals.

use dps_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The removals of the present day, and whether more are let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Removals {
    /// Domains that were removed or renamed today.
    pub removed_today: u64,
    /// Removals in a day, in percent of the domains, after which more are held back.
    pub brake_percent: u32,
    /// The time until which all removals are approved; `null` if they are not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub approved_until: Option<Timestamp>,
}
