//! The certificates that were issued.

use async_trait::async_trait;
use dps_domain::{CertificateId, DomainId, Hostname, LeaseToken, OrderId, Timestamp};

use super::error::StoreError;
use crate::ports::pki::CertificateDetails;
use crate::ports::vault::SealedSecret;

/// A certificate to be stored.
#[derive(Debug, Clone)]
pub struct NewCertificate {
    /// Our identifier, under which the key is sealed.
    pub id: CertificateId,
    /// Whose it is.
    pub domain_id: DomainId,
    /// The order that gave it.
    pub order_id: OrderId,
    /// The name it is for.
    pub hostname: Hostname,
    /// Its parsed data.
    pub details: CertificateDetails,
    /// Its key.
    pub key: SealedSecret,
    /// When it is stored.
    pub created_at: Timestamp,
}

/// A stored certificate.
#[derive(Debug, Clone)]
pub struct StoredCertificate {
    /// The stored certificate.
    pub certificate: NewCertificate,
    /// Orders the certificates of one hostname, over all time: greater than that of any earlier
    /// one, whatever the clock did.
    pub generation: u64,
}

/// A certificate that is served for a domain which points at us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// The domain that it is served for.
    pub domain_id: DomainId,
    /// Whether the domain's last failure is one that its customer must mend.
    pub waits_for_customer: bool,
    /// Whether its renewal waits for the end of a pause of issuance.
    pub is_paused: bool,
    /// The beginning and the end of its validity.
    pub validity: (Timestamp, Timestamp),
    /// When the CA last answered a poll for its renewal information with a window.
    pub renewal_info_at: Option<Timestamp>,
    /// Time of the next poll; `None` if the CA is not polled for it.
    pub poll_at: Option<Timestamp>,
    /// Consecutive failed polls.
    pub failed_polls: u32,
    /// When its renewal begins; `None` while that is under way.
    pub renew_at: Option<Timestamp>,
    /// When the domain was taken in.
    pub taken_in_at: Timestamp,
    /// Since when the domain is served.
    pub served_since: Timestamp,
    /// Whether it is the oldest known certificate of the domain.
    pub is_first: bool,
}

/// The certificates that were issued.
#[async_trait]
pub trait IssuedStore: Send + Sync {
    /// Stores a certificate, once per order: a second time answers the first. Closes the order and
    /// erases its key, which the certificate has from now on.
    async fn certificate_insert(
        &self,
        certificate: &NewCertificate,
    ) -> Result<StoredCertificate, StoreError>;

    /// One certificate. Its key is empty once it was erased.
    async fn certificate(&self, id: CertificateId)
    -> Result<Option<StoredCertificate>, StoreError>;

    /// Up to `limit` certificates of a domain that are valid after `now`, the newest first.
    async fn certificates_valid(
        &self,
        domain: DomainId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<StoredCertificate>, StoreError>;

    /// The newest generation among the certificates of a domain that the caller holds, for the name
    /// that it has; `None` without any. Of a [take-down](DomainId::take_down), the newest of the
    /// name. `LeaseLost` if the token is stale.
    async fn generation_held(
        &self,
        domain: DomainId,
        token: LeaseToken,
    ) -> Result<Option<u64>, StoreError>;

    /// The certificate an order gave.
    async fn certificate_of_order(
        &self,
        order: OrderId,
    ) -> Result<Option<StoredCertificate>, StoreError>;

    /// The directories that the certificates which live domains serve come from.
    async fn live_directories(&self) -> Result<Vec<String>, StoreError>;

    /// Up to `limit` certificates of domains that point at us and are served, in the order of their
    /// ids, after the given one. Rows that cannot be read are left out, so only an empty page is
    /// the end.
    async fn served(&self, after: Option<DomainId>, limit: u32) -> Result<Vec<Served>, StoreError>;

    /// The soonest end of validity among the certificates that domains which point at us serve.
    async fn soonest_expiry(&self) -> Result<Option<Timestamp>, StoreError>;
}
