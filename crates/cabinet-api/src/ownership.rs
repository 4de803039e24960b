//! The DNS record that proves whose a hostname is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits;

/// The type of the record that proves ownership.
const RECORD_TYPE: &str = "TXT";

/// The record with which a customer proves that a hostname is theirs. It is bound to the tenant and
/// the hostname.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnershipVerification {
    /// The record's DNS name, without a dot at the end.
    #[schema(
        min_length = 1,
        max_length = 269,
        example = "_dps-challenge.shop.example.com"
    )]
    pub name: String,
    /// The record's type: `TXT`.
    #[serde(rename = "type")]
    #[schema(min_length = 1, max_length = 16, example = "TXT")]
    pub kind: String,
    /// The record's text; one of several at this name is enough.
    #[schema(
        min_length = 1,
        max_length = 255,
        example = "dps-verify=5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"
    )]
    pub value: String,
}

impl OwnershipVerification {
    /// The TXT record with this name and text.
    pub fn txt(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: RECORD_TYPE.to_owned(),
            value: value.into(),
        }
    }

    /// Whether it is a TXT record within the contract's [`limits`], of visible ASCII characters
    /// only.
    pub fn is_within_limits(&self) -> bool {
        let fits = |text: &str, limit| {
            (1..=limit).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        self.kind == RECORD_TYPE
            && fits(&self.name, limits::MAX_OWNERSHIP_NAME_BYTES)
            && fits(&self.value, limits::MAX_OWNERSHIP_VALUE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_no_customer_could_enter_is_over_the_limits() {
        let name = "_dps-challenge.shop.example.com";
        assert!(OwnershipVerification::txt(name, "dps-verify=abc").is_within_limits());
        for (name, value) in [
            ("", "v"),
            (name, ""),
            (name, "two words"),
            (name, "line\n"),
            (name, "\u{fc}"),
            (name, "\0"),
            ("a b.example", "v"),
            (name, "v".repeat(256).as_str()),
            ("n".repeat(270).as_str(), "v"),
        ] {
            let record = OwnershipVerification::txt(name, value);
            assert!(!record.is_within_limits(), "{record:?}");
        }
        let other = OwnershipVerification {
            kind: "A".to_owned(),
            ..OwnershipVerification::txt(name, "v")
        };
        assert!(!other.is_within_limits());
    }
}
