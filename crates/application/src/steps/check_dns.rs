//! Does the name point at us, in the eyes of every resolver?

use std::time::Duration;

use dps_domain::dns::{DnsVerdict, ResolverView, instruction_addresses};
use dps_domain::{DnsState, Event, EventKind, Failure, FailureCode};
use serde_json::json;

use super::check_ownership::check_ownership;
use super::context::StepContext;
use super::fault::Fault;
use crate::observe::cdn::with_cdn;
use crate::observe::claim::PassedDns;
use crate::observe::dns::{self, QueryAuthoritative, as_move, is_seen_here};
use crate::ports::metrics::LocalParty;
use crate::resolvers::DnsBudget;
use dps_domain::outcome::{Outcome, Then};

/// When the DNS is queried again after an answer that says nothing about the customer.
pub(super) const INCONCLUSIVE: Duration = Duration::from_secs(10 * 60);

pub(super) async fn check_dns(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let budget = context.dns_budget();
    let (verdict, views) = observe_dns(context, budget).await;
    let verdict = with_cdn(&context.observer(), verdict, budget).await;
    let metrics = &context.service.metrics;
    let outcome = match verdict {
        DnsVerdict::PointsAtUs {
            addresses,
            is_proxied,
            ..
        } => {
            let passed = PassedDns {
                views,
                is_proxied,
                budget,
            };
            if let Some(otherwise) = check_ownership(context, &passed, Then::Retry).await? {
                if asks_for_proof(&otherwise) {
                    metrics.domain_verification(false);
                }
                keep_addresses(context, &passed.views);
                return Ok(otherwise);
            }
            metrics.domain_verification(true);
            let detail = json!({ "addresses": addresses });
            Outcome::Moved {
                event: Event::DnsReady,
                kind: EventKind::DnsReady,
                detail,
            }
        }
        DnsVerdict::NotReady(failure) => {
            let failure = moved_away(context, failure);
            // Moving away is counted once, and unanswered queries say nothing.
            let counts = !matches!(
                failure.code(),
                FailureCode::DnsMoved | FailureCode::DnsTimeout
            );
            if counts && !context.record.phase.is_moved_away() {
                metrics.domain_verification(false);
            }
            if let Some(waiting) = nothing_new(context, &failure) {
                return Ok(waiting);
            }
            keep_addresses(context, &views);
            Outcome::failed(failure, Then::Retry)
        }
        DnsVerdict::Local { detail } => context.local_fault(LocalParty::Dns, &detail),
    };
    Ok(outcome)
}

/// Whether the check ended because the tenant must prove its claim. A wait for the end of an
/// earlier domain and an unanswered TXT query say nothing about the name.
const fn asks_for_proof(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Failed {
            failure: Failure::DnsOwnershipRequired { .. },
            ..
        }
    )
}

/// As [`as_move`]. The first check that finds a served name elsewhere is counted, those after it
/// are not.
pub(super) fn moved_away(context: &StepContext<'_>, failure: Failure) -> Failure {
    let phase = &context.record.phase;
    let failure = as_move(phase, failure);
    if matches!(failure, Failure::DnsMoved { .. }) && phase.dns() == Some(DnsState::Here) {
        context.service.metrics.domain_verification(false);
    }
    failure
}

/// A check that says nothing about the customer changes nothing about a domain that is known to
/// have moved away: it is checked again soon.
pub(super) fn nothing_new(context: &StepContext<'_>, failure: &Failure) -> Option<Outcome> {
    let is_inconclusive = !failure.counts_against_domain() || is_seen_here(failure);
    let known =
        failure.leaves_dns_open() && is_inconclusive && context.record.phase.is_moved_away();
    known.then(|| Outcome::Waiting {
        until: context.service.now() + INCONCLUSIVE,
        kind: EventKind::RecheckInconclusive,
    })
}

/// Keeps the addresses that an instruction for the customer may name, by what [`observe_dns`] saw.
pub(super) fn keep_addresses(context: &StepContext<'_>, views: &[ResolverView]) {
    let ours = &context.service.policy.edge_addresses;
    let addresses = instruction_addresses(ours, views);
    context.evidence.edge_addresses(addresses);
}

/// Asks all resolvers at once, and the authoritative servers where those may know better. Also
/// answers what each of those said that the verdict is from.
pub(super) async fn observe_dns(
    context: &StepContext<'_>,
    budget: DnsBudget,
) -> (DnsVerdict, Vec<ResolverView>) {
    let observer = context.observer();
    let found = dns::observe_dns(&observer, budget, QueryAuthoritative::IfNeeded).await;
    (found.verdict, found.views)
}
