//! The events of an order that matter to the CA's limits.

use super::charge::Exemption;
use super::refusal::Refused;
use crate::Timestamp;

/// The effect of one step on the limits that a domain's order counts against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEffect {
    /// The step ended before it sent an order.
    NotSent,
    /// The CA refused the order or did not answer.
    NotPlaced {
        /// The limits from which the CA exempts the order.
        exemption: Exemption,
        /// Whether the CA may have counted the order all the same.
        may_be_counted: bool,
    },
    /// The order leads to no certificate, and no validation failed.
    Lost,
    /// The CA declared the order invalid, but for a reason that it does not count as a failed
    /// validation.
    Refused,
    /// The CA's validation failed.
    ValidationFailed,
    /// The order is ready.
    Validated {
        /// Whether the CA validated just now instead of remembering an earlier validation.
        proven: bool,
    },
    /// The CA issued the certificate.
    Issued,
    /// The CA refused a request because of a limit.
    RateLimited {
        /// The limit.
        refused: Refused,
        /// When the CA takes such requests again.
        until: Timestamp,
    },
}
