//! Certificates that an edge should not hold: those of removed domains and expired ones.

use dps_domain::inventory::Entry;
use dps_domain::{Hostname, Phase};

use super::comparison::{CompareError, InventoryComparison};
use crate::ports::edge::{EdgeError, UndeployResult};
use crate::ports::store::{Deployed, StoreError};

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
        let record = match store.domain_by_hostname(&entry.hostname).await {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(domain.hostname = %entry.hostname, edge.name = self.edge.name(), %error, "record.unreadable");
                return Ok(());
            }
            other => other?,
        };
        match record {
            Some(record) if is_removed(&record.phase) => {
                if self.undeploy(&entry.hostname, entry.generation).await? {
                    store
                        .edge_forget_deployed(record.id, self.edge.name())
                        .await?;
                    self.removed += 1;
                }
            }
            _ if entry.not_after <= self.service.now() => {
                self.removed += u64::from(self.undeploy(&entry.hostname, entry.generation).await?);
            }
            // Its first certificate is being deployed.
            Some(_) => {}
            None => self.unknown += 1,
        }
        Ok(())
    }
}

const fn is_removed(phase: &Phase) -> bool {
    matches!(phase, Phase::Leaving | Phase::Gone)
}
