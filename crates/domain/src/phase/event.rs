//! The events that move a phase, and the refusal of one that does not fit.

use crate::{CertificateId, OrderId, Timestamp};

/// An observation or a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// DNS points at us.
    DnsReady,
    /// Our responder answered on every address.
    HttpReady,
    /// DNS does not point at us, although the HTTP probe or the order was due.
    DnsLost,
    /// The DNS of a domain that was served does not point at us, which is no move yet.
    DnsSeenElsewhere {
        /// The moment of the check.
        at: Timestamp,
    },
    /// The DNS of a domain that was served does not point at us, often and long enough.
    DnsMovedAway {
        /// The moment of the check.
        at: Timestamp,
    },
    /// The DNS of a domain that was served points at us, whatever else failed.
    DnsConfirmed,
    /// The CA's limit leaves the account no order for now.
    OrdersUsedUp,
    /// The order's URL is stored.
    OrderPlaced(OrderId),
    /// The order is ready to be finalized.
    OrderReady,
    /// The order is invalid, expired, gone or was refused; a new one starts from the DNS check.
    OrderLost,
    /// A validation failed that may have met a moment's outage of ours: a new order starts from the
    /// DNS check.
    ValidationUnconfirmed,
    /// The certificate of the order is stored.
    CertificateStored(CertificateId),
    /// Every live edge presents the certificate; the next renewal begins at the given moment.
    Deployed {
        /// The stored renewal moment.
        renew_at: Timestamp,
        /// The start of the certificate's validity.
        not_before: Timestamp,
        /// The end of the certificate's validity.
        not_after: Timestamp,
    },
    /// The CA's renewal window, or a freeze, moved the renewal of a live domain to this moment.
    RenewalMoved(Timestamp),
    /// The renewal moment has come, or an operator requested a renewal.
    RenewalDue,
    /// The certificate that a live domain serves has ended.
    CertificateEnded,
    /// Another tenant proved that the name is its own.
    ClaimLost,
    /// The domain is stopped.
    GaveUp,
    /// The Cabinet requests a new start.
    RetryRequested,
    /// The Cabinet wants the domain gone.
    RemovalRequested,
    /// Every live edge has undeployed the domain.
    Undeployed,
}

/// The event does not fit the state: a fault of the service, for an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event {event} does not fit the phase {phase}")]
pub struct IllegalTransition {
    /// The phase's name.
    pub phase: &'static str,
    /// The event.
    pub event: String,
}
