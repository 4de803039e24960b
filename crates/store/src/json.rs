//! JSON columns.

use serde::Serialize;

/// The JSON text of one of our own types.
pub(crate) fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types have text keys and always serialise")
}
