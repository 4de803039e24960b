//! Jobs: one action on many domains.

use std::collections::BTreeMap;

use dps_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The domains of a job: those to which every part applies, all without any.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct JobFilter {
    /// Only this hostname.
    pub name: Option<String>,
    /// Only hostnames that begin with this.
    pub prefix: Option<String>,
    /// Only this domain and hostnames below it.
    pub suffix: Option<String>,
    /// Only hostnames that contain this.
    pub containing: Option<String>,
    /// Only domains of this tenant.
    pub tenant: Option<String>,
    /// Only domains in this status.
    #[schema(example = "Failed")]
    pub status: Option<String>,
    /// Only domains whose last failure has this code.
    #[schema(example = "CAA_FORBIDS")]
    pub code: Option<String>,
    /// Only domains for which this party must act.
    #[schema(example = "customer")]
    pub actor: Option<String>,
    /// Only domains whose certificate ends within this time.
    #[schema(example = "7d")]
    pub expires_within: Option<String>,
    /// Only domains whose certificate this edge presents.
    pub edge: Option<String>,
    /// Only domains whose certificate this edge should present and does not yet.
    pub edge_pending: Option<String>,
}

/// The request for a preview or a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobRequest {
    /// The action on each domain: `retry`, `renew`, `recheck`, `revoke`, `pause` or `resume`.
    /// `revoke` needs the role admin.
    #[schema(example = "retry")]
    pub action: String,
    /// Of `revoke`: the reason for the CA, `key-compromise`, `superseded`,
    /// `cessation-of-operation` or `unspecified`.
    #[serde(default)]
    #[schema(example = "superseded")]
    pub revocation_reason: Option<String>,
    /// The domains. An empty object stands for all.
    pub filter: JobFilter,
    /// Domains in an hour at most; absent without a bound.
    #[serde(default)]
    pub pace_per_hour: Option<u32>,
    /// Domains at most; absent without a bound.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Why, in one line of at most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
    /// Of a job: `domains` of its preview. No more than that are visited.
    #[serde(default)]
    pub confirm: Option<u64>,
}

/// The effect that a job would have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobPreview {
    /// The action on each domain.
    pub action: String,
    /// The filter in words.
    #[schema(example = "status=Failed code=CAA_FORBIDS")]
    pub filter: String,
    /// The domains of the filter by status, without `limit`.
    pub statuses: BTreeMap<String, u64>,
    /// The domains that it visits.
    pub domains: u64,
    /// Hostnames of the first ten.
    pub sample: Vec<String>,
    /// Serials of the certificates that a job to revoke would revoke, by the hostnames of `sample`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub certificates: BTreeMap<String, String>,
    /// Seconds that it takes at least: by its pace and, for renewals, by the CA's limit of orders.
    pub takes_seconds: u64,
}

/// A job, as `dps jobs show --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its identifier.
    #[schema(format = Uuid)]
    pub id: String,
    /// The action on each domain.
    #[schema(example = "retry")]
    pub action: String,
    /// The filter in words.
    #[schema(example = "status=Failed code=CAA_FORBIDS")]
    pub filter: String,
    /// `running`, `done` or `cancelled`.
    #[schema(example = "running")]
    pub state: String,
    /// The operator.
    #[schema(example = "admin:oleg")]
    pub who: String,
    /// The reason that was given, if any.
    pub reason: Option<String>,
    /// Domains in an hour at most; absent without a bound.
    pub pace_per_hour: Option<u32>,
    /// Domains at most; absent without a bound.
    pub limit: Option<u64>,
    /// The domains of the filter when it began.
    pub expected: u64,
    /// Domains on which it acted.
    pub acted: u64,
    /// Domains whose state does not allow the action.
    pub refused: u64,
    /// When it began, in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the next batch is due; absent once it has ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// When it ended; absent before.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// A page of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jobs {
    /// The jobs, the newest first.
    pub items: Vec<Job>,
    /// The value of `before` for the next page; `null` at the end.
    pub next: Option<String>,
}
