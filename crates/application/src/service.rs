//! Everything a step or worker may touch.

use std::sync::Arc;
use std::time::Duration;

use dps_domain::Timestamp;
use dps_domain::limits::CaLimits;
use dps_domain::policy::Policy;
use dps_domain::record::ledger::OrderLimits;
use dps_domain::record::settle::SettleContext;

use crate::cabinet::health::CabinetHealth;
use crate::edges::fleet::Fleet;
use crate::local_fault::LocalFaultLog;
use crate::outage::Outages;
use crate::ports::metrics::LocalParty;
use crate::ports::{
    Cabinet, CertificateAuthority, CertificateStore, Clock, HttpProbe, Metrics, Pki, Randomness,
    Vault,
};
use crate::resolvers::Resolvers;
use crate::wake::Waker;

/// The service: its ports and its policy. Cloned into every task.
#[derive(Clone)]
#[expect(
    missing_docs,
    reason = "each field is the port of its name, unless it says otherwise"
)]
pub struct Service {
    pub store: Arc<dyn CertificateStore>,
    pub ca: Arc<dyn CertificateAuthority>,
    pub cabinet: Arc<dyn Cabinet>,
    pub resolvers: Arc<Resolvers>,
    pub probe: Arc<dyn HttpProbe>,
    pub fleet: Arc<Fleet>,
    pub pki: Arc<dyn Pki>,
    pub vault: Arc<dyn Vault>,
    pub clock: Arc<dyn Clock>,
    pub randomness: Arc<dyn Randomness>,
    pub metrics: Arc<dyn Metrics>,
    pub policy: Arc<Policy>,
    /// The limits of the CA, as published or configured.
    pub limits: Arc<CaLimits>,
    pub waker: Waker,
    /// Which domains wait for the end of an outage of ours.
    pub outages: Arc<Outages>,
    /// When faults of our own machine were logged.
    pub local_faults: Arc<LocalFaultLog>,
    pub cabinet_health: Arc<CabinetHealth>,
    /// The name of this process in the domains' histories.
    pub replica: Arc<str>,
}

impl Service {
    /// Counts a fault of our own machine, and logs it for the operator.
    pub fn local_fault(&self, party: LocalParty, detail: &str) {
        self.metrics.local_fault(party);
        if self.local_faults.admits(party, self.now()) {
            tracing::error!(party = party.as_str(), detail, "machine.failed");
        }
    }

    /// The limits of the CA that an order counts against.
    pub fn order_limits(&self) -> OrderLimits<'_> {
        OrderLimits {
            limits: &self.limits,
            directory_url: self.ca.directory_url(),
        }
    }

    /// The input of settling a record now, after a step or poll that took so long. `jitter` is in
    /// `0.0..1.0`.
    pub fn settle_context(&self, took: Duration, jitter: f64) -> SettleContext<'_> {
        SettleContext {
            policy: &self.policy,
            now: self.now(),
            jitter,
            took,
            replica: &self.replica,
            limits: self.order_limits(),
            caa_identity: self.ca.caa_identities().into_iter().next(),
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
