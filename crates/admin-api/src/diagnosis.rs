//! The checks of a domain that are made now.

use std::borrow::Cow;

use dps_domain::diagnosis::{CheckStatus, Severity};
use dps_domain::{DomainId, FailureCode, Hostname, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::{as_text, from_text};

/// The checks of a domain, made now, as `dps diagnose --json` prints it. Nothing is ordered and
/// nothing of the domain is written for it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// The hostname in A-labels.
    #[schema(value_type = String, example = "shop.example.com")]
    pub hostname: Hostname,
    /// The Cabinet's identifier; absent if the store did not answer.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub id: Option<DomainId>,
    /// When the checks began.
    #[schema(value_type = String, format = DateTime)]
    pub diagnosed_at: Timestamp,
    /// Time for all checks, in milliseconds.
    pub took_ms: u64,
    /// The checks. The first that is not `ok` is the one to act on.
    pub rows: Vec<DiagnosisRow>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosisRow {
    /// The check; with `subject`, each row has its own.
    #[schema(value_type = String, example = "dns")]
    pub id: Cow<'static, str>,
    /// The edge that the check is about; absent for a check of the domain.
    pub subject: Option<String>,
    /// `ok`, `failed`, `unfinished` if time was up, or `skipped` if another check must pass first.
    #[schema(value_type = String, example = "failed")]
    pub status: CheckStatus,
    /// `error` if it prevents a certificate or its delivery, `warning` if it may, else `info`.
    #[schema(value_type = String, example = "error")]
    pub severity: Severity,
    /// The code of the failure; absent without one.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    #[schema(value_type = Option<String>, example = "DNS_WRONG_TARGET")]
    pub code: Option<FailureCode>,
    /// The result in words. With a code, the sentence that the customer reads about it.
    pub message: String,
    /// The observations.
    #[schema(value_type = Object)]
    pub details: Value,
    /// Time for the check, in milliseconds.
    pub took_ms: u64,
    /// The operator's remedy; absent if nothing is to be done.
    pub remedy: Option<String>,
}
