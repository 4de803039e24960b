//! The reasons why CAA records forbid to issue.

use serde::{Deserialize, Serialize};

/// Why a record set forbids to issue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CaaReason {
    /// No `issue` record names the CA.
    #[default]
    OtherAuthority,
    /// The record that names the CA demands another account.
    OtherAccount,
    /// The record that names the CA demands another validation method.
    OtherMethod,
    /// A critical record has a tag that CAs do not know.
    UnknownCriticalTag,
}
