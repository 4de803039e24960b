//! The context of one step, and the outcomes that any step may have.

use std::time::Duration;

use dps_domain::backoff::spread;
use dps_domain::limits::Endpoint;
use dps_domain::outcome::Outcome;
use dps_domain::phase::Issuance;
use dps_domain::{Event, EventKind, LeaseToken};
use serde_json::json;
use tokio::time::Instant;

use super::fault::Fault;
use crate::ca::directory;
use crate::observe::{Evidence, Observer};
use crate::ports::metrics::{AcmeWait, LocalParty};
use crate::ports::store::{DomainRecord, StoredOrder};
use crate::resolvers::DnsBudget;
use crate::service::Service;

/// The shortest time until a step is made again that our own machine made impossible, and half of
/// the longest.
const LOCAL_FAULT_PAUSE: Duration = Duration::from_secs(10);

/// The record, the lease and the evidence of one step.
#[derive(Clone, Copy)]
pub(super) struct StepContext<'a> {
    pub(super) service: &'a Service,
    pub(super) record: &'a DomainRecord,
    pub(super) token: LeaseToken,
    pub(super) deadline: Instant,
    pub(super) evidence: &'a Evidence,
}

impl<'a> StepContext<'a> {
    /// The observer of the step's domain.
    pub(super) const fn observer(&self) -> Observer<'a> {
        Observer {
            service: self.service,
            record: self.record,
            evidence: self.evidence,
        }
    }
}

impl StepContext<'_> {
    /// When the step stops waiting for the CA and gives the record back.
    pub(super) fn times_out_at(&self) -> Instant {
        self.deadline
            .min(Instant::now() + self.service.policy.ca_timeout)
    }

    /// The time for the DNS queries of a check that begins now.
    pub(super) fn dns_budget(&self) -> DnsBudget {
        self.service.resolvers.budget(self.deadline)
    }

    /// Whether an order was placed at another directory than this process's. Such an order leads no
    /// further here: the account is unknown there.
    pub(super) async fn is_of_another_directory(&self, order: &StoredOrder) -> Result<bool, Fault> {
        let service = self.service;
        let directory_url = service.ca.directory_url();
        if order.directory_url == directory_url {
            return Ok(false);
        }
        // It may be this process that has the wrong directory.
        directory::check(service.store.as_ref(), directory_url).await?;
        Ok(true)
    }

    /// Returns the endpoint of the CA that the step calls.
    pub(super) fn endpoint(&self) -> Endpoint {
        match self.record.phase.issuance() {
            _ if self.record.revocation.is_some() => Endpoint::RevokeCert,
            Some(Issuance::Ordering | Issuance::Queued) => Endpoint::NewOrder,
            _ => Endpoint::Other,
        }
    }

    /// The outcome when our own machine could not call a party: the same step soon, as if this one
    /// had not been.
    pub(super) fn local_fault(&self, party: LocalParty, detail: &str) -> Outcome {
        let service = self.service;
        service.local_fault(party, detail);
        self.evidence.note("machineFailed", detail);
        let pause = spread(LOCAL_FAULT_PAUSE, 1.0..=2.0, service.randomness.unit());
        Outcome::Waiting {
            until: service.now() + pause,
            kind: EventKind::MachineFailed,
        }
    }

    /// Counts that the domain waits, and that nothing is sent.
    pub(super) fn waits(&self, wait: AcmeWait) {
        self.evidence.reached_nobody();
        self.service.metrics.acme_wait(wait);
    }
}

/// Progress without evidence.
pub(super) fn moved(event: Event, kind: EventKind) -> Outcome {
    Outcome::Moved {
        event,
        kind,
        detail: json!({}),
    }
}
