//! Do CAA records let the CA issue for the name (RFC 8659)?

use dps_domain::Failure;
use dps_domain::caa::{self, CaaIssuer, CaaVerdict};
use dps_domain::dns::DnsVerdict;
use dps_domain::outcome::{Outcome, Then};

use super::check_dns::{keep_addresses, moved_away, observe_dns};
use super::context::StepContext;
use super::fault::Fault;
use crate::ports::metrics::LocalParty;

/// The method with which names are validated, as CAA records call it (RFC 8657 §4).
const VALIDATION_METHOD: &str = "http-01";

/// Returns the outcome that keeps an order back: CAA records forbid it, or cannot be looked up. The
/// CA would refuse it and count a failed validation.
pub(super) async fn check_caa(
    context: &StepContext<'_>,
    account_url: &str,
) -> Result<Option<Outcome>, Fault> {
    let Some(identity) = context.service.ca.fetch_caa_identity().await? else {
        return Ok(None);
    };
    let issuer = issuer(&identity, account_url);
    let outcome = match observe_caa(context, &issuer).await {
        CaaVerdict::Allowed | CaaVerdict::Inconclusive => None,
        forbidden @ CaaVerdict::Forbidden { .. } => refused(forbidden),
        // The CA decides: its resolvers may get an answer.
        CaaVerdict::LookupFailed { .. } if is_urgent(context) => None,
        failed @ CaaVerdict::LookupFailed { .. } => unanswered(context, failed).await,
    };
    if outcome.is_some() {
        context.evidence.nothing_sent();
    }
    Ok(outcome)
}

/// Returns the outcome for a live domain whose CAA records forbid the next renewal. A failed
/// look-up says nothing yet: the order is not due.
pub(super) async fn recheck_caa(context: &StepContext<'_>) -> Option<Outcome> {
    let service = context.service;
    let identity = service.ca.caa_identity()?;
    let stored = service.store.account(service.ca.directory_url()).await;
    // Without an account nobody can tell whether a record means ours.
    let account_url = stored.ok()??.url?;
    match observe_caa(context, &issuer(&identity, &account_url)).await {
        forbidden @ CaaVerdict::Forbidden { .. } => refused(forbidden),
        CaaVerdict::Allowed | CaaVerdict::LookupFailed { .. } | CaaVerdict::Inconclusive => None,
    }
}

const fn issuer<'a>(identity: &'a str, account_url: &'a str) -> CaaIssuer<'a> {
    CaaIssuer {
        identity,
        account_url,
        validation_method: VALIDATION_METHOD,
    }
}

async fn observe_caa(context: &StepContext<'_>, issuer: &CaaIssuer<'_>) -> CaaVerdict {
    let (resolvers, record) = (&context.service.resolvers, context.record);
    let observations = resolvers.observe_caa(&record.hostname).await;
    let (host, target) = (&record.hostname, &record.cname_target);
    let verdict = caa::verdict(&observations, issuer, host, target);
    if verdict != CaaVerdict::Allowed {
        context.evidence.caa(&observations);
    }
    verdict
}

fn is_urgent(context: &StepContext<'_>) -> bool {
    let urgent_from = context.record.urgent_from;
    urgent_from.is_some_and(|from| from <= context.service.now())
}

/// The failure that a verdict against the name means.
fn refused(verdict: CaaVerdict) -> Option<Outcome> {
    let failure = match verdict {
        CaaVerdict::Forbidden {
            owner,
            record,
            at_target: true,
            ..
        } => Failure::Internal {
            detail: format!(
                "the CAA record {record} of {owner}, to which our own target leads, forbids the CA; \
                 add one that allows it"
            ),
        },
        CaaVerdict::Forbidden {
            owner,
            record,
            reason,
            ..
        } => Failure::CaaForbids {
            record,
            owner,
            reason,
        },
        CaaVerdict::LookupFailed {
            detail,
            at_target: true,
        } => Failure::Internal {
            detail: format!("the CAA records of our own target cannot be looked up: {detail}"),
        },
        CaaVerdict::LookupFailed { detail, .. } => Failure::CaaLookupFailed { detail },
        CaaVerdict::Allowed | CaaVerdict::Inconclusive => return None,
    };
    Some(Outcome::failed(failure, Then::Retry))
}

/// The outcome if no resolver got an answer. The DNS check tells whether the resolvers are to
/// blame.
async fn unanswered(context: &StepContext<'_>, failed: CaaVerdict) -> Option<Outcome> {
    let (verdict, views) = observe_dns(context).await;
    match verdict {
        DnsVerdict::PointsAtUs { .. } => refused(failed),
        DnsVerdict::NotReady(failure) => {
            keep_addresses(context, &views);
            let failure = moved_away(context, failure);
            Some(Outcome::failed(failure, Then::Retry))
        }
        DnsVerdict::Local { detail } => Some(context.local_fault(LocalParty::Dns, &detail)),
    }
}
