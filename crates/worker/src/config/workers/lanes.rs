//! One struct per worker.

use std::time::Duration;

use dps_application::Policy;
use dps_domain::NameSuffix;
use dps_domain::address::edge_network_fault;
use dps_domain::name_rules::PUBLIC_TARGET;
use dps_host::HumanDuration;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::super::report::Report;
use super::EdgeAddress;

const DAY: u64 = 24 * 3600;
/// Each of them is looked at for every address that is probed.
const MAX_FORBIDDEN_NETWORKS: usize = 1_000;

/// Checks DNS; again after 30 seconds at first, by default.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DomainVerification {
    /// The first delay of the back-off.
    pub interval: HumanDuration,
    /// The longest delay between two checks of one domain.
    pub max_backoff: HumanDuration,
    /// How long a customer is waited for before the domain fails.
    pub give_up_after: HumanDuration,
    /// Domains checked at once.
    pub concurrency: u32,
    /// Addresses of the edges, which names without CNAME (such as apex names) must have.
    pub edge_addresses: Vec<EdgeAddress>,
    /// Names under which a domain's CNAME target must lie. Without any, that of
    /// `Cabinet:CnameTarget`; `dps run` needs one of the two.
    pub allowed_targets: Vec<NameSuffix>,
    /// Names that no domain may have, each with all names below it.
    pub blocked_names: Vec<NameSuffix>,
    /// Whether a domain may have a name of the platform's own.
    pub allow_platform_names: bool,
}

/// Fetches a random token through the domain's own path; again after 30 seconds at first, by
/// default.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HttpProbe {
    /// The first delay of the back-off.
    pub interval: HumanDuration,
    /// The longest delay between two probes of one domain.
    pub max_backoff: HumanDuration,
    /// The port; a CA uses 80 (RFC 8555 §8.3).
    pub port: u16,
    /// For the whole exchange with one address.
    pub timeout: HumanDuration,
    /// Whether private and loopback addresses may be connected to. Only for a lab or an intranet.
    pub allow_private_addresses: bool,
    /// More networks that are never connected to, such as the operator's own public ones; at most
    /// 1,000.
    pub forbidden_networks: Vec<EdgeAddress>,
    /// Domains probed at once.
    pub concurrency: u32,
}

/// Has certificates issued and deploys them; a failed attempt is made again after 60 seconds at
/// first, by default.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AcmeIssuance {
    /// The first delay of the back-off.
    pub interval: HumanDuration,
    /// The longest delay between two tries for one domain, first issues and renewals alike.
    pub max_backoff: HumanDuration,
    /// Adds so many permits to those for work at the CA, which `Workers:Shares` shares out.
    pub concurrency: u32,
}

/// Renews certificates; those that stopped are tried again every 6 hours by default.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Renewal {
    /// The pass over renewals that stopped until somebody acts. Others begin at the moment stored
    /// with each certificate.
    pub interval: HumanDuration,
    /// Adds so many permits to those for work at the CA, which `Workers:Shares` shares out.
    pub concurrency: u32,
}

/// Looks whether live domains still point at us.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Recheck {
    /// The time between two looks at a domain.
    pub interval: HumanDuration,
    /// How long the return of a domain that moved away is waited for after its certificate ended.
    pub release_after: HumanDuration,
    /// Domains looked at at once, and as many questions to the CA about renewals.
    pub concurrency: u32,
}

/// Takes removed domains from the edges.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Removal {
    /// The first delay of the back-off.
    pub interval: HumanDuration,
    /// The longest delay between two tries for one domain.
    pub max_backoff: HumanDuration,
    /// Removals at once.
    pub concurrency: u32,
    /// How long the record of a removed domain is kept.
    pub quarantine: HumanDuration,
    /// Removals and renames of served names in a day, in percent of the domains, beyond which an
    /// operator must say yes; 100 lets all through.
    pub brake_percent: u32,
}

/// Takes domains in from the Cabinet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Intake {
    /// The pause between two polls, for a Cabinet without change feed.
    pub interval: HumanDuration,
    /// The time between two comparisons of all domains with the Cabinet.
    pub resync_interval: HumanDuration,
    /// How long the Cabinet must not know a domain before it is taken down.
    pub missing_grace: HumanDuration,
}

/// A setting of a number that the application counts with.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Default for DomainVerification {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            interval: policy.verification.interval.into(),
            max_backoff: policy.verification.max_backoff.into(),
            give_up_after: policy.give_up_after.into(),
            concurrency: count(policy.verification.concurrency),
            edge_addresses: Vec::new(),
            allowed_targets: Vec::new(),
            blocked_names: Vec::new(),
            allow_platform_names: false,
        }
    }
}

impl Default for HttpProbe {
    fn default() -> Self {
        let lane = Policy::default().http_probe;
        Self {
            interval: lane.interval.into(),
            max_backoff: lane.max_backoff.into(),
            port: 80,
            timeout: HumanDuration::from_secs(10),
            allow_private_addresses: false,
            forbidden_networks: Vec::new(),
            concurrency: count(lane.concurrency),
        }
    }
}

impl Default for AcmeIssuance {
    fn default() -> Self {
        let lane = Policy::default().issuance;
        Self {
            interval: lane.interval.into(),
            max_backoff: lane.max_backoff.into(),
            concurrency: count(lane.concurrency),
        }
    }
}

impl Default for Renewal {
    fn default() -> Self {
        let lane = Policy::default().renewal;
        Self {
            interval: lane.interval.into(),
            concurrency: count(lane.concurrency),
        }
    }
}

impl Default for Recheck {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            interval: policy.recheck.interval.into(),
            release_after: policy.release_after.into(),
            concurrency: count(policy.recheck.concurrency),
        }
    }
}

impl Default for Removal {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            interval: policy.removal.interval.into(),
            max_backoff: policy.removal.max_backoff.into(),
            concurrency: count(policy.removal.concurrency),
            quarantine: policy.quarantine.into(),
            brake_percent: policy.removal_brake_percent,
        }
    }
}

impl Default for Intake {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            interval: policy.intake_interval.into(),
            resync_interval: policy.resync_interval.into(),
            missing_grace: policy.missing_grace.into(),
        }
    }
}

impl DomainVerification {
    pub(super) fn check(&self, report: &mut Report) {
        let name = "Workers:DomainVerification";
        check_interval(report, name, self.interval);
        check_backoff(report, name, self.interval, self.max_backoff);
        check_concurrency(report, name, self.concurrency);
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(365 * DAY);
        report.duration(&format!("{name}:GiveUpAfter"), self.give_up_after, bounds);
        for target in self
            .allowed_targets
            .iter()
            .filter(|target| target.is_public())
        {
            report.error(
                &format!("{name}:AllowedTargets"),
                format!("contains {}, {PUBLIC_TARGET}", target.as_str()),
            );
        }
        for address in &self.edge_addresses {
            if let Some(fault) = edge_network_fault(&address.0) {
                report.error(
                    &format!("{name}:EdgeAddresses"),
                    format!("contains {address}, which {fault}"),
                );
            }
        }
    }
}

impl HttpProbe {
    /// The networks of `ForbiddenNetworks`.
    pub fn networks(&self) -> Vec<IpNet> {
        self.forbidden_networks
            .iter()
            .map(|network| network.0)
            .collect()
    }

    pub(super) fn check(&self, report: &mut Report) {
        let name = "Workers:HttpProbe";
        check_interval(report, name, self.interval);
        check_backoff(report, name, self.interval, self.max_backoff);
        check_concurrency(report, name, self.concurrency);
        report.count(&format!("{name}:Port"), self.port.into(), 1..=65_535);
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(30);
        report.duration(&format!("{name}:Timeout"), self.timeout, bounds);
        if self.forbidden_networks.len() > MAX_FORBIDDEN_NETWORKS {
            let key = format!("{name}:ForbiddenNetworks");
            report.error(
                &key,
                format!("has more than {MAX_FORBIDDEN_NETWORKS} networks; remove or merge some"),
            );
        }
        if self.port != 80 {
            report.warning(
                &format!("{name}:Port"),
                "is not 80, the port to which a public CA connects",
            );
        }
        if self.allow_private_addresses {
            let key = format!("{name}:AllowPrivateAddresses");
            report.warning(
                &key,
                "is true: a customer's DNS can make this machine connect to your internal addresses",
            );
        }
    }
}

impl AcmeIssuance {
    pub(super) fn check(&self, report: &mut Report) {
        let name = "Workers:AcmeIssuance";
        check_interval(report, name, self.interval);
        check_backoff(report, name, self.interval, self.max_backoff);
        check_concurrency(report, name, self.concurrency);
    }
}

impl Renewal {
    pub(super) fn check(&self, report: &mut Report) {
        check_interval(report, "Workers:Renewal", self.interval);
        check_concurrency(report, "Workers:Renewal", self.concurrency);
    }
}

impl Recheck {
    pub(super) fn check(&self, report: &mut Report) {
        let bounds = HumanDuration::from_secs(60)..=HumanDuration::from_secs(30 * DAY);
        report.duration("Workers:Recheck:Interval", self.interval, bounds);
        let bounds = HumanDuration::from_secs(DAY)..=HumanDuration::from_secs(3650 * DAY);
        report.duration("Workers:Recheck:ReleaseAfter", self.release_after, bounds);
        check_concurrency(report, "Workers:Recheck", self.concurrency);
    }
}

impl Removal {
    pub(super) fn check(&self, report: &mut Report) {
        let bounds = HumanDuration::from_secs(3600)..=HumanDuration::from_secs(3650 * DAY);
        report.duration("Workers:Removal:Quarantine", self.quarantine, bounds);
        report.count("Workers:Removal:BrakePercent", self.brake_percent, 1..=100);
        let name = "Workers:Removal";
        check_interval(report, name, self.interval);
        check_backoff(report, name, self.interval, self.max_backoff);
        check_concurrency(report, name, self.concurrency);
    }
}

impl Intake {
    pub(super) fn check(&self, report: &mut Report) {
        check_interval(report, "Workers:Intake", self.interval);
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(30 * DAY);
        report.duration(
            "Workers:Intake:ResyncInterval",
            self.resync_interval,
            bounds,
        );
        let bounds = HumanDuration::from_secs(1)..=HumanDuration::from_secs(3650 * DAY);
        report.duration("Workers:Intake:MissingGrace", self.missing_grace, bounds);
        if self.missing_grace < HumanDuration::from_secs(DAY) {
            report.warning(
                "Workers:Intake:MissingGrace",
                "is shorter than one day: if the Cabinet loses domains by mistake, they are removed before \
                 anyone can react",
            );
        }
    }
}

fn check_interval(report: &mut Report, name: &str, interval: HumanDuration) {
    let bounds = HumanDuration::from(Duration::from_millis(100))..=HumanDuration::from_secs(DAY);
    report.duration(&format!("{name}:Interval"), interval, bounds);
}

fn check_backoff(
    report: &mut Report,
    name: &str,
    interval: HumanDuration,
    max_backoff: HumanDuration,
) {
    let key = format!("{name}:MaxBackoff");
    if max_backoff < interval {
        let what =
            format!("is {max_backoff}, but must not be shorter than {name}:Interval ({interval})");
        return report.error(&key, what);
    }
    report.duration(
        &key,
        max_backoff,
        interval..=HumanDuration::from_secs(7 * DAY),
    );
}

fn check_concurrency(report: &mut Report, name: &str, concurrency: u32) {
    report.count(&format!("{name}:Concurrency"), concurrency, 1..=1024);
}
