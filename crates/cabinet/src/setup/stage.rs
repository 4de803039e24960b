//! Where a domain is on its way, as its customer sees it.

use dps_cabinet_api::CustomDomain;
use dps_domain::{Actor, Failure, FailureCode, Status, Timestamp};

/// Where a domain is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was found out yet: the customer creates the record.
    CreateRecord,
    /// The customer requested a check, whose result is not there yet.
    Checking,
    /// The customer must act.
    ActionNeeded,
    /// Time alone solves it.
    Waiting,
    /// The platform must act.
    OurSide,
    /// The path to the name is being checked.
    Connecting,
    /// A certificate is being issued and deployed.
    Issuing,
    /// Stopped until the customer acts and requests a check.
    Stopped,
    /// Served over HTTPS.
    Live,
    /// Served, but something is wrong that will end it.
    LiveWithProblem,
    /// The domain is being removed.
    Removing,
    /// The domain was removed.
    Removed,
}

/// How urgent the page looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Working,
    Attention,
    Stopped,
}

impl Tone {
    /// The class of the stylesheet.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Working => "working",
            Self::Attention => "attention",
            Self::Stopped => "stopped",
        }
    }
}

impl Stage {
    /// The stage of a domain. `failure` is its last one, and `retried_at` the customer's last
    /// request of a check.
    pub(super) fn of(
        domain: &CustomDomain,
        retried_at: Option<Timestamp>,
        failure: Option<&Failure>,
    ) -> Self {
        let actor = last_actor(domain, failure);
        match (domain.status(), actor) {
            (Some(Status::Active), None | Some(Actor::Nobody | Actor::Operator)) => Self::Live,
            (Some(Status::Active), Some(Actor::Customer)) => Self::LiveWithProblem,
            (Some(Status::PendingRemoval), _) => Self::Removing,
            (Some(Status::Removed) | None, _) => Self::Removed,
            (Some(Status::Failed), _) if domain.next_attempt_at.is_none() => Self::Stopped,
            (_, Some(Actor::Customer)) => Self::ActionNeeded,
            (_, Some(Actor::Nobody)) => Self::Waiting,
            (_, Some(Actor::Operator)) => Self::OurSide,
            (Some(Status::PendingHttpProbe), None) => Self::Connecting,
            (Some(Status::Issuing), None) => Self::Issuing,
            (Some(Status::PendingDns | Status::Failed), None) => {
                // A report is a later change than the request.
                if retried_at.is_some_and(|at| at >= domain.updated_at) {
                    Self::Checking
                } else {
                    Self::CreateRecord
                }
            }
        }
    }

    pub(super) const fn tone(self) -> Tone {
        match self {
            Self::Live => Tone::Good,
            Self::ActionNeeded | Self::LiveWithProblem => Tone::Attention,
            Self::Stopped | Self::Removed => Tone::Stopped,
            Self::CreateRecord
            | Self::Checking
            | Self::Waiting
            | Self::OurSide
            | Self::Connecting
            | Self::Issuing
            | Self::Removing => Tone::Working,
        }
    }

    /// Seconds until the page asks again; 0 for never.
    pub(super) const fn poll_seconds(self) -> u32 {
        match self {
            Self::Removed | Self::Live => 0,
            Self::LiveWithProblem | Self::Stopped => 15,
            Self::CreateRecord
            | Self::Checking
            | Self::ActionNeeded
            | Self::Waiting
            | Self::OurSide
            | Self::Connecting
            | Self::Issuing
            | Self::Removing => 4,
        }
    }

    /// Whether the customer can request a check now.
    pub(super) const fn offers_check(self) -> bool {
        matches!(
            self,
            Self::CreateRecord
                | Self::ActionNeeded
                | Self::Waiting
                | Self::Stopped
                | Self::LiveWithProblem
        )
    }

    /// Whether the domain is on its way to HTTPS or there.
    pub(super) const fn has_records(self) -> bool {
        !matches!(self, Self::Removing | Self::Removed)
    }

    /// The number of steps that are done: the record, the connection, the certificate, and HTTPS.
    /// `None` for a domain that is not on its way.
    pub(super) fn steps_done(self, domain: &CustomDomain) -> Option<usize> {
        match self {
            Self::Removing | Self::Removed => return None,
            Self::Live | Self::LiveWithProblem => return Some(4),
            _ => {}
        }
        Some(match domain.status() {
            Some(Status::PendingHttpProbe) => 1,
            Some(Status::Issuing) => 2,
            _ => domain
                .last_error_code
                .as_deref()
                .map_or(0, steps_before_failure),
        })
    }
}

/// The number of steps that must be done before a failure with this code can happen.
fn steps_before_failure(code: &str) -> usize {
    let step_of = |prefix: &str| code.starts_with(prefix);
    if step_of("HTTP_") {
        1
    } else if ["CAA_", "ISSUANCE_", "ACME_"].into_iter().any(step_of) {
        2
    } else if step_of("EDGE_") {
        3
    } else {
        0
    }
}

/// Who must act on the last failure of a domain; `None` without one.
fn last_actor(domain: &CustomDomain, failure: Option<&Failure>) -> Option<Actor> {
    if let Some(failure) = failure {
        return Some(failure.actor());
    }
    // Another Cabinet's service may send no details, or a code of a later version.
    let code = domain.last_error_code.as_deref()?;
    let mut codes = FailureCode::ALL.iter();
    let known = codes.find(|known| known.as_str() == code);
    known.map_or(Some(Actor::Customer), |known| {
        known.actors().first().copied()
    })
}
