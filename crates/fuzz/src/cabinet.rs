//! Pages of the Cabinet.

use dps_cabinet_api::{ChangesPage, Page};

/// A page of a list, and the same bytes as a page of the change feed.
pub(crate) fn page(data: &[u8]) {
    if let Ok(page) = serde_json::from_slice::<Page>(data) {
        page.decode().for_each(drop);
    }
    if let Ok(page) = serde_json::from_slice::<ChangesPage>(data) {
        page.decode().for_each(drop);
    }
}
