//! The document about the system.

use std::time::Duration;

use dps_admin_api::{Database, Key, Queue, Readiness, ReplicaState, System, Task};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::StoreError;
use dps_domain::Timestamp;
use dps_domain::lane::Lane;
use dps_domain::renewal::freeze::FreezeWindow;

use super::explanation;

/// Replicas and tasks of a document at most.
const MOST: u32 = 1_000;
/// Longer queues are counted as this long.
const MOST_COUNTED: u32 = 10_000;
/// Time after which a replica without a sign of life counts as gone. One comes every minute.
const ALIVE_WITHIN: Duration = Duration::from_secs(3 * 60);

/// The parts of the document that this process knows by itself.
#[derive(Debug)]
pub struct SystemParts<'a> {
    /// The name of the process.
    pub replica: &'a str,
    /// Its readiness.
    pub readiness: Readiness,
    /// The key-encryption keys, the current one first.
    pub key_ids: &'a [String],
    /// The freeze of renewals in force.
    pub freeze: Option<&'a FreezeWindow>,
    /// Private keys under older ones, as last counted.
    pub secrets_under_old_keys: Option<u64>,
}

/// The system.
pub async fn system(
    store: &dyn CertificateStore,
    now: Timestamp,
    parts: SystemParts<'_>,
) -> Result<System, StoreError> {
    let tasks = store.periodic_tasks(MOST).await?.into_iter();
    let tasks = tasks.map(|task| Task {
        is_running: task.leased_until.is_some_and(|until| until > now),
        name: task.name,
        due_at: task.due_at,
        ran_at: task.ran_at,
    });
    let database = store.database_state().await?;
    let keys = parts.key_ids.iter().enumerate();
    Ok(System {
        at: now,
        replica: parts.replica.to_owned(),
        version: env!("CARGO_PKG_VERSION").into(),
        readiness: parts.readiness,
        replicas: replicas(store, now).await?,
        database: Database {
            kind: database.kind.into(),
            migration: database.migration,
        },
        freeze: parts.freeze.map(explanation::freeze),
        tasks: tasks.collect(),
        queues: queues(store).await?,
        reports: store.outbox_count(MOST_COUNTED).await?,
        keys: keys
            .map(|(place, id)| Key {
                id: id.clone(),
                is_current: place == 0,
            })
            .collect(),
        secrets_under_old_keys: parts.secrets_under_old_keys,
    })
}

/// The replicas that gave a sign of life within a day.
pub async fn replicas(
    store: &dyn CertificateStore,
    now: Timestamp,
) -> Result<Vec<ReplicaState>, StoreError> {
    let replicas = store.replicas(MOST).await?.into_iter();
    let replicas = replicas.map(|replica| ReplicaState {
        is_alive: now.since(replica.seen_at) < ALIVE_WITHIN,
        name: replica.name,
        version: replica.version,
        roles: replica.roles,
        started_at: replica.started_at,
        seen_at: replica.seen_at,
    });
    Ok(replicas.collect())
}

/// The domains of every lane.
pub async fn queues(store: &dyn CertificateStore) -> Result<Vec<Queue>, StoreError> {
    let mut queues = Vec::new();
    for lane in Lane::ALL {
        queues.push(queue(store, lane).await?);
    }
    Ok(queues)
}

/// The domains of a lane.
pub async fn queue(store: &dyn CertificateStore, lane: Lane) -> Result<Queue, StoreError> {
    Ok(Queue {
        lane: lane.as_str().into(),
        domains: store.waiting(lane, MOST_COUNTED).await?,
        next_due_at: store.next_due(lane).await?,
    })
}
