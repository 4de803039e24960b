//! The reads of the store for each page of the dashboard, in their order.

use std::time::Duration;

use dps_application::operator::{fleet, pauses};
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet_view::{ListPage, ListRequest};
use dps_application::ports::store::{Claimants, StoreError};
use dps_application::{survey, workers};
use dps_domain::Timestamp;
use dps_domain::fleet::{DomainFilter, NameFilter};
use dps_domain::lane::Lane;
use dps_domain::limits::{BucketKey, Endpoint, LimitKind};

const PAGE: u32 = 50;
const DAY: Duration = Duration::from_secs(86_400);
/// Longer queues are counted as this long.
const MOST_COUNTED: u32 = 10_000;
/// Replicas, tasks and pauses that are read.
const MOST: u32 = 1_000;
/// The CA, whose limits are read.
const DIRECTORY: &str = "https://ca.example/directory";

/// The pages.
pub(crate) const ALL: [&str; 13] = [
    "overview", "domains", "domain", "causes", "renewals", "pauses", "limits", "edges", "tenants",
    "tenant", "jobs", "activity", "system",
];

/// Reads what a page reads. Returns the number of rows of its list.
pub(crate) async fn read(
    store: &dyn CertificateStore,
    now: Timestamp,
    page: &str,
) -> Result<usize, StoreError> {
    Ok(match page {
        "overview" => overview(store, now).await?,
        "domains" => list(store, now, &DomainFilter::default(), PAGE).await?,
        "domain" => domain(store, now).await?,
        "causes" => {
            kept(store, now, 2 * DAY).await?;
            0
        }
        "renewals" => renewals(store, now).await?,
        "pauses" => {
            workers::removals(store, now).await?;
            pauses::status(store, now).await?.pauses.len()
        }
        "limits" => {
            of_account(store).await?;
            store.ledger_buckets("", 500).await?.len()
        }
        "edges" => store.edges().await?.len(),
        "tenants" => store.fleet_tenants("", PAGE).await?.tenants.len(),
        "tenant" => tenant(store, now).await?,
        "jobs" => store.jobs(None, PAGE).await?.len(),
        "activity" => store.actions(None, PAGE).await?.len(),
        _ => system(store).await?,
    })
}

async fn overview(store: &dyn CertificateStore, now: Timestamp) -> Result<usize, StoreError> {
    kept(store, now, 7 * DAY).await?;
    store.edges().await?;
    of_account(store).await?;
    store.waiting(Lane::OrderQueue, MOST_COUNTED).await?;
    survey::kept(store).await?;
    store.pauses(None, 2).await?;
    queues(store).await?;
    Ok(store.replicas(MOST).await?.len())
}

async fn kept(
    store: &dyn CertificateStore,
    now: Timestamp,
    past: Duration,
) -> Result<(), StoreError> {
    store.fleet_counts_since(now - past).await?;
    store.fleet_counts().await?;
    ending(store, now, 7 * DAY).await
}

async fn ending(
    store: &dyn CertificateStore,
    now: Timestamp,
    within: Duration,
) -> Result<(), StoreError> {
    let filter = expiring(within);
    let request = ListRequest {
        filter: &filter,
        now,
        after: None,
    };
    store.fleet_count(&request, false).await.map(|_| ())
}

fn expiring(within: Duration) -> DomainFilter {
    DomainFilter {
        expires_within: Some(within),
        ..DomainFilter::default()
    }
}

/// A page of a list, with the polls and the evidence of each domain.
async fn list(
    store: &dyn CertificateStore,
    now: Timestamp,
    filter: &DomainFilter,
    limit: u32,
) -> Result<usize, StoreError> {
    let page: ListPage = fleet::list(store, filter, now, None, limit).await?;
    for listed in &page.domains {
        store.poll(listed.record.id).await?;
        if listed.record.last_failure.is_some() {
            store.events(listed.record.id, PAGE).await?;
        }
    }
    store.fleet_counts().await?;
    store.edges().await?;
    Ok(page.domains.len())
}

async fn domain(store: &dyn CertificateStore, now: Timestamp) -> Result<usize, StoreError> {
    let first = fleet::list(store, &DomainFilter::default(), now, None, 1).await?;
    let Some(first) = first.domains.first() else {
        return Ok(0);
    };
    let (id, hostname) = (first.record.id, &first.record.hostname);
    // The document and the explanation read the same.
    for _ in 0..2 {
        store
            .domains_by_hostname(hostname, Claimants::All, MOST)
            .await?;
        store.events(id, 100).await?;
        // The filled rows name no certificate that can be read.
        store.deployments(id).await.ok();
        store.poll(id).await?;
        store.edges().await?;
    }
    let filter = DomainFilter {
        name: Some(NameFilter::Exact(hostname.clone())),
        ..DomainFilter::default()
    };
    fleet::list(store, &filter, now, None, MOST).await?;
    Ok(1)
}

async fn renewals(store: &dyn CertificateStore, now: Timestamp) -> Result<usize, StoreError> {
    for days in [1, 3, 7] {
        ending(store, now, DAY * days).await?;
    }
    survey::kept(store).await?;
    queue(store, Lane::Urgent).await?;
    list(store, now, &expiring(30 * DAY), PAGE).await
}

async fn of_account(store: &dyn CertificateStore) -> Result<(), StoreError> {
    let requests = Endpoint::ALL.map(LimitKind::Requests);
    let kinds = [LimitKind::NewOrders, LimitKind::NewAccounts];
    for kind in kinds.into_iter().chain(requests) {
        let key = BucketKey::of_account(kind, DIRECTORY);
        store.ledger_bucket(&key).await?;
    }
    Ok(())
}

async fn tenant(store: &dyn CertificateStore, now: Timestamp) -> Result<usize, StoreError> {
    let filter = DomainFilter {
        tenant: Some("tenant-1".to_owned()),
        ..DomainFilter::default()
    };
    let request = ListRequest {
        filter: &filter,
        now,
        after: None,
    };
    store.fleet_count(&request, false).await?;
    let first = fleet::list(store, &filter, now, None, 1).await?;
    if let Some(first) = first.domains.first() {
        store.pauses_of(&first.record).await?;
    }
    let key = BucketKey::of_tenant(DIRECTORY, "tenant-1");
    store.ledger_bucket(&key).await?;
    list(store, now, &filter, 20).await
}

async fn queue(store: &dyn CertificateStore, lane: Lane) -> Result<(), StoreError> {
    store.waiting(lane, MOST_COUNTED).await?;
    store.next_due(lane).await?;
    Ok(())
}

async fn queues(store: &dyn CertificateStore) -> Result<(), StoreError> {
    for lane in Lane::ALL {
        queue(store, lane).await?;
    }
    Ok(())
}

async fn system(store: &dyn CertificateStore) -> Result<usize, StoreError> {
    let replicas = store.replicas(MOST).await?.len();
    store.periodic_tasks(MOST).await?;
    queues(store).await?;
    store.database_state().await?;
    store.outbox_count(MOST_COUNTED).await?;
    Ok(replicas)
}
