//! Where a certificate is served and presented.

use std::collections::BTreeSet;

use dps_domain::revocation::PresentedBy;

use crate::edges::partition::one_is_unreachable;
use crate::ports::store::{Claimants, DomainRecord, StoreError, StoredCertificate};
use crate::service::Service;

/// Records of one hostname that are read at most.
const MAX_RECORDS: u32 = 64;

/// Where a certificate is served and presented.
pub(crate) struct Presented {
    /// The record that serves it.
    pub(crate) served_for: Option<DomainRecord>,
    /// The edges that presented it last.
    edges: BTreeSet<String>,
    one_is_unreachable: bool,
}

impl Presented {
    /// Reads where the certificate is served and presented.
    pub(crate) async fn read(
        service: &Service,
        stored: &StoredCertificate,
    ) -> Result<Self, StoreError> {
        let (store, certificate) = (&service.store, &stored.certificate);
        let deployments = store.deployments(certificate.domain_id).await?;
        let is_it = deployments
            .into_iter()
            .filter(|seen| seen.certificate_id == certificate.id);
        let mut edges: BTreeSet<String> = is_it.map(|seen| seen.edge).collect();
        let records = store.domains_by_hostname(&certificate.hostname, Claimants::All, MAX_RECORDS);
        let records = records.await?;
        // If another record of the name is served, a removal does not undeploy. The edges then
        // present a newer certificate.
        let others = records
            .iter()
            .filter(|record| record.id != certificate.domain_id);
        for other in others {
            if edges.is_empty() {
                break;
            }
            for seen in store.deployments(other.id).await? {
                if seen.generation > stored.generation {
                    edges.remove(&seen.edge);
                }
            }
        }
        let mut records = records.into_iter();
        Ok(Self {
            served_for: records.find(|record| record.phase.serving() == Some(certificate.id)),
            edges,
            one_is_unreachable: one_is_unreachable(service).await?,
        })
    }

    /// Whether any edge may present it, also one that is unreachable.
    pub(crate) fn is_possible(&self) -> bool {
        !self.edges.is_empty() || self.one_is_unreachable
    }

    /// The edges that present it.
    pub(crate) async fn by(&self, service: &Service) -> Result<PresentedBy, StoreError> {
        if !self.is_possible() {
            return Ok(PresentedBy::Nobody);
        }
        let (now, grace) = (service.now(), service.policy.unreachable_grace);
        let known = service.store.edges().await?;
        let mut live = known
            .iter()
            .filter(|edge| edge.reachability.is_live(now, grace));
        Ok(if live.any(|edge| self.edges.contains(&edge.name)) {
            PresentedBy::LiveEdge
        } else {
            PresentedBy::UnreachableEdge
        })
    }
}
