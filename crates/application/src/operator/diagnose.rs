//! Checks a domain now, and says what is wrong. Nothing is ordered, no token is taken from the
//! ledger, and nothing of the domain is written.
//!
//! The observations are those of the steps. All checks run at once as far as they do not depend on
//! each other. They end within [`LONGEST`], also if the store does not answer.

mod caa;
mod edges;
mod name;
mod path;
mod reads;
mod stored;
mod turns;

use std::net::IpAddr;
use std::time::Duration;

use dps_domain::diagnosis::{Check, Row, sort};
use dps_domain::dns::{DnsProvider, ResolverView, instruction_addresses};
use dps_domain::outcome::Findings;
use dps_domain::sentence::{Instruction, sentence};
use dps_domain::{DomainId, Failure, Hostname, Timestamp, bounds, with_causes};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

pub use self::reads::TIMEOUT as STORE_TIMEOUT;
use self::reads::{Reads, Unread};
use self::turns::{Denied, MOST};
use crate::observe::{Evidence, Observer};
use crate::ports::store::{DomainRecord, StoreError};
use crate::service::Service;

/// Longest time for a diagnosis.
pub const LONGEST: Duration = Duration::from_secs(10);
/// The end of that time, after the checks.
const FINISH: Duration = Duration::from_secs(2);
/// Longest time for the withdrawal of tokens, in the finish.
const WITHDRAWAL: Duration = Duration::from_secs(1);
/// Longest time for the end of the turn, in the finish.
const END_OF_TURN: Duration = Duration::from_millis(500);

/// The checks of a domain.
#[derive(Debug)]
pub struct Diagnosis {
    /// The hostname.
    pub hostname: Hostname,
    /// The domain; `None` if the store did not answer.
    pub id: Option<DomainId>,
    /// When the checks began.
    pub began_at: Timestamp,
    /// Time for all of them.
    pub took: Duration,
    /// The results. The first that is not OK is the one to act on.
    pub rows: Vec<Row>,
}

impl Diagnosis {
    /// The diagnosis of a domain while the store does not answer.
    pub fn without_store(hostname: Hostname, began_at: Timestamp) -> Self {
        Self {
            hostname,
            id: None,
            began_at,
            took: STORE_TIMEOUT,
            rows: vec![reads::unanswered()],
        }
    }
}

/// The reason why a domain is not diagnosed.
#[derive(Debug, thiserror::Error)]
pub enum NotDiagnosed {
    /// The store does not know the domain.
    #[error("the service does not know the domain {0}; domains are created in the Cabinet")]
    Unknown(Hostname),
    /// Another process or call diagnoses it.
    #[error("{0} is being diagnosed; wait for the result")]
    UnderWay(Hostname),
    /// There were too many diagnoses lately.
    #[error("the service makes {MOST} diagnoses a minute; try again in {} s", after.as_secs() + 1)]
    TooMany {
        /// The time until the next one may begin.
        after: Duration,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Diagnoses a domain, if the turns of diagnoses allow it.
pub async fn diagnose(service: &Service, hostname: &Hostname) -> Result<Diagnosis, NotDiagnosed> {
    let (began, began_at) = (Instant::now(), service.now());
    let reads = Reads::until(began + LONGEST - FINISH);
    // A store that cannot be written to is diagnosed, too.
    let turn = reads.read(turns::begin(service, hostname, began_at)).await;
    match turn {
        Ok(Some(Denied::UnderWay)) => return Err(NotDiagnosed::UnderWay(hostname.clone())),
        Ok(Some(Denied::TooMany(after))) => return Err(NotDiagnosed::TooMany { after }),
        Ok(None) | Err(Unread::NoAnswer | Unread::Failed(_)) => {}
    }
    let checked = check(service, hostname, &reads).await;
    if turn.is_ok() {
        // Without this the turn ends by itself after a while.
        let end = turns::end(service, hostname, began_at);
        let _ = timeout(END_OF_TURN, end).await;
    }
    let (id, mut rows) = checked?;
    rows.push(match turn {
        Err(Unread::Failed(error)) => reads::unwritable(&error),
        Ok(_) | Err(Unread::NoAnswer) => reads.row(),
    });
    sort(&mut rows);
    Ok(Diagnosis {
        hostname: hostname.clone(),
        id,
        began_at,
        took: began.elapsed(),
        rows,
    })
}

/// Makes the checks; only that of the store is left if it does not answer.
async fn check(
    service: &Service,
    hostname: &Hostname,
    reads: &Reads,
) -> Result<(Option<DomainId>, Vec<Row>), NotDiagnosed> {
    let record = match reads.read(service.store.domain_by_hostname(hostname)).await {
        Ok(Some(record)) => record,
        Ok(None) => return Err(NotDiagnosed::Unknown(hostname.clone())),
        Err(Unread::Failed(error)) => return Err(error.into()),
        Err(Unread::NoAnswer) => return Ok((None, vec![])),
    };
    let subject = Subject {
        service,
        record: &record,
        reads,
        deadline: reads.deadline(),
    };
    let (mut rows, edges, stored) = tokio::join!(
        Box::pin(name::rows(&subject)),
        edges::rows(&subject),
        stored::rows(&subject),
    );
    rows.extend(edges);
    rows.extend(stored);
    Ok((Some(record.id), rows))
}

/// The domain that is diagnosed.
struct Subject<'a> {
    service: &'a Service,
    record: &'a DomainRecord,
    reads: &'a Reads,
    /// When a check ends without a result.
    deadline: Instant,
}

impl<'a> Subject<'a> {
    const fn observer(&self, evidence: &'a Evidence) -> Observer<'a> {
        Observer {
            service: self.service,
            record: self.record,
            evidence,
        }
    }

    /// The row of a failure, with the sentence that the customer reads about it.
    fn failed(&self, check: Check, failure: &Failure, notes: Notes) -> Row {
        let failure = bounds::failure(failure).into_owned();
        let service = self.service;
        let identity = service.ca.caa_identities().into_iter().next();
        let instruction = Instruction {
            dns_provider: notes.provider,
            ..Instruction::new(&service.policy, notes.addresses, identity)
        };
        let sentence = sentence(&failure, self.record, &instruction);
        let mut details = notes.details;
        details.insert("failure".to_owned(), json!(failure));
        Row::failed(check, failure, sentence).with(Value::Object(details))
    }

    /// Reads from the store; in place of a result that is missing, returns the row of the check.
    async fn read<T>(
        &self,
        check: Check,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Row> {
        let unread = match self.reads.read(read).await {
            Ok(result) => return Ok(result),
            Err(unread) => unread,
        };
        Err(match unread {
            Unread::NoAnswer => Row::unfinished(check),
            Unread::Failed(error) => {
                let detail = with_causes(&error);
                self.failed(check, &Failure::Internal { detail }, Notes::default())
            }
        })
    }
}

/// The observations behind a row.
#[derive(Debug, Clone, Default)]
struct Notes {
    details: Map<String, Value>,
    /// The addresses that the customer's instruction may name; `None` for those of the
    /// configuration.
    addresses: Option<Vec<IpAddr>>,
    /// The DNS provider of the zone, if the check found it.
    provider: Option<&'static DnsProvider>,
}

impl Notes {
    fn of(findings: Findings) -> Self {
        Self {
            details: findings.evidence,
            addresses: findings.edge_addresses,
            provider: findings.dns_provider,
        }
    }

    /// Adds the addresses that a DNS check found.
    fn with_addresses(mut self, service: &Service, views: &[ResolverView]) -> Self {
        self.addresses = Some(instruction_addresses(&service.policy.edge_addresses, views));
        self
    }
}

/// Adds the time since `began` to rows.
fn timed(mut rows: Vec<Row>, began: Instant) -> Vec<Row> {
    for row in &mut rows {
        row.took = began.elapsed();
    }
    rows
}
