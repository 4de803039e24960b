//! Where a name points, in the eyes of the resolvers and of the zone's authoritative servers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dps_domain::dns::{
    self, AuthoritativeView, DnsExpectation, DnsVerdict, MAX_ADDRESSES, ResolverView,
    other_targets, stray_addresses,
};
use dps_domain::ownership::RequireProof;
use dps_domain::{Failure, Phase, with_causes};

use super::Observer;
use crate::resolvers::DnsBudget;

/// When the authoritative servers are queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryAuthoritative {
    /// If they may know better than the resolvers.
    IfNeeded,
    /// In any case.
    Always,
}

/// The answers about a name.
pub(crate) struct ObservedDns {
    /// The verdict. Authoritative servers prevail where records are missing or wrong.
    pub(crate) verdict: DnsVerdict,
    /// The answers that the verdict is from.
    pub(crate) views: Vec<ResolverView>,
    /// The failure that the authoritative servers see where the resolvers see none.
    pub(crate) outdated: Option<Failure>,
}

/// Asks all resolvers at once, and the authoritative servers as `query` says.
pub(crate) async fn observe_dns(
    observer: &Observer<'_>,
    budget: DnsBudget,
    query: QueryAuthoritative,
) -> ObservedDns {
    let Observer {
        service,
        record,
        evidence,
    } = observer;
    let resolvers = &service.resolvers;
    let host = &record.hostname;
    let views = resolvers.observe(service, host, &record.cname_target).await;
    evidence.answers(host, &views);
    let leads_to_another = leads_to_another_tenant(observer, &views).await;
    let ownership = &service.policy.ownership;
    let expected = DnsExpectation {
        hostname: host,
        cname_target: &record.cname_target,
        edge_addresses: &service.policy.edge_addresses,
        proxies: &service.policy.proxies,
        unique_targets: ownership.unique_targets_of(&record.phase, leads_to_another),
    };
    let now = service.now();
    let mut found = ObservedDns {
        verdict: dns::verdict(&expected, &views, now),
        views,
        outdated: None,
    };
    let may_be_outdated = found.verdict.may_be_outdated();
    if (may_be_outdated || query == QueryAuthoritative::Always)
        && let Some(seen) = resolvers
            .observe_authoritative(host, &found.views, budget)
            .await
    {
        evidence.authoritative(&seen);
        let corrected =
            (found.verdict.clone()).with_authoritative(&expected, &found.views, &seen, now);
        if may_be_outdated {
            found.correct(corrected, &seen);
        } else if matches!(found.verdict, DnsVerdict::PointsAtUs { .. })
            && let DnsVerdict::NotReady(failure) = corrected
        {
            found.outdated = Some(failure);
        }
    }
    evidence.dns_time(budget);
    found
}

/// Whether the name leads through a target of another tenant.
async fn leads_to_another_tenant(observer: &Observer<'_>, views: &[ResolverView]) -> bool {
    let Observer {
        service, record, ..
    } = observer;
    let policy = &service.policy.ownership;
    if policy.require == RequireProof::Never {
        return false;
    }
    for target in other_targets(&record.cname_target, &policy.unique_targets, views) {
        match service.store.target_holder(&target).await {
            Ok(holder) if holder.is_another(&record.tenant_id) => return true,
            Ok(_) => {}
            // The next check asks again; until then, the domain is served as before.
            Err(error) => {
                tracing::warn!(domain.id = %record.id, error = %with_causes(&error), "target.not_read");
            }
        }
    }
    false
}

impl ObservedDns {
    fn correct(&mut self, corrected: DnsVerdict, seen: &AuthoritativeView) {
        self.verdict = corrected;
        if matches!(self.verdict, DnsVerdict::PointsAtUs { .. }) {
            self.views = seen.in_place_of(&self.views);
        }
    }
}

/// Marks a failure of a domain that was served as evidence that it points elsewhere, unless it says
/// nothing about that.
pub(crate) fn as_move(phase: &Phase, failure: Failure) -> Failure {
    // Servers of the zone that fail or do not answer say nothing about where the name points.
    let is_elsewhere = phase.is_moved_away() || !failure.leaves_dns_open();
    if phase.was_served()
        && is_elsewhere
        && failure.counts_against_domain()
        && !is_seen_here(&failure)
    {
        Failure::DnsMoved {
            cause: Box::new(failure),
        }
    } else {
        failure
    }
}

/// Whether a resolver sees the name pointing at us, whatever others fail to resolve: it has not
/// moved.
pub(crate) fn is_seen_here(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::DnsServfail { seen_by, .. } | Failure::DnsDnssecBogus { seen_by, .. }
            if !seen_by.is_empty()
    )
}

/// The failure of a name with more addresses than are probed; `None` if it has no more. `more` are
/// those that were not kept.
pub(crate) fn too_many_addresses(addresses: &BTreeSet<IpAddr>, more: usize) -> Option<Failure> {
    if more == 0 && addresses.len() <= MAX_ADDRESSES {
        return None;
    }
    let stray = addresses.iter().copied().skip(MAX_ADDRESSES).collect();
    Some(stray_addresses(&stray, more))
}
