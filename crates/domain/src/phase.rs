//! Where a custom domain stands, and the moves it may make.

mod dns_state;
mod event;
mod issuance;

use serde::{Deserialize, Serialize};

use crate::{CertificateId, Status, Timestamp};

pub use crate::lane::Lane;
pub use dns_state::DnsState;
pub use event::{Event, IllegalTransition};
pub use issuance::Issuance;

/// Where a custom domain stands. `Live` without a certificate cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Phase {
    /// On the way to its first certificate.
    Onboarding(Issuance),
    /// Served by every edge with `serving`.
    Live {
        /// The certificate that the edges present.
        serving: CertificateId,
        /// The end of its validity.
        not_after: Timestamp,
        /// Where its DNS points.
        #[serde(default, skip_serializing_if = "DnsState::is_here")]
        dns: DnsState,
        /// When or how the next one comes.
        next: Next,
    },
    /// The certificate ended before another was served, and no edge presents it any more. The next
    /// one is still worked for.
    Expired {
        /// The certificate that ended.
        certificate: CertificateId,
        /// The end of its validity.
        not_after: Timestamp,
        /// Where its DNS points.
        #[serde(default, skip_serializing_if = "DnsState::is_here")]
        dns: DnsState,
        /// The run to the next certificate.
        issuance: Issuance,
    },
    /// Stopped without a certificate; the record's last failure says why. A retry starts over.
    Failed,
    /// The Cabinet wants it gone; it is being undeployed.
    Leaving,
    /// Undeployed from every edge. The record stays for the quarantine time, then it is forgotten.
    Gone,
}

/// The next work for a live domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Next {
    /// Renewal begins at this moment.
    At(Timestamp),
    /// Renewal is under way; the present certificate is served meanwhile.
    Now(Issuance),
}

impl Phase {
    /// The phase in which a domain begins, or begins anew.
    pub const START: Self = Self::Onboarding(Issuance::AwaitingDns);

    /// The phase's name in logs and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Onboarding(issuance) => issuance.name(),
            Self::Live {
                next: Next::At(_), ..
            } => "live",
            Self::Live {
                next: Next::Now(_), ..
            } => "renewing",
            Self::Expired { .. } => "expired",
            Self::Failed => "failed",
            Self::Leaving => "leaving",
            Self::Gone => "gone",
        }
    }

    /// The status that the Cabinet gets.
    pub const fn status(&self) -> Status {
        match self {
            Self::Onboarding(Issuance::AwaitingDns) => Status::PendingDns,
            Self::Onboarding(Issuance::AwaitingHttpProbe) => Status::PendingHttpProbe,
            Self::Onboarding(
                Issuance::Ordering
                | Issuance::Queued
                | Issuance::Validating { .. }
                | Issuance::Finalizing { .. }
                | Issuance::Deploying { .. },
            ) => Status::Issuing,
            Self::Live { .. } => Status::Active,
            Self::Expired { .. } | Self::Failed => Status::Failed,
            Self::Leaving => Status::PendingRemoval,
            Self::Gone => Status::Removed,
        }
    }

    /// The run under way, if any.
    pub const fn issuance(&self) -> Option<&Issuance> {
        match self {
            Self::Onboarding(issuance)
            | Self::Live {
                next: Next::Now(issuance),
                ..
            }
            | Self::Expired { issuance, .. } => Some(issuance),
            Self::Live {
                next: Next::At(_), ..
            }
            | Self::Failed
            | Self::Leaving
            | Self::Gone => None,
        }
    }

    /// The certificate that the edges present.
    pub const fn serving(&self) -> Option<CertificateId> {
        match self {
            Self::Live { serving, .. } => Some(*serving),
            Self::Onboarding(_)
            | Self::Expired { .. }
            | Self::Failed
            | Self::Leaving
            | Self::Gone => None,
        }
    }

    /// The end of the certificate that is served, or that was served last.
    pub const fn certificate_not_after(&self) -> Option<Timestamp> {
        match self {
            Self::Live { not_after, .. } | Self::Expired { not_after, .. } => Some(*not_after),
            Self::Onboarding(_) | Self::Failed | Self::Leaving | Self::Gone => None,
        }
    }

    /// When the renewal of a live domain begins; `None` while it is under way, and for any other
    /// domain.
    pub const fn renew_at(&self) -> Option<Timestamp> {
        match self {
            Self::Live {
                next: Next::At(at), ..
            } => Some(*at),
            _ => None,
        }
    }

    /// Whether the domain was served once and is not given up: a DNS check can only find that
    /// it moved away.
    pub const fn was_served(&self) -> bool {
        matches!(self, Self::Live { .. } | Self::Expired { .. })
    }

    /// Whether a certificate is served while this phase lasts.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Live { .. })
    }

    /// Where the DNS of a domain that was served points; `None` for any other domain.
    pub const fn dns(&self) -> Option<DnsState> {
        match self {
            Self::Live { dns, .. } | Self::Expired { dns, .. } => Some(*dns),
            Self::Onboarding(_) | Self::Failed | Self::Leaving | Self::Gone => None,
        }
    }

    /// Since when a domain that was served is known not to point at us any more.
    pub const fn moved_away_since(&self) -> Option<Timestamp> {
        match self.dns() {
            Some(DnsState::MovedAway { since }) => Some(since),
            Some(DnsState::Here | DnsState::SeenElsewhere { .. }) | None => None,
        }
    }

    /// Whether a domain that was served is known not to point at us any more.
    pub const fn is_moved_away(&self) -> bool {
        self.moved_away_since().is_some()
    }

    /// Makes one move.
    #[expect(
        clippy::too_many_lines,
        reason = "one match, in which each arm is a transition of the table"
    )]
    pub fn apply(self, event: Event) -> Result<Self, IllegalTransition> {
        Ok(match (self, event) {
            (
                Self::Onboarding(_)
                | Self::Live { .. }
                | Self::Expired { .. }
                | Self::Failed
                | Self::Leaving,
                Event::RemovalRequested,
            ) => Self::Leaving,
            (Self::Leaving, Event::Undeployed) => Self::Gone,
            (Self::Gone, Event::RemovalRequested) => Self::Gone,
            (Self::Onboarding(_) | Self::Failed, Event::RetryRequested) => Self::START,
            (Self::Onboarding(_) | Self::Expired { .. }, Event::GaveUp)
            | (Self::Onboarding(_) | Self::Live { .. } | Self::Expired { .. }, Event::ClaimLost) => {
                Self::Failed
            }
            (
                Self::Live {
                    serving,
                    not_after,
                    dns,
                    next,
                },
                Event::CertificateEnded,
            ) => Self::Expired {
                certificate: serving,
                not_after,
                dns,
                issuance: match next {
                    Next::At(_) => Issuance::AwaitingDns,
                    Next::Now(issuance) => issuance,
                },
            },
            (
                Self::Onboarding(Issuance::Deploying { certificate })
                | Self::Live {
                    next: Next::Now(Issuance::Deploying { certificate }),
                    ..
                }
                | Self::Expired {
                    issuance: Issuance::Deploying { certificate },
                    ..
                },
                Event::Deployed {
                    renew_at,
                    not_after,
                    ..
                },
            ) => Self::Live {
                serving: certificate,
                not_after,
                dns: DnsState::Here,
                next: Next::At(renew_at),
            },
            (
                Self::Live {
                    serving,
                    not_after,
                    dns,
                    next,
                },
                Event::RenewalDue,
            ) => Self::Live {
                serving,
                not_after,
                dns,
                next: next.begin(),
            },
            (
                Self::Live {
                    serving,
                    not_after,
                    dns,
                    next: Next::At(_),
                },
                Event::RenewalMoved(at),
            ) => Self::Live {
                serving,
                not_after,
                dns,
                next: Next::At(at),
            },
            (
                Self::Live {
                    serving,
                    not_after,
                    dns,
                    next,
                },
                event @ (Event::DnsSeenElsewhere { .. }
                | Event::DnsMovedAway { .. }
                | Event::DnsConfirmed),
            ) => Self::Live {
                serving,
                not_after,
                dns: dns.after(&event),
                next,
            },
            (
                Self::Expired {
                    certificate,
                    not_after,
                    dns,
                    issuance,
                },
                event @ (Event::DnsSeenElsewhere { .. }
                | Event::DnsMovedAway { .. }
                | Event::DnsConfirmed),
            ) => Self::Expired {
                certificate,
                not_after,
                dns: dns.after(&event),
                issuance,
            },
            (Self::Onboarding(issuance), event) => Self::Onboarding(issuance.apply(event)?),
            (
                Self::Live {
                    serving,
                    not_after,
                    dns,
                    next: Next::Now(issuance),
                },
                event,
            ) => Self::Live {
                serving,
                not_after,
                dns: dns.after(&event),
                next: Next::Now(issuance.apply(event)?),
            },
            (
                Self::Expired {
                    certificate,
                    not_after,
                    dns,
                    issuance,
                },
                event,
            ) => Self::Expired {
                certificate,
                not_after,
                dns: dns.after(&event),
                issuance: issuance.apply(event)?,
            },
            (phase, event) => {
                return Err(IllegalTransition {
                    phase: phase.name(),
                    event: format!("{event:?}"),
                });
            }
        })
    }
}

impl Next {
    /// Keeps a renewal under way; otherwise begins one with the HTTP probe, which checks DNS first.
    fn begin(self) -> Self {
        match self {
            Self::At(_) => Self::Now(Issuance::AwaitingHttpProbe),
            under_way @ Self::Now(_) => under_way,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OrderId;
    use crate::lane::usual_lane;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn order() -> OrderId {
        OrderId::from_uuid(Uuid::from_u128(1))
    }

    fn certificate(n: u128) -> CertificateId {
        CertificateId::from_uuid(Uuid::from_u128(n))
    }

    fn run(phase: Phase, events: Vec<Event>) -> Result<Phase, IllegalTransition> {
        events.into_iter().try_fold(phase, Phase::apply)
    }

    fn whole_issuance(n: u128, renew_at: Timestamp) -> Vec<Event> {
        vec![
            Event::DnsReady,
            Event::HttpReady,
            Event::OrderPlaced(order()),
            Event::OrderReady,
            Event::CertificateStored(certificate(n)),
            Event::Deployed {
                renew_at,
                not_before: Timestamp::EPOCH,
                not_after: Timestamp::EPOCH,
            },
        ]
    }

    #[test]
    fn a_domain_goes_from_dns_to_live_and_through_renewal_while_the_old_certificate_is_served() {
        let at = Timestamp::from_unix_seconds(1);
        let live = run(Phase::START, whole_issuance(1, at)).unwrap();
        assert_eq!(
            live,
            Phase::Live {
                serving: certificate(1),
                not_after: Timestamp::EPOCH,
                dns: DnsState::Here,
                next: Next::At(at)
            }
        );
        let moved = Timestamp::from_unix_seconds(2);
        let live = live.apply(Event::RenewalMoved(moved)).unwrap();
        assert!(matches!(live, Phase::Live { next: Next::At(at), .. } if at == moved));
        let mut events = whole_issuance(2, at);
        events[0] = Event::RenewalDue;
        events.pop();
        let renewing = run(live, events).unwrap();
        assert!(matches!(renewing, Phase::Live { serving, .. } if serving == certificate(1)));
        assert_eq!(renewing.status(), Status::Active);
        assert_eq!(usual_lane(&renewing), Some(Lane::Renewal));
        let renewed = renewing
            .apply(Event::Deployed {
                renew_at: at,
                not_before: Timestamp::EPOCH,
                not_after: Timestamp::EPOCH,
            })
            .unwrap();
        assert_eq!(
            renewed,
            Phase::Live {
                serving: certificate(2),
                not_after: Timestamp::EPOCH,
                dns: DnsState::Here,
                next: Next::At(at)
            }
        );
    }

    #[test]
    fn illegal_moves_are_refused_by_name() {
        for (phase, event) in [
            (Phase::START, Event::OrderReady),
            (
                Phase::START,
                Event::Deployed {
                    renew_at: Timestamp::EPOCH,
                    not_before: Timestamp::EPOCH,
                    not_after: Timestamp::EPOCH,
                },
            ),
            (Phase::START, Event::RenewalMoved(Timestamp::EPOCH)),
            (Phase::Failed, Event::DnsReady),
            (Phase::Gone, Event::RetryRequested),
            (Phase::Leaving, Event::RetryRequested),
            (
                Phase::Live {
                    serving: certificate(1),
                    not_after: Timestamp::EPOCH,
                    dns: DnsState::Here,
                    next: Next::At(Timestamp::EPOCH),
                },
                Event::GaveUp,
            ),
            (
                Phase::Live {
                    serving: certificate(1),
                    not_after: Timestamp::EPOCH,
                    dns: DnsState::Here,
                    next: Next::Now(Issuance::Ordering),
                },
                Event::GaveUp,
            ),
        ] {
            let (name, text) = (
                phase.issuance().map_or(phase.name(), Issuance::name),
                format!("{event:?}"),
            );
            assert_eq!(
                phase.apply(event).unwrap_err(),
                IllegalTransition {
                    phase: name,
                    event: text
                }
            );
        }
    }

    #[test]
    fn a_domain_that_waits_for_the_cas_limit_continues_as_if_it_had_not() {
        let queued = Phase::Onboarding(Issuance::Ordering)
            .apply(Event::OrdersUsedUp)
            .unwrap();
        assert_eq!(queued.status(), Status::Issuing);
        let placed = queued.apply(Event::OrderPlaced(order())).unwrap();
        assert_eq!(
            placed,
            Phase::Onboarding(Issuance::Validating { order: order() })
        );
    }

    #[test]
    fn a_lost_order_starts_again_from_the_dns_check() {
        let validating = Phase::Onboarding(Issuance::Validating { order: order() });
        let unconfirmed = validating.clone().apply(Event::ValidationUnconfirmed);
        assert_eq!(unconfirmed.unwrap(), Phase::START);
        assert_eq!(validating.apply(Event::OrderLost).unwrap(), Phase::START);
    }

    #[test]
    fn a_certificate_that_ends_takes_the_domain_out_of_active_and_keeps_the_run_under_way() {
        let end = Timestamp::from_unix_seconds(9);
        let live = |next| Phase::Live {
            serving: certificate(1),
            not_after: end,
            dns: DnsState::Here,
            next,
        };
        let ended = |next| live(next).apply(Event::CertificateEnded).unwrap();
        let waiting = ended(Next::At(Timestamp::EPOCH));
        assert_eq!(waiting.issuance(), Some(&Issuance::AwaitingDns));
        assert_eq!(
            (waiting.status(), waiting.serving()),
            (Status::Failed, None)
        );
        assert_eq!(waiting.certificate_not_after(), Some(end));
        let order = order();
        let ordered = ended(Next::Now(Issuance::Validating { order }));
        assert_eq!(ordered.issuance(), Some(&Issuance::Validating { order }));
        let events = whole_issuance(2, end);
        let served = run(waiting, events).unwrap();
        assert_eq!(
            (served.status(), served.serving()),
            (Status::Active, Some(certificate(2)))
        );
        assert_eq!(ordered.apply(Event::GaveUp), Ok(Phase::Failed));
    }

    #[test]
    fn only_a_check_that_finds_the_name_here_ends_a_move() {
        let (first, later) = (
            Timestamp::from_unix_seconds(5),
            Timestamp::from_unix_seconds(6),
        );
        let live = Phase::Live {
            serving: certificate(1),
            not_after: Timestamp::EPOCH,
            dns: DnsState::Here,
            next: Next::At(Timestamp::EPOCH),
        };
        let moved = run(
            live.clone(),
            vec![
                Event::DnsMovedAway { at: first },
                Event::DnsMovedAway { at: later },
                Event::RenewalMoved(later),
                Event::RenewalDue,
                Event::DnsLost,
            ],
        )
        .unwrap();
        assert_eq!(moved.moved_away_since(), Some(first));
        let ended = moved.clone().apply(Event::CertificateEnded).unwrap();
        assert_eq!(ended.moved_away_since(), Some(first));
        for phase in [moved, ended] {
            for event in [Event::DnsReady, Event::DnsConfirmed] {
                let back = phase.clone().apply(event).unwrap();
                assert!(!back.is_moved_away(), "{back:?}");
            }
        }
        let outside = Phase::START.apply(Event::DnsMovedAway { at: first });
        assert!(outside.is_err(), "it was never here");
    }

    #[test]
    fn a_phase_that_knows_nothing_of_dns_reads_and_is_written_as_before() {
        let text = r#"{"live":{"serving":"00000000-0000-0000-0000-000000000001","notAfter":"2046-11-24T17:03:48Z","next":{"now":"awaitingDns"}}}"#;
        let phase: Phase = serde_json::from_str(text).unwrap();
        assert!(!phase.is_moved_away());
        assert_eq!(serde_json::to_string(&phase).unwrap(), text);
        let moved = phase.apply(Event::DnsMovedAway {
            at: Timestamp::from_unix_seconds(1_800_000_000),
        });
        let expected = text.replace(
            r#","next""#,
            r#","dns":{"movedAway":{"since":"2027-01-15T08:00:00Z"}},"next""#,
        );
        // Migration 26 writes the same text.
        assert_eq!(serde_json::to_string(&moved.unwrap()).unwrap(), expected);
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::DnsReady),
            Just(Event::HttpReady),
            Just(Event::DnsLost),
            Just(Event::DnsMovedAway {
                at: Timestamp::EPOCH
            }),
            Just(Event::DnsConfirmed),
            Just(Event::OrdersUsedUp),
            Just(Event::OrderPlaced(order())),
            Just(Event::OrderReady),
            Just(Event::OrderLost),
            Just(Event::ValidationUnconfirmed),
            Just(Event::CertificateStored(certificate(7))),
            Just(Event::Deployed {
                renew_at: Timestamp::EPOCH,
                not_before: Timestamp::EPOCH,
                not_after: Timestamp::EPOCH
            }),
            Just(Event::RenewalMoved(Timestamp::from_unix_seconds(7))),
            Just(Event::RenewalDue),
            Just(Event::CertificateEnded),
            Just(Event::GaveUp),
            Just(Event::ClaimLost),
            Just(Event::RetryRequested),
            Just(Event::RemovalRequested),
            Just(Event::Undeployed),
        ]
    }

    proptest! {
        #[test]
        fn any_history_leaves_a_phase_that_survives_the_store(events in prop::collection::vec(any_event(), 0..60)) {
            let mut phase = Phase::START;
            for event in events {
                phase = phase.clone().apply(event).unwrap_or(phase);
                let json = serde_json::to_string(&phase).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Phase>(&json).unwrap(), &phase);
                prop_assert_eq!(usual_lane(&phase).is_none(), matches!(phase, Phase::Failed));
            }
        }
    }
}
