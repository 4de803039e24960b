//! The renewal information (RFC 9773) of served certificates in the CertificateStore, and the times
//! of the next polls.
//!
//! Each domain that is served has one poll, about the certificate that it serves. It is made with
//! the record, by [`RecordWrite::info`](super::store::RecordWrite::renewal_info), and goes when
//! nothing is served any more. A poll takes no lease: there are many polls, an answer seldom
//! changes anything, and one that is made twice does no harm.

use std::sync::Arc;

use async_trait::async_trait;
use dps_domain::renewal::info::RenewalInfo;
use dps_domain::{CertificateId, DomainId, Hostname, Phase, Timestamp};

use super::store::{RecordWrite, StoreError};

/// A poll about a served certificate, with the information so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalInfoPoll {
    /// The domain.
    pub domain_id: DomainId,
    /// Its name.
    pub hostname: Hostname,
    /// The certificate.
    pub certificate_id: CertificateId,
    /// The certificate's name at its CA (RFC 9773 §4.1), if it has one.
    pub ari_id: Option<Arc<str>>,
    /// The CA that issued it.
    pub directory_url: Arc<str>,
    /// From when until when it is valid.
    pub validity: (Timestamp, Timestamp),
    /// The information so far. Its `poll_at` is when the poll is due, which distinguishes one claim
    /// from the next.
    pub renewal_info: RenewalInfo,
}

/// The change of a domain's poll with the write of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollChange<'a> {
    /// It is about this certificate from now on, of which this is known.
    Put(CertificateId, &'a RenewalInfo),
    /// Nothing is served any more.
    Drop,
    /// It stays as it is.
    Keep,
}

impl<'a> PollChange<'a> {
    /// Returns the change of the poll that a write of the record brings.
    pub fn of(write: &'a RecordWrite) -> Self {
        let phase = &write.record().phase;
        match (phase.serving(), &write.renewal_info) {
            (Some(serving), Some(info)) => Self::Put(serving, info),
            _ if matches!(phase, Phase::Leaving) => Self::Drop,
            (_, _) => Self::Keep,
        }
    }
}

/// The part of the [`CertificateStore`](super::CertificateStore) that is about the CA's renewal
/// information.
#[async_trait]
pub trait RenewalInfoStore: Send + Sync {
    /// Claims up to `limit` polls that are due at `now`, the longest due first. A claim makes a
    /// poll due at `until` instead, so that no other replica has it before.
    async fn renewal_info_claim(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<RenewalInfoPoll>, StoreError>;

    /// When the next poll is due.
    async fn renewal_info_next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Records what is known after claimed polls were answered. Nothing is written of one whose
    /// claim ended, or that is about a certificate that is not served any more.
    async fn renewal_info_store(
        &self,
        answered: &[(RenewalInfoPoll, RenewalInfo)],
    ) -> Result<(), StoreError>;

    /// The poll about the certificate that a domain serves.
    async fn poll(&self, domain: DomainId) -> Result<Option<RenewalInfoPoll>, StoreError>;
}
