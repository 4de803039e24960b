//! Pages of domains.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A page of a list. A reader uses raw items and decodes each by
/// [`read_domain`](crate::read_domain).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T = Value> {
    /// The items, in a stable order.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last page. Opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub next_cursor: Option<String>,
}

/// A page of the change feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangesPage<T = Value> {
    /// The changed domains as they are now, the longest unchanged first.
    pub items: Vec<T>,
    /// Opaque value to send as `after` next time; present on an empty page too.
    #[schema(min_length = 1, max_length = 200)]
    pub next_cursor: String,
}
