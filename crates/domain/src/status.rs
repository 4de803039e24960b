//! The status of a custom domain as the Cabinet knows it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The life of a domain in the Cabinet's words. Anything finer is a [`Phase`](crate::Phase) and
/// stays with the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Waiting for the customer's DNS records to point at us.
    PendingDns,
    /// DNS is right; waiting for our own challenge responder to answer through the real path.
    PendingHttpProbe,
    /// A certificate is being ordered, validated, finalized or deployed.
    Issuing,
    /// Every live edge has presented the exact certificate in a TLS handshake.
    Active,
    /// Stopped: a person must act, then request a retry.
    Failed,
    /// The customer deleted the domain; it is being undeployed.
    PendingRemoval,
    /// Undeployed from every edge.
    Removed,
}

impl Status {
    /// All statuses, in the order of a domain's life.
    pub const ALL: [Self; 7] = [
        Self::PendingDns,
        Self::PendingHttpProbe,
        Self::Issuing,
        Self::Active,
        Self::Failed,
        Self::PendingRemoval,
        Self::Removed,
    ];

    /// The name used on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingDns => "PendingDns",
            Self::PendingHttpProbe => "PendingHttpProbe",
            Self::Issuing => "Issuing",
            Self::Active => "Active",
            Self::Failed => "Failed",
            Self::PendingRemoval => "PendingRemoval",
            Self::Removed => "Removed",
        }
    }

    /// Whether the service may report `next` for a domain that the Cabinet shows in this status.
    ///
    /// A report of the same status is always allowed: it refreshes the error and the next attempt's
    /// time. The way back from a later pending status to an earlier one is legal because DNS can be
    /// broken again before the certificate is issued. `Active` becomes `Failed` when the
    /// certificate ends before another is served. A `Failed` domain may move on: its DNS returned,
    /// or an operator requested a retry. Only the Cabinet's own side starts a removal (to
    /// `PendingRemoval`).
    pub const fn may_report(self, next: Self) -> bool {
        match (self, next) {
            (
                Self::PendingDns | Self::PendingHttpProbe | Self::Issuing | Self::Failed,
                Self::PendingDns
                | Self::PendingHttpProbe
                | Self::Issuing
                | Self::Active
                | Self::Failed,
            )
            | (Self::Active, Self::Active | Self::Failed)
            | (Self::PendingRemoval, Self::PendingRemoval)
            | (Self::PendingRemoval | Self::Removed, Self::Removed) => true,
            (
                Self::PendingDns | Self::PendingHttpProbe | Self::Issuing | Self::Failed,
                Self::PendingRemoval | Self::Removed,
            )
            | (
                Self::Active | Self::PendingRemoval | Self::Removed,
                Self::PendingDns
                | Self::PendingHttpProbe
                | Self::Issuing
                | Self::Active
                | Self::Failed
                | Self::PendingRemoval
                | Self::Removed,
            ) => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown status; known are PendingDns, PendingHttpProbe, Issuing, Active, Failed, PendingRemoval, Removed"
)]
pub struct UnknownStatus;

impl FromStr for Status {
    type Err = UnknownStatus;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownStatus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_its_own_name_on_the_wire() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }

    #[test]
    fn a_removed_domain_cannot_become_active() {
        assert!(!Status::Removed.may_report(Status::Active));
        assert!(!Status::PendingRemoval.may_report(Status::Failed));
    }

    #[test]
    fn the_cause_of_a_delayed_removal_can_be_reported() {
        for status in Status::ALL {
            assert!(status.may_report(status), "{status}");
        }
    }

    #[test]
    fn a_certificate_that_ended_fails_an_active_domain_and_a_failed_one_may_come_back() {
        assert!(Status::Active.may_report(Status::Failed));
        assert!(!Status::Active.may_report(Status::PendingDns));
        for next in [Status::PendingDns, Status::Issuing, Status::Active] {
            assert!(Status::Failed.may_report(next), "{next}");
        }
        assert!(!Status::Failed.may_report(Status::PendingRemoval));
    }
}
