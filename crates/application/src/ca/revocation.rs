//! Requests the revocation of a certificate from the CA.

use dps_domain::revocation::RevocationReason;
use dps_domain::{Timestamp, Until, with_causes};

use crate::ca::account::{AccountError, account};
use crate::ca::directory::{self, DirectoryError};
use crate::ports::ca::{CaDisposition, CaError};
use crate::ports::metrics::LocalParty;
use crate::ports::store::{StoreError, StoredCertificate};
use crate::service::Service;

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// The CA carried it out, now or earlier.
    Yes,
    /// The CA refused it.
    Refused(String),
    /// Nobody refused it, and it is to be repeated, at this time if one was named.
    Later(Option<Timestamp>),
}

/// Requests the revocation of one certificate of the CA in use.
pub(crate) async fn revoke(
    service: &Service,
    stored: &StoredCertificate,
    reason: RevocationReason,
) -> Result<Revoked, StoreError> {
    let store = service.store.as_ref();
    match directory::check(store, service.ca.directory_url()).await {
        Ok(()) => {}
        Err(DirectoryError::Store(error)) => return Err(error),
        Err(error) => {
            tracing::warn!(error = %with_causes(&error), "revocation.delayed");
            return Ok(Revoked::Later(None));
        }
    }
    let account = match account(service).await {
        Ok(account) => account,
        Err(AccountError::Ca(error)) => return Ok(answer(service, &error)),
        Err(AccountError::Store(error)) => return Err(error),
        Err(
            AccountError::Limited { until }
            | AccountError::Blocked { until, .. }
            | AccountError::Pending { until },
        ) => return Ok(Revoked::Later(Some(until))),
        Err(error @ AccountError::Vault(_)) => {
            tracing::warn!(error = %with_causes(&error), "revocation.delayed");
            return Ok(Revoked::Later(None));
        }
    };
    let chain_pem = &stored.certificate.details.chain_pem;
    match service.ca.revoke(&account, chain_pem, reason).await {
        Ok(()) => Ok(Revoked::Yes),
        Err(error) => Ok(answer(service, &error)),
    }
}

fn answer(service: &Service, error: &CaError) -> Revoked {
    match error.disposition() {
        CaDisposition::Local => {
            service.local_fault(LocalParty::Ca, error.detail());
            Revoked::Later(None)
        }
        CaDisposition::Paced { until } => Revoked::Later(Some(until.at())),
        CaDisposition::Unavailable { until } | CaDisposition::RateLimited { until } => {
            Revoked::Later(until.map(Until::at))
        }
        CaDisposition::NamePaused | CaDisposition::OrderLost(_) | CaDisposition::Refused(_) => {
            Revoked::Refused(error.to_string())
        }
    }
}
