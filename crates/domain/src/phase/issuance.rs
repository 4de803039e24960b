//! One run to a certificate: its states, and the moves between them.

use serde::{Deserialize, Serialize};

use super::event::{Event, IllegalTransition};
use crate::{CertificateId, OrderId};

/// State of one run to a deployed certificate. A first issue begins with the DNS check, a renewal
/// with the HTTP probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Issuance {
    /// Waiting for DNS to point at us.
    AwaitingDns,
    /// Waiting for our responder to answer on every address, after a DNS check.
    AwaitingHttpProbe,
    /// Everything is right for an order; none is stored yet.
    Ordering,
    /// Everything is right for an order, and it waits for one of those that the CA's limit leaves
    /// the account.
    Queued,
    /// The order's URL is stored; its authorization is not valid yet (RFC 8555 §7.5).
    Validating {
        /// The stored order.
        order: OrderId,
    },
    /// The authorization is valid. The certificate's key is stored before finalize (RFC 8555
    /// §7.4).
    Finalizing {
        /// The stored order.
        order: OrderId,
    },
    /// The certificate is stored; not every edge has proven it yet.
    Deploying {
        /// The certificate to deploy.
        certificate: CertificateId,
    },
}

impl Issuance {
    /// The state's name in logs and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AwaitingDns => "awaitingDns",
            Self::AwaitingHttpProbe => "awaitingHttpProbe",
            Self::Ordering => "ordering",
            Self::Queued => "queued",
            Self::Validating { .. } => "validating",
            Self::Finalizing { .. } => "finalizing",
            Self::Deploying { .. } => "deploying",
        }
    }

    /// Whether an order is placed or wanted, so that tokens of the CA's limits may be held for it.
    pub const fn holds_tokens(&self) -> bool {
        match self {
            Self::Ordering | Self::Queued | Self::Validating { .. } | Self::Finalizing { .. } => {
                true
            }
            Self::AwaitingDns | Self::AwaitingHttpProbe | Self::Deploying { .. } => false,
        }
    }

    /// Whether a step of this state may change something at the CA, so that no second worker may
    /// begin it meanwhile.
    pub const fn is_at_ca(&self) -> bool {
        match self {
            Self::AwaitingDns | Self::AwaitingHttpProbe => false,
            Self::Ordering
            | Self::Queued
            | Self::Validating { .. }
            | Self::Finalizing { .. }
            | Self::Deploying { .. } => true,
        }
    }

    pub(super) fn apply(self, event: Event) -> Result<Self, IllegalTransition> {
        Ok(match (self, event) {
            (Self::AwaitingDns, Event::DnsReady) => Self::AwaitingHttpProbe,
            (Self::AwaitingHttpProbe, Event::HttpReady) => Self::Ordering,
            (Self::AwaitingHttpProbe | Self::Ordering | Self::Queued, Event::DnsLost) => {
                Self::AwaitingDns
            }
            (Self::Ordering | Self::Queued, Event::OrdersUsedUp) => Self::Queued,
            (Self::Ordering | Self::Queued, Event::OrderPlaced(order)) => {
                Self::Validating { order }
            }
            (Self::Validating { order }, Event::OrderReady) => Self::Finalizing { order },
            (
                Self::Ordering
                | Self::Queued
                | Self::Validating { .. }
                | Self::Finalizing { .. }
                | Self::Deploying { .. },
                Event::OrderLost | Event::ValidationUnconfirmed,
            ) => Self::AwaitingDns,
            (Self::Finalizing { .. }, Event::CertificateStored(certificate)) => {
                Self::Deploying { certificate }
            }
            (state, event) => {
                return Err(IllegalTransition {
                    phase: state.name(),
                    event: format!("{event:?}"),
                });
            }
        })
    }
}
