//! Does a live domain still point at us? Checked at intervals, so that a customer who moved away
//! learns of it long before the renewal.

use dps_domain::backoff::{AROUND, spread};
use dps_domain::dns::DnsVerdict;
use dps_domain::{EventKind, Failure, Timestamp};

use super::check_caa::{Recheck, recheck_caa};
use super::check_dns::{INCONCLUSIVE, keep_addresses, moved_away, observe_dns};
use super::check_ownership::check_ownership;
use super::context::StepContext;
use super::fault::Fault;
use crate::observe::claim::PassedDns;
use crate::observe::dns::is_seen_here;
use crate::ports::metrics::LocalParty;
use dps_domain::outcome::{Outcome, Then};

pub(super) async fn recheck(
    context: &StepContext<'_>,
    renew_at: Timestamp,
) -> Result<Outcome, Fault> {
    let budget = context.dns_budget();
    let (verdict, views) = observe_dns(context, budget).await;
    let service = context.service;
    let now = service.now();
    if let DnsVerdict::Local { detail } = &verdict {
        service.local_fault(LocalParty::Dns, detail);
    }
    let outcome = match verdict {
        DnsVerdict::PointsAtUs { is_proxied, .. } => {
            let passed = PassedDns {
                views,
                is_proxied,
                budget,
            };
            if let Some(proof_required) = check_ownership(context, &passed, Then::Retry).await? {
                return Ok(proof_required);
            }
            match recheck_caa(context, budget).await {
                Recheck::Forbidden(forbidden) => return Ok(forbidden),
                // The records that were found last still stand.
                Recheck::Unknown if forbids_by_caa(context) => {
                    return Ok(Outcome::Waiting {
                        until: renew_at.min(now + INCONCLUSIVE),
                        kind: EventKind::RecheckInconclusive,
                    });
                }
                Recheck::Allowed | Recheck::Unknown => {}
            }
            let interval = spread(
                service.policy.recheck.interval,
                AROUND,
                service.randomness.unit(),
            );
            Outcome::Confirmed {
                until: renew_at.min(now + interval),
            }
        }
        DnsVerdict::NotReady(failure)
            if failure.counts_against_domain() && !is_seen_here(&failure) =>
        {
            keep_addresses(context, &views);
            Outcome::failed(moved_away(context, failure), Then::Retry)
        }
        DnsVerdict::Local { .. } | DnsVerdict::NotReady(_) => Outcome::Waiting {
            until: renew_at.min(now + INCONCLUSIVE),
            kind: EventKind::RecheckInconclusive,
        },
    };
    Ok(outcome)
}

/// Whether CAA records were found against the domain.
fn forbids_by_caa(context: &StepContext<'_>) -> bool {
    matches!(
        context.record.last_failure,
        Some(Failure::CaaForbids { .. })
    )
}
