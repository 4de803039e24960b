//! The custom domain as it travels.

use dps_domain::hostname::HostnameError;
use dps_domain::{DomainId, Hostname, Status, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::OwnershipVerification;

/// A customer's hostname and its status, as the Cabinet knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomDomain {
    /// Identifier, a UUID given by the Cabinet.
    #[schema(value_type = String, format = Uuid)]
    pub id: DomainId,
    /// The platform's customer who claims the name. A customer keeps it, and no other gets it
    /// later: proofs of ownership are bound to it.
    #[schema(min_length = 1, max_length = 200)]
    pub tenant_id: String,
    /// The hostname as the customer typed it.
    #[schema(min_length = 1, max_length = 1024)]
    pub hostname: String,
    /// The name that is checked, probed and certified: lower case, A-labels, no dot at the end.
    #[schema(min_length = 1, max_length = 253, example = "shop.example.com")]
    pub canonical_host: String,
    /// Where the customer's DNS must point. If the target is unguessable and belongs to this
    /// domain alone, a CNAME record through it proves that the name is the tenant's.
    #[schema(min_length = 1, max_length = 253, example = "edge.platform.example")]
    pub cname_target: String,
    /// One of `PendingDns`, `PendingHttpProbe`, `Issuing`, `Active`, `Failed`, `PendingRemoval`,
    /// `Removed`. A reader passes over a domain whose status it does not know.
    #[schema(min_length = 1, max_length = 64, example = "PendingDns")]
    pub status: String,
    /// Code of the failure catalogue, while something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, example = "DNS_NO_CNAME")]
    pub last_error_code: Option<String>,
    /// The sentence for the customer, with the record to create or change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub last_error_message: Option<String>,
    /// The failure's facts as typed fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub error_details: Option<Map<String, Value>>,
    /// When the service looks at the domain again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, min_length = 20, max_length = 35)]
    pub next_attempt_at: Option<Timestamp>,
    /// When the served certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, min_length = 20, max_length = 35)]
    pub certificate_not_after: Option<Timestamp>,
    /// The record with which the customer proves that the name is theirs, as the service last
    /// reported it; absent while no proof is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership_verification: Option<OwnershipVerification>,
    /// Grows with every change; the value for `If-Match`.
    #[schema(example = 1)]
    pub version: u64,
    /// When the domain was created.
    #[schema(value_type = String, format = DateTime, min_length = 20, max_length = 35)]
    pub created_at: Timestamp,
    /// When anything about it changed last.
    #[schema(value_type = String, format = DateTime, min_length = 20, max_length = 35)]
    pub updated_at: Timestamp,
}

impl CustomDomain {
    /// The status, unless it is one of a later version of the contract.
    pub fn status(&self) -> Option<Status> {
        self.status.parse().ok()
    }

    /// The canonical host as a parsed name.
    ///
    /// # Errors
    /// The reason why no certificate authority certifies it.
    pub fn canonical_host(&self) -> Result<Hostname, HostnameError> {
        Hostname::parse(&self.canonical_host)
    }

    /// The target of the customer's CNAME as a parsed name.
    ///
    /// # Errors
    /// The reason why it is not a hostname.
    pub fn cname_target(&self) -> Result<Hostname, HostnameError> {
        Hostname::parse(&self.cname_target)
    }
}

/// A version as an entity tag (RFC 9110 §8.8.3), for `ETag` and `If-Match`.
pub fn version_tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// Reads a strong entity tag made by [`version_tag`]; `None` for anything else.
pub fn parse_version_tag(tag: &str) -> Option<u64> {
    let digits = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_and_statuses_of_a_later_contract_are_survived() {
        let domain: CustomDomain = serde_json::from_value(serde_json::json!({
            "id": "018bcfe5-6800-7000-8000-000000000001", "tenantId": "t", "hostname": "Shop.Example.com",
            "canonicalHost": "not a hostname", "cnameTarget": "edge.platform.example", "status": "Suspended",
            "version": 7, "createdAt": "2026-01-02T03:04:05Z", "updatedAt": "2026-01-02T03:04:05+01:00",
            "colour": "green", "lastErrorCode": null,
        }))
        .unwrap();
        assert_eq!(domain.status(), None);
        assert!(domain.canonical_host().is_err());
        assert_eq!(
            domain.cname_target().unwrap().as_str(),
            "edge.platform.example"
        );
        assert_eq!(domain.updated_at.to_string(), "2026-01-02T02:04:05Z");
    }

    #[test]
    fn a_version_survives_the_way_through_an_entity_tag() {
        assert_eq!(parse_version_tag(&version_tag(42)), Some(42));
        for bad in [
            "",
            "42",
            "\"\"",
            "W/\"42\"",
            "\"+1\"",
            "\"4 2\"",
            "\"99999999999999999999\"",
            "*",
        ] {
            assert_eq!(parse_version_tag(bad), None, "{bad}");
        }
    }
}
