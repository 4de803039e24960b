//! One struct per worker.

use std::time::Duration;

use dps_application::Policy;
use dps_domain::NameSuffix;
use dps_domain::address::edge_network_fault;
use dps_domain::cdn::ProxyPolicy;
use dps_domain::name_rules::PUBLIC_TARGET;
use dps_domain::ownership::RequireProof;
use dps_domain::policy::{MovePolicy, ProbeMode, ProbePolicy, Vantage};
use dps_domain::renewal::freeze::RenewalFreeze;
use dps_host::HumanDuration;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::super::report::Report;
use super::{EdgeAddress, FreezeWindow, freeze};

const DAY: u64 = 24 * 3600;
/// Bound of `ForbiddenNetworks` and `ProxyNetworks`: each is compared with every address.
const MAX_FORBIDDEN_NETWORKS: usize = 1_000;

/// Checks whether the DNS of new domains points to us.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DomainVerification {
    /// First delay after a failure, 100 ms to 1 day; it doubles up to `max_backoff`.
    pub interval: HumanDuration,
    /// Longest delay between two checks of a domain, from `interval` to 7 days.
    pub max_backoff: HumanDuration,
    /// Time for the customer to set DNS before the domain becomes `Failed`, 1 s to 1 year.
    pub give_up_after: HumanDuration,
    /// Number of concurrent checks, 1 to 1,024.
    pub concurrency: u32,
    /// Addresses of the edges. Names that cannot have a CNAME (apex names) must point to one.
    pub edge_addresses: Vec<EdgeAddress>,
    /// Suffixes of allowed CNAME targets. If empty, the suffix of `Cabinet:CnameTarget` applies;
    /// `dps run` needs one of the two.
    pub allowed_targets: Vec<NameSuffix>,
    /// Blocked names, each with all names below it.
    pub blocked_names: Vec<NameSuffix>,
    /// Allows domains in the registered domains of the targets and of the edges.
    pub allow_platform_names: bool,
    /// When a tenant must prove that a hostname is its own: `Never`, `WhenContested` or `Always`.
    pub require_proof: RequireProof,
    /// Time after which a domain that moved away needs a new proof to return, 1 h to 1 year.
    pub reprove_after: HumanDuration,
    /// Suffixes below which every name is the target of one domain, so that a CNAME proves its
    /// tenant. If empty, the suffix of a `Cabinet:CnameTarget` with `{random}` or `{id}` applies.
    pub unique_targets: Vec<NameSuffix>,
}

/// Fetches a probe token at each address of the domain, as the CA will.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HttpProbe {
    /// First delay after a failure, 100 ms to 1 day; it doubles up to `max_backoff`.
    pub interval: HumanDuration,
    /// Longest delay between two probes of a domain, from `interval` to 7 days.
    pub max_backoff: HumanDuration,
    /// Port of the probe. A public CA connects only to port 80 (RFC 8555 §8.3).
    pub port: u16,
    /// Timeout of the exchange with one address, 1 s to 30 s.
    pub timeout: HumanDuration,
    /// Allows connections to private and loopback addresses, for a lab or an intranet.
    pub allow_private_addresses: bool,
    /// Further networks to which the probe never connects, such as the operator's own; at most
    /// 1,000.
    pub forbidden_networks: Vec<EdgeAddress>,
    /// Accepts names behind a CDN or another proxy if the probe passes through it.
    pub accept_proxied: bool,
    /// Networks of proxies besides those of known CDNs, at most 1,000.
    pub proxy_networks: Vec<EdgeAddress>,
    /// Number of concurrent probes, 1 to 1,024.
    pub concurrency: u32,
    /// Whether the probe must pass before an order: `Require`, `Warn` or `Off`.
    pub mode: ProbeMode,
    /// Probes in a row that must pass, 1 to 5.
    pub passes: u32,
    /// Where the probe is sent from: `Service` or `Edges`.
    pub vantage: Vantage,
}

/// Orders first certificates and deploys them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AcmeIssuance {
    /// First delay after a failure, 100 ms to 1 day; it doubles up to `max_backoff`.
    pub interval: HumanDuration,
    /// Longest delay after failures, for first issuances and renewals; from `interval` to 7 days.
    pub max_backoff: HumanDuration,
    /// Permits that this worker adds to the pool for work at the CA, 1 to 1,024. `Workers:Shares`
    /// divides the pool.
    pub concurrency: u32,
}

/// Renews certificates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Renewal {
    /// Time between two passes over renewals that stopped until a person acts, because the CA
    /// refuses or paused the name, 100 ms to 1 day. Others begin at their stored moment.
    pub interval: HumanDuration,
    /// Permits that this worker adds to the pool for work at the CA, 1 to 1,024. `Workers:Shares`
    /// divides the pool.
    pub concurrency: u32,
    /// Windows in which no renewal begins that can wait, at most 52. None is delayed until it is
    /// urgent.
    pub freeze: Vec<FreezeWindow>,
}

/// Checks whether live domains still point to us.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Recheck {
    /// Time between two DNS checks of a live domain, 1 min to 30 days.
    pub interval: HumanDuration,
    /// DNS checks in a row that must find a live domain elsewhere before it counts as moved away,
    /// 1 to 100.
    pub observations: u32,
    /// Time from the first of these checks to the last, 0 to 7 days.
    pub moved_after: HumanDuration,
    /// Time after the end of the certificate of a moved-away domain until its hostname is free,
    /// 1 day to 10 years; 0 for never.
    pub release_after: HumanDuration,
    /// Number of concurrent DNS checks, and of concurrent `RenewalInfo` polls, 1 to 1,024.
    pub concurrency: u32,
}

/// Undeploys removed domains.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Removal {
    /// First delay after a failure, 100 ms to 1 day; it doubles up to `max_backoff`.
    pub interval: HumanDuration,
    /// Longest delay after failures, from `interval` to 7 days.
    pub max_backoff: HumanDuration,
    /// Number of concurrent removals, 1 to 1,024.
    pub concurrency: u32,
    /// Time for which the record of a removed domain is kept, 1 h to 10 years.
    pub quarantine: HumanDuration,
    /// Removals and renames of served names in a day, in percent of the domains, 1 to 100. Further
    /// ones wait for `dps removals approve`; 100 disables the brake.
    pub brake_percent: u32,
    /// Whether the CA is asked to revoke the certificates of a domain that ended.
    pub revoke_certificates: bool,
}

/// Reads domains from the Cabinet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Intake {
    /// Pause between two polls of a Cabinet without a change feed, 100 ms to 1 day.
    pub interval: HumanDuration,
    /// Time between two comparisons of all domains with the Cabinet, 1 s to 30 days.
    pub resync_interval: HumanDuration,
    /// Time for which a domain must be missing in the Cabinet before it is removed, 1 s to
    /// 10 years.
    pub missing_grace: HumanDuration,
}

/// Returns a number of the policy as a setting.
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
            require_proof: policy.ownership.require,
            reprove_after: policy.ownership.reprove_after.into(),
            unique_targets: Vec::new(),
        }
    }
}

impl Default for HttpProbe {
    fn default() -> Self {
        let Policy {
            http_probe: lane,
            probe,
            ..
        } = Policy::default();
        Self {
            interval: lane.interval.into(),
            max_backoff: lane.max_backoff.into(),
            port: 80,
            timeout: HumanDuration::from_secs(10),
            allow_private_addresses: false,
            forbidden_networks: Vec::new(),
            accept_proxied: false,
            proxy_networks: Vec::new(),
            concurrency: count(lane.concurrency),
            mode: probe.mode,
            passes: probe.passes,
            vantage: probe.vantage,
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
            freeze: Vec::new(),
        }
    }
}

impl Default for Recheck {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            interval: policy.recheck.interval.into(),
            observations: policy.moved.observations,
            moved_after: policy.moved.after.into(),
            release_after: policy.release_after.unwrap_or_default().into(),
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
            revoke_certificates: policy.revoke_ended,
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
        let bounds = HumanDuration::from_secs(3600)..=HumanDuration::from_secs(365 * DAY);
        report.duration(&format!("{name}:ReproveAfter"), self.reprove_after, bounds);
        for (key, targets) in [
            ("AllowedTargets", &self.allowed_targets),
            ("UniqueTargets", &self.unique_targets),
        ] {
            for target in targets.iter().filter(|target| target.is_public()) {
                report.error(
                    &format!("{name}:{key}"),
                    format!("contains {}, {PUBLIC_TARGET}", target.as_str()),
                );
            }
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
    /// Returns the rules for names behind proxies.
    pub fn proxies(&self) -> ProxyPolicy {
        let networks = self.proxy_networks.iter().map(|network| network.0);
        ProxyPolicy {
            accepted: self.accept_proxied,
            networks: networks.collect(),
        }
    }

    /// Returns when and where from the probe is sent.
    pub(super) const fn policy(&self) -> ProbePolicy {
        ProbePolicy {
            mode: self.mode,
            passes: self.passes,
            vantage: self.vantage,
        }
    }

    /// Returns the networks of `ForbiddenNetworks`.
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
        report.count(&format!("{name}:Passes"), self.passes, 1..=5);
        if self.accept_proxied && self.mode != ProbeMode::Require {
            report.error(
                &format!("{name}:AcceptProxied"),
                "needs Mode Require: only a probe shows that the CA reaches you through a proxy",
            );
        }
        if self.mode == ProbeMode::Off {
            report.warning(
                &format!("{name}:Mode"),
                "is Off: names that do not reach your edges use up the CA's limit of failed validations",
            );
        }
        if self.forbidden_networks.len() > MAX_FORBIDDEN_NETWORKS {
            let key = format!("{name}:ForbiddenNetworks");
            report.error(
                &key,
                format!("has more than {MAX_FORBIDDEN_NETWORKS} networks; remove or merge some"),
            );
        }
        if self.proxy_networks.len() > MAX_FORBIDDEN_NETWORKS {
            report.error(
                &format!("{name}:ProxyNetworks"),
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
    /// Returns the windows in which no renewal begins that can wait.
    pub(super) fn freeze(&self) -> RenewalFreeze {
        freeze::freeze(&self.freeze)
    }

    pub(super) fn check(&self, report: &mut Report) {
        check_interval(report, "Workers:Renewal", self.interval);
        check_concurrency(report, "Workers:Renewal", self.concurrency);
        freeze::check(&self.freeze, report);
    }
}

impl Recheck {
    /// Returns the evidence of a move.
    pub(super) fn moved(&self) -> MovePolicy {
        MovePolicy {
            observations: self.observations,
            after: self.moved_after.get(),
        }
    }

    /// Returns the time until the hostname of a moved-away domain is free; `None` for never.
    pub(super) fn release_after(&self) -> Option<Duration> {
        Some(self.release_after.get()).filter(|after| !after.is_zero())
    }

    pub(super) fn check(&self, report: &mut Report) {
        let bounds = HumanDuration::from_secs(60)..=HumanDuration::from_secs(30 * DAY);
        report.duration("Workers:Recheck:Interval", self.interval, bounds);
        report.count("Workers:Recheck:Observations", self.observations, 1..=100);
        let bounds = HumanDuration::from_secs(0)..=HumanDuration::from_secs(7 * DAY);
        report.duration("Workers:Recheck:MovedAfter", self.moved_after, bounds);
        let bounds = HumanDuration::from_secs(DAY)..=HumanDuration::from_secs(3650 * DAY);
        if self.release_after().is_some() {
            report.duration("Workers:Recheck:ReleaseAfter", self.release_after, bounds);
        }
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
