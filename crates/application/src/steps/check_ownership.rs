//! Checks whether a claim must be proven, where the DNS check finds that the name points at us.

use std::time::Duration;

use dps_domain::dns::{DnsAnswer, ResolverView};
use dps_domain::outcome::{Outcome, Then};
use dps_domain::ownership::{
    Basis, Claim, Judgement, ProofValue, TxtAnswer, TxtObservation, is_answered, is_foreign,
    is_open, is_published, judge, target_proves, txt_name,
};
use dps_domain::record::claim::superseded;
use dps_domain::{EventKind, Failure, Ownership, Phase};
use serde_json::{Value, json};

use super::context::StepContext;
use super::edges;
use super::evidence::answer;
use super::fault::Fault;
use crate::cabinet::align::write_record;
use crate::ports::metrics::{ClaimEvent, LocalParty};
use crate::ports::store::{Claimants, DomainRecord, NameHold, StoreError};
use crate::resolvers::DnsBudget;

/// Records of a hostname that are compared: of the tenant, and of other tenants those that hold it
/// most firmly.
const MAX_CLAIMS: u32 = 64;
/// Rounds of superseding. Each ends the claims of one page.
const MAX_ROUNDS: usize = 64;
/// The pause while an earlier domain of the name is being taken down.
const TAKE_DOWN_PAUSE: Duration = Duration::from_secs(30);
/// How often a claim that others write at the same time is read again.
const TRIES: usize = 5;

/// A DNS check that found the name pointing at us.
pub(super) struct PassedDns {
    /// The answers of the resolvers.
    pub(super) views: Vec<ResolverView>,
    /// Whether the name leads to a proxy that is not ours.
    pub(super) is_proxied: bool,
    /// The time for DNS queries of this step.
    pub(super) budget: DnsBudget,
}

/// Checks the claim of a record whose name points at us. `None`: the domain goes on. `then` is the
/// continuation if the tenant must prove the claim first.
pub(super) async fn check_ownership(
    context: &StepContext<'_>,
    passed: &PassedDns,
    then: Then,
) -> Result<Option<Outcome>, Fault> {
    let (service, record) = (context.service, context.record);
    let policy = &service.policy.ownership;
    if !is_open(record, policy, service.now()) {
        return Ok(None);
    }
    let records = Records::read(context).await?;
    if records.is_taken_down() {
        // The certificate of the next tenant must not leave the edges with that of the last.
        return Ok(Some(Outcome::Waiting {
            until: service.now() + TAKE_DOWN_PAUSE,
            kind: EventKind::ClaimWaiting,
        }));
    }
    let claim = Claim {
        record,
        own: &records.own,
        strangers: &records.strangers,
        has_more_strangers: records.has_more_strangers,
        policy,
        quarantine: service.policy.quarantine,
        is_proxied: passed.is_proxied,
        now: service.now(),
    };
    let (proof, is_foreign) = if target_proves(&claim, &passed.views) {
        (Some(Basis::Target), false)
    } else {
        // The authoritative servers show a value that a resolver's cache does not have yet. They
        // may also answer where the resolvers do not.
        let is_enough = |seen: &[TxtObservation]| {
            is_answered(seen)
                && (record.ownership.required().is_none() || is_published(&record.ownership, seen))
        };
        let (resolvers, host) = (&service.resolvers, &record.hostname);
        let seen = resolvers
            .observe_proof(host, passed.budget, is_enough)
            .await;
        note(context, &seen);
        if let Some(unanswered) = unanswered(context, &seen) {
            return Ok(Some(unanswered));
        }
        let is_proven = is_published(&record.ownership, &seen) && !claim.has_stale_value();
        let proof = is_proven.then_some(Basis::Txt);
        (proof, is_foreign(&claim.own(), &seen))
    };
    match judge(&claim, proof, is_foreign) {
        Judgement::Accepted { proof: None } => Ok(None),
        Judgement::Accepted { proof: Some(basis) } => {
            supersede_all(context, &claim).await?;
            let held = record.ownership.clone().proven(basis, claim.now);
            context.evidence.ownership(held);
            context.evidence.note("proof", json!(basis));
            Ok(None)
        }
        Judgement::ProofRequired { contested } => {
            if record.ownership.required().is_none() || claim.has_stale_value() {
                let mut random = [0; 16];
                service.randomness.fill(&mut random);
                let value = ProofValue::new(random);
                context.evidence.ownership(Ownership::Required {
                    value,
                    since: claim.now,
                });
            }
            let failure = Failure::DnsOwnershipRequired {
                name: txt_name(&record.hostname),
                contested,
            };
            Ok(Some(Outcome::failed(failure, then)))
        }
    }
}

/// The records of the hostname besides that of the step.
struct Records {
    own: Vec<DomainRecord>,
    strangers: Vec<DomainRecord>,
    has_more_strangers: bool,
}

impl Records {
    async fn read(context: &StepContext<'_>) -> Result<Self, StoreError> {
        let (store, record) = (&context.service.store, context.record);
        let (hostname, tenant) = (&record.hostname, record.tenant_id.as_str());
        let own = Claimants::Tenant(tenant);
        let mut own = store.domains_by_hostname(hostname, own, MAX_CLAIMS).await?;
        own.retain(|other| other.id != record.id);
        let others = Claimants::Others(tenant);
        let strangers = store
            .domains_by_hostname(hostname, others, MAX_CLAIMS)
            .await?;
        Ok(Self {
            has_more_strangers: strangers.len() >= MAX_CLAIMS as usize,
            own,
            strangers,
        })
    }

    /// Whether a domain that had the name before is being taken down. It undeploys every
    /// certificate of the name.
    fn is_taken_down(&self) -> bool {
        let mut records = self.own.iter().chain(&self.strangers);
        records.any(|other| other.id.is_take_down() && other.phase == Phase::Leaving)
    }
}

/// The outcome if no query was answered: the value of another claim may stand there.
fn unanswered(context: &StepContext<'_>, seen: &[TxtObservation]) -> Option<Outcome> {
    if is_answered(seen) {
        return None;
    }
    let mut failed = Vec::with_capacity(seen.len());
    for observation in seen {
        match &observation.answer {
            TxtAnswer::Values(_) => {}
            TxtAnswer::Failed(DnsAnswer::Local { detail }) => {
                return Some(context.local_fault(LocalParty::Dns, detail));
            }
            TxtAnswer::Failed(answer) => failed.push((observation.resolver, answer)),
        }
    }
    let resolvers = failed.iter().map(|(resolver, _)| *resolver).collect();
    let is_timeout = failed
        .iter()
        .all(|(_, answer)| **answer == DnsAnswer::Timeout);
    // The name itself is answered: the customer must know which query is not.
    let txt_name = txt_name(&context.record.hostname);
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
    Some(Outcome::failed(failure, Then::Retry))
}

/// Keeps how many values each resolver saw, never the values.
fn note(context: &StepContext<'_>, seen: &[TxtObservation]) {
    let entry = |seen: &TxtObservation| {
        let found = match &seen.answer {
            TxtAnswer::Values(_) => json!(seen.count()),
            TxtAnswer::Failed(failed) => answer(failed, 0),
        };
        json!({ "resolver": seen.resolver, "values": found })
    };
    let seen: Vec<Value> = seen.iter().map(entry).collect();
    context.evidence.note("proofRecords", seen);
}

/// Ends the claims of other tenants, however many there are.
async fn supersede_all(context: &StepContext<'_>, claim: &Claim<'_>) -> Result<(), Fault> {
    let mut losers: Vec<DomainRecord> = claim.superseded().cloned().collect();
    let others = Claimants::Others(&context.record.tenant_id);
    for _ in 0..MAX_ROUNDS {
        if losers.is_empty() {
            return Ok(());
        }
        for loser in losers {
            supersede(context, loser).await?;
        }
        if !claim.has_more_strangers {
            return Ok(());
        }
        let store = &context.service.store;
        let page = store.domains_by_hostname(&context.record.hostname, others, MAX_CLAIMS);
        losers = page.await?;
        losers.retain(|other| other.name_hold() >= NameHold::Held);
    }
    let detail = "the name has more claims than can be ended in one step".to_owned();
    Err(Fault::Inconsistent(detail))
}

/// Ends the claim of another tenant. Doing so twice is harmless.
async fn supersede(context: &StepContext<'_>, mut loser: DomainRecord) -> Result<(), Fault> {
    let service = context.service;
    for _ in 0..TRIES {
        // It may have another name by now, or hold this one no longer.
        let is_over =
            loser.hostname != context.record.hostname || loser.name_hold() < NameHold::Held;
        if is_over && loser.phase != Phase::Failed {
            return Ok(());
        }
        // First the order: a process that dies in between comes back to a claim that is not over,
        // or that failed and has no order.
        if let Some(order) = service.store.order_open(loser.id).await? {
            edges::withdraw_of(service, order.id).await?;
            service.store.order_close(order.id, service.now()).await?;
        }
        if is_over {
            return Ok(());
        }
        let (policy, replica) = (&service.policy, &service.replica);
        let write = superseded(&loser, context.record, policy, service.now(), replica);
        let mut write = write.map_err(|error| Fault::Inconsistent(error.to_string()))?;
        let abandoned = service.order_limits().abandoned(&loser, write.record());
        write.ledger.extend(abandoned);
        if write_record(service, write, false).await? {
            service.metrics.claim(ClaimEvent::Superseded);
            return Ok(());
        }
        match service.store.domain(loser.id).await? {
            Some(record) => loser = record,
            None => return Ok(()),
        }
    }
    let detail = format!("the claim {} is written by others all the time", loser.id);
    Err(Fault::Inconsistent(detail))
}
