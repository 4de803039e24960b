//! Checks a domain now, and says what is wrong. Nothing is ordered, no token is taken from the
//! ledger, and nothing of the domain is written.
//!
//! The observations are those of the steps. All checks run at once as far as they do not depend on
//! each other, and end within [`LONGEST`].

mod caa;
mod edges;
mod name;
mod path;
mod stored;

use std::net::IpAddr;
use std::time::Duration;

use dps_domain::diagnosis::{Check, Row, sort};
use dps_domain::dns::{DnsProvider, ResolverView, instruction_addresses};
use dps_domain::outcome::Findings;
use dps_domain::sentence::{Instruction, sentence};
use dps_domain::{Failure, Hostname, Timestamp, bounds, with_causes};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::observe::{Evidence, Observer};
use crate::ports::store::{DomainRecord, StoreError};
use crate::service::Service;

/// Longest time for a diagnosis.
pub const LONGEST: Duration = Duration::from_secs(10);
/// The end of that time, in which tokens are withdrawn.
const WITHDRAWAL: Duration = Duration::from_secs(1);

/// The checks of a domain.
#[derive(Debug)]
pub struct Diagnosis {
    /// Its record, as it was read before the checks.
    pub record: DomainRecord,
    /// When the checks began.
    pub began_at: Timestamp,
    /// Time for all of them.
    pub took: Duration,
    /// The results. The first that is not OK is the one to act on.
    pub rows: Vec<Row>,
}

/// Diagnoses a domain; `None` if the store does not know it.
pub async fn diagnose(
    service: &Service,
    hostname: &Hostname,
) -> Result<Option<Diagnosis>, StoreError> {
    let (began, began_at) = (Instant::now(), service.now());
    let Some(record) = service.store.domain_by_hostname(hostname).await? else {
        return Ok(None);
    };
    let subject = Subject {
        service,
        record: &record,
        deadline: began + LONGEST - WITHDRAWAL,
    };
    let (mut rows, edges, stored) = tokio::join!(
        Box::pin(name::rows(&subject)),
        edges::rows(&subject),
        stored::rows(&subject),
    );
    rows.extend(edges);
    rows.extend(stored);
    sort(&mut rows);
    Ok(Some(Diagnosis {
        began_at,
        took: began.elapsed(),
        rows,
        record,
    }))
}

/// The domain that is diagnosed.
struct Subject<'a> {
    service: &'a Service,
    record: &'a DomainRecord,
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

    /// The row of a check for which the store could not be read.
    fn unreadable(&self, check: Check, error: &StoreError) -> Row {
        let detail = with_causes(error);
        self.failed(check, &Failure::Internal { detail }, Notes::default())
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
