//! Revocations of single certificates that operators requested.

use async_trait::async_trait;
use dps_domain::revocation::RequestedRevocation;
use dps_domain::{CertificateId, Timestamp};

use super::certificates::StoredCertificate;
use super::error::StoreError;

/// A requested revocation that one process works at.
#[derive(Debug, Clone)]
pub struct ClaimedRevocation {
    /// The certificate.
    pub stored: StoredCertificate,
    /// The request.
    pub revocation: RequestedRevocation,
    /// The end of the claim, which guards the write.
    pub claim: Timestamp,
}

/// The requested revocations. They are written with the record of their domain
/// ([`RecordWrite::revocation`](dps_domain::record::RecordWrite::revocation)).
#[async_trait]
pub trait RevocationStore: Send + Sync {
    /// The revocation that was requested of a certificate, also one that has ended.
    async fn revocation(
        &self,
        certificate: CertificateId,
    ) -> Result<Option<RequestedRevocation>, StoreError>;

    /// Claims the request that is due longest, until the given moment: it is due then.
    async fn revocation_claim(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedRevocation>, StoreError>;

    /// Makes a claimed request due at another time, if the claim has not ended.
    async fn revocation_put_off(
        &self,
        claimed: &ClaimedRevocation,
        until: Timestamp,
    ) -> Result<(), StoreError>;
}
