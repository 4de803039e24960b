//! The numbers that the operator sets.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::NameRules;
use crate::backoff::Backoff;
use crate::cdn::ProxyPolicy;
use crate::lane::Lane;
use crate::ownership::OwnershipPolicy;
use crate::renewal::freeze::RenewalFreeze;
use crate::retention::Retention;
use crate::shares;

/// The back-off between checks of a domain that moved away: it may be a slip that is mended within
/// the hour.
const MOVED_AWAY: Backoff = Backoff {
    initial: Duration::from_secs(10 * 60),
    max: Duration::from_secs(6 * 60 * 60),
};

/// The shortest pause between two checks of a name that was seen elsewhere.
const SOONEST_RECHECK: Duration = Duration::from_secs(1);

/// The longest time between two DNS checks of a domain that moved away until its certificate ended.
/// There are more of them every month, and few return.
const ENDED_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How one worker works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanePolicy {
    /// The first delay after a failure.
    pub interval: Duration,
    /// The longest delay after failures.
    pub max_backoff: Duration,
    /// Steps at once; those of `issuance` and `renewal` add up to the pool for work at the CA.
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

/// The guaranteed share of the permits for work at the CA, in percent, of each kind of such work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Renewals of certificates that will soon be of no use.
    pub urgent: u32,
    /// Other renewals.
    pub renewal: u32,
    /// First issuances.
    pub first_issuance: u32,
    /// Domains that failed again and again.
    pub chronic: u32,
}

/// Lanes that draw from one pool of permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Permits in all.
    pub permits: usize,
    /// Who draws, those to whom unused permits are lent first at the head.
    pub shares: Vec<PoolLanes>,
}

/// The lanes that share a part of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolLanes {
    /// Its lanes, in the order in which they are served.
    pub lanes: Vec<Lane>,
    /// The permits that it may always have.
    pub guaranteed: usize,
}

/// The evidence that makes a domain that was served one that moved away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovePolicy {
    /// DNS checks in a row that found the name elsewhere; at least 1.
    pub observations: u32,
    /// Time from the first of them to the last.
    pub after: Duration,
}

impl MovePolicy {
    /// The pause before the next check of a name that was seen elsewhere.
    pub fn pause(&self) -> Duration {
        let even = self.after / self.observations.saturating_sub(1).max(1);
        even.clamp(SOONEST_RECHECK, MOVED_AWAY.initial)
    }
}

/// Whether the HTTP probe must pass before an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ProbeMode {
    /// A probe that fails stops the order.
    #[default]
    #[serde(alias = "require")]
    Require,
    /// A probe that fails is noted, and the order goes on.
    #[serde(alias = "warn")]
    Warn,
    /// No probe is sent.
    #[serde(alias = "off")]
    Off,
}

/// The place from which the HTTP probe is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Vantage {
    /// The service.
    #[default]
    #[serde(alias = "service")]
    Service,
    /// The edges, by their agents. The service probes if no agent can.
    #[serde(alias = "edges")]
    Edges,
}

/// The HTTP probe before an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbePolicy {
    /// Whether it must pass.
    pub mode: ProbeMode,
    /// Probes in a row that must pass; at least 1.
    pub passes: u32,
    /// Where it is sent from.
    pub vantage: Vantage,
}

/// How the edges are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetPolicy {
    /// The time between two health checks of an edge.
    pub check_interval: Duration,
    /// Between two comparisons of an edge with what it should hold.
    pub interval: Duration,
    /// Certificates that an edge which lacks some is sent in a second.
    pub certificates_per_second: u32,
    /// The time between two reads of the directory of edges.
    pub find_interval: Duration,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// `DomainVerificationWorker`.
    pub verification: LanePolicy,
    /// `HttpProbeWorker`.
    pub http_probe: LanePolicy,
    /// The probe of that worker.
    pub probe: ProbePolicy,
    /// `AcmeIssuanceWorker`.
    pub issuance: LanePolicy,
    /// `RenewalWorker`: its interval is the pass over renewals that stopped until a person acts;
    /// other retries follow `issuance`.
    pub renewal: LanePolicy,
    /// Windows in which no renewal begins that can wait.
    pub freeze: RenewalFreeze,
    /// `RecheckWorker`: its interval is the time between two checks of a live domain.
    pub recheck: LanePolicy,
    /// `RemovalWorker`.
    pub removal: LanePolicy,
    /// How the permits of `issuance` and `renewal` are shared.
    pub shares: Shares,
    /// How long the record of a removed domain is kept.
    pub quarantine: Duration,
    /// Whether the certificates of a domain that ended are revoked.
    pub revoke_ended: bool,
    /// The polling of the Cabinet by status.
    pub intake_interval: Duration,
    /// Between two comparisons of all domains with the Cabinet.
    pub resync_interval: Duration,
    /// How long the Cabinet must not know a domain before it is taken down.
    pub missing_grace: Duration,
    /// Removals in a day, in percent of the domains, beyond which an operator must say yes.
    pub removal_brake_percent: u32,
    /// Which names and targets are taken.
    pub names: NameRules,
    /// When a tenant must prove that a hostname is its own.
    pub ownership: OwnershipPolicy,
    /// How long a customer's side is waited for before the domain fails.
    pub give_up_after: Duration,
    /// The evidence of a move.
    pub moved: MovePolicy,
    /// How long the return of a domain that moved away is waited for after its certificate ended;
    /// `None` for ever.
    pub release_after: Option<Duration>,
    /// Addresses of our edges, for names that cannot have a CNAME.
    pub edge_addresses: Vec<IpNet>,
    /// Proxies in front of names.
    pub proxies: ProxyPolicy,
    /// The periodic pass of the lease loops: how soon work that another process made due is seen
    /// when no notification came.
    pub poll_interval: Duration,
    /// How long an edge that refuses or does not answer is waited for.
    pub unreachable_grace: Duration,
    /// Intervals of the watcher and of `Workers:EdgeReconcile`.
    pub fleet: FleetPolicy,
    /// How long a record is leased for one step.
    pub lease: Duration,
    /// Taken off the lease's remaining time, for clocks that differ between replicas.
    pub skew_allowance: Duration,
    /// How long a step may wait for the CA before it gives the record back.
    pub ca_timeout: Duration,
    /// How long rows are kept that no step needs.
    pub retention: Retention,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The settings of an operator who sets none. The configuration takes its defaults from here.
impl Default for Policy {
    fn default() -> Self {
        let lane = |interval, max_backoff, concurrency| LanePolicy {
            interval,
            max_backoff,
            concurrency,
        };
        let soon = Duration::from_secs(30);
        Self {
            verification: lane(soon, HOUR, 64),
            http_probe: lane(soon, HOUR, 64),
            probe: ProbePolicy {
                mode: ProbeMode::default(),
                passes: 1,
                vantage: Vantage::default(),
            },
            issuance: lane(MINUTE, 6 * HOUR, 16),
            renewal: lane(6 * HOUR, 6 * HOUR, 8),
            freeze: RenewalFreeze::default(),
            recheck: lane(DAY, DAY, 16),
            removal: lane(soon, HOUR, 8),
            shares: Shares {
                urgent: 20,
                renewal: 40,
                first_issuance: 30,
                chronic: 10,
            },
            quarantine: 30 * DAY,
            revoke_ended: false,
            intake_interval: soon,
            resync_interval: 6 * HOUR,
            missing_grace: 30 * DAY,
            removal_brake_percent: 10,
            names: NameRules::default(),
            ownership: OwnershipPolicy::default(),
            give_up_after: 7 * DAY,
            moved: MovePolicy {
                observations: 3,
                after: HOUR,
            },
            release_after: Some(30 * DAY),
            edge_addresses: Vec::new(),
            proxies: ProxyPolicy::default(),
            poll_interval: Duration::from_secs(2),
            unreachable_grace: 2 * MINUTE,
            fleet: FleetPolicy {
                check_interval: Duration::from_secs(5),
                interval: 6 * HOUR,
                certificates_per_second: 200,
                find_interval: soon,
            },
            lease: 2 * MINUTE,
            skew_allowance: Duration::from_secs(5),
            ca_timeout: Duration::from_secs(20),
            retention: Retention::default(),
        }
    }
}

impl Policy {
    /// The policy of one lane.
    pub const fn lane(&self, lane: Lane) -> &LanePolicy {
        match lane {
            Lane::Verification | Lane::Retry => &self.verification,
            Lane::HttpProbe => &self.http_probe,
            Lane::Issuance | Lane::OrderQueue | Lane::Chronic => &self.issuance,
            Lane::Renewal | Lane::Urgent => &self.renewal,
            Lane::Recheck => &self.recheck,
            Lane::Removal => &self.removal,
        }
    }

    /// The pools of permits. Every lane draws from one of them: work at the CA from a common one,
    /// the others each from its own.
    pub fn pools(&self) -> Vec<Pool> {
        let shares = [
            (self.shares.urgent, vec![Lane::Urgent]),
            (self.shares.renewal, vec![Lane::Renewal]),
            (
                self.shares.first_issuance,
                vec![Lane::Issuance, Lane::OrderQueue],
            ),
            (self.shares.chronic, vec![Lane::Chronic]),
        ];
        let permits = (self.issuance.concurrency + self.renewal.concurrency).max(shares.len());
        let guarantees =
            shares::guarantees(permits, shares.each_ref().map(|(percent, _)| *percent));
        let at_the_ca = Pool {
            permits,
            shares: shares
                .into_iter()
                .zip(guarantees)
                .map(|((_, lanes), guaranteed)| PoolLanes { lanes, guaranteed })
                .collect(),
        };
        let alone = [Lane::HttpProbe, Lane::Recheck, Lane::Removal].map(|lane| {
            let permits = self.lane(lane).concurrency.max(1);
            Pool {
                permits,
                shares: vec![PoolLanes {
                    lanes: vec![lane],
                    guaranteed: permits,
                }],
            }
        });
        alone
            .into_iter()
            .chain([self.checks(), at_the_ca])
            .collect()
    }

    /// The pool of checks before the order. First checks go before repeated ones, which keep a
    /// quarter of the permits so that no stream of new domains stops them.
    fn checks(&self) -> Pool {
        let permits = self.verification.concurrency.max(1);
        let repeated = (permits / 4).max(usize::from(permits > 1));
        let share = |lane, guaranteed| PoolLanes {
            lanes: vec![lane],
            guaranteed,
        };
        Pool {
            permits,
            shares: vec![
                share(Lane::Verification, permits - repeated),
                share(Lane::Retry, repeated),
            ],
        }
    }

    /// The back-off after a failure in a lane. A renewal's is that of an issuance: its own interval
    /// of hours is for those that stopped.
    pub fn backoff(&self, lane: Lane) -> Backoff {
        match lane {
            Lane::Renewal | Lane::Urgent => self.issuance.backoff(),
            Lane::Recheck => Self::moved_away_backoff(false),
            other => self.lane(other).backoff(),
        }
    }

    /// The back-off between checks of a domain that moved away, whether its renewal is due or not;
    /// `ended` says whether its certificate has ended.
    pub const fn moved_away_backoff(ended: bool) -> Backoff {
        Backoff {
            max: if ended { ENDED_MAX } else { MOVED_AWAY.max },
            ..MOVED_AWAY
        }
    }

    /// The addresses that are single hosts, as a customer's instruction can name them.
    pub fn edge_hosts(&self) -> Vec<IpAddr> {
        crate::dns::instruction_addresses(&self.edge_addresses, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_draws_from_one_pool_that_covers_its_guarantees() {
        let pools = Policy::default().pools();
        let lanes = pools
            .iter()
            .flat_map(|pool| &pool.shares)
            .flat_map(|share| share.lanes.clone());
        let mut lanes: Vec<Lane> = lanes.collect();
        lanes.sort_unstable();
        assert_eq!(lanes, {
            let mut all = Lane::ALL.to_vec();
            all.sort_unstable();
            all
        });
        for pool in pools {
            let guaranteed: usize = pool.shares.iter().map(|share| share.guaranteed).sum();
            assert!(guaranteed <= pool.permits, "{pool:?}");
        }
    }

    #[test]
    fn a_failed_renewal_is_tried_again_in_minutes_not_in_its_interval_of_hours() {
        assert_eq!(
            Policy::default().backoff(Lane::Renewal).initial,
            Duration::from_secs(60)
        );
    }
}
