//! The faults that end a step.

use dps_domain::limits::LimitKind;
use dps_domain::{Failure, Timestamp, with_causes};

use crate::ca::account::AccountError;
use crate::ca::directory::DirectoryError;
use crate::ports::ca::CaError;
use crate::ports::pki::PkiError;
use crate::ports::store::StoreError;
use crate::ports::vault::VaultError;

/// Why a step could not go on: none of it is the customer's fault unless the CA says so.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the limit {kind} is used up until {until}")]
    Limited { until: Timestamp, kind: LimitKind },
    /// The account cannot be had for a reason that another step met a moment ago.
    #[error("the CA account cannot be registered before {until}")]
    AccountBlocked { failure: Failure, until: Timestamp },
    /// Another step is registering the account.
    #[error("the CA account is being registered")]
    AccountPending { until: Timestamp },
    #[error("{0}")]
    Inconsistent(String),
    #[error("{0}")]
    Rejected(String),
}

impl From<AccountError> for Fault {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Ca(error) => Self::Ca(error),
            AccountError::Limited { until } => Self::Limited {
                until,
                kind: LimitKind::NewAccounts,
            },
            AccountError::Blocked { failure, until } => Self::AccountBlocked {
                failure: *failure,
                until,
            },
            AccountError::Pending { until } => Self::AccountPending { until },
            AccountError::Store(error) => Self::Store(error),
            AccountError::Vault(error) => Self::Vault(error),
        }
    }
}

impl From<DirectoryError> for Fault {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Store(error) => Self::Store(error),
            other => Self::Inconsistent(other.to_string()),
        }
    }
}

impl From<PkiError> for Fault {
    fn from(error: PkiError) -> Self {
        Self::Inconsistent(error.to_string())
    }
}

impl Fault {
    /// Returns the fault as an internal failure of the service.
    pub(super) fn into_failure(self) -> Failure {
        Failure::Internal {
            detail: with_causes(&self),
        }
    }
}
