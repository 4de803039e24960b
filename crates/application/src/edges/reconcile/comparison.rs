//! One comparison: reads the desired certificates and the edge's inventory side by side and deploys
//! missing certificates.

use std::time::Duration;

use dps_domain::inventory::{Difference, Entry, InventoryDigest, differences};
use dps_domain::{Hostname, with_causes};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::held::Held;
use crate::edges::deployment::deploy_request;
use crate::ports::Edge;
use crate::ports::edge::{EdgeDisposition, EdgeError};
use crate::ports::fleet::Comparison;
use crate::ports::store::{Deployed, Desired, PeriodicTaskLease, StoreError};
use crate::service::Service;

/// The lease of a comparison, extended at every page.
pub(super) const LEASE: Duration = Duration::from_secs(120);
/// Desired certificates of one page.
const PAGE: u32 = 500;
/// Certificates of one batch: few enough not to delay single deployments.
const BATCH: u32 = 64;
/// The number of certificates sent after which progress is logged.
const LOG_INTERVAL: u64 = 1_000;

/// The cause that interrupted a comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The edge failed.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The store failed, or another replica has taken the comparison over.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The process ends.
    #[error("the process ends")]
    Stopped,
}

/// Compares an edge now; returns whether there was a difference as well.
pub(super) async fn compare_now(
    service: &Service,
    edge: &dyn Edge,
    lease: &PeriodicTaskLease,
    shutdown: &CancellationToken,
) -> Result<(Comparison, bool), CompareError> {
    let (digest, certificates) = desired_digest(service, lease, shutdown).await?;
    if edge.inventory(None, 1).await?.digest == digest.to_hex() {
        let comparison = Comparison {
            at: service.now(),
            certificates,
            refused: 0,
            unknown: 0,
        };
        return Ok((comparison, false));
    }
    let mut comparing = InventoryComparison {
        service,
        edge,
        lease,
        shutdown,
        held: Held::default(),
        certificates: 0,
        sent: 0,
        refused: 0,
        removed: 0,
        unknown: 0,
    };
    comparing.run().await?;
    let InventoryComparison {
        certificates,
        sent,
        refused,
        removed,
        unknown,
        ..
    } = comparing;
    tracing::info!(
        edge.name = edge.name(),
        certificates,
        sent,
        refused,
        removed,
        unknown,
        "edge.compared"
    );
    if unknown > 0 {
        tracing::warn!(
            edge.name = edge.name(),
            unknown,
            "edge.unknown_certificates_kept"
        );
    }
    let comparison = Comparison {
        at: service.now(),
        certificates,
        refused,
        unknown,
    };
    Ok((comparison, sent + removed > 0))
}

/// Returns the digest and the number of the desired certificates.
async fn desired_digest(
    service: &Service,
    lease: &PeriodicTaskLease,
    shutdown: &CancellationToken,
) -> Result<(InventoryDigest, u64), CompareError> {
    let mut digest = InventoryDigest::default();
    let mut count = 0;
    let mut after: Option<Hostname> = None;
    loop {
        let page = service
            .store
            .desired(after.as_ref(), service.now(), PAGE)
            .await?;
        for Desired { entry, .. } in &page {
            digest.toggle(&entry.hostname, &entry.fingerprint, entry.generation);
            count += 1;
        }
        after = page.last().map(|desired| desired.entry.hostname.clone());
        if after.is_none() {
            return Ok((digest, count));
        }
        extend_lease(service, lease, shutdown).await?;
    }
}

/// Extends the lease, unless the process ends or another replica has taken the task over.
async fn extend_lease(
    service: &Service,
    lease: &PeriodicTaskLease,
    shutdown: &CancellationToken,
) -> Result<(), CompareError> {
    if shutdown.is_cancelled() {
        return Err(CompareError::Stopped);
    }
    let until = service.now() + LEASE;
    service.store.periodic_extend(lease, "", until).await?;
    Ok(())
}

/// A comparison of both lists.
pub(super) struct InventoryComparison<'a> {
    pub(super) service: &'a Service,
    pub(super) edge: &'a dyn Edge,
    lease: &'a PeriodicTaskLease,
    shutdown: &'a CancellationToken,
    held: Held,
    certificates: u64,
    sent: u64,
    refused: u64,
    pub(super) removed: u64,
    pub(super) unknown: u64,
}

impl InventoryComparison<'_> {
    async fn run(&mut self) -> Result<(), CompareError> {
        let mut after: Option<Hostname> = None;
        loop {
            let store = &self.service.store;
            let desired = store
                .desired(after.as_ref(), self.service.now(), PAGE)
                .await?;
            after = desired.last().map(|desired| desired.entry.hostname.clone());
            self.certificates += u64::try_from(desired.len()).unwrap_or(u64::MAX);
            let entries: Vec<Entry> = desired
                .iter()
                .map(|desired| desired.entry.clone())
                .collect();
            let mut remaining = entries.as_slice();
            let mut lacking = Vec::new();
            while !self.held.is_done(after.as_ref()) || !remaining.is_empty() {
                let held = self.held.take(self.edge, after.as_ref()).await?;
                // Certificates after this page of the edge's are compared with its next page.
                let through = match held.last().filter(|_| !self.held.is_done(after.as_ref())) {
                    Some(last) => {
                        remaining.partition_point(|entry| entry.hostname <= last.hostname)
                    }
                    None => remaining.len(),
                };
                let (now, later) = remaining.split_at(through);
                remaining = later;
                for difference in differences(now, &held) {
                    match difference {
                        Difference::Lacks(entry) => {
                            let place = desired.binary_search_by(|desired| {
                                desired.entry.hostname.cmp(&entry.hostname)
                            });
                            lacking.extend(place.ok().map(|place| &desired[place]));
                        }
                        Difference::Extra(entry) => self.handle_extra(entry).await?,
                    }
                }
                self.extend_lease().await?;
            }
            let rate = self.service.policy.fleet.certificates_per_second.max(1);
            for batch in lacking.chunks(BATCH.min(rate) as usize) {
                self.send(batch, rate).await?;
            }
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn extend_lease(&self) -> Result<(), CompareError> {
        extend_lease(self.service, self.lease, self.shutdown).await
    }

    /// Sends the edge certificates that it lacks, and waits as long as they take at the given rate
    /// per second.
    async fn send(&mut self, batch: &[&Desired], rate: u32) -> Result<(), CompareError> {
        let size = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let ends = Instant::now() + Duration::from_secs(1) * size / rate;
        let (service, edge) = (self.service, self.edge);
        let (mut requests, mut deployed) = (Vec::new(), Vec::new());
        for desired in batch {
            let stored = match service.store.certificate(desired.certificate_id).await {
                Err(error @ StoreError::Corrupt { .. }) => {
                    self.refused += 1;
                    tracing::error!(domain.hostname = %desired.entry.hostname, edge.name = edge.name(), %error, "record.unreadable");
                    continue;
                }
                other => other?,
            };
            // Deleted meanwhile: a newer certificate has replaced it and was deployed.
            let Some(stored) = stored else { continue };
            match deploy_request(service, &stored) {
                Ok(request) => {
                    requests.push(request);
                    deployed.push(Deployed {
                        domain_id: desired.domain_id,
                        certificate_id: desired.certificate_id,
                        generation: stored.generation,
                    });
                }
                Err(error) => {
                    self.refused += 1;
                    tracing::error!(
                        domain.hostname = %desired.entry.hostname, edge.name = edge.name(),
                        error = %with_causes(&error), "certificate.key_unreadable"
                    );
                }
            }
        }
        let results = edge.deploy_batch(&requests).await;
        let (mut done, mut refused, mut broken) = (Vec::new(), 0, None);
        for (result, (request, deployed)) in results.into_iter().zip(requests.iter().zip(deployed))
        {
            match result {
                Ok(()) => done.push((&request.hostname, deployed)),
                Err(error) => match error.disposition() {
                    EdgeDisposition::Superseded => {}
                    EdgeDisposition::Unreachable | EdgeDisposition::Local => {
                        broken = broken.or(Some(error));
                    }
                    EdgeDisposition::Refused => {
                        refused += 1;
                        tracing::error!(
                            domain.hostname = %request.hostname, edge.name = edge.name(), %error, "edge.refused"
                        );
                    }
                },
            }
        }
        let rows: Vec<Deployed> = done.iter().map(|(_, deployed)| *deployed).collect();
        service
            .store
            .edge_store_deployed(edge.name(), &rows, service.now())
            .await?;
        for (hostname, deployed) in &done {
            self.take_back_if_removed(hostname, *deployed).await?;
        }
        service.metrics.edge_filled(rows.len(), refused);
        self.refused += u64::try_from(refused).unwrap_or(u64::MAX);
        self.log_progress(rows.len());
        if let Some(error) = broken {
            return Err(error.into());
        }
        self.extend_lease().await?;
        tokio::time::sleep_until(ends).await;
        Ok(())
    }

    fn log_progress(&mut self, sent: usize) {
        let before = self.sent / LOG_INTERVAL;
        self.sent += u64::try_from(sent).unwrap_or(u64::MAX);
        if self.sent / LOG_INTERVAL > before {
            tracing::info!(
                edge.name = self.edge.name(),
                sent = self.sent,
                "edge.comparison_progressed"
            );
        }
    }
}
