//! The worker that a record waits for, and its place among the others.

use crate::phase::{Issuance, Next, Phase};
use crate::{Failure, Timestamp};

/// After this many consecutive customer-side failures, a domain moves to the chronic lane.
const CHRONIC_AFTER: u32 = 3;

/// The worker that steps a record. Records wait in lanes, so that none waits for work of another
/// kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// `DomainVerificationWorker`.
    Verification,
    /// `HttpProbeWorker`.
    HttpProbe,
    /// `AcmeIssuanceWorker`.
    Issuance,
    /// `AcmeIssuanceWorker`, as the CA's limit of orders allows: first issues that wait for one of
    /// its tokens.
    OrderQueue,
    /// `RenewalWorker`: every step of a renewal, so that renewals never wait for onboarding.
    Renewal,
    /// `RenewalWorker`, before anything else: renewals without which a certificate will soon be of
    /// no use.
    Urgent,
    /// Domains with many consecutive customer-side failures, until an order is placed. Certificates
    /// of domains that ended are revoked here.
    Chronic,
    /// `DomainVerificationWorker` and `HttpProbeWorker`: checks before the order that failed
    /// already, after those that were not attempted yet.
    Retry,
    /// `RecheckWorker`: checks at intervals whether a live domain still points at us.
    Recheck,
    /// `RemovalWorker`: what leaves the edges, because its domain was removed or its certificate
    /// has ended.
    Removal,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 10] = [
        Self::Verification,
        Self::HttpProbe,
        Self::Issuance,
        Self::OrderQueue,
        Self::Renewal,
        Self::Urgent,
        Self::Chronic,
        Self::Retry,
        Self::Recheck,
        Self::Removal,
    ];

    /// Whether one tenant can fill the lane: with names that never pass, say. Lanes of served
    /// domains grow too, but their work is due at different times.
    pub const fn takes_crowds(self) -> bool {
        match self {
            Self::Verification
            | Self::HttpProbe
            | Self::Retry
            | Self::Chronic
            | Self::Issuance
            | Self::OrderQueue => true,
            Self::Renewal | Self::Urgent | Self::Recheck | Self::Removal => false,
        }
    }

    /// The name in the store, in logs and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::HttpProbe => "http_probe",
            Self::Issuance => "issuance",
            Self::OrderQueue => "order_queue",
            Self::Renewal => "renewal",
            Self::Urgent => "urgent",
            Self::Chronic => "chronic",
            Self::Retry => "retry",
            Self::Recheck => "recheck",
            Self::Removal => "removal",
        }
    }
}

/// The values from which the lane of a record is computed.
#[derive(Debug, Clone, Copy)]
pub struct LaneInputs<'a> {
    /// Where the record stands.
    pub phase: &'a Phase,
    /// Attempts since the last progress.
    pub attempt: u32,
    /// Failed validations at the CA in a row.
    pub failed_validations: u32,
    /// The last failure since the last progress; `None` without one.
    pub last_failure: Option<&'a Failure>,
    /// From when on the renewal is urgent; `None` while no certificate is served.
    pub urgent_from: Option<Timestamp>,
    /// Whether the certificates of a domain that ended are to be revoked.
    pub revokes: bool,
}

impl LaneInputs<'_> {
    /// The lane in which the record waits for a step at the moment `due`. `None`: nothing to do
    /// before a retry is requested.
    pub fn lane(&self, due: Timestamp) -> Option<Lane> {
        // A CA that hangs must not keep certificates on the edges, and a revocation can wait.
        if self.revokes {
            return Some(Lane::Chronic);
        }
        let usual = usual_lane(self.phase)?;
        if matches!(self.phase, Phase::Live { not_after, .. } if *not_after <= due) {
            return Some(Lane::Removal);
        }
        let renewing = match self.phase {
            Phase::Live {
                next: Next::At(renew_at),
                ..
            } => *renew_at <= due,
            Phase::Live {
                next: Next::Now(_), ..
            }
            | Phase::Expired { .. } => true,
            Phase::Onboarding(_) | Phase::Failed | Phase::Leaving | Phase::Gone => false,
        };
        if self.is_chronic() {
            return Some(Lane::Chronic);
        }
        if self.is_repeated_check() {
            return Some(Lane::Retry);
        }
        if !renewing {
            return Some(usual);
        }
        match self.urgent_from {
            Some(from) if from <= due => Some(Lane::Urgent),
            Some(_) | None => Some(Lane::Renewal),
        }
    }

    /// Whether a new domain's next step is a check that failed already. A customer's retry counts
    /// attempts anew, and so is served with the first checks.
    fn is_repeated_check(&self) -> bool {
        let is_check = matches!(
            self.phase,
            Phase::Onboarding(Issuance::AwaitingDns | Issuance::AwaitingHttpProbe)
        );
        is_check && self.attempt > 0 && self.last_failure.is_some()
    }

    /// Whether the record waits for its customer rather than for us. An order that was placed is
    /// always worth its steps; so is whatever failed through an outage of ours or of the CA.
    fn is_chronic(&self) -> bool {
        let before_order = matches!(
            self.phase.issuance(),
            Some(Issuance::AwaitingDns | Issuance::AwaitingHttpProbe | Issuance::Ordering)
        );
        let customer_must_act = self
            .last_failure
            .is_some_and(Failure::counts_against_domain);
        before_order
            && (self.failed_validations > 0 || (self.attempt >= CHRONIC_AFTER && customer_must_act))
    }
}

/// The worker whose work the record's next step is, however the record fared so far; back-off
/// follows it.
pub const fn usual_lane(phase: &Phase) -> Option<Lane> {
    match phase {
        Phase::Onboarding(Issuance::AwaitingDns) => Some(Lane::Verification),
        Phase::Onboarding(Issuance::AwaitingHttpProbe) => Some(Lane::HttpProbe),
        Phase::Onboarding(Issuance::Queued) => Some(Lane::OrderQueue),
        Phase::Onboarding(_) => Some(Lane::Issuance),
        Phase::Live {
            next: Next::At(_), ..
        } => Some(Lane::Recheck),
        Phase::Live {
            next: Next::Now(_), ..
        }
        | Phase::Expired { .. } => Some(Lane::Renewal),
        Phase::Leaving | Phase::Gone => Some(Lane::Removal),
        Phase::Failed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CertificateId, DnsState, OrderId};
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const EARLIER: Timestamp = Timestamp::from_unix_seconds(1_799_999_999);
    const LATER: Timestamp = Timestamp::from_unix_seconds(1_800_000_001);

    fn live(next: Next) -> Phase {
        Phase::Live {
            serving: CertificateId::from_uuid(Uuid::nil()),
            not_after: LATER + std::time::Duration::from_secs(60),
            dns: DnsState::Here,
            next,
        }
    }

    fn fresh(phase: &Phase) -> LaneInputs<'_> {
        LaneInputs {
            phase,
            attempt: 0,
            failed_validations: 0,
            last_failure: None,
            urgent_from: None,
            revokes: false,
        }
    }

    #[test]
    fn a_renewal_is_urgent_from_its_moment_on_and_not_before() {
        for phase in [
            live(Next::Now(Issuance::AwaitingDns)),
            live(Next::Now(Issuance::Ordering)),
            live(Next::At(NOW)),
        ] {
            let lane = |urgent_from| {
                let inputs = LaneInputs {
                    urgent_from,
                    ..fresh(&phase)
                };
                inputs.lane(NOW)
            };
            assert_eq!(lane(None), Some(Lane::Renewal), "{phase:?}");
            assert_eq!(lane(Some(LATER)), Some(Lane::Renewal), "{phase:?}");
            assert_eq!(lane(Some(NOW)), Some(Lane::Urgent), "{phase:?}");
            assert_eq!(lane(Some(EARLIER)), Some(Lane::Urgent), "{phase:?}");
        }
    }

    #[test]
    fn a_live_domain_that_is_only_checked_is_never_urgent() {
        let phase = live(Next::At(LATER));
        let inputs = LaneInputs {
            urgent_from: Some(EARLIER),
            ..fresh(&phase)
        };
        assert_eq!(inputs.lane(NOW), Some(Lane::Recheck));
        assert_eq!(
            inputs.lane(LATER),
            Some(Lane::Urgent),
            "when the renewal is due it is"
        );
    }

    #[test]
    fn three_failures_that_the_customer_must_mend_are_chronic_until_an_order_is_placed() {
        let nxdomain = Failure::DnsNxdomain {};
        let order = OrderId::from_uuid(Uuid::nil());
        let lane = |phase: &Phase, attempt| {
            let inputs = LaneInputs {
                attempt,
                last_failure: Some(&nxdomain),
                ..fresh(phase)
            };
            inputs.lane(NOW)
        };
        let dns = Phase::START;
        assert_eq!(lane(&dns, 2), Some(Lane::Retry));
        assert_eq!(lane(&dns, 3), Some(Lane::Chronic));
        let probe = Phase::Onboarding(Issuance::AwaitingHttpProbe);
        assert_eq!(lane(&probe, 3), Some(Lane::Chronic));
        let ordered = Phase::Onboarding(Issuance::Validating { order });
        assert_eq!(lane(&ordered, 3), Some(Lane::Issuance));
        let moved_away = live(Next::Now(Issuance::AwaitingDns));
        assert_eq!(
            lane(&moved_away, 3),
            Some(Lane::Chronic),
            "only its customer can help it"
        );
    }

    #[test]
    fn an_outage_of_ours_makes_nobody_chronic() {
        let outage = Failure::Internal {
            detail: "the store is away".into(),
        };
        let inputs = LaneInputs {
            attempt: 100,
            last_failure: Some(&outage),
            ..fresh(&Phase::START)
        };
        assert_eq!(inputs.lane(NOW), Some(Lane::Retry));
    }

    #[test]
    fn a_first_check_is_in_another_lane_than_one_that_is_repeated() {
        for (issuance, first) in [
            (Issuance::AwaitingDns, Lane::Verification),
            (Issuance::AwaitingHttpProbe, Lane::HttpProbe),
        ] {
            let phase = Phase::Onboarding(issuance);
            assert_eq!(fresh(&phase).lane(NOW), Some(first));
            let failure = Failure::DnsNxdomain {};
            let after = |attempt| LaneInputs {
                attempt,
                last_failure: Some(&failure),
                ..fresh(&phase)
            };
            assert_eq!(after(1).lane(NOW), Some(Lane::Retry));
            assert_eq!(after(0).lane(NOW), Some(first), "a retry was requested");
        }
    }

    #[test]
    fn a_failed_validation_is_chronic_although_dns_was_right_since() {
        let phase = Phase::Onboarding(Issuance::Ordering);
        let inputs = LaneInputs {
            failed_validations: 1,
            ..fresh(&phase)
        };
        assert_eq!(inputs.lane(NOW), Some(Lane::Chronic));
    }

    #[test]
    fn a_certificate_that_ends_is_taken_down_as_a_removal_and_replaced_as_urgently_as_before() {
        let phase = Phase::Live {
            serving: CertificateId::from_uuid(Uuid::nil()),
            not_after: NOW,
            dns: DnsState::Here,
            next: Next::Now(Issuance::AwaitingDns),
        };
        let lane = |phase: &Phase, due| {
            let inputs = LaneInputs {
                urgent_from: Some(EARLIER),
                ..fresh(phase)
            };
            inputs.lane(due)
        };
        assert_eq!(lane(&phase, EARLIER), Some(Lane::Urgent));
        assert_eq!(lane(&phase, NOW), Some(Lane::Removal));
        let expired = phase.apply(crate::Event::CertificateEnded).unwrap();
        assert_eq!(lane(&expired, NOW), Some(Lane::Urgent));
    }

    #[test]
    fn what_nobody_works_at_has_no_lane() {
        assert_eq!(fresh(&Phase::Failed).lane(NOW), None);
        assert_eq!(fresh(&Phase::Leaving).lane(NOW), Some(Lane::Removal));
        let revoking = LaneInputs {
            revokes: true,
            ..fresh(&Phase::Failed)
        };
        assert_eq!(revoking.lane(NOW), Some(Lane::Chronic));
    }

    #[test]
    fn a_revocation_holds_up_nothing_that_leaves_the_edges() {
        for phase in [Phase::Failed, Phase::Gone] {
            let revoking = LaneInputs {
                revokes: true,
                ..fresh(&phase)
            };
            assert_ne!(revoking.lane(NOW), fresh(&Phase::Leaving).lane(NOW));
        }
    }

    #[test]
    fn lane_names_are_distinct() {
        let names: std::collections::BTreeSet<_> = Lane::ALL.map(Lane::as_str).into();
        assert_eq!(names.len(), Lane::ALL.len());
    }
}
