//! What an operator may ask of one domain, beside the Cabinet.

pub mod limits;

use dps_domain::{Event, EventKind, Failure, Hostname, Phase, Timestamp};
use serde_json::json;

use crate::ports::CertificateStore;
use crate::ports::store::{Completion, DomainEvent, DomainRecord, StoreError};

/// The wish cannot be granted.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No record holds the name.
    #[error("no domain {0} is known here; the Cabinet adds domains")]
    Unknown(Hostname),
    /// Only a live domain can be renewed.
    #[error("{hostname} is {phase}: only a live domain can be renewed")]
    NotLive {
        /// The name.
        hostname: Hostname,
        /// Where it stands.
        phase: &'static str,
    },
    /// Nothing is waiting that could be made due.
    #[error("{hostname} is {phase}: {remedy}")]
    NotWaiting {
        /// The name.
        hostname: Hostname,
        /// Where it stands.
        phase: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The record was written by others all the time.
    #[error("{0} is being worked on; try again")]
    Contended(Hostname),
}

const TRIES: usize = 5;

/// Begins the renewal of a live domain now, whatever its stored moment. The present certificate is
/// served meanwhile. `who` is what the history calls the operator's process.
pub async fn renew(
    store: &dyn CertificateStore,
    who: &str,
    now: Timestamp,
    hostname: &Hostname,
) -> Result<DomainRecord, OperatorError> {
    change(
        store,
        (who, now),
        hostname,
        EventKind::RenewalRequested,
        |record| {
            if !record.phase.is_live() {
                return Err(OperatorError::NotLive {
                    hostname: hostname.clone(),
                    phase: record.phase.name(),
                });
            }
            record.phase = record
                .phase
                .clone()
                .apply(Event::RenewalDue)
                .unwrap_or_else(|_| record.phase.clone());
            Ok(())
        },
    )
    .await
}

/// Makes a domain's next look due now, in every state; one that failed starts over. `who` is what
/// the history calls the operator's process.
pub async fn retry(
    store: &dyn CertificateStore,
    who: &str,
    now: Timestamp,
    hostname: &Hostname,
) -> Result<DomainRecord, OperatorError> {
    change(
        store,
        (who, now),
        hostname,
        EventKind::RetryByOperator,
        |record| {
            let refused = |remedy| OperatorError::NotWaiting {
                hostname: hostname.clone(),
                phase: record.phase.name(),
                remedy,
            };
            match &record.phase {
                Phase::Onboarding(_)
                | Phase::Live { .. }
                | Phase::Expired { .. }
                | Phase::Leaving => Ok(()),
                Phase::Failed
                    if matches!(record.last_failure, Some(Failure::NameAlreadyClaimed {})) =>
                {
                    Err(refused("another domain holds its name"))
                }
                Phase::Failed => {
                    record.phase = Phase::START;
                    record.pending_since = now;
                    Ok(())
                }
                Phase::Gone => Err(refused("it was removed")),
            }
        },
    )
    .await
}

async fn change(
    store: &dyn CertificateStore,
    (who, now): (&str, Timestamp),
    hostname: &Hostname,
    kind: EventKind,
    alter: impl Fn(&mut DomainRecord) -> Result<(), OperatorError>,
) -> Result<DomainRecord, OperatorError> {
    for _ in 0..TRIES {
        let Some(mut record) = store.domain_by_hostname(hostname).await? else {
            return Err(OperatorError::Unknown(hostname.clone()));
        };
        alter(&mut record)?;
        record.next_attempt_at = Some(now);
        record.attempt = 0;
        record.lift_pause();
        record.updated_at = now;
        let event = DomainEvent::of(&record, kind, json!({}), who);
        let completion = Completion {
            event: Some(event),
            ..Completion::of(record.clone())
        };
        if store.domain_update(completion).await? {
            return Ok(record);
        }
    }
    Err(OperatorError::Contended(hostname.clone()))
}
