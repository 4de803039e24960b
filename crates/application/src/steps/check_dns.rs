//! Does the name point at us, in the eyes of every resolver?

use std::time::Duration;

use dps_domain::dns::{self, DnsExpectation, DnsVerdict, ResolverView};
use dps_domain::{DnsState, Event, EventKind, Failure, FailureCode};
use serde_json::json;

use super::check_ownership::{PassedDns, check_ownership};
use super::context::StepContext;
use super::fault::Fault;
use crate::ports::metrics::LocalParty;
use crate::resolvers::DnsBudget;
use dps_domain::outcome::{Outcome, Then};

/// When the DNS is queried again after an answer that says nothing about the customer.
pub(super) const INCONCLUSIVE: Duration = Duration::from_secs(10 * 60);

pub(super) async fn check_dns(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let budget = context.dns_budget();
    let (verdict, views) = observe_dns(context, budget).await;
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

/// Marks a failure of a domain that was served as evidence that it points elsewhere. The first
/// check that finds it so is counted, those after it are not.
pub(super) fn moved_away(context: &StepContext<'_>, failure: Failure) -> Failure {
    let phase = &context.record.phase;
    // Servers of the zone that fail or do not answer say nothing about where the name points.
    let is_elsewhere = phase.is_moved_away() || !failure.leaves_dns_open();
    if phase.was_served()
        && is_elsewhere
        && failure.counts_against_domain()
        && !is_seen_here(&failure)
    {
        if phase.dns() == Some(DnsState::Here) {
            context.service.metrics.domain_verification(false);
        }
        Failure::DnsMoved {
            cause: Box::new(failure),
        }
    } else {
        failure
    }
}

/// Whether a resolver sees the name pointing at us, whatever others fail to resolve: it has not
/// moved.
pub(super) fn is_seen_here(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::DnsServfail { seen_by, .. } | Failure::DnsDnssecBogus { seen_by, .. }
            if !seen_by.is_empty()
    )
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
    let addresses = dns::instruction_addresses(ours, views);
    context.evidence.edge_addresses(addresses);
}

/// Asks all resolvers at once, and the authoritative servers where those may know better. Also
/// answers what each of those said that the verdict is from.
pub(super) async fn observe_dns(
    context: &StepContext<'_>,
    budget: DnsBudget,
) -> (DnsVerdict, Vec<ResolverView>) {
    let record = context.record;
    let service = context.service;
    let resolvers = &service.resolvers;
    let host = &record.hostname;
    let mut views = resolvers.observe(service, host, &record.cname_target).await;
    context.evidence.answers(host, &views);
    let expected = DnsExpectation {
        hostname: host,
        cname_target: &record.cname_target,
        edge_addresses: &service.policy.edge_addresses,
        proxies: &service.policy.proxies,
        unique_targets: if record.phase.was_served() {
            &[]
        } else {
            &service.policy.ownership.unique_targets
        },
    };
    let now = service.now();
    let mut verdict = dns::verdict(&expected, &views, now);
    if verdict.may_be_outdated()
        && let Some(seen) = resolvers.observe_authoritative(host, &views, budget).await
    {
        context.evidence.authoritative(&seen);
        verdict = verdict.with_authoritative(&expected, &views, &seen, now);
        if matches!(verdict, DnsVerdict::PointsAtUs { .. }) {
            views = seen.in_place_of(&views);
        }
    }
    context.evidence.note("dnsTime", budget.evidence());
    (verdict, views)
}
