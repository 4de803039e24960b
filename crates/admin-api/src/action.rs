//! A call that acts on a domain.

use dps_domain::{Status, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The request for an action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Action {
    /// Why, in one line of at most 500 characters, for the history of the domain.
    #[schema(example = "the customer has mended the record")]
    pub reason: Option<String>,
}

/// The request to revoke the certificate of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevokeRequest {
    /// The reason for the CA (RFC 5280): `key-compromise`, `superseded`,
    /// `cessation-of-operation` or `unspecified`.
    #[schema(example = "key-compromise")]
    pub revocation_reason: String,
    /// Why, in one line of at most 500 characters, for the history of the domain.
    #[serde(default)]
    #[schema(example = "the key was in a public repository")]
    pub reason: Option<String>,
}

/// The certificate that a revocation is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevocationPreview {
    /// The hostname, in A-labels.
    #[schema(example = "shop.example.com")]
    pub hostname: String,
    /// The serial number of the certificate.
    pub serial: String,
    /// The end of its validity.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Timestamp,
    /// The reason for the CA.
    #[schema(example = "key-compromise")]
    pub revocation_reason: String,
    /// Whether the domain serves it.
    pub served: bool,
    /// Whether its revocation is requested.
    pub acted: bool,
}

/// The domain after the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Acted {
    /// The hostname, in A-labels.
    #[schema(example = "shop.example.com")]
    pub hostname: String,
    /// The status.
    #[schema(value_type = String, example = "PendingDns")]
    pub status: Status,
    /// The phase within the status.
    pub phase: String,
    /// When the next step is due, in UTC.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
}
