//! Is the name its tenant's own? Asked where the DNS check finds that the name points at us.

use dps_domain::dns::{DnsAnswer, ResolverView};
use dps_domain::outcome::{Outcome, Then};
use dps_domain::ownership::{
    Basis, Claim, Judgement, ProofValue, TxtAnswer, TxtObservation, is_foreign, is_open,
    is_published, judge, target_proves, txt_name,
};
use dps_domain::record::claim::superseded;
use dps_domain::{Failure, Ownership};
use serde_json::{Value, json};

use super::context::StepContext;
use super::evidence::answer;
use super::fault::Fault;
use crate::cabinet::align::write_record;
use crate::ports::metrics::{ClaimEvent, LocalParty};
use crate::ports::store::DomainRecord;

/// Records of a hostname that are compared: those that hold it most firmly.
const MAX_CLAIMS: u32 = 64;
/// How often a claim that others write at the same time is read again.
const TRIES: usize = 5;

/// Checks the claim of a record whose name points at us by these views. `None`: the domain goes on.
/// `is_proxied` says whether it leads to a proxy that is not ours. `then` is what follows if the tenant must prove it first.
pub(super) async fn check_ownership(
    context: &StepContext<'_>,
    views: &[ResolverView],
    is_proxied: bool,
    then: Then,
) -> Result<Option<Outcome>, Fault> {
    let (service, record) = (context.service, context.record);
    let policy = &service.policy.ownership;
    if !is_open(record, policy, service.now()) {
        return Ok(None);
    }
    let mut others = service
        .store
        .domains_by_hostname(&record.hostname, MAX_CLAIMS)
        .await?;
    others.retain(|other| other.id != record.id);
    let claim = Claim {
        record,
        others: &others,
        policy,
        quarantine: service.policy.quarantine,
        is_proxied,
        now: service.now(),
    };
    let (proof, is_foreign) = if target_proves(&claim, views) {
        (Some(Basis::Target), false)
    } else {
        let seen = service.resolvers.observe_proof(&record.hostname).await;
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
            for loser in claim.superseded() {
                supersede(context, loser.clone()).await?;
            }
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

/// The outcome if a proof is required and no resolver answered.
fn unanswered(context: &StepContext<'_>, seen: &[TxtObservation]) -> Option<Outcome> {
    context.record.ownership.required()?;
    let mut failed = Vec::with_capacity(seen.len());
    for observation in seen {
        match &observation.answer {
            TxtAnswer::Values(_) => return None,
            TxtAnswer::Failed(DnsAnswer::Local { detail }) => {
                return Some(context.local_fault(LocalParty::Dns, detail));
            }
            TxtAnswer::Failed(answer) => failed.push((observation.resolver, answer)),
        }
    }
    let resolvers = failed.iter().map(|(resolver, _)| *resolver).collect();
    let are_silent = failed
        .iter()
        .all(|(_, answer)| **answer == DnsAnswer::Timeout);
    let failure = if are_silent {
        Failure::DnsTimeout {
            resolvers,
            resolver_outage: failed.is_empty(),
        }
    } else {
        Failure::DnsServfail {
            resolvers,
            seen_by: vec![],
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

/// Ends the claim of another tenant. Doing so twice is harmless.
async fn supersede(context: &StepContext<'_>, mut loser: DomainRecord) -> Result<(), Fault> {
    let service = context.service;
    for _ in 0..TRIES {
        let (policy, replica) = (&service.policy, &service.replica);
        let mut write = match superseded(&loser, context.record, policy, service.now(), replica) {
            Ok(write) => write,
            Err(error) => {
                // It holds the name no longer.
                tracing::debug!(domain.id = %loser.id, %error, "claim.over");
                return Ok(());
            }
        };
        let abandoned = service.order_limits().abandoned(&loser, write.record());
        write.ledger.extend(abandoned);
        if write_record(service, write, false).await? {
            service.metrics.claim(ClaimEvent::Superseded);
            if let Some(order) = service.store.order_open(loser.id).await? {
                service.store.order_close(order.id, service.now()).await?;
            }
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
