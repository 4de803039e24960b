//! The system: processes, database, tasks and keys.

use std::borrow::Cow;

use dps_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Freeze;

/// The system, as the answering replica sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct System {
    /// The time of the document.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The name of the answering replica.
    pub replica: String,
    /// The version of its program.
    pub version: Cow<'static, str>,
    /// Its readiness.
    pub readiness: Readiness,
    /// The replicas that gave a sign of life within a day, by name; 1000 at most.
    pub replicas: Vec<ReplicaState>,
    /// The database.
    pub database: Database,
    /// The freeze of renewals in force, by the settings of the answering replica; `null` without
    /// one.
    pub freeze: Option<Freeze>,
    /// The periodic tasks, by name; 1000 at most.
    pub tasks: Vec<Task>,
    /// The domains of each lane.
    pub queues: Vec<Queue>,
    /// Reports that wait for the Cabinet, counted up to 10,000.
    pub reports: u32,
    /// The key-encryption keys, the current one first.
    pub keys: Vec<Key>,
    /// Private keys that need an older key-encryption key, as this replica counted them last;
    /// `null` before that.
    pub secrets_under_old_keys: Option<u64>,
}

/// The readiness of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// `ready`, `notReady`, `starting` or `draining`.
    #[schema(example = "ready")]
    pub status: String,
    /// The checks.
    pub checks: Vec<ReadinessCheck>,
}

/// A check of readiness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessCheck {
    /// The party that is checked.
    #[schema(example = "store")]
    pub name: String,
    /// Whether it answers as it should.
    pub is_ok: bool,
    /// Whether the replica is not ready without it.
    pub is_required: bool,
    /// The problem; `null` without one.
    pub detail: Option<String>,
}

/// A process that works on the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaState {
    /// Its name, as in the histories of domains.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// Its parts: `workers`, and `admin` if it serves the admin API.
    pub roles: Vec<String>,
    /// Whether its last sign of life is recent.
    pub is_alive: bool,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// Its last sign of life.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// `SQLite` or `PostgreSQL`.
    #[schema(example = "PostgreSQL")]
    pub kind: Cow<'static, str>,
    /// The newest migration that was applied.
    pub migration: i64,
}

/// A periodic task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its name.
    #[schema(example = "store.prune")]
    pub name: String,
    /// Whether a replica works at it.
    pub is_running: bool,
    /// When it is due; `null` while it runs and is not due again.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
    /// When it last ran; `null` if that is not known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ran_at: Option<Timestamp>,
}

/// The domains of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// The lane.
    #[schema(example = "verification")]
    pub lane: Cow<'static, str>,
    /// Its domains, due or not, counted up to 10,000.
    pub domains: u32,
    /// When the next one is due; `null` if there is none.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_due_at: Option<Timestamp>,
}

/// A key-encryption key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// Its identifier.
    pub id: String,
    /// Whether new private keys are encrypted with it.
    pub is_current: bool,
}
