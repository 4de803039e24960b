//! Where a domain stands, from what is stored.

use std::borrow::Cow;

use dps_domain::explain::{Responsible, SeenAt};
use dps_domain::{CertificateId, DomainId, FailureCode, Hostname, Status, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Freeze;
use crate::domain::{as_text, from_text};

/// Where a domain stands, as `dps explain --json` prints it. Nothing is queried for it: it says
/// what was observed, and when.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The hostname in A-labels.
    #[schema(value_type = String, example = "shop.example.com")]
    pub hostname: Hostname,
    /// The Cabinet's identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: DomainId,
    /// Its tenant.
    pub tenant_id: String,
    /// The time of the explanation.
    #[schema(value_type = String, format = DateTime)]
    pub explained_at: Timestamp,
    /// The status that the Cabinet gets.
    #[schema(value_type = String, example = "PendingDns")]
    pub status: Status,
    /// When the status last changed; absent if that is not known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub status_since: Option<Timestamp>,
    /// The phase, which is finer than the status.
    #[schema(value_type = String)]
    pub phase: Cow<'static, str>,
    /// Where it stands, in a few sentences for the operator.
    pub summary: String,
    /// Who must act: `customer`, `operator`, `ca`, or `nobody` if it goes on by itself.
    #[schema(value_type = String, example = "customer")]
    pub responsible: Responsible,
    /// The code of the last failure; absent without one.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    #[schema(value_type = Option<String>, example = "DNS_NXDOMAIN")]
    pub code: Option<FailureCode>,
    /// The sentence about it that the customer reads; absent without a failure.
    pub message: Option<String>,
    /// The operator's remedy; absent if there is nothing to mend.
    pub remedy: Option<String>,
    /// The next step of the service.
    pub next: NextStep,
    /// The freeze that delays its renewal; absent without one.
    pub freeze: Option<Freeze>,
    /// The observations behind it.
    pub evidence: Evidence,
    /// The limits of the CA that the next order of the domain counts against.
    pub limits: Vec<TouchedLimit>,
    /// The lease of a process that works on the domain now; absent without one.
    pub lease: Option<RunningLease>,
    /// The open order, and the order of the wanted certificate.
    pub orders: Vec<KnownOrder>,
    /// The certificate that every edge should present; absent without one.
    pub certificate: Option<WantedCertificate>,
    /// The certificate that each edge was last seen to present.
    pub edges: Vec<EdgeCertificate>,
}

/// The next step of the service for a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextStep {
    /// The step, as metrics name it.
    #[schema(value_type = String, example = "check_dns")]
    pub action: Cow<'static, str>,
    /// The step in words.
    pub summary: String,
    /// When it is due; absent if it waits for a request.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// Observations that the history of a domain holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// When the servers of `dns` answered; absent if there are none.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub dns_at: Option<Timestamp>,
    /// The answer of each DNS server.
    pub dns: Vec<DnsEvidence>,
    /// When the addresses of `probes` answered; absent if there are none.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub probes_at: Option<Timestamp>,
    /// The answer of each address to the HTTP probe.
    pub probes: Vec<ProbeEvidence>,
    /// When the CA said `ca_words`; absent if it said nothing.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ca_at: Option<Timestamp>,
    /// The words of the CA; absent if it said nothing.
    pub ca_words: Option<String>,
}

/// The answer of a DNS server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsEvidence {
    /// Its address.
    #[schema(example = "9.9.9.9:53")]
    pub server: String,
    /// `resolver`, or `authoritative` for a server of the zone.
    #[schema(value_type = String, example = "resolver")]
    pub kind: SeenAt,
    /// The CNAME targets in order.
    pub chain: Vec<String>,
    /// The addresses at the end of the chain, or the answer in words.
    #[schema(example = "does not exist")]
    pub answer: String,
}

/// The answer of an address to the HTTP probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeEvidence {
    /// The address.
    #[schema(example = "192.0.2.7")]
    pub address: String,
    /// Its answer in words.
    #[schema(example = "refused")]
    pub answer: String,
}

/// A limit of the CA that the next order counts against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TouchedLimit {
    /// The limit.
    #[schema(example = "RegisteredDomain")]
    pub limit: String,
    /// The registered domain, hostname or tenant; `null` for a limit of the account.
    pub name: Option<String>,
    /// Orders that are left; `null` for any number.
    pub left: Option<u32>,
    /// Until when no order can be placed; absent if one can be placed now.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// The lease of a process that works on a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunningLease {
    /// When it ends, unless its process extends it.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// The process that holds it; absent for a process of an earlier version.
    pub holder: Option<String>,
    /// The process that acted on the domain last; absent if no process did.
    pub last_replica: Option<String>,
}

/// An order at the CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnownOrder {
    /// Its URL.
    pub url: String,
    /// Whether it can still lead to a certificate.
    pub is_open: bool,
    /// When it was placed.
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: Timestamp,
}

/// The certificate that every edge should present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WantedCertificate {
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: CertificateId,
    /// SHA-256 of the leaf, 64 lower-case hex digits.
    pub fingerprint: String,
    /// The end of its validity.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Timestamp,
    /// When its renewal begins; absent if it is under way or none is planned.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub renew_at: Option<Timestamp>,
}

/// The certificate that an edge was last seen to present for a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EdgeCertificate {
    /// The edge.
    #[schema(example = "https://edge-1.internal:9403")]
    pub edge: String,
    /// The state of the edge, as `dps edges` prints it.
    #[schema(example = "answers")]
    pub state: String,
    /// SHA-256 of the leaf that it presented; absent if it was never seen to present one.
    pub presented: Option<String>,
    /// Since when it has presented it; absent without one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Whether that is the wanted certificate; true if none is wanted and none is presented.
    pub is_wanted: bool,
}
