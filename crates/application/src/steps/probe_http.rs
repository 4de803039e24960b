//! Does our responder answer at every address that the name publishes, through the real path?

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use dps_domain::dns::{DnsVerdict, MAX_ADDRESSES};
use dps_domain::policy::ProbeMode;
use dps_domain::probe;
use dps_domain::{Event, EventKind, Failure};
use serde_json::json;

use super::check_dns::{keep_addresses, moved_away, nothing_new, observe_dns};
use super::check_ownership::check_ownership;
use super::context::StepContext;
use super::edges;
use super::edges::Unreached;
use super::fault::Fault;
use crate::observe::claim::PassedDns;
use crate::observe::dns::too_many_addresses;
use crate::observe::path::Fetch;
use crate::ports::edge::EdgeDisposition;
use crate::ports::metrics::LocalParty;
use dps_domain::outcome::{Outcome, Then};

/// The pause between two probes of one step.
const BETWEEN_PASSES: Duration = Duration::from_secs(1);

pub(super) async fn probe_http(context: &StepContext<'_>) -> Result<Outcome, Fault> {
    let target = match target(context).await {
        Ok(target) => target,
        Err(unready) => return Ok(failed(context, unready)),
    };
    let (kind, detail) = match reach(context, &target).await {
        Ok(reached) => {
            let addresses: Vec<&IpAddr> = target.addresses.iter().take(MAX_ADDRESSES).collect();
            let kind = match reached {
                Reached::AllBut { .. } => EventKind::HttpReady,
                Reached::NotFromHere | Reached::NotTried => EventKind::HttpInconclusive,
            };
            (kind, json!({ "addresses": addresses }))
        }
        Err(Unready::Answered(failure)) if context.service.policy.probe.mode == ProbeMode::Warn => {
            tracing::warn!(
                domain.id = %context.record.id, domain.hostname = %context.record.hostname,
                code = %failure.code(), "probe.failure_ignored"
            );
            (EventKind::HttpInconclusive, json!({ "ignored": failure }))
        }
        Err(unready) => return Ok(failed(context, unready)),
    };
    // Another tenant may have claimed the name since the DNS check.
    let proof_required = check_ownership(context, &target.dns, Then::RecheckDns).await?;
    Ok(proof_required.unwrap_or(Outcome::Moved {
        event: Event::HttpReady,
        kind,
        detail,
    }))
}

fn failed(context: &StepContext<'_>, unready: Unready) -> Outcome {
    match unready {
        Unready::Answered(failure) => Outcome::failed(failure, Then::Retry),
        Unready::Failed { failure, then } => {
            nothing_new(context, &failure).unwrap_or_else(|| Outcome::failed(failure, then))
        }
        Unready::Local { party, detail } => context.local_fault(party, &detail),
    }
}

/// A name that points at us, with the addresses to probe.
struct Target {
    /// The name's addresses.
    addresses: BTreeSet<IpAddr>,
    /// Addresses of our own target.
    ours: BTreeSet<IpAddr>,
    dns: PassedDns,
}

/// Where our responder was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// At every address, but for those of ours at which an unreachable edge is.
    AllBut {
        /// How many edges were unreachable.
        unreachable: usize,
    },
    /// Nowhere, since the service cannot reach even edges that work: hairpin NAT, or DNS of its
    /// own. The CA may well reach them.
    NotFromHere,
    /// Nowhere, since the operator wants no probe.
    NotTried,
}

/// Why our responder was not seen at every address.
pub(super) enum Unready {
    /// The answers of the addresses.
    Answered(Failure),
    /// Something of the catalogue.
    Failed {
        /// The failure.
        failure: Failure,
        /// The consequence.
        then: Then,
    },
    /// Our own machine could not query the DNS.
    Local {
        /// Whom it could not call.
        party: LocalParty,
        /// The system's reason.
        detail: String,
    },
}

/// Checks DNS again, and fetches our random token from every address.
pub(super) async fn probe(context: &StepContext<'_>) -> Result<Reached, Unready> {
    let target = target(context).await?;
    reach(context, &target).await
}

/// Checks DNS again.
async fn target(context: &StepContext<'_>) -> Result<Target, Unready> {
    let budget = context.dns_budget();
    let (verdict, views) = observe_dns(context, budget).await;
    let unready = |failure, then| {
        keep_addresses(context, &views);
        Unready::Failed { failure, then }
    };
    let (addresses, ours, more, is_proxied) = match verdict {
        DnsVerdict::PointsAtUs {
            addresses,
            edges,
            more,
            is_proxied,
        } => (addresses, edges, more, is_proxied),
        DnsVerdict::NotReady(failure) if failure.counts_against_domain() => {
            return Err(unready(moved_away(context, failure), Then::RecheckDns));
        }
        DnsVerdict::NotReady(failure) => return Err(unready(failure, Then::Retry)),
        DnsVerdict::Local { detail } => {
            let party = LocalParty::Dns;
            return Err(Unready::Local { party, detail });
        }
    };
    if let Some(failure) = too_many_addresses(&addresses, more) {
        // Not back to the DNS check, which has nothing against them: passing it would count as
        // progress.
        return Err(unready(failure, Then::Retry));
    }
    Ok(Target {
        addresses,
        ours,
        dns: PassedDns {
            views,
            is_proxied,
            budget,
        },
    })
}

/// Fetches our random token from every address, unless the operator wants no probe.
async fn reach(context: &StepContext<'_>, target: &Target) -> Result<Reached, Unready> {
    if context.service.policy.probe.mode == ProbeMode::Off {
        return Ok(Reached::NotTried);
    }
    probe_all(context, &target.addresses, &target.ours)
        .await
        .inspect_err(|_| keep_addresses(context, &target.dns.views))
}

impl From<Unreached> for Unready {
    fn from(unreached: Unreached) -> Self {
        let then = unreached.then();
        match unreached.error().disposition() {
            EdgeDisposition::Local => Self::Local {
                party: LocalParty::Edge,
                detail: unreached.error().detail().to_owned(),
            },
            EdgeDisposition::Unreachable
            | EdgeDisposition::Refused
            | EdgeDisposition::Superseded => Self::Failed {
                failure: unreached.into_failure(),
                then,
            },
        }
    }
}

async fn probe_all(
    context: &StepContext<'_>,
    addresses: &BTreeSet<IpAddr>,
    ours: &BTreeSet<IpAddr>,
) -> Result<Reached, Unready> {
    let service = context.service;
    let fetch = Fetch::new(service);
    let published = edges::publish(service, &fetch.token, &fetch.body).await;
    let unreachable = published.map_err(|error| Unready::Failed {
        failure: Fault::from(error).into_failure(),
        then: Then::Retry,
    })??;
    let mut verdict = judge(context, &fetch, addresses, ours, unreachable).await;
    for _ in 1..service.policy.probe.passes {
        // A load balancer or a cache may answer in turns.
        if !matches!(verdict, Ok(Reached::AllBut { .. })) {
            break;
        }
        tokio::time::sleep(BETWEEN_PASSES).await;
        verdict = judge(context, &fetch, addresses, ours, unreachable).await;
    }
    edges::withdraw(service, &fetch.token).await;
    verdict
}

/// Fetches the token from every address once, and judges the answers.
async fn judge(
    context: &StepContext<'_>,
    fetch: &Fetch,
    addresses: &BTreeSet<IpAddr>,
    ours: &BTreeSet<IpAddr>,
    unreachable: usize,
) -> Result<Reached, Unready> {
    let seen = fetch.from(&context.observer(), addresses).await;
    context.evidence.probes(&seen);
    if let Some(detail) = probe::local_fault(&seen) {
        return Err(Unready::Local {
            party: LocalParty::Probe,
            detail: detail.to_owned(),
        });
    }
    let Err(failure) = probe::verdict(&seen, ours, unreachable) else {
        return Ok(Reached::AllBut { unreachable });
    };
    let is_unanswered = unreachable == 0 && probe::is_unanswered(&seen, ours);
    if is_unanswered && fetch.finds_no_edge(&context.observer(), &seen, ours).await {
        return Ok(Reached::NotFromHere);
    }
    Err(Unready::Answered(failure))
}
