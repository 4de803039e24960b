//! The outcome of one step, its findings, and the continuation after a failure.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::dns::DnsProvider;
use crate::limits::OrderEffect;
use crate::{Event, EventKind, Failure, Ownership, Timestamp};

/// The result of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Progress: the record moves and the next step is due.
    Moved {
        /// The transition of the phase.
        event: Event,
        /// The word for the history.
        kind: EventKind,
        /// Evidence for the history.
        detail: Value,
    },
    /// A live domain is as it should be; nothing to do before the given moment.
    Confirmed {
        /// The time of the next check.
        until: Timestamp,
    },
    /// Not an error: another party needs time.
    Waiting {
        /// The time of the next check.
        until: Timestamp,
        /// The word for the history.
        kind: EventKind,
    },
    /// A step of the revocation of an ended domain's certificates.
    Revocation(RevocationStep),
    /// Something of the catalogue.
    Failed {
        /// The entry of the catalogue.
        failure: Failure,
        /// The continuation.
        then: Then,
    },
}

impl Outcome {
    /// A failure with its continuation.
    pub const fn failed(failure: Failure, then: Then) -> Self {
        Self::Failed { failure, then }
    }
}

/// The result of a step that revokes certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationStep {
    /// A certificate was revoked, or none was to be.
    Done {
        /// The serial of the certificate that the CA revoked; `None` if none was to be.
        revoked: Option<String>,
        /// Serials of those that only another CA can revoke.
        of_another_ca: Vec<String>,
        /// The generation below which certificates are left; `None` if none is.
        left_below: Option<u64>,
    },
    /// An edge may still present a certificate.
    TooEarly,
    /// The CA refused the request.
    Refused {
        /// The error.
        detail: String,
    },
}

/// The findings of a step besides its outcome.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// Evidence for the history; never a key.
    pub evidence: Map<String, Value>,
    /// The events of the domain's order that matter to the CA's limits, in their order.
    pub order_effects: Vec<OrderEffect>,
    /// The addresses that the customer's instruction may name, where the step queried the DNS;
    /// otherwise those of the configuration.
    pub edge_addresses: Option<Vec<IpAddr>>,
    /// The DNS provider of the zone, if the step found it.
    pub dns_provider: Option<&'static DnsProvider>,
    /// The ownership of the hostname after the step, if it changed.
    pub ownership: Option<Ownership>,
}

/// The continuation after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The same step again, after a growing delay.
    Retry,
    /// As [`Then::Retry`], but no later than the given moment, when no party need be waited for any
    /// more.
    RetryBy(Timestamp),
    /// The same step again at the time that another party named.
    At(Timestamp),
    /// Into the queue for the CA's limit of orders.
    Queue,
    /// Back to the DNS check, after a growing delay.
    RecheckDns,
    /// The order is dead: back to the DNS check, and a new order after that. `pause` when the CA's
    /// validation failed, so that the name is paused before the next order.
    NewOrder {
        /// Whether the name is paused.
        pause: bool,
    },
    /// As [`Then::NewOrder`], but no order before the given moment.
    NewOrderAt(Timestamp),
    /// A person must act first. A domain that is not live fails.
    Stop,
}
