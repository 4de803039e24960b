//! One domain, alone and in lists.

use dps_domain::renewal::info::SuggestedWindow;
use dps_domain::{
    Actor, CertificateId, DomainId, EventKind, Failure, FailureCode, Hostname, Status, Timestamp,
};
use serde::Serialize;
use serde_json::Value;

/// A domain, as `dps domains list --json` prints one on each line.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Domain {
    /// The Cabinet's identifier.
    pub id: DomainId,
    /// Its tenant.
    pub tenant_id: String,
    /// The hostname in A-labels.
    pub hostname: Hostname,
    /// Where its CNAME must point.
    pub cname_target: Hostname,
    /// The status that the Cabinet gets.
    pub status: Status,
    /// When the status last changed; absent if that is not known.
    pub status_since: Option<Timestamp>,
    /// The phase, which is finer than the status.
    pub phase: &'static str,
    /// Attempts since the last progress.
    pub attempt: u32,
    /// The time of the next step; absent if it waits for a request.
    pub next_attempt_at: Option<Timestamp>,
    /// The tenant's ownership of the hostname, in words.
    pub ownership: String,
    /// The code of the last failure; absent without one.
    #[serde(serialize_with = "as_text")]
    pub code: Option<FailureCode>,
    /// The last failure with its details; absent without one.
    pub last_failure: Option<Failure>,
    /// The sentence about it that the customer reads; absent without one.
    pub message: Option<String>,
    /// Who must act; absent without a failure.
    pub actor: Option<Actor>,
    /// The renewal; absent while no certificate is served.
    pub renewal: Option<Renewal>,
    /// When the domain was taken in.
    pub created_at: Timestamp,
    /// When its record was last written.
    pub updated_at: Timestamp,
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde requires"
)]
fn as_text<S: serde::Serializer>(
    code: &Option<FailureCode>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    code.map(FailureCode::as_str).serialize(serializer)
}

/// The renewal of a served certificate.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// The end of the served certificate.
    pub not_after: Timestamp,
    /// When it begins; absent if it is under way.
    pub renew_at: Option<Timestamp>,
    /// The window that the CA suggests (RFC 9773); absent if it suggests none.
    pub window: Option<SuggestedWindow>,
    /// The CA's explanation of the window; absent if it gives none.
    pub explanation_url: Option<String>,
    /// When the CA is asked next; absent if it never is.
    #[serde(rename = "askAt")]
    pub poll_at: Option<Timestamp>,
}

/// A domain with all that is known of it, as `dps domains show --json` prints it.
#[derive(Debug, Clone, Serialize)]
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
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EdgeDeployment {
    /// The edge.
    pub edge: String,
    /// Whether the edge is still in the settings.
    pub is_configured: bool,
    /// The certificate.
    pub certificate_id: CertificateId,
    /// Orders the certificates of a hostname.
    pub generation: u64,
    /// Since when the edge has presented it.
    pub deployed_at: Timestamp,
}

/// Another domain with the same hostname.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The Cabinet's identifier.
    pub id: DomainId,
    /// Its tenant.
    pub tenant_id: String,
    /// The status that the Cabinet gets.
    pub status: Status,
    /// The tenant's ownership of the hostname, in words.
    pub ownership: String,
}

/// A line of a domain's history.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryLine {
    /// When.
    pub at: Timestamp,
    /// The kind of event.
    pub kind: EventKind,
    /// The phase after it.
    pub phase: String,
    /// The evidence.
    pub detail: Value,
    /// How long it took, in milliseconds; absent if nothing was timed.
    pub duration_ms: Option<u64>,
    /// The process that acted.
    pub replica: String,
}
