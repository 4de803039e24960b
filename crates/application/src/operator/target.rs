//! The domain that a request means.

use std::fmt;

use dps_domain::record::RecordVersion;
use dps_domain::{DomainId, Hostname, Phase};

use super::OperatorError;
use crate::ports::CertificateStore;
use crate::ports::store::{Claimants, DomainRecord, StoreError};

/// Claims of a hostname that are read.
const MAX_CLAIMS: u32 = 20;

/// The domain of a request, and the state for which the request is meant.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The name.
    pub hostname: &'a Hostname,
    /// Which of several claims of the name is meant.
    pub claim: WhichClaim<'a>,
    /// The versions of the record that are expected; `None` for any state.
    pub expected: Option<&'a [RecordVersion]>,
}

/// Which of several claims of a hostname is meant.
#[derive(Debug, Clone, Copy, Default)]
pub struct WhichClaim<'a> {
    /// The domain's identifier; any if absent.
    pub id: Option<DomainId>,
    /// The domain's tenant; any if absent.
    pub tenant: Option<&'a str>,
}

impl<'a> From<&'a Hostname> for Target<'a> {
    fn from(hostname: &'a Hostname) -> Self {
        Self {
            hostname,
            claim: WhichClaim::default(),
            expected: None,
        }
    }
}

impl Target<'_> {
    /// Refuses a record that is not as the request expects it.
    pub fn check(&self, record: &DomainRecord) -> Result<(), OperatorError> {
        let is_expected = |versions: &[RecordVersion]| versions.contains(&record.version());
        if self.expected.is_none_or(is_expected) {
            Ok(())
        } else {
            Err(OperatorError::Changed(self.hostname.clone()))
        }
    }

    /// The claims that are meant, the firmest first.
    pub async fn all(&self, store: &dyn CertificateStore) -> Result<Vec<DomainRecord>, StoreError> {
        let WhichClaim { id, tenant } = self.claim;
        if let Some(id) = id {
            let is_meant = |record: &DomainRecord| {
                record.hostname == *self.hostname
                    && tenant.is_none_or(|tenant| record.tenant_id == tenant)
            };
            let record = store.domain(id).await?.filter(is_meant);
            return Ok(Vec::from_iter(record));
        }
        let whose = tenant.map_or(Claimants::All, Claimants::Tenant);
        let found = store.domains_by_hostname(self.hostname, whose, MAX_CLAIMS);
        found.await
    }

    /// The one claim that is meant. If several are, the error lists them.
    pub(super) async fn one(
        &self,
        store: &dyn CertificateStore,
    ) -> Result<DomainRecord, OperatorError> {
        let mut found = self.all(store).await?;
        // Without one that goes on, the firmest of those that ended.
        let is_open = |record: &DomainRecord| {
            !record.id.is_take_down() && !matches!(record.phase, Phase::Leaving | Phase::Gone)
        };
        if found.iter().any(is_open) {
            found.retain(is_open);
            if found.len() > 1 {
                return Err(OperatorError::SeveralClaims {
                    hostname: self.hostname.clone(),
                    claims: Claims(found),
                });
            }
        }
        let mut found = found.into_iter();
        found.next().ok_or_else(|| self.unknown())
    }

    fn unknown(&self) -> OperatorError {
        let hostname = self.hostname.clone();
        if self.claim.id.is_some() || self.claim.tenant.is_some() {
            OperatorError::NoSuchClaim(hostname)
        } else {
            OperatorError::Unknown(hostname)
        }
    }
}

/// The claims of a hostname, as an error lists them.
#[derive(Debug)]
pub struct Claims(Vec<DomainRecord>);

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, record) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let (id, tenant, status) = (record.id, &record.tenant_id, record.phase.status());
            write!(f, "{separator}{id} of tenant {tenant:?} ({status})")?;
        }
        Ok(())
    }
}
