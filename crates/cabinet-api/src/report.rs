//! The service's report about a domain.

use dps_domain::{Status, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{PartialSchema as _, ToSchema};

use crate::{CustomDomain, OwnershipVerification, StatusName, limits};

/// A status report. It replaces all of these fields: what is absent is cleared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// The present status of the domain. `Active` becomes `Failed` when the certificate ends before
    /// another is served; with `DNS_MOVED`, because the domain moved away.
    #[schema(schema_with = StatusName::schema)]
    pub status: Status,
    /// Code of the failure catalogue, while something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64, example = "DNS_NO_CNAME")]
    pub last_error_code: Option<String>,
    /// The sentence for the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub last_error_message: Option<String>,
    /// The failure's facts as typed fields; at most 8 KiB as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub error_details: Option<Map<String, Value>>,
    /// When the service looks at the domain again by itself. Absent with `Failed` and `DNS_MOVED`:
    /// the service has released the hostname, and any tenant may claim it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, min_length = 20, max_length = 35)]
    pub next_attempt_at: Option<Timestamp>,
    /// When the served certificate expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, min_length = 20, max_length = 35)]
    pub certificate_not_after: Option<Timestamp>,
    /// The record with which the customer proves that the name is theirs, while a proof is
    /// required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership_verification: Option<OwnershipVerification>,
}

impl StatusReport {
    /// A report of a status with nothing wrong.
    pub const fn of(status: Status) -> Self {
        Self {
            status,
            last_error_code: None,
            last_error_message: None,
            error_details: None,
            next_attempt_at: None,
            certificate_not_after: None,
            ownership_verification: None,
        }
    }

    /// Whether the domain already says what this report says, so that applying it would change
    /// nothing.
    pub fn is_what(&self, domain: &CustomDomain) -> bool {
        domain.status == self.status.as_str()
            && domain.last_error_code == self.last_error_code
            && domain.last_error_message == self.last_error_message
            && domain.error_details == self.error_details
            && domain.next_attempt_at == self.next_attempt_at
            && domain.certificate_not_after == self.certificate_not_after
            && domain.ownership_verification == self.ownership_verification
    }

    /// The report within the contract's [`limits`]: a long message is cut, details and a record
    /// that are too large are left out. A sender calls this so that a report cannot be refused for
    /// its size for ever.
    #[must_use]
    pub fn within_limits(mut self) -> Self {
        if let Some(code) = &mut self.last_error_code {
            cut(code, limits::MAX_ERROR_CODE_BYTES);
        }
        if let Some(message) = &mut self.last_error_message {
            cut(message, limits::MAX_ERROR_MESSAGE_BYTES);
        }
        self.error_details = self.error_details.filter(details_fit);
        self.ownership_verification = self
            .ownership_verification
            .filter(OwnershipVerification::is_within_limits);
        self
    }

    /// The first field that is over its limit, by its name on the wire.
    pub fn field_over_limit(&self) -> Option<&'static str> {
        let long =
            |text: &Option<String>, limit| text.as_ref().is_some_and(|text| text.len() > limit);
        if long(&self.last_error_code, limits::MAX_ERROR_CODE_BYTES) {
            Some("lastErrorCode")
        } else if long(&self.last_error_message, limits::MAX_ERROR_MESSAGE_BYTES) {
            Some("lastErrorMessage")
        } else if self
            .error_details
            .as_ref()
            .is_some_and(|details| !details_fit(details))
        {
            Some("errorDetails")
        } else if self
            .ownership_verification
            .as_ref()
            .is_some_and(|record| !record.is_within_limits())
        {
            Some("ownershipVerification")
        } else {
            None
        }
    }
}

fn details_fit(details: &Map<String, Value>) -> bool {
    serde_json::to_vec(details).is_ok_and(|text| text.len() <= limits::MAX_ERROR_DETAILS_BYTES)
}

fn cut(text: &mut String, limit: usize) {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oversized_report_is_brought_within_the_limits() {
        let mut details = Map::new();
        details.insert("chain".to_owned(), Value::String("x".repeat(9_000)));
        let report = StatusReport {
            last_error_code: Some("DNS_WRONG_TARGET".to_owned()),
            last_error_message: Some("ü".repeat(2_000)),
            error_details: Some(details),
            ..StatusReport::of(Status::PendingDns)
        };
        assert_eq!(report.field_over_limit(), Some("lastErrorMessage"));
        let report = report.within_limits();
        assert_eq!(report.field_over_limit(), None);
        assert_eq!(report.last_error_message.unwrap().len(), 2_000);
        assert_eq!(report.error_details, None);
    }

    #[test]
    fn a_record_over_the_limits_is_left_out_and_another_is_compared() {
        let name = "_dps-challenge.shop.example.com";
        let wanting = |value: &str| StatusReport {
            ownership_verification: Some(OwnershipVerification::txt(name, value)),
            ..StatusReport::of(Status::PendingDns)
        };
        let oversized = wanting(&"v".repeat(256));
        assert_eq!(oversized.field_over_limit(), Some("ownershipVerification"));
        assert_eq!(
            oversized.within_limits(),
            StatusReport::of(Status::PendingDns)
        );
        let fitting = wanting("v");
        assert_eq!(fitting.clone().within_limits(), fitting);
        let text = serde_json::to_string(&fitting).unwrap();
        let sent = format!(
            r#"{{"status":"PendingDns","ownershipVerification":{{"name":"{name}","type":"TXT","value":"v"}}}}"#
        );
        assert_eq!(text, sent);
        let mut domain: CustomDomain = serde_json::from_value(serde_json::json!({
            "id": "018bcfe5-6800-7000-8000-000000000001", "tenantId": "t",
            "hostname": "shop.example.com", "canonicalHost": "shop.example.com",
            "cnameTarget": "edge.platform.example", "status": "PendingDns", "version": 1,
            "createdAt": "2026-01-02T03:04:05Z", "updatedAt": "2026-01-02T03:04:05Z",
        }))
        .unwrap();
        assert!(!fitting.is_what(&domain));
        domain
            .ownership_verification
            .clone_from(&fitting.ownership_verification);
        assert!(fitting.is_what(&domain));
        assert!(!wanting("w").is_what(&domain));
    }

    #[test]
    fn absent_fields_do_not_travel() {
        let text = serde_json::to_string(&StatusReport::of(Status::Active)).unwrap();
        assert_eq!(text, r#"{"status":"Active"}"#);
    }
}
