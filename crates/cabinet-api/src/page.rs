//! Pages of domains.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::CustomDomain;

/// A page of a list. A reader uses `Page` (items as JSON values) and decodes item by item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T = Value> {
    /// The items, in a stable order.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last page. Opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A page of the change feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangesPage<T = Value> {
    /// The changed domains as they are now, the longest unchanged first.
    pub items: Vec<T>,
    /// What to send as `after` next time; present on an empty page too. Opaque.
    pub next_cursor: String,
}

/// An item of a page that is no custom domain.
#[derive(Debug)]
pub struct ItemError {
    /// The item's `id`, if it has one that is text.
    pub id: Option<String>,
    /// What is wrong with the item.
    pub source: serde_json::Error,
}

impl std::fmt::Display for ItemError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.id {
            Some(id) => write!(f, "the item with id {id:?} is no custom domain"),
            None => f.write_str("an item without id is no custom domain"),
        }
    }
}

impl std::error::Error for ItemError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Page {
    /// Decodes each item on its own, so that one bad item spoils no other.
    pub fn decode(self) -> impl Iterator<Item = Result<CustomDomain, ItemError>> {
        self.items.into_iter().map(decode_item)
    }
}

impl ChangesPage {
    /// Decodes each item on its own, so that one bad item spoils no other.
    pub fn decode(self) -> impl Iterator<Item = Result<CustomDomain, ItemError>> {
        self.items.into_iter().map(decode_item)
    }
}

fn decode_item(item: Value) -> Result<CustomDomain, ItemError> {
    let id = item
        .get("id")
        .and_then(Value::as_str)
        .map(|id| id.chars().take(64).collect());
    serde_json::from_value(item).map_err(|source| ItemError { id, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_item_spoils_no_other() {
        let good = serde_json::json!({
            "id": "018bcfe5-6800-7000-8000-000000000001", "tenantId": "t", "hostname": "a.example.com",
            "canonicalHost": "a.example.com", "cnameTarget": "edge.platform.example", "status": "PendingDns",
            "version": 1, "createdAt": "2026-01-02T03:04:05Z", "updatedAt": "2026-01-02T03:04:05Z",
        });
        let text = serde_json::json!({"items": [{"id": "x"}, 7, good], "nextCursor": null}).to_string();
        let page: Page = serde_json::from_str(&text).unwrap();
        assert_eq!(page.next_cursor, None);
        let items: Vec<_> = page.decode().collect();
        assert_eq!(items[0].as_ref().unwrap_err().id.as_deref(), Some("x"));
        assert_eq!(items[1].as_ref().unwrap_err().id, None);
        assert_eq!(items[2].as_ref().unwrap().canonical_host, "a.example.com");
    }
}
