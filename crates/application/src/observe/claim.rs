//! Whether a claim must be proven, where a DNS check finds that the name points at us.

use dps_domain::dns::{DnsAnswer, ResolverView};
use dps_domain::ownership::{
    Basis, Claim, TargetHolder, TxtAnswer, TxtObservation, is_answered, is_foreign, is_published,
    target_proves, txt_name,
};
use dps_domain::{Failure, Phase};

use super::Observer;
use crate::ports::store::{Claimants, DomainRecord, StoreError};
use crate::resolvers::DnsBudget;

/// Records of a hostname that are compared: of the tenant, and of other tenants those that hold it
/// most firmly.
pub(crate) const MAX_CLAIMS: u32 = 64;

/// A DNS check that found the name pointing at us.
pub(crate) struct PassedDns {
    /// The answers of the resolvers.
    pub(crate) views: Vec<ResolverView>,
    /// Whether the name leads to a proxy that is not ours.
    pub(crate) is_proxied: bool,
    /// The time for DNS queries of this check.
    pub(crate) budget: DnsBudget,
}

/// The proof of a claim by the DNS.
pub(crate) struct Proof {
    /// The proof; `None` without one.
    pub(crate) basis: Option<Basis>,
    /// Whether the DNS names the claim of another tenant.
    pub(crate) is_foreign: bool,
}

/// No query about a proof was answered: the value of another claim may stand there.
pub(crate) enum Unanswered {
    /// Our own machine could not query; the system's reason.
    Local(String),
    /// Something of the catalogue.
    Failed(Failure),
}

/// The records of the hostname besides that of the domain.
pub(crate) struct Records {
    own: Vec<DomainRecord>,
    strangers: Vec<DomainRecord>,
    has_more_strangers: bool,
    target_holder: TargetHolder,
}

impl Records {
    pub(crate) async fn read(observer: &Observer<'_>) -> Result<Self, StoreError> {
        let (store, record) = (&observer.service.store, observer.record);
        let (hostname, tenant) = (&record.hostname, record.tenant_id.as_str());
        let own = Claimants::Tenant(tenant);
        let mut own = store.domains_by_hostname(hostname, own, MAX_CLAIMS).await?;
        own.retain(|other| other.id != record.id);
        let others = Claimants::Others(tenant);
        let strangers = store
            .domains_by_hostname(hostname, others, MAX_CLAIMS)
            .await?;
        let target = &record.cname_target;
        let target_holder = if observer.service.policy.ownership.is_unique(target) {
            store.target_holder(target.as_str()).await?
        } else {
            TargetHolder::Nobody
        };
        Ok(Self {
            target_holder,
            has_more_strangers: strangers.len() >= MAX_CLAIMS as usize,
            own,
            strangers,
        })
    }

    /// Whether a domain that had the name before is being taken down. It undeploys every
    /// certificate of the name.
    pub(crate) fn is_taken_down(&self) -> bool {
        let mut records = self.own.iter().chain(&self.strangers);
        records.any(|other| other.id.is_take_down() && other.phase == Phase::Leaving)
    }

    /// The claim of the domain's record.
    pub(crate) fn claim<'a>(&'a self, observer: &Observer<'a>, passed: &PassedDns) -> Claim<'a> {
        let service = observer.service;
        Claim {
            record: observer.record,
            own: &self.own,
            strangers: &self.strangers,
            has_more_strangers: self.has_more_strangers,
            target_holder: &self.target_holder,
            policy: &service.policy.ownership,
            quarantine: service.policy.quarantine,
            is_proxied: passed.is_proxied,
            now: service.now(),
        }
    }
}

/// Queries what the DNS proves for a claim.
pub(crate) async fn observe_proof(
    observer: &Observer<'_>,
    claim: &Claim<'_>,
    passed: &PassedDns,
) -> Result<Proof, Unanswered> {
    if target_proves(claim, &passed.views) {
        return Ok(Proof {
            basis: Some(Basis::Target),
            is_foreign: false,
        });
    }
    let record = observer.record;
    // The authoritative servers show a value that a resolver's cache does not have yet. They
    // may also answer where the resolvers do not.
    let is_enough = |seen: &[TxtObservation]| {
        is_answered(seen)
            && (record.ownership.required().is_none() || is_published(&record.ownership, seen))
    };
    let (resolvers, host) = (&observer.service.resolvers, &record.hostname);
    let seen = resolvers
        .observe_proof(host, passed.budget, is_enough)
        .await;
    observer.evidence.proof(host, &seen);
    observer.evidence.dns_time(passed.budget);
    if let Some(unanswered) = unanswered(observer, &seen) {
        return Err(unanswered);
    }
    let is_proven = is_published(&record.ownership, &seen) && !claim.has_stale_value();
    Ok(Proof {
        basis: is_proven.then_some(Basis::Txt),
        is_foreign: is_foreign(&claim.own(), &seen),
    })
}

/// The reason if no query was answered.
fn unanswered(observer: &Observer<'_>, seen: &[TxtObservation]) -> Option<Unanswered> {
    if is_answered(seen) {
        return None;
    }
    let mut failed = Vec::with_capacity(seen.len());
    for observation in seen {
        match &observation.answer {
            TxtAnswer::Values(_) => {}
            TxtAnswer::Failed(DnsAnswer::Local { detail }) => {
                return Some(Unanswered::Local(detail.clone()));
            }
            TxtAnswer::Failed(answer) => failed.push((observation.resolver, answer)),
        }
    }
    let resolvers = failed.iter().map(|(resolver, _)| *resolver).collect();
    let is_timeout = failed
        .iter()
        .all(|(_, answer)| **answer == DnsAnswer::Timeout);
    // The name itself is answered: the customer must know which query is not.
    let txt_name = txt_name(&observer.record.hostname);
    let failure = if is_timeout {
        Failure::DnsTimeout {
            resolvers,
            resolver_outage: failed.is_empty(),
            txt_name,
        }
    } else {
        Failure::DnsServfail {
            resolvers,
            seen_by: vec![],
            txt_name,
        }
    };
    Some(Unanswered::Failed(failure))
}
