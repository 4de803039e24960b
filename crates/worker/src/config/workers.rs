//! Section `Workers`: intervals, concurrency and the lease.

mod edge_address;
mod edge_reconcile;
mod freeze;
mod lanes;
mod shares;

use std::time::Duration;

use dps_application::{LanePolicy, Policy};
use dps_host::HumanDuration;
use serde::{Deserialize, Serialize};

pub use edge_address::EdgeAddress;
pub use edge_reconcile::EdgeReconcile;
use freeze::FreezeWindow;
pub use lanes::{AcmeIssuance, DomainVerification, HttpProbe, Intake, Recheck, Removal, Renewal};
pub use shares::Shares;

use super::haproxy_agent::HAProxyAgent;
use super::report::Report;

/// The workers. Due work begins at once. An interval is the first delay after a step that failed,
/// unless its own comment says otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Workers {
    /// `DomainVerificationWorker`.
    pub domain_verification: DomainVerification,
    /// `HttpProbeWorker`.
    pub http_probe: HttpProbe,
    /// `AcmeIssuanceWorker`.
    pub acme_issuance: AcmeIssuance,
    /// `RenewalWorker`.
    pub renewal: Renewal,
    /// `RecheckWorker`.
    pub recheck: Recheck,
    /// `RemovalWorker`.
    pub removal: Removal,
    /// Guaranteed shares of the permits for work at the CA.
    pub shares: Shares,
    /// The intake of domains from the Cabinet.
    pub intake: Intake,
    /// `EdgeReconcileWorker`.
    pub edge_reconcile: EdgeReconcile,
    /// Lease of a record for one step, 30 s to 1 h. After a crash, the record waits as long.
    pub lease_duration: HumanDuration,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            domain_verification: DomainVerification::default(),
            http_probe: HttpProbe::default(),
            acme_issuance: AcmeIssuance::default(),
            renewal: Renewal::default(),
            recheck: Recheck::default(),
            removal: Removal::default(),
            shares: Shares::default(),
            intake: Intake::default(),
            edge_reconcile: EdgeReconcile::default(),
            lease_duration: Policy::default().lease.into(),
        }
    }
}

impl Workers {
    /// Returns the policy of the application with the settings of the agents, and with defaults
    /// where other sections decide.
    pub(super) fn policy(&self, agents: &HAProxyAgent) -> Policy {
        let lane =
            |interval: HumanDuration, max_backoff: HumanDuration, concurrency: u32| LanePolicy {
                interval: interval.get(),
                max_backoff: max_backoff.get(),
                concurrency: concurrency as usize,
            };
        let defaults = Policy::default();
        let (dns, probe, acme) = (
            &self.domain_verification,
            &self.http_probe,
            &self.acme_issuance,
        );
        Policy {
            verification: lane(dns.interval, dns.max_backoff, dns.concurrency),
            http_probe: lane(probe.interval, probe.max_backoff, probe.concurrency),
            probe: probe.policy(),
            issuance: lane(acme.interval, acme.max_backoff, acme.concurrency),
            renewal: lane(
                self.renewal.interval,
                acme.max_backoff,
                self.renewal.concurrency,
            ),
            freeze: self.renewal.freeze(),
            recheck: lane(
                self.recheck.interval,
                self.recheck.interval,
                self.recheck.concurrency,
            ),
            removal: lane(
                self.removal.interval,
                self.removal.max_backoff,
                self.removal.concurrency,
            ),
            shares: self.shares.policy(),
            quarantine: self.removal.quarantine.get(),
            intake_interval: self.intake.interval.get(),
            resync_interval: self.intake.resync_interval.get(),
            missing_grace: self.intake.missing_grace.get(),
            revoke_ended: self.removal.revoke_certificates,
            removal_brake_percent: self.removal.brake_percent,
            give_up_after: dns.give_up_after.get(),
            moved: self.recheck.moved(),
            release_after: self.recheck.release_after(),
            edge_addresses: dns.edge_addresses.iter().map(|address| address.0).collect(),
            proxies: probe.proxies(),
            poll_interval: self.poll_interval(defaults.poll_interval),
            unreachable_grace: agents.unreachable_grace.get(),
            fleet: self.edge_reconcile.policy(agents.discovery.interval),
            lease: self.lease_duration.get(),
            // Not settings of this section.
            ..defaults
        }
    }

    /// Returns the poll interval: the shortest first delay, at most `longest`.
    fn poll_interval(&self, longest: Duration) -> Duration {
        let passes = [
            self.domain_verification.interval,
            self.http_probe.interval,
            self.acme_issuance.interval,
            self.removal.interval,
        ];
        passes
            .map(HumanDuration::get)
            .into_iter()
            .fold(longest, Duration::min)
    }

    pub(super) fn check(&self, report: &mut Report) {
        self.domain_verification.check(report);
        self.http_probe.check(report);
        self.acme_issuance.check(report);
        self.renewal.check(report);
        self.recheck.check(report);
        self.removal.check(report);
        self.intake.check(report);
        self.edge_reconcile.check(report);
        let permits = self
            .acme_issuance
            .concurrency
            .saturating_add(self.renewal.concurrency);
        self.shares.check(permits, report);
        // A step needs time for the timeouts of the CA and of an edge; a step that its lease cuts
        // short is repeated.
        let bounds = HumanDuration::from_secs(30)..=HumanDuration::from_secs(3600);
        report.duration("Workers:LeaseDuration", self.lease_duration, bounds);
        // A pause of a second follows each probe but the last.
        let probe = &self.http_probe;
        let probes = (probe.timeout.get() + Duration::from_secs(1)).saturating_mul(probe.passes);
        // A number out of bounds is reported already.
        if (2..=5).contains(&probe.passes) && probes > self.lease_duration.get() / 2 {
            report.error(
                "Workers:HttpProbe:Passes",
                "times Timeout takes more than half of Workers:LeaseDuration; lower one or raise the lease",
            );
        }
    }
}
