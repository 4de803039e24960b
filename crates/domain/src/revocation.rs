//! The revocation of one certificate that an operator requested (RFC 8555 §7.6).
//!
//! The domain is issued a new certificate meanwhile. The store keeps the request with the
//! certificate until the CA has carried it out, or it is given up.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CertificateId, Timestamp};

const HOUR: Duration = Duration::from_secs(3_600);
/// Time in which a certificate is replaced before it is revoked. A CA that knows of a compromised
/// key has to revoke within a day.
const REPLACED_WITHIN: Duration = Duration::from_secs(24 * 3_600);
/// The same for a compromised key, with which others can act for the domain.
const COMPROMISED_REPLACED_WITHIN: Duration = HOUR;
/// Bounds of the pause between two checks of a request that waits.
const PAUSES: (Duration, Duration) = (Duration::from_secs(30), HOUR);
/// Requests that the CA refuses, after which a revocation is given up.
const MAX_TRIES: u32 = 8;
/// Reasons of RFC 5280 §5.3.1 that CAs do not accept from subscribers.
const REFUSED: [&str; 6] = [
    "ca-compromise",
    "affiliation-changed",
    "certificate-hold",
    "remove-from-crl",
    "privilege-withdrawn",
    "aa-compromise",
];

/// A reason of RFC 5280 §5.3.1 that CAs accept from subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    /// No reason is given.
    Unspecified,
    /// The private key is known to others, or may be.
    KeyCompromise,
    /// Another certificate takes its place.
    Superseded,
    /// The domain is not served any more.
    CessationOfOperation,
}

/// A reason that cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReasonError {
    /// RFC 5280 has it, and CAs do not accept it from subscribers.
    #[error(
        "CAs accept no such reason from subscribers; give key-compromise, superseded, \
         cessation-of-operation or unspecified"
    )]
    NotAccepted,
    /// RFC 5280 does not have it.
    #[error("give key-compromise, superseded, cessation-of-operation or unspecified")]
    Unknown,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// The word for it, in commands, histories and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
        }
    }

    /// Whether the private key is erased ahead of time.
    pub const fn erases_key(self) -> bool {
        matches!(self, Self::KeyCompromise)
    }

    const fn replaced_within(self) -> Duration {
        match self {
            Self::KeyCompromise => COMPROMISED_REPLACED_WITHIN,
            Self::Unspecified | Self::Superseded | Self::CessationOfOperation => REPLACED_WITHIN,
        }
    }
}

impl FromStr for RevocationReason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.as_str() == text)
            .ok_or(if REFUSED.contains(&text) {
                ReasonError::NotAccepted
            } else {
                ReasonError::Unknown
            })
    }
}

/// The state of a requested revocation at the CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AtCa {
    /// The CA has not carried it out.
    Pending,
    /// The CA has carried it out.
    Revoked,
    /// It is not requested any more: the CA refused it often, or another CA issued the certificate.
    GivenUp,
}

/// A requested revocation, as the store keeps it with the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestedRevocation {
    /// The reason.
    pub reason: RevocationReason,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// Requests that the CA refused.
    #[serde(default)]
    pub tries: u32,
    /// The state at the CA.
    pub at_ca: AtCa,
}

/// The write of a requested revocation, in the transaction of its domain's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevocationWrite {
    /// The certificate.
    pub certificate: CertificateId,
    /// The request.
    pub revocation: RequestedRevocation,
    /// When its next step is due; `None` once it has ended.
    pub due_at: Option<Timestamp>,
    /// The end of the claim under which it is written; nothing is written if the claim ended.
    /// `None` for an operator's request.
    pub claim: Option<Timestamp>,
    /// Whether the key of the certificate is erased. Nothing is written if the phase of its record
    /// names the certificate.
    pub erases_key: bool,
}

/// Whether a record serves a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServedBy {
    /// None does.
    Nobody,
    /// A record whose name points at us, so that it gets another one.
    Replaceable,
    /// A record whose name points elsewhere.
    MovedAway,
}

/// Whether an edge presents a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresentedBy {
    /// None does.
    Nobody,
    /// An unreachable one may, and no other does.
    UnreachableEdge,
    /// A live one does.
    LiveEdge,
}

/// The circumstances that decide about the next step of a requested revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// The end of the certificate.
    pub not_after: Timestamp,
    /// Whether the CA in use issued it.
    pub is_of_our_ca: bool,
    /// Whether a record serves it.
    pub served: ServedBy,
    /// Whether an edge presents it.
    pub presented: PresentedBy,
    /// Whether its key is stored.
    pub has_key: bool,
}

/// The next step of a requested revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationStep {
    /// Request it from the CA.
    Revoke,
    /// Give it up, since another CA issued the certificate.
    OfAnotherCa,
    /// Erase the private key.
    EraseKey,
    /// Check again at this time.
    WaitUntil(Timestamp),
    /// Nothing is left to do.
    End,
}

impl RequestedRevocation {
    /// A request of `now`.
    pub const fn new(reason: RevocationReason, now: Timestamp) -> Self {
        Self {
            reason,
            requested_at: now,
            tries: 0,
            at_ca: AtCa::Pending,
        }
    }

    /// The request that follows when an operator gives another reason; `None` if it changes
    /// nothing. A compromised key is erased also after the revocation.
    pub fn again(self, reason: RevocationReason, now: Timestamp) -> Option<Self> {
        let is_stronger = reason.erases_key() && !self.reason.erases_key();
        match self.at_ca {
            AtCa::Pending if reason == self.reason => None,
            AtCa::Pending | AtCa::GivenUp => Some(Self::new(reason, now)),
            AtCa::Revoked => is_stronger.then_some(Self {
                reason,
                requested_at: now,
                ..self
            }),
        }
    }

    /// The time from which the certificate is revoked although it is still served.
    pub fn replaced_by(self) -> Timestamp {
        self.requested_at + self.reason.replaced_within()
    }

    /// Decides the next step.
    pub fn next_step(self, seen: Situation, now: Timestamp) -> RevocationStep {
        // An ended certificate needs no revocation, and its key is pruned as every other.
        if seen.not_after <= now {
            return RevocationStep::End;
        }
        let is_served = seen.served != ServedBy::Nobody;
        let waits = (is_served || seen.presented != PresentedBy::Nobody)
            && seen.served != ServedBy::MovedAway;
        let is_pending = self.at_ca == AtCa::Pending;
        if is_pending && !seen.is_of_our_ca {
            return RevocationStep::OfAnotherCa;
        }
        if is_pending && (!waits || self.replaced_by() <= now) {
            return RevocationStep::Revoke;
        }
        let keeps_key = self.reason.erases_key() && seen.has_key;
        if keeps_key && !is_served && seen.presented != PresentedBy::LiveEdge {
            return RevocationStep::EraseKey;
        }
        if !is_pending && !keeps_key {
            return RevocationStep::End;
        }
        let due = self.again_at(now);
        RevocationStep::WaitUntil(if is_pending {
            due.min(self.replaced_by())
        } else {
            due
        })
    }

    /// The time of the next check: a tenth of the time since the request later, within bounds.
    pub fn again_at(self, now: Timestamp) -> Timestamp {
        now + (now.since(self.requested_at) / 10).clamp(PAUSES.0, PAUSES.1)
    }

    /// The request after the CA refused it once more.
    #[must_use]
    pub const fn refused(self) -> Self {
        let tries = self.tries.saturating_add(1);
        Self {
            tries,
            at_ca: if tries >= MAX_TRIES {
                AtCa::GivenUp
            } else {
                self.at_ca
            },
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn replaced() -> Situation {
        Situation {
            not_after: NOW + 1_000 * HOUR,
            is_of_our_ca: true,
            served: ServedBy::Nobody,
            presented: PresentedBy::Nobody,
            has_key: true,
        }
    }

    fn served() -> Situation {
        Situation {
            served: ServedBy::Replaceable,
            presented: PresentedBy::LiveEdge,
            ..replaced()
        }
    }

    const ALL: [RevocationReason; 4] = RevocationReason::ALL;

    #[test]
    fn a_certificate_is_replaced_before_it_is_revoked_if_that_takes_no_longer_than_its_bound() {
        for reason in ALL {
            let request = RequestedRevocation::new(reason, NOW);
            let bound = request.replaced_by();
            let compromised = reason == RevocationReason::KeyCompromise;
            assert_eq!(bound, NOW + if compromised { HOUR } else { 24 * HOUR });
            let wait = request.next_step(served(), NOW);
            assert_eq!(wait, RevocationStep::WaitUntil(NOW + PAUSES.0));
            let late = request.next_step(served(), bound - MINUTE / 6);
            assert_eq!(
                late,
                RevocationStep::WaitUntil(bound),
                "not beyond the bound"
            );
            assert_eq!(request.next_step(served(), bound), RevocationStep::Revoke);
            assert_eq!(request.next_step(replaced(), NOW), RevocationStep::Revoke);
        }
    }

    #[test]
    fn a_name_that_points_elsewhere_is_not_waited_for_and_an_edge_that_is_away_is() {
        let request = RequestedRevocation::new(RevocationReason::KeyCompromise, NOW);
        let moved = Situation {
            served: ServedBy::MovedAway,
            ..served()
        };
        assert_eq!(request.next_step(moved, NOW), RevocationStep::Revoke);
        let away = Situation {
            presented: PresentedBy::UnreachableEdge,
            has_key: false,
            ..replaced()
        };
        let wait = request.next_step(away, NOW);
        assert!(matches!(wait, RevocationStep::WaitUntil(_)), "{wait:?}");
    }

    #[test]
    fn only_a_compromised_key_is_erased_and_only_when_no_live_edge_needs_it() {
        for reason in ALL {
            let revoked = RequestedRevocation {
                at_ca: AtCa::Revoked,
                ..RequestedRevocation::new(reason, NOW)
            };
            let step = revoked.next_step(replaced(), NOW);
            let is_erased = step == RevocationStep::EraseKey;
            assert_eq!(is_erased, reason == RevocationReason::KeyCompromise);
            let erased = Situation {
                has_key: false,
                ..replaced()
            };
            assert_eq!(revoked.next_step(erased, NOW), RevocationStep::End);
            // An edge that is away holds up the revocation, and not the key.
            let pending = RequestedRevocation::new(reason, NOW);
            let away = Situation {
                presented: PresentedBy::UnreachableEdge,
                ..replaced()
            };
            assert_eq!(
                pending.next_step(away, NOW) == RevocationStep::EraseKey,
                is_erased
            );
            for needed in [
                served(),
                Situation {
                    presented: PresentedBy::LiveEdge,
                    ..replaced()
                },
            ] {
                assert_ne!(revoked.next_step(needed, NOW), RevocationStep::EraseKey);
            }
        }
    }

    #[test]
    fn one_that_ended_or_is_of_another_ca_is_not_revoked() {
        let request = RequestedRevocation::new(RevocationReason::KeyCompromise, NOW);
        let ended = Situation {
            not_after: NOW,
            ..served()
        };
        assert_eq!(request.next_step(ended, NOW), RevocationStep::End);
        let other = Situation {
            is_of_our_ca: false,
            ..served()
        };
        assert_eq!(request.next_step(other, NOW), RevocationStep::OfAnotherCa);
        let given_up = RequestedRevocation {
            at_ca: AtCa::GivenUp,
            ..request
        };
        let other = Situation {
            is_of_our_ca: false,
            ..replaced()
        };
        assert_eq!(given_up.next_step(other, NOW), RevocationStep::EraseKey);
    }

    #[test]
    fn a_second_request_counts_only_if_it_changes_something() {
        let first = RequestedRevocation::new(RevocationReason::Superseded, NOW);
        let later = NOW + HOUR;
        assert_eq!(first.again(RevocationReason::Superseded, later), None);
        let stronger = first.again(RevocationReason::KeyCompromise, later).unwrap();
        assert_eq!(stronger.requested_at, later);
        let revoked = RequestedRevocation {
            at_ca: AtCa::Revoked,
            ..first
        };
        assert_eq!(revoked.again(RevocationReason::Unspecified, later), None);
        let erased = revoked
            .again(RevocationReason::KeyCompromise, later)
            .unwrap();
        assert_eq!(erased.at_ca, AtCa::Revoked);
        assert_eq!(erased.again(RevocationReason::KeyCompromise, later), None);
    }

    #[test]
    fn a_ca_that_refuses_is_asked_a_few_times() {
        let mut request = RequestedRevocation::new(RevocationReason::Unspecified, NOW);
        for _ in 1..MAX_TRIES {
            request = request.refused();
            assert_eq!(request.at_ca, AtCa::Pending);
        }
        assert_eq!(request.refused().at_ca, AtCa::GivenUp);
    }

    #[test]
    fn reasons_that_no_ca_takes_from_subscribers_are_told_from_mistakes() {
        for reason in ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
            let json = serde_json::to_value(reason).unwrap();
            assert_eq!(json, reason.as_str());
        }
        let parse = str::parse::<RevocationReason>;
        assert_eq!(parse("ca-compromise"), Err(ReasonError::NotAccepted));
        assert_eq!(parse("keyCompromise"), Err(ReasonError::Unknown));
    }
}
