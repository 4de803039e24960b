//! The numbers that the operator sets.

use std::net::IpAddr;
use std::time::Duration;

use dps_domain::backoff::Backoff;
use dps_domain::phase::Lane;
use ipnet::IpNet;

/// Between two looks at a live domain that left, which may be a slip that its customer mends within the hour.
const DEPARTED: Backoff = Backoff {
    initial: Duration::from_secs(10 * 60),
    max: Duration::from_secs(6 * 60 * 60),
};

/// How one worker works.
#[derive(Debug, Clone, Copy)]
pub struct LanePolicy {
    /// The periodic pass, and the first delay after a failure.
    pub interval: Duration,
    /// The longest delay after failures.
    pub max_backoff: Duration,
    /// Steps at once.
    pub concurrency: usize,
}

impl LanePolicy {
    /// The back-off between failures.
    pub fn backoff(&self) -> Backoff {
        Backoff {
            initial: self.interval.min(self.max_backoff),
            max: self.max_backoff,
        }
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `DomainVerificationWorker`.
    pub verification: LanePolicy,
    /// `HttpProbeWorker`.
    pub http_probe: LanePolicy,
    /// `AcmeIssuanceWorker`.
    pub issuance: LanePolicy,
    /// `RenewalWorker`: its interval is the periodic pass only; retries follow `issuance`.
    pub renewal: LanePolicy,
    /// `RecheckWorker`: its interval is the time between two looks at a live domain.
    pub recheck: LanePolicy,
    /// `RemovalWorker`.
    pub removal: LanePolicy,
    /// How long the record of a removed domain is kept.
    pub quarantine: Duration,
    /// The polling of the Cabinet by status.
    pub intake_interval: Duration,
    /// Between two comparisons of all domains with the Cabinet.
    pub resync_interval: Duration,
    /// How long the Cabinet must not know a domain before it is taken down.
    pub missing_grace: Duration,
    /// How long a customer's side is waited for before the domain fails.
    pub give_up_after: Duration,
    /// Addresses of our edges, for names that cannot have a CNAME.
    pub edge_addresses: Vec<IpNet>,
    /// How long a record is leased for one step.
    pub lease: Duration,
    /// Taken off the lease's remaining time, for clocks that differ between replicas.
    pub skew_allowance: Duration,
    /// How long a step may wait for the CA before it gives the record back.
    pub ca_patience: Duration,
}

impl Policy {
    /// The policy of one lane.
    pub const fn lane(&self, lane: Lane) -> &LanePolicy {
        match lane {
            Lane::Verification => &self.verification,
            Lane::HttpProbe => &self.http_probe,
            Lane::Issuance => &self.issuance,
            Lane::Renewal => &self.renewal,
            Lane::Recheck => &self.recheck,
            Lane::Removal => &self.removal,
        }
    }

    /// The back-off after a failure in a lane. A renewal's is that of an issuance: its own interval of hours is how often it looks,
    /// not how long it may leave a failed one.
    pub fn backoff(&self, lane: Lane) -> Backoff {
        match lane {
            Lane::Renewal => self.issuance.backoff(),
            Lane::Recheck => DEPARTED,
            other => self.lane(other).backoff(),
        }
    }

    /// The addresses that are single hosts, as a customer's instruction can name them.
    pub fn edge_hosts(&self) -> Vec<IpAddr> {
        dps_domain::dns::instruction_addresses(&self.edge_addresses, &[])
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The defaults of the configuration, for tests.
    pub(crate) fn policy() -> Policy {
        let lane = |seconds| LanePolicy {
            interval: Duration::from_secs(seconds),
            max_backoff: Duration::from_secs(3600),
            concurrency: 4,
        };
        Policy {
            verification: lane(30),
            http_probe: lane(30),
            issuance: lane(60),
            renewal: lane(6 * 3600),
            recheck: lane(24 * 3600),
            quarantine: Duration::from_secs(30 * 24 * 3600),
            removal: lane(30),
            intake_interval: Duration::from_secs(30),
            resync_interval: Duration::from_secs(6 * 3600),
            missing_grace: Duration::from_secs(30 * 24 * 3600),
            give_up_after: Duration::from_secs(7 * 24 * 3600),
            edge_addresses: vec![],
            lease: Duration::from_secs(120),
            skew_allowance: Duration::from_secs(5),
            ca_patience: Duration::from_secs(20),
        }
    }

    #[test]
    fn a_failed_renewal_is_tried_again_in_minutes_not_in_its_interval_of_hours() {
        assert_eq!(policy().backoff(Lane::Renewal).initial, Duration::from_secs(60));
    }
}
