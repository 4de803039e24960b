//! The counters of results: what an operator takes for an attempt, and nothing else.

use dps_domain::lane::{Lane, usual_lane};
use dps_domain::outcome::Outcome;
use dps_domain::phase::Issuance;
use dps_domain::{Failure, Phase};

use crate::service::Service;
use crate::steps::Evidence;

/// Counts the outcome of a step towards a certificate: a success once it is deployed, a failure if
/// the CA or an edge failed. Waits and faults of our own are neither.
pub(crate) fn count(service: &Service, phase: &Phase, outcome: &Outcome, evidence: &Evidence) {
    let Some(success) = result_of(phase, outcome) else {
        return;
    };
    if !success && evidence.nothing_was_sent() {
        return;
    }
    match usual_lane(phase) {
        Some(Lane::Issuance | Lane::OrderQueue) => service.metrics.acme_issuance(success),
        Some(Lane::Renewal) => service.metrics.renewal(success),
        Some(_) | None => {}
    }
}

/// Whether the step ended an attempt, and how.
fn result_of(phase: &Phase, outcome: &Outcome) -> Option<bool> {
    // DNS checks have a counter of their own, and an HTTP probe calls the customer's side.
    let issuance = phase.issuance()?;
    match outcome {
        Outcome::Moved { .. } => matches!(issuance, Issuance::Deploying { .. }).then_some(true),
        // A fault of our own store or keys.
        Outcome::Failed {
            failure: Failure::Internal { .. },
            ..
        } => None,
        Outcome::Failed { .. } => issuance.is_at_ca().then_some(false),
        Outcome::Confirmed { .. } | Outcome::Waiting { .. } => None,
    }
}
