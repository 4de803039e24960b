//! The port of the metrics.

use std::net::SocketAddr;
use std::time::Duration;

use dps_domain::decide::Action;
use dps_domain::lane::Lane;
use dps_domain::limits::{Endpoint, LimitKind};

/// Why a domain waits before a request to the CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeWait {
    /// A limit of the CA leaves nothing for now.
    Limit(LimitKind),
    /// The name is paused after a failed validation, or the CA paused it.
    BackOff,
    /// An operator paused issuance.
    Paused,
    /// A freeze delays renewals that can wait.
    Frozen,
}

impl AcmeWait {
    /// The value of the label `limit` in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Limit(kind) => kind.label(),
            Self::BackOff => "name_blocked",
            Self::Paused => "issuance_paused",
            Self::Frozen => "renewal_frozen",
        }
    }
}

/// A point of a first issuance, whose time since the intake is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// The name points at us.
    DnsReady,
    /// Our responder answered on every address.
    HttpReady,
    /// The CA took the order.
    OrderPlaced,
    /// The CA validated the name.
    Validated,
    /// The certificate is stored.
    Issued,
    /// Every live edge presents the certificate.
    Active,
}

impl Milestone {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::DnsReady,
        Self::HttpReady,
        Self::OrderPlaced,
        Self::Validated,
        Self::Issued,
        Self::Active,
    ];

    /// The value of the label `step`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DnsReady => "dns_ready",
            Self::HttpReady => "http_ready",
            Self::OrderPlaced => "order_placed",
            Self::Validated => "validated",
            Self::Issued => "issued",
            Self::Active => "active",
        }
    }
}

/// The end of a request to the CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeResult {
    /// The CA carried out the request.
    Success,
    /// A limit of the CA, or an overload (429).
    Limited,
    /// Another 4xx, a refused nonce included.
    Refused,
    /// A 5xx, or a redirect.
    ServerError,
    /// No complete answer in time.
    NoAnswer,
}

impl AcmeResult {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Success,
        Self::Limited,
        Self::Refused,
        Self::ServerError,
        Self::NoAnswer,
    ];

    /// The value of the label `result`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Limited => "limited",
            Self::Refused => "refused",
            Self::ServerError => "server_error",
            Self::NoAnswer => "no_answer",
        }
    }

    /// Whether the result shows that the CA works. A refusal does.
    pub const fn shows_it_works(self) -> bool {
        match self {
            Self::Success | Self::Limited | Self::Refused => true,
            Self::ServerError | Self::NoAnswer => false,
        }
    }
}

/// The party that our own machine could not call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalParty {
    /// A DNS resolver.
    Dns,
    /// An address that a customer's name publishes.
    Probe,
    /// The CA.
    Ca,
    /// An edge's agent.
    Edge,
    /// The Cabinet.
    Cabinet,
}

impl LocalParty {
    /// Every party.
    pub const ALL: [Self; 5] = [Self::Dns, Self::Probe, Self::Ca, Self::Edge, Self::Cabinet];

    /// The name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Probe => "probe",
            Self::Ca => "ca",
            Self::Edge => "edge",
            Self::Cabinet => "cabinet",
        }
    }
}

/// An event between us and the Cabinet that has its own counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CabinetEvent {
    /// An item of a page could not be used.
    ItemRefused,
    /// A domain was refused for its name or target.
    NameRefused,
    /// A report met another version than we knew (409 or 412).
    VersionConflict,
    /// The Cabinet refused a report for good.
    ReportRefused,
}

impl CabinetEvent {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::ItemRefused,
        Self::NameRefused,
        Self::VersionConflict,
        Self::ReportRefused,
    ];

    /// The value of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ItemRefused => "item_refused",
            Self::NameRefused => "name_refused",
            Self::VersionConflict => "version_conflict",
            Self::ReportRefused => "report_refused",
        }
    }
}

/// An event of a claim that has its own counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimEvent {
    /// A tenant claims a name that another tenant claims, or had until recently.
    Contested,
    /// A tenant lost its claim, since another proved that the name is its own.
    Superseded,
}

impl ClaimEvent {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Contested, Self::Superseded];

    /// The value of the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contested => "contested",
            Self::Superseded => "superseded",
        }
    }
}

/// Counts results. No label per hostname, ever.
pub trait Metrics: Send + Sync {
    /// One DNS check was answered: `domain_verification_total`. A domain that is known to have
    /// moved away is not counted again.
    fn domain_verification(&self, success: bool);
    /// One first issuance ended with a deployed certificate, or an attempt failed at the CA or an
    /// edge that answered: `acme_issuance_total`.
    fn acme_issuance(&self, success: bool);
    /// One renewal ended with a deployed certificate, or an attempt failed at the CA or an edge
    /// that answered: `renewal_total`.
    fn renewal(&self, success: bool);
    /// A step ended, leased from this lane: `dps_step_duration_seconds`.
    fn step(&self, lane: Lane, action: &Action, took: Duration);
    /// A first issuance reached a milestone, this long after the intake of its domain:
    /// `dps_time_to_active_seconds`.
    fn onboarding(&self, milestone: Milestone, since_intake: Duration);
    /// The CA took or refused the account: `dps_acme_account_usable`.
    fn acme_account(&self, is_usable: bool);
    /// A domain had to wait, and no request was sent to the CA: `dps_acme_waits_total`.
    fn acme_wait(&self, wait: AcmeWait);
    /// So many steps of a lane are under way in this process now: `dps_work_in_flight`.
    fn under_way(&self, lane: Lane, steps: usize);
    /// An edge that lacked certificates took so many, and refused so many:
    /// `dps_edge_reconcile_deployments_total`.
    fn edge_filled(&self, applied: usize, refused: usize);
    /// Renewal information was polled from the CA, with or without an answer:
    /// `dps_acme_renewal_info_polls_total`.
    fn renewal_info(&self, success: bool);
    /// Our own machine could not call a party: `dps_local_faults_total`.
    fn local_fault(&self, party: LocalParty);
    /// A resolver did not resolve our own target: `dps_dns_resolver_failures_total`.
    fn resolver_failed(&self, resolver: SocketAddr);
    /// Something happened between us and the Cabinet: `dps_cabinet_events_total`.
    fn cabinet(&self, event: CabinetEvent);
    /// A claim was contested or superseded: `dps_claims_total`.
    fn claim(&self, event: ClaimEvent);
}

/// Counts the requests that are sent to the CA.
pub trait AcmeMetrics: Send + Sync {
    /// A request ended: `dps_acme_requests_total`, and the metrics beside it.
    fn acme_request(&self, endpoint: Endpoint, result: AcmeResult, took: Duration);
    /// Our clock was this many seconds ahead of the CA's: `dps_clock_ahead_of_ca_seconds`.
    fn ca_clock(&self, ahead_seconds: f64);
}
