//! An operator's requests for one domain, beside the Cabinet.

pub mod diagnose;
pub mod edges;
pub mod explain;
pub mod fleet;
pub mod limits;
pub mod pauses;
pub mod size;

use std::time::Duration;

use dps_domain::pause::PauseScope;
use dps_domain::record::operator::{Refused, Requester};
use dps_domain::record::{self, DomainRecord, RecordVersion, RecordWrite};
use dps_domain::{Hostname, Timestamp};
use tokio::time::Instant;

use crate::ports::CertificateStore;
use crate::ports::store::StoreError;

/// The request cannot be granted.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No record holds the name.
    #[error("no domain {0} is known here; the Cabinet adds domains")]
    Unknown(Hostname),
    /// Only a live domain can be renewed or checked again.
    #[error("{hostname} is {phase}: only a live domain can be renewed or checked again")]
    NotLive {
        /// The name.
        hostname: Hostname,
        /// Where it stands.
        phase: &'static str,
    },
    /// No record is of the tenant.
    #[error("no domain of the tenant {0:?} is known here")]
    UnknownTenant(String),
    /// Nothing is paused there.
    #[error("{} is not paused; `dps issuance status` lists the pauses", named(.0))]
    NotPaused(PauseScope),
    /// Nothing is waiting that could be made due.
    #[error("{hostname} is {phase}: {remedy}")]
    NotWaiting {
        /// The name.
        hostname: Hostname,
        /// Where it stands.
        phase: &'static str,
        /// The remedy.
        remedy: &'static str,
    },
    /// The record is not as the request expects it.
    #[error("{0} was changed since it was read; read it again, and decide anew")]
    Changed(Hostname),
    /// The record was written by others all the time.
    #[error("{0} is being worked on; try again")]
    Contended(Hostname),
}

/// Writes of a record that others write at the same time, at most.
const TRIES: usize = 5;
/// Longest time in which one call acts on many records, one after the other.
const CALL_TIME: Duration = Duration::from_secs(15);

/// Begins a call that acts on many records; the result is true while it has time for another one.
pub fn in_time() -> impl Fn() -> bool + Sync {
    let began = Instant::now();
    move || began.elapsed() < CALL_TIME
}

/// The domain of a request, and the state for which the request is meant.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The name.
    pub hostname: &'a Hostname,
    /// The versions of the record that are expected; `None` for any state.
    pub expected: Option<&'a [RecordVersion]>,
}

impl<'a> From<&'a Hostname> for Target<'a> {
    fn from(hostname: &'a Hostname) -> Self {
        Self {
            hostname,
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
}

/// The scope in words.
fn named(scope: &PauseScope) -> String {
    match scope {
        PauseScope::All => "issuance".to_owned(),
        PauseScope::Tenant(tenant) => format!("the tenant {tenant:?}"),
        PauseScope::Domain(hostname) => hostname.to_string(),
    }
}

/// Begins the renewal of a live domain now, whatever its stored moment. The present certificate is
/// served meanwhile.
pub async fn renew<'a>(
    store: &dyn CertificateStore,
    by: impl Into<Requester<'a>>,
    now: Timestamp,
    target: impl Into<Target<'a>>,
) -> Result<DomainRecord, OperatorError> {
    let by = by.into();
    let change = |record: &DomainRecord| record::operator::renew(record, now, by);
    write(store, target.into(), change).await
}

/// Makes a domain's next step due now, in every state; one that failed starts over.
pub async fn retry<'a>(
    store: &dyn CertificateStore,
    by: impl Into<Requester<'a>>,
    now: Timestamp,
    target: impl Into<Target<'a>>,
) -> Result<DomainRecord, OperatorError> {
    let by = by.into();
    let change = |record: &DomainRecord| record::operator::retry(record, now, by);
    write(store, target.into(), change).await
}

/// Makes the check of a live domain due now: whether its DNS and CAA records are still right.
pub async fn recheck<'a>(
    store: &dyn CertificateStore,
    by: impl Into<Requester<'a>>,
    now: Timestamp,
    target: impl Into<Target<'a>>,
) -> Result<DomainRecord, OperatorError> {
    let by = by.into();
    let change = |record: &DomainRecord| record::operator::recheck(record, now, by);
    write(store, target.into(), change).await
}

async fn write(
    store: &dyn CertificateStore,
    target: Target<'_>,
    change: impl Fn(&DomainRecord) -> Result<RecordWrite, Refused>,
) -> Result<DomainRecord, OperatorError> {
    let hostname = target.hostname;
    for _ in 0..TRIES {
        let Some(before) = store.domain_by_hostname(hostname).await? else {
            return Err(OperatorError::Unknown(hostname.clone()));
        };
        // The update needs the revision that was checked here.
        target.check(&before)?;
        let write = change(&before).map_err(|refused| explain(refused, &before, hostname))?;
        let record = write.record().clone();
        if store.domain_update(write).await? {
            return Ok(record);
        }
    }
    Err(OperatorError::Contended(hostname.clone()))
}

fn explain(refused: Refused, record: &DomainRecord, hostname: &Hostname) -> OperatorError {
    let (hostname, phase) = (hostname.clone(), record.phase.name());
    match refused {
        Refused::NotLive => OperatorError::NotLive { hostname, phase },
        Refused::NotWaiting(remedy) => OperatorError::NotWaiting {
            hostname,
            phase,
            remedy,
        },
    }
}
