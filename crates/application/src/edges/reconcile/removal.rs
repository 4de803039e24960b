//! Certificates that an edge should not hold: those of removed domains and expired ones.

use dps_domain::inventory::Entry;
use dps_domain::{Hostname, Issuance, Phase};

use super::comparison::{CompareError, InventoryComparison};
use crate::ports::edge::{EdgeError, UndeployResult};
use crate::ports::store::{Claimants, Deployed, DomainRecord, StoreError};

impl InventoryComparison<'_> {
    /// Undeploys a certificate whose domain was removed during the batch: the removal may have
    /// reached the edge first.
    pub(super) async fn take_back_if_removed(
        &self,
        hostname: &Hostname,
        deployed: Deployed,
    ) -> Result<(), CompareError> {
        let store = &self.service.store;
        let record = match store.domain(deployed.domain_id).await {
            // The phase of an unreadable row is unknown; the certificate stays.
            Err(StoreError::Corrupt { .. }) => return Ok(()),
            other => other?,
        };
        if record.is_none_or(|record| is_removed(&record.phase))
            && self.undeploy(hostname, deployed.generation).await?
        {
            store
                .edge_forget_deployed(deployed.domain_id, self.edge.name())
                .await?;
        }
        Ok(())
    }

    /// Undeploys a certificate; returns whether it did. A refusal does not end the comparison.
    async fn undeploy(&self, hostname: &Hostname, generation: u64) -> Result<bool, EdgeError> {
        match self.edge.undeploy(hostname, Some(generation)).await {
            Ok(UndeployResult::Done) => Ok(true),
            // Deployed after the inventory was read.
            Ok(UndeployResult::NewerKept) => Ok(false),
            Err(error) if error.disposition().stops_all_calls() => Err(error),
            Err(error) => {
                tracing::error!(domain.hostname = %hostname, edge.name = self.edge.name(), %error, "edge.removal_refused");
                Ok(false)
            }
        }
    }

    /// Handles a certificate that is not desired. It is undeployed only if its domain was removed
    /// or it has expired. Otherwise it stays: a store that was restored from an old backup must not
    /// take customers' sites down.
    pub(super) async fn handle_extra(&mut self, entry: &Entry) -> Result<(), CompareError> {
        let store = &self.service.store;
        let records = store.domains_by_hostname(&entry.hostname, Claimants::All, MAX_RECORDS);
        let records = match records.await {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(domain.hostname = %entry.hostname, edge.name = self.edge.name(), %error, "record.unreadable");
                return Ok(());
            }
            other => other?,
        };
        let is_kept = records.iter().any(keeps_what_is_served);
        let mut removed = records.iter().filter(|record| is_removed(&record.phase));
        if let Some(record) = removed.next().filter(|_| !is_kept) {
            if self.undeploy(&entry.hostname, entry.generation).await? {
                let edge = self.edge.name();
                store.edge_forget_deployed(record.id, edge).await?;
                self.removed += 1;
            }
        } else if entry.not_after <= self.service.now() {
            self.removed += u64::from(self.undeploy(&entry.hostname, entry.generation).await?);
        } else if records.is_empty() {
            self.unknown += 1;
        }
        Ok(())
    }
}

/// Records of one hostname that are read.
const MAX_RECORDS: u32 = 64;

/// Whether a record is the reason to leave a certificate of its hostname at the edge. Its own first
/// one is being deployed, or it proved the name and soon takes the place of the certificate.
fn keeps_what_is_served(record: &DomainRecord) -> bool {
    match record.phase.issuance() {
        Some(Issuance::Deploying { .. }) => true,
        Some(_) => record.ownership.is_held(),
        None => false,
    }
}

const fn is_removed(phase: &Phase) -> bool {
    matches!(phase, Phase::Leaving | Phase::Gone)
}
