//! One domain, alone and in lists.

use std::borrow::Cow;

use dps_domain::renewal::info::SuggestedWindow;
use dps_domain::{
    Actor, CertificateId, DomainId, EventKind, Failure, FailureCode, Hostname, Status, Timestamp,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A domain, as `dps domains list --json` prints one on each line.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Domain {
    /// The Cabinet's identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: DomainId,
    /// Its tenant.
    pub tenant_id: String,
    /// The hostname in A-labels.
    #[schema(value_type = String, example = "shop.example.com")]
    pub hostname: Hostname,
    /// Where its CNAME must point.
    #[schema(value_type = String)]
    pub cname_target: Hostname,
    /// The status that the Cabinet gets.
    #[schema(value_type = String, example = "Active")]
    pub status: Status,
    /// When the status last changed; absent if that is not known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub status_since: Option<Timestamp>,
    /// The phase, which is finer than the status.
    #[schema(value_type = String)]
    pub phase: Cow<'static, str>,
    /// Attempts since the last progress.
    pub attempt: u32,
    /// The time of the next step; absent if it waits for a request.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
    /// The tenant's ownership of the hostname, in words.
    pub ownership: String,
    /// The code of the last failure; absent without one.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    #[schema(value_type = Option<String>, example = "DNS_NXDOMAIN")]
    pub code: Option<FailureCode>,
    /// The last failure with its details; absent without one.
    #[schema(value_type = Option<Object>)]
    pub last_failure: Option<Failure>,
    /// The sentence about it that the customer reads; absent without one.
    pub message: Option<String>,
    /// Who must act; absent without a failure.
    #[schema(value_type = Option<String>, example = "customer")]
    pub actor: Option<Actor>,
    /// The renewal; absent while no certificate is served.
    pub renewal: Option<Renewal>,
    /// The end of the certificate that is served, or was served last; absent without one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub certificate_ends_at: Option<Timestamp>,
    /// When the domain was taken in.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its record was last written.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde requires"
)]
pub(crate) fn as_text<S: serde::Serializer>(
    code: &Option<FailureCode>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    code.map(FailureCode::as_str).serialize(serializer)
}

/// Reads a code as [`as_text`] writes it.
pub(crate) fn from_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<FailureCode>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let mut known = FailureCode::ALL.iter();
    let code = known.find(|code| code.as_str() == text);
    let unknown = || D::Error::custom(format!("the failure code {text:?} is not known here"));
    code.map(|code| Some(*code)).ok_or_else(unknown)
}

/// A page of domains.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Domains {
    /// The domains, in the order of the filter.
    pub items: Vec<Domain>,
    /// The value of `after` for the next page; `null` at the end.
    pub next: Option<String>,
}

/// The renewal of a served certificate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// The end of the served certificate.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Timestamp,
    /// When it begins; absent if it is under way.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub renew_at: Option<Timestamp>,
    /// Until when a freeze delays renewals that can wait; absent if none delays this one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub frozen_until: Option<Timestamp>,
    /// The window that the CA suggests (RFC 9773); absent if it suggests none.
    #[schema(value_type = Option<Object>)]
    pub window: Option<SuggestedWindow>,
    /// The CA's explanation of the window; absent if it gives none.
    pub explanation_url: Option<String>,
    /// When the CA is polled for it next; absent without a poll.
    #[serde(rename = "askAt")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub poll_at: Option<Timestamp>,
}

/// A domain with all that is known of it, as `dps domains show --json` prints it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainDetail {
    /// The domain.
    #[serde(flatten)]
    pub domain: Domain,
    /// The CAA record that lets our account alone issue; absent before the account is registered.
    pub safest_caa_record: Option<String>,
    /// The certificates that edges presented for it.
    pub edges: Vec<EdgeDeployment>,
    /// Other domains with the same hostname.
    pub other_claims: Vec<Claim>,
    /// The newest lines of its history, the newest last.
    pub events: Vec<HistoryLine>,
}

/// A certificate that an edge presented.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EdgeDeployment {
    /// The edge.
    pub edge: String,
    /// Whether the edge is still in the settings.
    pub is_configured: bool,
    /// Whether the certificate is the one that the domain serves.
    pub is_current: bool,
    /// The certificate.
    #[schema(value_type = String, format = Uuid)]
    pub certificate_id: CertificateId,
    /// A number that is higher for each newer certificate of the hostname.
    pub generation: u64,
    /// Since when the edge has presented it.
    #[schema(value_type = String, format = DateTime)]
    pub deployed_at: Timestamp,
}

/// Another domain with the same hostname.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The Cabinet's identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: DomainId,
    /// Its tenant.
    pub tenant_id: String,
    /// The status that the Cabinet gets.
    #[schema(value_type = String, example = "Active")]
    pub status: Status,
    /// The tenant's ownership of the hostname, in words.
    pub ownership: String,
}

/// A line of a domain's history.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryLine {
    /// The time of the event, in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The kind of event.
    #[schema(value_type = String, example = "dns.confirmed")]
    pub kind: EventKind,
    /// The phase after it.
    pub phase: String,
    /// The evidence.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// Duration of the step in milliseconds; absent if nothing was measured.
    pub duration_ms: Option<u64>,
    /// The process that acted.
    pub replica: String,
}
