//! The record of operators' actions.

use dps_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An action of an operator, as `dps activity --json` prints one on each line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Its identifier; the page that begins after it is asked for by this.
    #[schema(format = Uuid)]
    pub id: String,
    /// When, in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The person or token that acted.
    #[schema(example = "admin:oleg")]
    pub who: String,
    /// The way by which it came: `cli` or `api`.
    #[schema(example = "api")]
    pub source: String,
    /// The role of the token; absent for the command line.
    #[schema(example = "Operator")]
    pub role: Option<String>,
    /// The kind of action.
    #[schema(example = "domain.retry")]
    pub action: String,
    /// The kind of its subject: `domain`, `tenant`, `filter`, `edge`, `limit` or `all`.
    #[schema(example = "domain")]
    pub scope: String,
    /// The name of the subject; absent for `all`.
    #[schema(example = "shop.example.com")]
    pub subject: Option<String>,
    /// The reason that was given, if any.
    pub reason: Option<String>,
    /// The state before it, if it is worth a word.
    pub before: Option<String>,
    /// The state after it, if it is worth a word.
    pub after: Option<String>,
    /// Domains or other things that it is about; absent if they were not counted.
    pub count: Option<u64>,
}

/// A page of actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activities {
    /// The actions, the newest first.
    pub items: Vec<Activity>,
    /// The value of `before` for the next page; `null` at the end.
    pub next: Option<String>,
}
