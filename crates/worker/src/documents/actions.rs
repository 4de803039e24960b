//! The documents about actions on a domain, and about the account.

use dps_admin_api::{AccountLimit, Acted, CaAccount, RevocationPreview};
use dps_application::ports::CertificateStore;
use dps_application::ports::store::StoreError;
use dps_domain::Timestamp;
use dps_domain::record::DomainRecord;
use dps_domain::record::operator::Revocable;
use dps_domain::revocation::RevocationReason;

use super::limits;
use crate::config::LetsEncrypt;

/// The domain after an action.
pub fn acted(record: &DomainRecord) -> Acted {
    Acted {
        hostname: record.hostname.to_string(),
        status: record.phase.status(),
        phase: record.phase.name().to_owned(),
        next_attempt_at: record.next_attempt_at,
    }
}

/// The certificate that a revocation is about.
pub fn revocation(
    (record, certificate): &(DomainRecord, Revocable),
    for_ca: RevocationReason,
) -> RevocationPreview {
    RevocationPreview {
        hostname: record.hostname.to_string(),
        serial: certificate.serial.clone(),
        not_after: certificate.not_after,
        revocation_reason: for_ca.as_str().to_owned(),
        served: record.phase.serving() == Some(certificate.id),
        acted: false,
    }
}

/// The account at the configured CA, whose names in CAA records are given.
pub async fn account(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
    caa_identities: Vec<String>,
) -> Result<CaAccount, StoreError> {
    let stored = store.account(ca.directory_url.as_str()).await?;
    let (created_at, url) = match stored {
        Some(account) => (Some(account.created_at), account.url),
        None => (None, None),
    };
    let headrooms = limits::of_account(store, ca, now).await?;
    let limits = headrooms.into_iter().map(|headroom| {
        let limit = limits::wire(headroom.state);
        AccountLimit {
            limit: limit.limit,
            capacity: headroom.capacity,
            left: limit.left,
            next_at: limit.next_at,
            blocked_until: limit.blocked_until,
        }
    });
    Ok(CaAccount {
        directory_url: ca.directory_url.to_string(),
        url,
        created_at,
        caa_identities,
        terms_of_service_agreed: ca.terms_of_service_agreed,
        limits: limits.collect(),
    })
}
