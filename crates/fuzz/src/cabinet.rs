//! Pages of the Cabinet.

use dps_cabinet_api::{ChangesPage, Page, read_body, read_domain};
use serde_json::value::RawValue;

/// The longest text about a refused item.
const MAX_REFUSAL_BYTES: usize = 4 * 1024;

/// A page of a list, and the same bytes as a page of the change feed.
pub(crate) fn page(data: &[u8]) {
    let list = read_body::<Page<Box<RawValue>>>(data).map(|page| page.items);
    let feed = read_body::<ChangesPage<Box<RawValue>>>(data).map(|page| page.items);
    for item in list.into_iter().chain(feed).flatten() {
        if let Err(refused) = read_domain(&item) {
            let text = refused.to_string();
            assert!(
                text.len() <= MAX_REFUSAL_BYTES,
                "a refusal of {} bytes",
                text.len()
            );
        }
    }
}
