//! An operator's requests for one domain, beside the Cabinet.

pub mod diagnose;
pub mod edges;
pub mod explain;
pub mod fleet;
pub mod jobs;
pub mod limits;
pub mod pauses;
pub mod revoke;
pub mod size;
mod target;

use std::time::Duration;

use dps_domain::ownership::RequireProof;
use dps_domain::pause::PauseScope;
use dps_domain::record::operator::{Refused, Requester, Revocable};
use dps_domain::record::retry::is_kept_by;
use dps_domain::record::{self, DomainRecord, RecordWrite};
use dps_domain::{Hostname, JobId, Phase, Timestamp};
use tokio::time::Instant;

pub use self::target::{Claims, Target, WhichClaim};
use crate::cabinet::align::last_request;
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
    /// No record that holds the name has the identifier or the tenant.
    #[error(
        "no domain {0} with this id or tenant is known here; `dps domains show` lists its claims"
    )]
    NoSuchClaim(Hostname),
    /// Several records claim the name, and the request does not say which it means.
    #[error("{hostname} has several claims; name one by its id or tenant: {claims}")]
    SeveralClaims {
        /// The name.
        hostname: Hostname,
        /// The claims.
        claims: Claims,
    },
    /// A check was requested a moment ago.
    #[error("{hostname} was checked a moment ago; it can be checked again from {again_at}")]
    TooSoon {
        /// The name.
        hostname: Hostname,
        /// When a check may be requested again.
        again_at: Timestamp,
        /// The time until then.
        wait: Duration,
    },
    /// Only a live domain can be renewed or checked again.
    #[error("{hostname} is {phase}: only a live domain can be renewed or checked again")]
    NotLive {
        /// The name.
        hostname: Hostname,
        /// Where it stands.
        phase: &'static str,
    },
    /// Its certificate cannot be revoked.
    #[error("{hostname} cannot be revoked: {cause}")]
    NotRevocable {
        /// The name.
        hostname: Hostname,
        /// Why.
        cause: &'static str,
    },
    /// No record is of the tenant.
    #[error("no domain of the tenant {0:?} is known here")]
    UnknownTenant(String),
    /// Nothing is paused there.
    #[error("{} is not paused; `dps issuance status` lists the pauses", named(.0))]
    NotPaused(PauseScope),
    /// No such job is known.
    #[error("no job {0} is known; `dps jobs list` lists them")]
    UnknownJob(JobId),
    /// The job has ended.
    #[error("the job {0} has ended already")]
    JobEnded(JobId),
    /// More domains would be visited than were confirmed.
    #[error(
        "{domains} domains would be visited, and {confirmed} were confirmed; look at the preview again"
    )]
    MoreThanConfirmed {
        /// Domains that were confirmed.
        confirmed: u64,
        /// Domains of the filter now.
        domains: u64,
    },
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
    let renew = |found: &Found| found.renew(now, by);
    write(store, now, target.into(), Reads::Requests, renew).await
}

/// Makes a domain's next step due now, in every state; one that failed starts over. `require` says
/// whether the DNS check decides between tenants.
pub async fn retry<'a>(
    store: &dyn CertificateStore,
    by: impl Into<Requester<'a>>,
    now: Timestamp,
    target: impl Into<Target<'a>>,
    require: RequireProof,
) -> Result<DomainRecord, OperatorError> {
    let by = by.into();
    let retry = |found: &Found| found.retry(now, by, require);
    write(store, now, target.into(), Reads::Requests, retry).await
}

/// Makes the check of a live domain due now: whether its DNS and CAA records are still right.
pub async fn recheck<'a>(
    store: &dyn CertificateStore,
    by: impl Into<Requester<'a>>,
    now: Timestamp,
    target: impl Into<Target<'a>>,
) -> Result<DomainRecord, OperatorError> {
    let by = by.into();
    let recheck = |found: &Found| found.recheck(now, by);
    write(store, now, target.into(), Reads::Requests, recheck).await
}

/// The data of a domain that are read besides its record and its last request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Nothing.
    Requests,
    /// The certificate that can be revoked.
    Certificate,
}

/// The claim that is meant, with what decides about a request.
pub(crate) struct Found {
    record: DomainRecord,
    /// Another record that holds the hostname more firmly.
    holder: Option<DomainRecord>,
    /// The time of the last request for a check, if that was lately.
    last_request: Option<Timestamp>,
    /// The certificate that a request to revoke is about; read for such a request alone.
    revocable: Option<Revocable>,
}

impl Found {
    /// Reads what decides about a request for this record.
    pub(crate) async fn of(
        store: &dyn CertificateStore,
        record: DomainRecord,
    ) -> Result<Self, StoreError> {
        // Of two requests at once, the later finds the record changed, reads it again, and then
        // reads the earlier in its history.
        let last_request = last_request(store, record.id).await?;
        let holder = store.domain_by_hostname(&record.hostname).await?;
        Ok(Self {
            holder: holder.filter(|holder| holder.id != record.id),
            last_request,
            revocable: None,
            record,
        })
    }

    /// Reads what else is needed.
    pub(crate) async fn reading(
        mut self,
        store: &dyn CertificateStore,
        reads: Reads,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        if reads == Reads::Certificate {
            self.revocable = revoke::revocable(store, &self.record, now).await?;
        }
        Ok(self)
    }

    /// Makes the next step due.
    pub(crate) fn retry(
        &self,
        now: Timestamp,
        by: Requester<'_>,
        require: RequireProof,
    ) -> Result<RecordWrite, Refused> {
        let record = &self.record;
        let keeps = |holder: &DomainRecord| is_kept_by(holder, &record.tenant_id, require);
        if record.phase == Phase::Failed && self.holder.as_ref().is_some_and(keeps) {
            return Err(Refused::NotWaiting("another domain holds its name"));
        }
        record::operator::retry(record, now, by, self.last_request)
    }

    /// Begins a renewal.
    pub(crate) fn renew(&self, now: Timestamp, by: Requester<'_>) -> Result<RecordWrite, Refused> {
        record::operator::renew(&self.record, now, by)
    }

    /// Makes the check of a live domain due.
    pub(crate) fn recheck(
        &self,
        now: Timestamp,
        by: Requester<'_>,
    ) -> Result<RecordWrite, Refused> {
        record::operator::recheck(&self.record, now, by, self.last_request)
    }
}

async fn find(
    store: &dyn CertificateStore,
    now: Timestamp,
    target: Target<'_>,
    reads: Reads,
) -> Result<Found, OperatorError> {
    let record = target.one(store).await?;
    // The update needs the revision that was checked here.
    target.check(&record)?;
    let found = Found::of(store, record).await?;
    Ok(found.reading(store, reads, now).await?)
}

async fn write(
    store: &dyn CertificateStore,
    now: Timestamp,
    target: Target<'_>,
    reads: Reads,
    change: impl Fn(&Found) -> Result<RecordWrite, Refused>,
) -> Result<DomainRecord, OperatorError> {
    for _ in 0..TRIES {
        let found = find(store, now, target, reads).await?;
        let write = change(&found).map_err(|refused| explain(refused, &found.record, now))?;
        let record = write.record().clone();
        if store.domain_update(write).await? {
            return Ok(record);
        }
    }
    Err(OperatorError::Contended(target.hostname.clone()))
}

fn explain(refused: Refused, record: &DomainRecord, now: Timestamp) -> OperatorError {
    let (hostname, phase) = (record.hostname.clone(), record.phase.name());
    match refused {
        Refused::NotLive => OperatorError::NotLive { hostname, phase },
        Refused::NotRevocable(cause) => OperatorError::NotRevocable { hostname, cause },
        Refused::NotWaiting(remedy) => OperatorError::NotWaiting {
            hostname,
            phase,
            remedy,
        },
        Refused::TooSoon(again_at) => OperatorError::TooSoon {
            hostname,
            again_at,
            wait: again_at.since(now),
        },
    }
}
