//! The periodic deletion of rows that are no longer needed.
//!
//! Deleting a removed domain does not disturb readers. Positions are never reused, and a list or
//! feed continues at the next greater one. A feed reader learns of a removal only while the row
//! exists, so rows are kept for much longer than a reader may lag. A reader that missed a
//! removal finds out when it compares its domains with the list.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::Ports;
use crate::rules::Quota;
use crate::store::{Prunable, Store, StoreError};

/// Time between two prunings. The first happens when the Cabinet starts.
const INTERVAL: Duration = Duration::from_secs(3600);
/// Rows that one statement deletes at most, so that calls of customers wait only briefly.
const BATCH: u32 = 500;
/// Longest duration of one statement.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Deletes removed domains and counted retries when their time is over.
pub(crate) struct Pruning {
    pub(crate) store: Arc<Store>,
    pub(crate) ports: Arc<Ports>,
    /// How long a removed domain is kept after its last report.
    pub(crate) removed_retention: Duration,
}

impl Pruning {
    /// Prunes until `stop` fires. An error is logged; the next pruning makes up for it.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let forever = Box::pin(async {
            loop {
                self.prune_and_log().await;
                tokio::time::sleep(INTERVAL).await;
            }
        });
        stop.run_until_cancelled(forever).await;
    }

    async fn prune_and_log(&self) {
        let now = self.ports.now();
        let kinds = [
            (Prunable::RemovedDomains, now - self.removed_retention),
            (Prunable::Retries, now - Quota::PERIOD),
        ];
        for (kind, before) in kinds {
            match self.prune(kind, before, BATCH).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(?kind, rows, "rows.pruned"),
                Err(error) => tracing::warn!(
                    ?kind,
                    error = &error as &dyn std::error::Error,
                    retry_in_seconds = INTERVAL.as_secs(),
                    "rows.prune_failed"
                ),
            }
        }
    }

    /// Deletes rows older than `before`, batch after batch; returns their number.
    async fn prune(
        &self,
        kind: Prunable,
        before: Timestamp,
        batch: u32,
    ) -> Result<u64, PruneError> {
        let mut rows = 0;
        loop {
            let deleted =
                tokio::time::timeout(BATCH_TIMEOUT, self.store.prune(kind, before, batch))
                    .await
                    .map_err(|_| PruneError::TimedOut)??;
            rows += deleted;
            // A process that prunes at the same time may hold the others: it deletes them.
            if deleted < u64::from(batch) {
                return Ok(rows);
            }
        }
    }
}

/// A pruning ended early.
#[derive(Debug, thiserror::Error)]
enum PruneError {
    #[error("the database did not answer within {} s", BATCH_TIMEOUT.as_secs())]
    TimedOut,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{NewClaim, Record};
    use crate::settings::Settings;
    use crate::store::{Change, Inserted, Update};
    use dps_cabinet_api::{CustomDomain, StatusReport};
    use dps_domain::{DomainId, Status};

    const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn domain(number: u8) -> CustomDomain {
        CustomDomain {
            id: DomainId::new(START, [number; 10]),
            tenant_id: "t".to_owned(),
            hostname: "shop.example.com".to_owned(),
            canonical_host: "shop.example.com".to_owned(),
            cname_target: "edge.platform.example".to_owned(),
            status: Status::PendingDns.to_string(),
            last_error_code: None,
            last_error_message: None,
            error_details: None,
            next_attempt_at: None,
            certificate_not_after: None,
            ownership_verification: None,
            version: 1,
            created_at: START,
            updated_at: START,
        }
    }

    async fn add_removed(store: &Store, number: u8) {
        let claim = NewClaim {
            domain: domain(number),
            template: None,
            is_exclusive: true,
            max_per_tenant: 0,
            creations: Quota::creations(0, START),
        };
        let added = store.insert(claim).await;
        let Ok(Inserted::New(record)) = added else {
            panic!("{added:?}")
        };
        let id = record.domain.id;
        let retry = Change::Retry(Quota::retries(1_000, START));
        let decide = |record: &Record| crate::rules::retry(record, START, Duration::ZERO);
        let retried = store.update(id, retry, Box::new(decide)).await.unwrap();
        assert!(matches!(retried, Update::Changed(_)), "{retried:?}");
        let decide = |record: &Record| Ok(crate::rules::remove(record, START));
        store
            .update(id, Change::Removal, Box::new(decide))
            .await
            .unwrap();
        let removed = StatusReport::of(Status::Removed);
        let decide = move |record: &Record| {
            crate::rules::report(record, record.domain.version, &removed, START)
        };
        store
            .update(id, Change::Report, Box::new(decide))
            .await
            .unwrap();
    }

    async fn rows_go_batch_by_batch_and_not_before_their_time(url: &str) {
        let settings = Settings {
            connection_string: url.into(),
            ..Settings::default()
        };
        let store = Store::open(settings.database().unwrap()).await.unwrap();
        let store = Arc::new(store);
        for number in 1..=5 {
            add_removed(&store, number).await;
        }
        let pruning = Pruning {
            store: Arc::clone(&store),
            ports: Arc::new(Ports::system()),
            removed_retention: Duration::ZERO,
        };
        let later = START + Duration::from_secs(1);
        for kind in [Prunable::RemovedDomains, Prunable::Retries] {
            assert_eq!(pruning.prune(kind, START, 2).await.unwrap(), 0, "{kind:?}");
            assert_eq!(store.prune(kind, later, 2).await.unwrap(), 2, "{kind:?}");
            assert_eq!(pruning.prune(kind, later, 2).await.unwrap(), 3, "{kind:?}");
        }
        assert_eq!(store.changes(0, 10).await.unwrap(), []);
        assert_eq!(store.last_position().await.unwrap(), 15);
        store.close().await;
    }

    #[tokio::test]
    async fn rows_go_batch_by_batch_and_not_before_their_time_on_sqlite() {
        rows_go_batch_by_batch_and_not_before_their_time("sqlite::memory:").await;
    }

    #[tokio::test]
    async fn rows_go_batch_by_batch_and_not_before_their_time_on_postgres() {
        let url = dps_lab::postgres::fresh_database()
            .await
            .expect("PostgreSQL must be installed for this test");
        rows_go_batch_by_batch_and_not_before_their_time(&url).await;
    }
}
