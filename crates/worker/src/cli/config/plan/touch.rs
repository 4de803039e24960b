//! Whether a change touches the state of a record.

use std::collections::HashSet;

use dps_application::Policy;
use dps_domain::record::DomainRecord;
use dps_domain::{Failure, FailureCode, Ownership, Status};

use super::change::Reason;
use crate::config::Settings;

/// The rules before and after the change.
#[derive(Debug)]
pub(super) struct Rules {
    now: Policy,
    then: Policy,
}

/// The records that a change touches.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Records.
    pub(super) domains: u64,
    /// Of these, records that serve a certificate.
    pub(super) served: u64,
    /// Their tenants.
    pub(super) tenants: HashSet<String>,
}

impl Tally {
    /// Counts a record.
    pub(super) fn add(&mut self, record: &DomainRecord) {
        self.domains += 1;
        self.served += u64::from(record.phase.serving().is_some());
        if !self.tenants.contains(&record.tenant_id) {
            self.tenants.insert(record.tenant_id.clone());
        }
    }
}

impl Rules {
    /// The rules of both settings.
    pub(super) fn of(now: &Settings, then: &Settings) -> Self {
        Self {
            now: now.policy(),
            then: then.policy(),
        }
    }

    /// Whether the change touches a record.
    pub(super) fn touches(&self, reason: Reason, record: &DomainRecord) -> bool {
        let phase = &record.phase;
        let is_served = phase.serving().is_some();
        let is_wanted = !matches!(phase.status(), Status::PendingRemoval | Status::Removed);
        match reason {
            Reason::Database | Reason::Cabinet | Reason::Retention => true,
            // An order, with its key, is open.
            Reason::EncryptionKey | Reason::Ca => is_served || phase.status() == Status::Issuing,
            Reason::Edges | Reason::Renewal => is_served,
            Reason::Targets => {
                let refused = |policy: &Policy| {
                    let refusal = policy.names.refusal(&record.hostname, &record.cname_target);
                    refusal.as_ref().map(Failure::code)
                };
                is_wanted && refused(&self.now) != refused(&self.then)
            }
            Reason::Ownership => is_wanted && !matches!(record.ownership, Ownership::Held { .. }),
            Reason::EdgeAddresses => is_wanted,
            Reason::Limits => {
                let code = record.last_failure.as_ref().map(Failure::code);
                code == Some(FailureCode::AcmeRateLimited)
            }
            Reason::Recheck => phase.was_served(),
            Reason::Removal => phase.status() == Status::PendingRemoval,
            Reason::Webhooks => false,
        }
    }
}
