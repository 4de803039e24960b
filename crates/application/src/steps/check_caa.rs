//! Checks whether CAA records allow the CA to issue for the name (RFC 8659).

use dps_domain::caa::CaaVerdict;
use dps_domain::dns::DnsVerdict;
use dps_domain::outcome::{Outcome, Then};

use super::check_dns::{keep_addresses, moved_away, observe_dns};
use super::context::StepContext;
use super::fault::Fault;
use crate::observe::caa::{failure, forbids, issuer, observe_caa};
use crate::ports::metrics::LocalParty;
use crate::resolvers::DnsBudget;

/// Returns the outcome that keeps an order back: CAA records forbid it, or cannot be looked up. The
/// CA would refuse it and count a failed validation.
pub(super) async fn check_caa(
    context: &StepContext<'_>,
    account_url: &str,
) -> Result<Option<Outcome>, Fault> {
    let identities = context.service.ca.fetch_caa_identities().await?;
    if identities.is_empty() {
        return Ok(None);
    }
    let (issuer, budget) = (issuer(&identities, account_url), context.dns_budget());
    let outcome = match observe_caa(&context.observer(), &issuer, budget).await {
        CaaVerdict::Allowed | CaaVerdict::Inconclusive => None,
        // The CA decides: its resolvers may get an answer.
        CaaVerdict::LookupFailed { .. } if is_urgent(context) => None,
        against => Some(held_back(context, against, account_url, budget).await),
    };
    if outcome.is_some() {
        context.evidence.reached_nobody();
    }
    Ok(outcome)
}

/// The result of checking the CAA records of a live domain.
pub(super) enum Recheck {
    /// Records forbid the next renewal.
    Forbidden(Outcome),
    /// Nothing forbids it that is the customer's.
    Allowed,
    /// Unknown.
    Unknown,
}

/// Checks whether CAA records forbid the next renewal of a live domain. Records of our own target
/// concern the operator, and are reported with the order.
pub(super) async fn recheck_caa(context: &StepContext<'_>, budget: DnsBudget) -> Recheck {
    let service = context.service;
    let identities = service.ca.caa_identities();
    let stored = service.store.account(service.ca.directory_url()).await;
    // Without an account, a record with `accounturi` cannot be judged.
    let account_url = stored.ok().flatten().and_then(|account| account.url);
    let (Some(account_url), false) = (account_url, identities.is_empty()) else {
        return Recheck::Unknown;
    };
    match observe_caa(
        &context.observer(),
        &issuer(&identities, &account_url),
        budget,
    )
    .await
    {
        CaaVerdict::Forbidden {
            at_target: false,
            owner,
            record,
            reason,
        } => {
            let failure = forbids(owner, record, reason, &account_url);
            Recheck::Forbidden(Outcome::failed(failure, Then::Retry))
        }
        CaaVerdict::Allowed | CaaVerdict::Forbidden { .. } => Recheck::Allowed,
        // The order is not due, so a failed look-up says nothing yet.
        CaaVerdict::LookupFailed { .. } | CaaVerdict::Inconclusive => Recheck::Unknown,
    }
}

fn is_urgent(context: &StepContext<'_>) -> bool {
    let urgent_from = context.record.urgent_from;
    urgent_from.is_some_and(|from| from <= context.service.now())
}

/// The outcome of a verdict against the name. The DNS check is made again first: a name that moved
/// away has the records of another platform, and resolvers that answer nothing are ours.
async fn held_back(
    context: &StepContext<'_>,
    against: CaaVerdict,
    account_url: &str,
    budget: DnsBudget,
) -> Outcome {
    let (verdict, views) = observe_dns(context, budget).await;
    match verdict {
        DnsVerdict::PointsAtUs { .. } => {
            let failure = failure(&context.observer(), against, account_url, budget).await;
            Outcome::failed(failure, Then::Retry)
        }
        DnsVerdict::NotReady(failure) if failure.counts_against_domain() => {
            keep_addresses(context, &views);
            Outcome::failed(moved_away(context, failure), Then::RecheckDns)
        }
        DnsVerdict::NotReady(failure) => Outcome::failed(failure, Then::Retry),
        DnsVerdict::Local { detail } => context.local_fault(LocalParty::Dns, &detail),
    }
}
