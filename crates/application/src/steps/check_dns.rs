//! Does the name point at us, in the eyes of every resolver?

use std::net::IpAddr;
use std::time::Duration;

use dps_domain::dns::{self, DnsExpectation, DnsVerdict, ResolverView};
use dps_domain::{Event, Failure, FailureCode};
use futures_util::future::{join, join_all};
use serde_json::json;

use super::{Outcome, StepContext, Then};
use crate::settle::is_departed;

/// When to look again after an answer that says nothing about the customer.
pub(super) const INCONCLUSIVE: Duration = Duration::from_secs(10 * 60);

pub(super) async fn check_dns(context: &StepContext<'_>) -> Outcome {
    let (verdict, views) = look(context).await;
    let metrics = &context.service.metrics;
    match verdict {
        DnsVerdict::PointsAtUs { addresses, .. } => {
            metrics.domain_verification(true);
            let detail = json!({ "addresses": addresses });
            Outcome::Moved {
                event: Event::DnsReady,
                kind: "dns.ready",
                detail,
            }
        }
        DnsVerdict::NotReady(failure) => {
            metrics.domain_verification(false);
            if let Some(waiting) = nothing_new(context, &failure) {
                return waiting;
            }
            let edge_addresses = instruction_addresses(context, &views);
            context.failed_with(departed(context, failure), Then::Retry, &edge_addresses)
        }
    }
}

/// A domain that was served and stopped pointing at us has moved away.
pub(super) fn departed(context: &StepContext<'_>, failure: Failure) -> Failure {
    if context.record.phase.was_served() && failure.counts_against_domain() {
        Failure::DnsMoved {
            cause: Box::new(failure),
        }
    } else {
        failure
    }
}

/// A look that says nothing about the customer changes nothing about a domain that is known to have left: it is looked at again soon.
pub(super) fn nothing_new(context: &StepContext<'_>, failure: &Failure) -> Option<Outcome> {
    let of_dns = matches!(
        failure.code(),
        FailureCode::DnsTimeout | FailureCode::DnsServfail | FailureCode::DnsPropagating
    );
    let known = of_dns && !failure.counts_against_domain() && is_departed(context.record);
    known.then(|| Outcome::Waiting {
        until: context.service.now() + INCONCLUSIVE,
        kind: "recheck.inconclusive",
    })
}

/// The addresses that an instruction for the customer may name, by what [`look`] saw.
pub(super) fn instruction_addresses(context: &StepContext<'_>, views: &[ResolverView]) -> Vec<IpAddr> {
    dns::instruction_addresses(&context.service.policy.edge_addresses, views)
}

/// Asks all resolvers at once. Also answers what each of them said.
pub(super) async fn look(context: &StepContext<'_>) -> (DnsVerdict, Vec<ResolverView>) {
    let record = context.record;
    let views: Vec<ResolverView> = join_all(context.service.resolvers.iter().map(|resolver| async move {
        let (name, control) = join(
            resolver.observe(&record.hostname),
            resolver.observe(&record.cname_target),
        )
        .await;
        ResolverView { name, control }
    }))
    .await;
    context.evidence.resolvers(&views);
    let expected = DnsExpectation {
        hostname: &record.hostname,
        cname_target: &record.cname_target,
        edge_addresses: &context.service.policy.edge_addresses,
    };
    (dns::verdict(&expected, &views), views)
}
