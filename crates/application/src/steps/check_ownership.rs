//! Checks whether a claim must be proven, where the DNS check finds that the name points at us.

use std::time::Duration;

use dps_domain::outcome::{Outcome, Then};
use dps_domain::ownership::{Claim, Judgement, ProofValue, is_open, judge, txt_name};
use dps_domain::record::claim::superseded;
use dps_domain::{EventKind, Failure, Ownership, Phase};
use serde_json::json;

use super::context::StepContext;
use super::edges;
use super::fault::Fault;
use crate::cabinet::align::write_record;
use crate::observe::claim::{MAX_CLAIMS, PassedDns, Records, Unanswered, observe_proof};
use crate::ports::metrics::{ClaimEvent, LocalParty};
use crate::ports::store::{Claimants, DomainRecord, NameHold};

/// Rounds of superseding. Each ends the claims of one page.
const MAX_ROUNDS: usize = 64;
/// The pause while an earlier domain of the name is being taken down.
const TAKE_DOWN_PAUSE: Duration = Duration::from_secs(30);
/// How often a claim that others write at the same time is read again.
const TRIES: usize = 5;

/// Checks the claim of a record whose name points at us. `None`: the domain goes on. `then` is the
/// continuation if the tenant must prove the claim first.
pub(super) async fn check_ownership(
    context: &StepContext<'_>,
    passed: &PassedDns,
    then: Then,
) -> Result<Option<Outcome>, Fault> {
    let (service, record) = (context.service, context.record);
    let policy = &service.policy.ownership;
    if !is_open(record, policy) {
        return Ok(None);
    }
    let observer = context.observer();
    let records = Records::read(&observer).await?;
    if records.is_taken_down() {
        // The certificate of the next tenant must not leave the edges with that of the last.
        return Ok(Some(Outcome::Waiting {
            until: service.now() + TAKE_DOWN_PAUSE,
            kind: EventKind::ClaimWaiting,
        }));
    }
    let claim = records.claim(&observer, passed);
    let proof = match observe_proof(&observer, &claim, passed).await {
        Ok(proof) => proof,
        Err(Unanswered::Local(detail)) => {
            return Ok(Some(context.local_fault(LocalParty::Dns, &detail)));
        }
        Err(Unanswered::Failed(failure)) => {
            return Ok(Some(Outcome::failed(failure, Then::Retry)));
        }
    };
    match judge(&claim, proof.basis, proof.is_foreign) {
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
