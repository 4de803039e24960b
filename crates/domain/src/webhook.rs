//! Events for the platform's own systems: their kinds, their receivers, and the times of delivery.
//!
//! The transition of a record makes the events. The store writes them with the record, one row for
//! each receiver that wants them.

mod transition;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::backoff::Backoff;
use crate::{DomainId, Timestamp};

pub(crate) use transition::{events, issued};

/// Time after which an event that was not delivered is given up.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(72 * 60 * 60);
/// Pending events of one receiver at most. The oldest are given up beyond that, so that a receiver
/// which is away cannot fill the database.
pub const MAX_PENDING: u32 = 200_000;
/// Pause between two tries of an event.
const RETRIES: Backoff = Backoff {
    initial: Duration::from_secs(5),
    max: Duration::from_secs(60 * 60),
};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// The kind of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum WebhookEventKind {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl WebhookEventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in messages and settings.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

kinds! {
    /// Every live edge serves a certificate of the domain, for the first time or again.
    DomainActive => "domain.active",
    /// The domain has a new failure that its customer or the operator must mend.
    DomainFailing => "domain.failing",
    /// The certificate comes near its end, and its renewal has not succeeded.
    DomainExpiring => "domain.expiring",
    /// Every live edge serves a newer certificate of the domain.
    DomainRenewed => "domain.renewed",
    /// The DNS of a domain that was served points elsewhere.
    DomainMovedAway => "domain.moved_away",
    /// The DNS of a domain that had moved away points here again.
    DomainRestored => "domain.restored",
    /// No edge serves the domain any more, as the Cabinet wanted.
    DomainRemoved => "domain.removed",
    /// Another tenant claims the hostname, or has proved that it is its own.
    ClaimContested => "claim.contested",
    /// The CA issued a certificate.
    CertificateIssued => "certificate.issued",
}

impl WebhookEventKind {
    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for WebhookEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An event of a domain.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookEvent {
    /// Its kind.
    pub kind: WebhookEventKind,
    /// The time of the transition.
    pub at: Timestamp,
    /// The domain.
    pub domain_id: DomainId,
    /// The tenant of the domain.
    pub tenant_id: String,
    /// The revision of the record before the transition.
    revision: i64,
    data: Map<String, Value>,
}

impl WebhookEvent {
    /// The identifier, which is the same in every delivery and for every receiver.
    pub fn id(&self) -> String {
        let at = self.at.unix_micros();
        let text = format!("{} {} {at} {}", self.domain_id, self.kind, self.revision);
        format!("msg_{:032x}", digest(&text))
    }

    /// The JSON that is sent.
    pub fn body(&self) -> String {
        json!({ "type": self.kind, "timestamp": self.at, "data": self.data }).to_string()
    }
}

/// The first 16 bytes of the SHA-256 of a text, as a number.
fn digest(text: &str) -> u128 {
    let digest = Sha256::digest(text.as_bytes());
    let bytes = digest.iter().take(16);
    bytes.fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// The name of the receiver at `url`, whose host and port are `place`. The path and query of a URL
/// may be a secret, so that logs, the store and actions know the receiver by this name.
pub fn receiver_name(place: &str, url: &str) -> String {
    format!("{place}/{:08x}", digest(url) >> 96)
}

/// A receiver of events, without its URL and secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookReceiver {
    /// The name, from [`receiver_name`].
    pub name: String,
    /// The kinds that it gets; all if empty.
    pub events: Vec<WebhookEventKind>,
    /// The tenants whose events it gets; all if empty.
    pub tenants: Vec<String>,
}

impl WebhookReceiver {
    /// Whether it gets an event.
    pub fn wants(&self, event: &WebhookEvent) -> bool {
        (self.events.is_empty() || self.events.contains(&event.kind))
            && (self.tenants.is_empty() || self.tenants.contains(&event.tenant_id))
    }
}

/// The time of the next try after the `attempt`-th one failed, counted from 1, by `jitter` in
/// `0.0..1.0`. `requested` is the receiver's `Retry-After`.
pub fn next_try(
    attempt: u32,
    now: Timestamp,
    jitter: f64,
    requested: Option<Duration>,
) -> Timestamp {
    let pause = RETRIES.delay(attempt, jitter);
    now + requested.map_or(pause, |requested| requested.clamp(pause, RETRIES.max))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_receiver_gets_the_kinds_and_tenants_that_it_names() {
        let event = WebhookEvent {
            kind: WebhookEventKind::DomainActive,
            at: NOW,
            domain_id: DomainId::from_uuid(uuid::Uuid::from_u128(1)),
            tenant_id: "acme".into(),
            revision: 1,
            data: Map::new(),
        };
        let wants = |events: &[WebhookEventKind], tenants: &[&str]| {
            let receiver = WebhookReceiver {
                name: String::new(),
                events: events.to_vec(),
                tenants: tenants.iter().map(ToString::to_string).collect(),
            };
            receiver.wants(&event)
        };
        let (active, removed) = (
            WebhookEventKind::DomainActive,
            WebhookEventKind::DomainRemoved,
        );
        assert!(wants(&[], &[]) && wants(&[removed, active], &["other", "acme"]));
        assert!(!wants(&[removed], &[]) && !wants(&[], &["other"]) && !wants(&[active], &["x"]));
    }

    #[test]
    fn an_event_has_one_identifier_and_another_event_has_another() {
        let event = |kind, revision| WebhookEvent {
            kind,
            at: NOW,
            domain_id: DomainId::from_uuid(uuid::Uuid::from_u128(1)),
            tenant_id: String::new(),
            revision,
            data: Map::new(),
        };
        let active = event(WebhookEventKind::DomainActive, 1);
        assert_eq!(active.id(), active.clone().id());
        assert_eq!(active.id().len(), "msg_".len() + 32);
        for other in [
            event(WebhookEventKind::DomainRestored, 1),
            event(WebhookEventKind::DomainActive, 2),
        ] {
            assert_ne!(active.id(), other.id());
        }
    }

    #[test]
    fn the_name_of_a_receiver_shows_where_it_is_and_no_path() {
        let name = |url| receiver_name("hooks.example:8443", url);
        let first = name("https://hooks.example:8443/token-1");
        assert!(first.starts_with("hooks.example:8443/") && !first.contains("token"));
        assert_eq!(first.len(), "hooks.example:8443/".len() + 8);
        assert_ne!(first, name("https://hooks.example:8443/token-2"));
    }

    #[test]
    fn tries_grow_rare_and_a_receiver_may_only_ask_for_a_longer_pause() {
        let pause = |attempt, requested| next_try(attempt, NOW, 1.0, requested).since(NOW);
        assert_eq!(pause(1, None), Duration::from_secs(5));
        assert_eq!(pause(4, None), Duration::from_secs(40));
        assert_eq!(pause(40, None), Duration::from_secs(3600));
        assert_eq!(pause(1, Some(Duration::ZERO)), Duration::from_secs(5));
        let minute = Duration::from_secs(60);
        assert_eq!(pause(1, Some(minute)), minute);
        assert_eq!(pause(1, Some(minute * 600)), minute * 60);
    }

    #[test]
    fn kinds_are_found_by_their_names() {
        for kind in WebhookEventKind::ALL {
            assert_eq!(WebhookEventKind::named(kind.as_str()), Some(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(WebhookEventKind::named("domain.gone"), None);
    }
}
