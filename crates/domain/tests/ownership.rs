//! Whatever tenants do with a hostname and however long it takes, its DNS decides whose it is.

#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use dps_domain::dns::{
    self, DnsAnswer, DnsExpectation, DnsObservation, DnsVerdict, ResolverView, other_targets,
};
use dps_domain::ownership::{
    Basis, Claim, Judgement, OwnershipPolicy, ProofValue, RequireProof, TargetHolder, TxtAnswer,
    TxtObservation, is_foreign, is_open, is_published, judge, target_proves,
};
use dps_domain::policy::Policy;
use dps_domain::record::DomainRecord;
use dps_domain::record::claim::{ownership_after_removal, superseded};
use dps_domain::record::operator;
use dps_domain::record::retry::is_kept_by;
use dps_domain::{
    CertificateId, DnsState, DomainId, Event, Failure, Hostname, Issuance, NameSuffix, Ownership,
    Phase, Timestamp, phase,
};
use proptest::prelude::*;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const RESOLVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 53);

/// The records that the owner of the hostname publishes.
#[derive(Debug, Clone, PartialEq)]
enum Dns {
    /// Addresses of the edges, without a word about a tenant.
    Bare,
    /// Addresses of others.
    Elsewhere,
    /// A CNAME to this target.
    Target(Hostname),
    /// Addresses of the edges, and this value.
    Txt(ProofValue),
}

/// An event in the world.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A tenant adds the hostname.
    Add(usize),
    /// A tenant adds it through a Cabinet that lets it choose the target that the DNS names.
    AddWithNamedTarget(usize),
    /// A tenant removes it.
    Remove(usize),
    /// A tenant retries a claim that failed.
    Retry(usize),
    /// The DNS of every claim is checked.
    Check,
    /// The DNS of one tenant's claim is checked, before that of others.
    CheckOf(usize),
    /// The owner points the hostname at the target of the first tenant's claim.
    NameTarget,
    /// The owner publishes the value of the first tenant's claim.
    NameTxt,
    /// The owner publishes addresses alone.
    NameNobody,
    /// The owner moves the hostname away.
    Leave,
    /// Days pass.
    Wait(u64),
}

struct World {
    policy: Policy,
    now: Timestamp,
    dns: Dns,
    claims: Vec<DomainRecord>,
    /// The tenant that had each target first, long after its claims are forgotten.
    targets: BTreeMap<String, String>,
    made: u128,
}

impl World {
    fn new(require: RequireProof) -> Self {
        let policy = Policy {
            ownership: OwnershipPolicy {
                require,
                unique_targets: vec![NameSuffix::parse("t.platform.net").unwrap()],
                ..OwnershipPolicy::default()
            },
            ..Policy::default()
        };
        Self {
            policy,
            now: START,
            dns: Dns::Bare,
            claims: vec![],
            targets: BTreeMap::new(),
            made: 0,
        }
    }

    fn claim_of(&self, tenant: usize) -> Option<usize> {
        let name = format!("tenant-{tenant}");
        let is_wanted = |claim: &DomainRecord| {
            claim.tenant_id == name && !matches!(claim.phase, Phase::Leaving | Phase::Gone)
        };
        self.claims.iter().position(is_wanted)
    }

    /// Whether another record keeps the hostname from a tenant, as intake and operators are told.
    fn is_kept_from(&self, tenant: &str, own: Option<DomainId>) -> bool {
        let others = self.claims.iter().filter(|claim| Some(claim.id) != own);
        let holder = others.max_by_key(|claim| claim.name_hold());
        holder.is_some_and(|holder| is_kept_by(holder, tenant, self.policy.ownership.require))
    }

    fn holder_of(&self, target: &str) -> TargetHolder {
        let tenant = self.targets.get(target).cloned();
        tenant.map_or(TargetHolder::Nobody, TargetHolder::Tenant)
    }

    fn add(&mut self, tenant: usize, is_named: bool) {
        let name = format!("tenant-{tenant}");
        if self.claim_of(tenant).is_some() || self.is_kept_from(&name, None) {
            return;
        }
        self.made += 1;
        let target = match &self.dns {
            Dns::Target(target) if is_named => target.to_string(),
            _ => format!("c{}.t.platform.net", self.made),
        };
        let noted = self.targets.entry(target.clone());
        noted.or_insert_with(|| name.clone());
        let is_refused = self.holder_of(&target).is_another(&name);
        if is_refused && self.policy.ownership.require != RequireProof::Never {
            return;
        }
        self.claims.push(DomainRecord::new(
            DomainId::from_uuid(Uuid::from_u128(self.made)),
            name,
            Hostname::parse("shop.example.com").unwrap(),
            Hostname::parse(&target).unwrap(),
            1,
            self.now,
        ));
    }

    fn remove(&mut self, tenant: usize) {
        if let Some(index) = self.claim_of(tenant) {
            self.claims[index].ownership = ownership_after_removal(&self.claims[index]);
            self.claims[index].phase = Phase::Gone;
            self.claims[index].updated_at = self.now;
        }
    }

    fn retry(&mut self, tenant: usize) {
        let Some(index) = self.claim_of(tenant) else {
            return;
        };
        let claim = &self.claims[index];
        let is_kept = self.is_kept_from(&claim.tenant_id, Some(claim.id));
        if claim.phase == Phase::Failed && !is_kept {
            let write = operator::retry(claim, self.now, "test", None).unwrap();
            self.claims[index] = write.into_record();
        }
    }

    fn name_first(&mut self, by_txt: bool) {
        let Some(index) = self.claim_of(0) else {
            return;
        };
        let claim = &mut self.claims[index];
        if by_txt && claim.ownership == Ownership::Open {
            // As if it had been contested for a while.
            self.made += 1;
            let value = ProofValue::new(self.made.to_be_bytes());
            claim.ownership = Ownership::Required {
                value,
                since: self.now,
            };
        }
        self.dns = match claim.ownership.required() {
            Some(value) if by_txt => Dns::Txt(value.clone()),
            _ => Dns::Target(claim.cname_target.clone()),
        };
    }

    /// The DNS check of one claim, as the service makes it.
    fn check(&mut self, index: usize) {
        let policy = self.policy.ownership.clone();
        let record = self.claims[index].clone();
        if !matches!(record.phase, Phase::Onboarding(_)) && !record.phase.was_served() {
            return;
        }
        let others = self.claims.iter().filter(|other| other.id != record.id);
        let (own, strangers): (Vec<DomainRecord>, Vec<DomainRecord>) = others
            .cloned()
            .partition(|other| other.tenant_id == record.tenant_id);
        let at = |address: &str| DnsAnswer::Addresses(BTreeSet::from([address.parse().unwrap()]));
        let ours = at("198.51.100.1");
        let (chain, answer) = match &self.dns {
            Dns::Target(target) => (vec![target.to_string()], ours.clone()),
            Dns::Bare | Dns::Txt(_) => (vec![], ours.clone()),
            Dns::Elsewhere => (vec![], at("203.0.113.9")),
        };
        let views = [ResolverView {
            name: DnsObservation::new(RESOLVER, chain, answer),
            control: DnsObservation::new(RESOLVER, vec![], ours),
        }];
        let others = other_targets(&record.cname_target, &policy.unique_targets, &views);
        let mut holders = others.iter().map(|target| self.holder_of(target));
        let leads_to_another = holders.any(|holder| holder.is_another(&record.tenant_id));
        let expected = DnsExpectation {
            hostname: &record.hostname,
            cname_target: &record.cname_target,
            edge_addresses: &[],
            proxies: &self.policy.proxies,
            unique_targets: policy.unique_targets_of(&record.phase, leads_to_another),
        };
        if !matches!(
            dns::verdict(&expected, &views, self.now),
            DnsVerdict::PointsAtUs { .. }
        ) {
            self.fail(index);
            return;
        }
        if !is_open(&record, &policy) {
            self.serve(index, None);
            return;
        }
        let target_holder = self.holder_of(record.cname_target.as_str());
        let claim = Claim {
            record: &record,
            own: &own,
            strangers: &strangers,
            has_more_strangers: false,
            target_holder: &target_holder,
            policy: &policy,
            quarantine: self.policy.quarantine,
            is_proxied: false,
            now: self.now,
        };
        let seen = [TxtObservation {
            resolver: RESOLVER,
            answer: TxtAnswer::Values(match &self.dns {
                Dns::Txt(value) => vec![value.as_str().to_owned()],
                Dns::Bare | Dns::Elsewhere | Dns::Target(_) => vec![],
            }),
            ttl: None,
        }];
        let proof = if target_proves(&claim, &views) {
            Some(Basis::Target)
        } else {
            let is_proven = is_published(&record.ownership, &seen) && !claim.has_stale_value();
            is_proven.then_some(Basis::Txt)
        };
        match judge(&claim, proof, is_foreign(&claim.own(), &seen)) {
            Judgement::ProofRequired { .. } => {
                if record.ownership.required().is_none() || claim.has_stale_value() {
                    self.made += 1;
                    let value = ProofValue::new(self.made.to_be_bytes());
                    self.claims[index].ownership = Ownership::Required {
                        value,
                        since: self.now,
                    };
                }
                self.lapse(index);
            }
            Judgement::Accepted { proof } => {
                if proof.is_some() {
                    for loser in claim.superseded() {
                        let write =
                            superseded(loser, &record, &self.policy, self.now, "test").unwrap();
                        let place = self.claims.iter().position(|other| other.id == loser.id);
                        self.claims[place.unwrap()] = write.into_record();
                    }
                }
                self.serve(index, proof);
            }
        }
    }

    /// The name does not point at us: a domain that was served has moved away.
    fn fail(&mut self, index: usize) {
        let claim = &mut self.claims[index];
        if claim.phase.was_served() {
            let moved = Event::DnsMovedAway { at: self.now };
            claim.phase = claim.phase.clone().apply(moved).unwrap();
        }
        self.lapse(index);
    }

    /// Ends a claim that has waited for too long.
    fn lapse(&mut self, index: usize) {
        let (policy, now) = (&self.policy, self.now);
        let claim = &mut self.claims[index];
        let (is_over, ownership, failure) = match claim.phase {
            Phase::Onboarding(_) => (
                now.since(claim.pending_since) >= policy.give_up_after,
                claim.ownership.clone().without_proof(),
                Failure::DnsNxdomain {},
            ),
            Phase::Expired { not_after, .. } => (
                now.since(not_after) >= policy.release_after.unwrap(),
                Ownership::Open,
                Failure::DnsMoved {
                    cause: Box::new(Failure::DnsNxdomain {}),
                },
            ),
            _ => return,
        };
        if is_over {
            claim.ownership = ownership;
            claim.last_failure = Some(failure);
            claim.phase = claim.phase.clone().apply(Event::GaveUp).unwrap();
            claim.updated_at = now;
        }
    }

    fn serve(&mut self, index: usize, proof: Option<Basis>) {
        let now = self.now;
        let claim = &mut self.claims[index];
        let stayed = claim.phase.is_live() && !claim.phase.is_moved_away();
        claim.phase = Phase::Live {
            serving: CertificateId::from_uuid(Uuid::from_u128(1)),
            not_after: now + 90 * DAY,
            dns: DnsState::Here,
            next: phase::Next::At(now + 60 * DAY),
        };
        let ownership = proof.map_or_else(
            || claim.ownership.clone(),
            |basis| claim.ownership.clone().proven(basis, now),
        );
        claim.ownership = ownership.served(now);
        if !stayed {
            claim.updated_at = now;
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Add(tenant) => self.add(tenant, false),
            Step::AddWithNamedTarget(tenant) => self.add(tenant, true),
            Step::Remove(tenant) => self.remove(tenant),
            Step::Retry(tenant) => self.retry(tenant),
            Step::Check => (0..self.claims.len()).for_each(|index| self.check(index)),
            Step::CheckOf(tenant) => {
                if let Some(index) = self.claim_of(tenant) {
                    self.check(index);
                }
            }
            Step::NameTarget => self.name_first(false),
            Step::NameTxt => self.name_first(true),
            Step::NameNobody => self.dns = Dns::Bare,
            Step::Leave => self.dns = Dns::Elsewhere,
            Step::Wait(days) => {
                self.now = self.now + DAY * u32::try_from(days).unwrap();
                let (now, quarantine) = (self.now, self.policy.quarantine);
                self.claims.retain(|claim| {
                    claim.phase != Phase::Gone || now.since(claim.updated_at) < quarantine
                });
                let live = self.claims.iter_mut().filter(|claim| claim.phase.is_live());
                for claim in live {
                    if claim.phase.certificate_not_after().unwrap() <= now {
                        claim.phase = claim.phase.clone().apply(Event::CertificateEnded).unwrap();
                    }
                }
            }
        }
    }

    /// Since when the hostname is served for a tenant to which it points.
    fn here_since(&self, tenant: usize) -> Option<Timestamp> {
        let claim = &self.claims[self.claim_of(tenant)?];
        let is_here = claim.phase.is_live() && !claim.phase.is_moved_away();
        is_here.then_some(claim.updated_at)
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..3).prop_map(Step::Add),
        (0_usize..3).prop_map(Step::AddWithNamedTarget),
        (0_usize..3).prop_map(Step::Remove),
        (0_usize..3).prop_map(Step::Retry),
        Just(Step::Check),
        Just(Step::Check),
        (0_usize..3).prop_map(Step::CheckOf),
        (1_usize..3).prop_map(Step::CheckOf),
        Just(Step::NameTarget),
        Just(Step::NameTxt),
        Just(Step::NameNobody),
        Just(Step::Leave),
        (1_u64..45).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn dns_that_names_one_tenant_lets_no_other_through(
        require in prop::sample::select(vec![
            RequireProof::WhenContested, RequireProof::Always, RequireProof::Never,
        ]),
        steps in prop::collection::vec(any_step(), 1..40)
    ) {
        let mut world = World::new(require);
        for step in steps {
            let before = [1, 2].map(|tenant| world.here_since(tenant));
            world.step(step);
            let after = [1, 2].map(|tenant| world.here_since(tenant));
            for (before, after) in before.into_iter().zip(after) {
                let names_the_first = matches!(world.dns, Dns::Target(_) | Dns::Txt(_));
                prop_assert!(
                    !names_the_first || require == RequireProof::Never
                        || after.is_none() || before == after,
                    "{step:?} let another tenant through: {:?} {:?}", world.dns, world.claims
                );
            }
            let live = world.claims.iter().filter(|claim| claim.phase.is_live()).count();
            prop_assert!(live <= 1, "two tenants are served: {:?}", world.claims);
        }
    }

    #[test]
    fn the_owner_gets_the_name_within_two_checks_whoever_was_there_first(
        require in prop::sample::select(vec![RequireProof::WhenContested, RequireProof::Always]),
        steps in prop::collection::vec(any_step(), 0..30)
    ) {
        let mut world = World::new(require);
        for step in steps {
            world.step(step);
        }
        if let Some(index) = world.claim_of(0) {
            // A claim that was served or failed begins anew, as after a retry.
            world.claims.remove(index);
        }
        world.add(0, false);
        world.step(Step::NameNobody);
        world.step(Step::Check);
        world.step(Step::NameTxt);
        world.step(Step::Check);
        prop_assert!(world.here_since(0).is_some(), "{:?}", world.claims);
        for other in &world.claims {
            prop_assert!(other.tenant_id == "tenant-0" || !other.phase.is_live(), "{other:?}");
        }
    }
}

#[test]
fn a_superseded_claim_says_why_and_asks_for_a_new_proof_when_it_is_retried() {
    let mut world = World::new(RequireProof::WhenContested);
    world.add(1, false);
    world.step(Step::Check);
    assert!(world.here_since(1).is_some(), "nobody contests it");
    world.add(0, false);
    world.step(Step::Check);
    assert!(world.here_since(0).is_none(), "the name is taken");
    world.step(Step::NameTxt);
    assert!(matches!(world.dns, Dns::Txt(_)));
    world.step(Step::Check);
    assert!(world.here_since(0).is_some());
    let loser = world
        .claims
        .iter()
        .find(|claim| claim.tenant_id == "tenant-1");
    let loser = loser.unwrap();
    assert_eq!(loser.phase, Phase::Failed);
    assert_eq!(
        loser.last_failure,
        Some(Failure::NameAlreadyClaimed { proven: true })
    );
    world.retry(1);
    world.step(Step::Check);
    let retried = &world.claims[world.claim_of(1).unwrap()];
    assert_eq!(retried.phase, Phase::Onboarding(Issuance::AwaitingDns));
    assert!(retried.ownership.required().is_some());
}
