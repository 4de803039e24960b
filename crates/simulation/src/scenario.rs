//! The scenario of a run, read from a file: JSON with comments, durations with units, every key
//! with a default. An unknown key is an error that names the nearest known one.

mod spans;

use std::path::Path;
use std::time::Duration;

use dps_domain::renewal::freeze::{FreezeError, FreezeWindow, RenewalFreeze};
use dps_host::HumanDuration;
use dps_host::settings::{Loader, SettingsError};
use serde::{Deserialize, Serialize};

use crate::time::EPOCH;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// A moment or span of a run.
type Span = HumanDuration;

const fn days(days: u64) -> Span {
    Span::from_secs(days * DAY)
}

/// A whole scenario. Moments are counted from the beginning of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Scenario {
    /// Its subject, in one line.
    pub title: String,
    /// Custom domains in all.
    pub domains: u32,
    /// Virtual days.
    pub days: u32,
    /// Number of tenants, to whom the domains belong in turn.
    pub tenants: u32,
    /// How many of the names share a registered domain.
    pub names_per_registered_domain: u32,
    /// When the domains are created.
    pub arrivals: Arrivals,
    /// The customers' changes to their DNS.
    pub customers: Customers,
    /// The CA.
    pub ca: Ca,
    /// The renewal information of the CA (RFC 9773).
    pub renewal_info: RenewalInfo,
    /// A mass revocation.
    pub revocation: Revocation,
    /// The edges.
    pub edges: Edges,
    /// The Cabinet.
    pub cabinet: Party,
    /// The resolvers.
    pub resolvers: Party,
    /// The replicas of the service.
    pub replicas: Replicas,
    /// Settings of the service that differ from their defaults.
    pub workers: Workers,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            title: "Steady growth".to_owned(),
            domains: 2_000,
            days: 60,
            tenants: 100,
            names_per_registered_domain: 1,
            arrivals: Arrivals::default(),
            customers: Customers::default(),
            ca: Ca::default(),
            renewal_info: RenewalInfo::default(),
            revocation: Revocation::default(),
            edges: Edges::default(),
            cabinet: Party::default(),
            resolvers: Party::default(),
            replicas: Replicas::default(),
            workers: Workers::default(),
        }
    }
}

/// When domains are created: in waves of equal size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Arrivals {
    /// How many waves.
    pub waves: u32,
    /// When the first begins.
    pub first_at: Span,
    /// From the beginning of one to that of the next.
    pub every: Span,
    /// How long each lasts.
    pub each_lasts: Span,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            waves: 1,
            first_at: days(0),
            every: days(7),
            each_lasts: days(1),
        }
    }
}

/// The customers' DNS: whether and when names begin and cease to point at us.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Customers {
    /// Share of customers whose DNS points at us before they create the domain; the others take up
    /// to `DnsWithin`.
    pub ready: f64,
    /// How long the others take at most.
    pub dns_within: Span,
    /// Share of customers who never point at us.
    pub never_ready: f64,
    /// Share of domains whose DNS leaves us although the Cabinet still has them.
    pub leave: f64,
    /// When the first of them leaves.
    pub leave_from: Span,
    /// How long it takes until the last of them has left.
    pub leave_over: Span,
    /// Share of those who left that come back.
    pub return_share: f64,
    /// Time from a domain's leaving to its return.
    pub return_after: Span,
    /// Share of names that a second tenant claims, beside the `Domains` of the first claims. None
    /// of them leaves.
    ///
    /// Half of these names belong to the second tenant. Half have a target for each claim, the
    /// others share one. The owner proves its claim by its target or, once it is asked, by a TXT
    /// record. The other tenant proves nothing, and requests a retry later.
    ///
    /// A quarter is removed by the first tenant before the second claims it: half of those within
    /// the quarantine, half after it.
    pub contested: f64,
    /// When the first of them is claimed, or removed before its claim. Not before the end of the
    /// arrivals.
    pub contested_from: Span,
    /// How long it takes until the last of them is.
    pub contested_over: Span,
}

impl Default for Customers {
    fn default() -> Self {
        Self {
            ready: 1.0,
            dns_within: days(1),
            never_ready: 0.0,
            leave: 0.0,
            leave_from: days(10),
            leave_over: days(30),
            return_share: 0.0,
            return_after: days(10),
            contested: 0.0,
            contested_from: days(10),
            contested_over: days(30),
        }
    }
}

/// The CA: Let's Encrypt's limits, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Ca {
    /// How long its certificates are valid.
    pub lifetime: Span,
    /// New orders that one account may place in three hours.
    pub new_orders_per_three_hours: u32,
    /// Whether no limit applies to our account.
    pub limits_lifted: bool,
    /// How long a call takes there and back.
    pub answers_after: Span,
    /// How long a validation takes.
    pub validates_after: Span,
    /// How long it takes to issue.
    pub issues_after: Span,
    /// When it does not answer.
    pub outages: Outages,
}

impl Default for Ca {
    fn default() -> Self {
        Self {
            lifetime: days(90),
            new_orders_per_three_hours: 300,
            limits_lifted: false,
            answers_after: Span::from(Duration::from_millis(100)),
            validates_after: Span::from_secs(1),
            issues_after: Span::from_secs(1),
            outages: Outages::default(),
        }
    }
}

impl Arrivals {
    /// When the last domain is created at the latest.
    pub fn end(&self) -> Duration {
        let waves = self.waves.saturating_sub(1);
        self.first_at.get() + self.every.get() * waves + self.each_lasts.get()
    }
}

/// Stretches with a fault of one kind, such as a party that does not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Outages {
    /// When each begins.
    pub at: Vec<Span>,
    /// How long each lasts.
    pub each_lasts: Span,
}

impl Default for Outages {
    fn default() -> Self {
        Self {
            at: vec![],
            each_lasts: Span::from_secs(HOUR),
        }
    }
}

/// The renewal information of the CA (RFC 9773).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct RenewalInfo {
    /// Whether the CA offers renewal information.
    pub offered: bool,
    /// Time from an answer to the next poll.
    pub ask_again_after: Span,
    /// When it answers 503 to these polls alone.
    pub throttled: Outages,
}

impl Default for RenewalInfo {
    fn default() -> Self {
        Self {
            offered: true,
            ask_again_after: Span::from_secs(6 * HOUR),
            throttled: Outages::default(),
        }
    }
}

/// A mass revocation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Revocation {
    /// When the CA moves the renewal windows of the certificates into the past; `None` for never.
    pub at: Option<Span>,
    /// Share of the valid certificates that are revoked, from 0 to 1.
    pub share: f64,
    /// Time from that moment until they are void.
    pub void_after: Span,
}

impl Default for Revocation {
    fn default() -> Self {
        Self {
            at: None,
            share: 0.25,
            void_after: days(5),
        }
    }
}

/// The edges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Edges {
    /// How many.
    pub count: u32,
    /// How long a call takes there and back.
    pub answers_after: Span,
    /// When all of them are restarted, one after the other.
    pub restarts: Outages,
    /// When the first of them is away.
    pub outages: Outages,
    /// When all of them are away.
    pub fleet_outages: Outages,
}

impl Default for Edges {
    fn default() -> Self {
        Self {
            count: 2,
            answers_after: Span::from(Duration::from_millis(20)),
            restarts: Outages {
                each_lasts: Span::from_secs(120),
                ..Outages::default()
            },
            outages: Outages::default(),
            fleet_outages: Outages::default(),
        }
    }
}

/// Another party.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Party {
    /// How long a call takes there and back.
    pub answers_after: Span,
    /// When it does not answer.
    pub outages: Outages,
}

impl Default for Party {
    fn default() -> Self {
        Self {
            answers_after: Span::from(Duration::from_millis(20)),
            outages: Outages::default(),
        }
    }
}

/// The replicas of the service, all on one store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Replicas {
    /// How many.
    pub count: u32,
    /// When one of them dies, in turn; it is started again a minute later.
    pub crashes_at: Vec<Span>,
}

impl Default for Replicas {
    fn default() -> Self {
        Self {
            count: 1,
            crashes_at: vec![],
        }
    }
}

/// Settings of the service by their names in its configuration; what is not set is at its default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct Workers {
    /// `Workers:Recheck:Interval`.
    pub recheck_interval: Option<Span>,
    /// `Workers:Intake:ResyncInterval`.
    pub resync_interval: Option<Span>,
    /// `Workers:EdgeReconcile:Interval`.
    pub edge_reconcile_interval: Option<Span>,
    /// `Workers:AcmeIssuance:Concurrency`.
    pub acme_issuance_concurrency: Option<u32>,
    /// `Workers:Renewal:Concurrency`.
    pub renewal_concurrency: Option<u32>,
    /// `Workers:Recheck:Concurrency`.
    pub recheck_concurrency: Option<u32>,
    /// `Workers:Renewal:Freeze`.
    pub renewal_freeze: Outages,
}

/// The scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file is not there, or says something that it may not.
    #[error(transparent)]
    File(#[from] SettingsError),
    /// A value makes no sense.
    #[error("{key} {what}")]
    Value {
        /// The key.
        key: &'static str,
        /// The fault and the values that are allowed.
        what: String,
    },
}

impl Workers {
    /// The windows of the freeze.
    pub(crate) fn freeze(&self) -> Result<RenewalFreeze, FreezeError> {
        let lasts = self.renewal_freeze.each_lasts.get();
        let windows = self.renewal_freeze.at.iter().map(|at| FreezeWindow {
            from: EPOCH + at.get(),
            until: EPOCH + at.get().saturating_add(lasts),
            reason: None,
        });
        RenewalFreeze::new(windows.collect())
    }
}

impl Scenario {
    /// Reads a scenario file.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let scenario: Self = Loader::new(Path::new("")).config(path).load()?.settings;
        scenario.check()?;
        Ok(scenario)
    }

    /// Whether it can be run.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let (shortest, longest) = (Duration::from_secs(600), Duration::from_secs(400 * DAY));
        let lifetime = self.ca.lifetime.get();
        let shares = [
            ("Customers:Ready", self.customers.ready),
            ("Customers:NeverReady", self.customers.never_ready),
            ("Customers:Leave", self.customers.leave),
            ("Customers:ReturnShare", self.customers.return_share),
            ("Customers:Contested", self.customers.contested),
            ("Revocation:Share", self.revocation.share),
        ];
        let counts = [
            ("Domains", self.domains, 10_000_000),
            ("Days", self.days, 3_660),
            ("Tenants", self.tenants, 10_000_000),
            (
                "NamesPerRegisteredDomain",
                self.names_per_registered_domain,
                10_000_000,
            ),
            ("Arrivals:Waves", self.arrivals.waves, 10_000),
            (
                "Ca:NewOrdersPerThreeHours",
                self.ca.new_orders_per_three_hours,
                10_000_000,
            ),
            ("Edges:Count", self.edges.count, 8),
            ("Replicas:Count", self.replicas.count, 16),
        ];
        for (key, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                let what = format!("is {share}, but a share is from 0 to 1");
                return Err(ScenarioError::Value { key, what });
            }
        }
        for (key, count, most) in counts {
            if !(1..=most).contains(&count) {
                let what = format!("is {count}, but must be from 1 to {most}");
                return Err(ScenarioError::Value { key, what });
            }
        }
        if !(shortest..=longest).contains(&lifetime) {
            let what = format!("is {}, but must be from 10m to 400d", self.ca.lifetime);
            return Err(ScenarioError::Value {
                key: "Ca:Lifetime",
                what,
            });
        }
        spans::check(self)
    }

    /// How long the run is.
    pub fn length(&self) -> Duration {
        Duration::from_secs(u64::from(self.days) * DAY)
    }
}
