//! Counts the results of attempts at certificates, and measures steps and whole onboardings. Waits
//! and outages are no attempts.

use std::time::Duration;

use dps_domain::decide::Action;
use dps_domain::lane::{Lane, usual_lane};
use dps_domain::outcome::Outcome;
use dps_domain::phase::Issuance;
use dps_domain::{Event, Failure, Phase, Timestamp};

use crate::ports::metrics::Milestone;
use crate::ports::store::DomainRecord;
use crate::service::Service;
use crate::steps::Evidence;

/// A step that has ended.
pub(crate) struct Ended<'a> {
    /// The record before the step.
    pub(crate) record: &'a DomainRecord,
    /// The lane that it was leased from.
    pub(crate) lane: Lane,
    pub(crate) action: Action,
    pub(crate) outcome: &'a Outcome,
    pub(crate) evidence: &'a Evidence,
    pub(crate) took: Duration,
}

/// Measures a step, and counts its attempt if one ended. An attempt succeeds when the certificate
/// is deployed. It fails if the CA or an edge answered with a failure.
pub(crate) fn count(service: &Service, ended: &Ended<'_>) {
    let metrics = &service.metrics;
    metrics.step(ended.lane, &ended.action, ended.took);
    let phase = &ended.record.phase;
    if let Some(milestone) = milestone(phase, ended.outcome) {
        metrics.onboarding(milestone, since_intake(ended.record, service.now()));
    }
    let Some(success) = result_of(phase, ended.outcome) else {
        return;
    };
    if !success && ended.evidence.has_reached_nobody() {
        return;
    }
    match usual_lane(phase) {
        Some(Lane::Issuance | Lane::OrderQueue) => metrics.acme_issuance(success),
        Some(Lane::Renewal) => metrics.renewal(success),
        Some(_) | None => {}
    }
}

fn since_intake(record: &DomainRecord, now: Timestamp) -> Duration {
    now.since(record.created_at)
}

/// The milestone of a first issuance that the step reached.
const fn milestone(phase: &Phase, outcome: &Outcome) -> Option<Milestone> {
    let (Phase::Onboarding(_), Outcome::Moved { event, .. }) = (phase, outcome) else {
        return None;
    };
    match event {
        Event::DnsReady => Some(Milestone::DnsReady),
        Event::HttpReady => Some(Milestone::HttpReady),
        Event::OrderPlaced(_) => Some(Milestone::OrderPlaced),
        Event::OrderReady => Some(Milestone::Validated),
        Event::CertificateStored(_) => Some(Milestone::Issued),
        Event::Deployed { .. } => Some(Milestone::Active),
        _ => None,
    }
}

/// Whether the step ended an attempt, and how.
fn result_of(phase: &Phase, outcome: &Outcome) -> Option<bool> {
    // DNS checks have a counter of their own, and an HTTP probe calls the customer's side.
    let issuance = phase.issuance()?;
    match outcome {
        Outcome::Moved { .. } => matches!(issuance, Issuance::Deploying { .. }).then_some(true),
        // A fault of our own store or keys, and an edge that does not answer.
        Outcome::Failed {
            failure: Failure::Internal { .. } | Failure::EdgeUnreachable { .. },
            ..
        } => None,
        Outcome::Failed { .. } => issuance.is_at_ca().then_some(false),
        Outcome::Confirmed { .. } | Outcome::Waiting { .. } | Outcome::Revocation(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use dps_domain::outcome::Then;
    use dps_domain::{CertificateId, EventKind, OrderId};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn failed(failure: Failure) -> Outcome {
        Outcome::failed(failure, Then::Retry)
    }

    #[test]
    fn an_attempt_fails_at_the_ca_or_an_edge_that_answered_and_nowhere_else() {
        let detail = String::new;
        let refused = || Failure::AcmeRejectedIdentifier { detail: detail() };
        let unanswered = || Failure::EdgeUnreachable {
            edge: detail(),
            detail: detail(),
        };
        let ours = || Failure::Internal { detail: detail() };
        let order = OrderId::from_uuid(Uuid::nil());
        for (state, failure, expected) in [
            (Issuance::AwaitingDns, refused(), None),
            (Issuance::AwaitingHttpProbe, refused(), None),
            (Issuance::Ordering, refused(), Some(false)),
            (Issuance::Validating { order }, refused(), Some(false)),
            (Issuance::Validating { order }, unanswered(), None),
            (Issuance::Finalizing { order }, ours(), None),
        ] {
            let phase = Phase::Onboarding(state);
            assert_eq!(
                result_of(&phase, &failed(failure.clone())),
                expected,
                "{phase:?} {failure:?}"
            );
        }
        let waiting = Outcome::Waiting {
            until: Timestamp::EPOCH,
            kind: EventKind::CaPaced,
        };
        let ordering = Phase::Onboarding(Issuance::Ordering);
        assert_eq!(result_of(&ordering, &waiting), None);
    }

    #[test]
    fn only_a_first_issuance_has_milestones() {
        let certificate = CertificateId::from_uuid(Uuid::nil());
        let stored = Outcome::Moved {
            event: Event::CertificateStored(certificate),
            kind: EventKind::CertificateStored,
            detail: json!({}),
        };
        let order = OrderId::from_uuid(Uuid::nil());
        let finalizing = Issuance::Finalizing { order };
        let first = Phase::Onboarding(finalizing.clone());
        assert_eq!(milestone(&first, &stored), Some(Milestone::Issued));
        let renewal = Phase::Live {
            serving: certificate,
            not_after: Timestamp::NEVER,
            dns: dps_domain::DnsState::Here,
            next: dps_domain::phase::Next::Now(finalizing),
        };
        assert_eq!(milestone(&renewal, &stored), None);
    }
}
