//! The time for which rows are kept that no step needs any more.

use std::time::Duration;

use crate::{Timestamp, idempotency};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Superseded certificates that are kept of each domain, beside its newest.
pub const SUPERSEDED_CERTIFICATES: u32 = 2;

/// Time for which a key or challenge of an ended order is kept, for a step that still works on it.
const ORDER_GRACE: Duration = DAY;

/// Time for which a token of a limit is held at most. The longest period of a limit that CAs
/// publish is a week, and nothing is booked more than a week ahead.
const SLOT: Duration = DAY.saturating_mul(30);

/// Time for which the fleet's counts of an hour are kept.
const FLEET_COUNTS: Duration = DAY.saturating_mul(30);

/// Time for which an operator's actions are kept: more than a year, for its review.
const ACTIONS: Duration = DAY.saturating_mul(400);

/// Time for which events of webhooks are kept, so that they can be delivered again.
const WEBHOOKS: Duration = DAY.saturating_mul(14);

/// Time for which the tenant of a target is known after a domain was last seen to have it. A record
/// that was left behind in a zone names no other tenant until then.
const TARGETS: Duration = DAY.saturating_mul(400);

/// Lines of history that a renewal without a fault adds, and the recheck before it.
const LINES_PER_RENEWAL: u64 = 7;

/// Time without a note of an edge, or without an answer of it, after which no key is kept for it.
const EDGE: Duration = Duration::from_secs(2 * 60 * 60);

/// Rows of one kind that are deleted or closed, or keys that are erased, when their time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prunable {
    /// Lines of history, by age.
    HistoryLine,
    /// Buckets of the CA's limits that are full and not blocked.
    Bucket,
    /// Tokens of limits that domains hold, by the moment for which they are held.
    Slot,
    /// Open orders of records that failed or were removed, by their age. No step returns to them:
    /// they are closed.
    OpenOrder,
    /// Challenges of orders that are closed, by the age of the order.
    Challenge,
    /// Keys of orders that ended without a certificate.
    OrderKey,
    /// Keys of superseded certificates that have ended.
    EndedKey,
    /// Keys of superseded certificates whose successor is on every live edge.
    SupersededKey,
    /// Certificates that are neither the newest of their domain nor among the
    /// [`SUPERSEDED_CERTIFICATES`] last ones before it, once their key is erased.
    Certificate,
    /// Orders that ended, once their certificate is deleted.
    Order,
    /// Counts of the fleet, by their hour.
    FleetCount,
    /// Actions of operators, by age.
    Action,
    /// Idempotency keys, by the beginning of their call.
    IdempotencyKey,
    /// Events for the receivers of webhooks, delivered or given up, by age.
    WebhookDelivery,
    /// Tenants of targets, by the time at which a domain was last seen to have one.
    Target,
    /// Jobs of operators that have ended, by their beginning.
    Job,
}

impl Prunable {
    /// Every kind, in the order of a pass: keys before their certificates, certificates before
    /// their orders.
    pub const ALL: [Self; 16] = [
        Self::HistoryLine,
        Self::Bucket,
        Self::Slot,
        Self::OpenOrder,
        Self::Challenge,
        Self::OrderKey,
        Self::EndedKey,
        Self::SupersededKey,
        Self::Certificate,
        Self::Order,
        Self::FleetCount,
        Self::Action,
        Self::IdempotencyKey,
        Self::WebhookDelivery,
        Self::Target,
        Self::Job,
    ];

    /// The stable word for it in logs and in the task's progress.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HistoryLine => "history_line",
            Self::Bucket => "bucket",
            Self::Slot => "slot",
            Self::OpenOrder => "open_order",
            Self::Challenge => "challenge",
            Self::OrderKey => "order_key",
            Self::EndedKey => "ended_key",
            Self::SupersededKey => "superseded_key",
            Self::Certificate => "certificate",
            Self::Order => "order",
            Self::FleetCount => "fleet_count",
            Self::Action => "action",
            Self::Target => "target",
            Self::IdempotencyKey => "idempotency_key",
            Self::WebhookDelivery => "webhook_delivery",
            Self::Job => "job",
        }
    }
}

/// The operator's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Time for which lines of history are kept.
    pub history: Duration,
    /// Time for which an order is kept after its end.
    pub orders: Duration,
    /// Time for which the key of a superseded certificate is kept after the newer one was stored.
    pub rollback: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            history: 180 * DAY,
            orders: 30 * DAY,
            rollback: 7 * DAY,
        }
    }
}

/// The key of a superseded certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupersededKey {
    /// Time at which the newer certificate of the domain was stored.
    pub superseded_at: Timestamp,
    /// End of the certificate.
    pub not_after: Timestamp,
    /// Whether the phase of the record names the certificate.
    pub is_named: bool,
    /// Whether every live edge presents the domain's newer certificate, or the domain serves none.
    pub is_replaced: bool,
}

impl Retention {
    /// Returns the time until which a row of this kind must have been due, so that it may go at
    /// `now`.
    pub fn cutoff(&self, kind: Prunable, now: Timestamp) -> Timestamp {
        match kind {
            Prunable::HistoryLine => now - self.history,
            Prunable::Order | Prunable::OpenOrder => now - self.orders,
            Prunable::SupersededKey => now - self.rollback,
            Prunable::Slot => now - SLOT,
            Prunable::FleetCount => now - FLEET_COUNTS,
            Prunable::Target => now - TARGETS,
            Prunable::IdempotencyKey => now - idempotency::KEPT,
            Prunable::WebhookDelivery => now - WEBHOOKS,
            Prunable::Action | Prunable::Job => now - ACTIONS,
            Prunable::Challenge | Prunable::OrderKey => now - ORDER_GRACE,
            Prunable::Bucket | Prunable::EndedKey | Prunable::Certificate => now,
        }
    }

    /// Returns the earliest time at which a live edge was last noted in the fleet. It may have been
    /// failing since then, and not for longer.
    pub fn edge_cutoff(now: Timestamp) -> Timestamp {
        now - EDGE
    }

    /// Whether the key may be erased: nothing can go back to the certificate.
    pub fn releases_key(&self, key: &SupersededKey, now: Timestamp) -> bool {
        let is_past = |kind: Prunable, at: Timestamp| at <= self.cutoff(kind, now);
        let has_ended = is_past(Prunable::EndedKey, key.not_after);
        let rolled_forward = key.is_replaced && is_past(Prunable::SupersededKey, key.superseded_at);
        !key.is_named && (has_ended || rolled_forward)
    }

    /// Returns the number of certificates of a domain that renews after `renewal` each, at rest.
    /// `lifetime` is that of the certificates.
    pub fn certificates_at_rest(&self, renewal: Duration, lifetime: Duration) -> u64 {
        // A key is kept from the next issuance on, until the rollback or the certificate is over.
        let with_key = self.rollback.min(lifetime.saturating_sub(renewal));
        1 + u64::from(SUPERSEDED_CERTIFICATES).max(begun(with_key, renewal))
    }

    /// Returns the number of orders of such a domain, each of which led to a certificate.
    pub fn orders_at_rest(&self, renewal: Duration, lifetime: Duration) -> u64 {
        let kept = self.certificates_at_rest(renewal, lifetime);
        kept.max(begun(self.orders, renewal))
    }

    /// Returns the number of lines of history of such a domain, of which at most `most` are kept.
    pub fn lines_at_rest(&self, renewal: Duration, most: u32) -> u64 {
        let lines = LINES_PER_RENEWAL.saturating_mul(begun(self.history, renewal));
        lines.min(u64::from(most))
    }
}

/// Periods of a length that have begun in a time.
fn begun(time: Duration, period: Duration) -> u64 {
    let count = time.as_micros().div_ceil(period.as_micros().max(1));
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn key() -> SupersededKey {
        SupersededKey {
            superseded_at: NOW - 7 * DAY,
            not_after: NOW + DAY,
            is_named: false,
            is_replaced: true,
        }
    }

    #[test]
    fn a_key_goes_when_every_live_edge_has_the_newer_certificate_and_the_rollback_is_over() {
        let retention = Retention::default();
        assert!(retention.releases_key(&key(), NOW));
        let moment = Duration::from_micros(1);
        for kept in [
            SupersededKey {
                superseded_at: NOW - 7 * DAY + moment,
                ..key()
            },
            SupersededKey {
                is_replaced: false,
                ..key()
            },
            SupersededKey {
                is_named: true,
                ..key()
            },
        ] {
            assert!(!retention.releases_key(&kept, NOW), "{kept:?}");
        }
    }

    #[test]
    fn the_key_of_a_certificate_that_ended_goes_whatever_edges_present() {
        let ended = SupersededKey {
            superseded_at: NOW,
            not_after: NOW,
            is_replaced: false,
            ..key()
        };
        let retention = Retention::default();
        assert!(retention.releases_key(&ended, NOW));
        let named = SupersededKey {
            is_named: true,
            ..ended
        };
        assert!(!retention.releases_key(&named, NOW));
    }

    #[test]
    fn rows_at_rest_follow_from_how_often_a_domain_renews() {
        let retention = Retention::default();
        let rows = |renewal: Duration, lifetime: Duration| {
            (
                retention.certificates_at_rest(renewal, lifetime),
                retention.orders_at_rest(renewal, lifetime),
            )
        };
        assert_eq!(rows(60 * DAY, 90 * DAY), (3, 3));
        assert_eq!(rows(30 * DAY, 45 * DAY), (3, 3));
        assert_eq!(rows(3 * DAY, 6 * DAY), (3, 10));
        assert_eq!(rows(2 * DAY, 12 * DAY), (5, 15));
    }

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        let words = Prunable::ALL.map(Prunable::as_str);
        let distinct: std::collections::BTreeSet<_> = words.into_iter().collect();
        assert_eq!(distinct.len(), Prunable::ALL.len());
    }
}
