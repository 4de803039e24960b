//! The decision about a claim whose name points at us.

use std::time::Duration;

use super::{Basis, Ownership, OwnershipPolicy, RequireProof, TargetHolder};
use crate::dns::{ResolverView, goes_through};
use crate::record::{DomainRecord, NameHold};
use crate::{Phase, Timestamp};

/// A claim, with the other records of its hostname.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The claim.
    pub record: &'a DomainRecord,
    /// The tenant's other records of the same hostname.
    pub own: &'a [DomainRecord],
    /// Records of other tenants for the same hostname: those that hold it most firmly.
    pub strangers: &'a [DomainRecord],
    /// Whether there are more records of other tenants.
    pub has_more_strangers: bool,
    /// The tenants that have or had the claim's target, for any hostname.
    pub target_holder: &'a TargetHolder,
    /// The operator's rules.
    pub policy: &'a OwnershipPolicy,
    /// How long a removed hostname is kept for its last tenant.
    pub quarantine: Duration,
    /// Whether the name leads to a proxy that is not ours, whose addresses say nothing about the
    /// platform.
    pub is_proxied: bool,
    /// The present moment.
    pub now: Timestamp,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The domain goes on.
    Accepted {
        /// The proof, if there is one. It supersedes the claims of other tenants.
        proof: Option<Basis>,
    },
    /// The tenant must prove its claim.
    ProofRequired {
        /// Another tenant claims the hostname or had it until recently.
        contested: bool,
    },
}

/// Whether a proof can matter for the record: before it is served, and when it returns after a
/// move. A served domain is never asked.
pub fn is_open(record: &DomainRecord, policy: &OwnershipPolicy) -> bool {
    if policy.require == RequireProof::Never {
        return false;
    }
    match record.phase {
        Phase::Onboarding(_) => true,
        Phase::Live { .. } | Phase::Expired { .. } => record.phase.is_moved_away(),
        Phase::Failed | Phase::Leaving | Phase::Gone => false,
    }
}

/// Whether the domain returns after a move so short that its owner is the same, unless the DNS says
/// otherwise.
fn returns_soon(record: &DomainRecord, policy: &OwnershipPolicy, now: Timestamp) -> bool {
    record.phase.is_moved_away() && !must_reprove(record, policy, now)
}

/// Whether the domain was moved away for so long that it may have another owner now.
fn must_reprove(record: &DomainRecord, policy: &OwnershipPolicy, now: Timestamp) -> bool {
    record
        .phase
        .moved_away_since()
        .is_some_and(|since| now.since(since) >= policy.reprove_after)
}

impl Claim<'_> {
    /// The ownership of this and of the tenant's other records of the hostname.
    pub fn own(&self) -> Vec<&Ownership> {
        let records = self.own.iter().chain([self.record]);
        records.map(|record| &record.ownership).collect()
    }

    /// When another tenant proved the hostname, the last time.
    fn proven_by_another_at(&self) -> Option<Timestamp> {
        let proven_at = |other: &DomainRecord| match other.ownership {
            Ownership::Held {
                basis: Basis::Target | Basis::Txt,
                since,
                ..
            } => Some(since),
            Ownership::Open | Ownership::Required { .. } | Ownership::Held { .. } => None,
        };
        self.strangers.iter().filter_map(proven_at).max()
    }

    /// Whether the required value is older than the proof of another tenant. It may have been
    /// published long before, so it proves nothing.
    pub fn has_stale_value(&self) -> bool {
        let Ownership::Required { since: issued, .. } = self.record.ownership else {
            return false;
        };
        self.proven_by_another_at().is_some_and(|at| issued < at)
    }

    /// The claims that a proof of this one supersedes.
    pub fn superseded(&self) -> impl Iterator<Item = &DomainRecord> {
        self.strangers
            .iter()
            .filter(|other| other.name_hold() >= NameHold::Held)
    }

    /// Whether the tenant had the hostname until recently, so that it returns without a proof.
    fn is_returning(&self) -> bool {
        let had_it = |other: &DomainRecord| {
            other.ownership.is_held() && self.now.since(other.updated_at) < self.quarantine
        };
        self.record.ownership.is_held() || self.own.iter().any(had_it)
    }

    fn is_contested(&self) -> bool {
        self.has_more_strangers || self.strangers.iter().any(competes)
    }

    /// Whether another tenant has the hostname: nobody else can return to it without a proof.
    fn is_taken(&self) -> bool {
        self.has_more_strangers || self.strangers.iter().any(has_it)
    }

    /// Whether the claim was proven since it began, and no other tenant proved the hostname later.
    /// Once it is served, only its return from elsewhere is judged. An old proof does not count for
    /// that.
    fn is_proven_for_this_run(&self) -> bool {
        let is_onboarding = matches!(self.record.phase, Phase::Onboarding(_));
        match self.record.ownership {
            Ownership::Held {
                basis: Basis::Target | Basis::Txt,
                since,
                ..
            } => is_onboarding && self.proven_by_another_at().is_none_or(|at| at < since),
            Ownership::Open | Ownership::Required { .. } | Ownership::Held { .. } => false,
        }
    }
}

/// Whether a record of another tenant makes a proof necessary. A claim that lapsed, was refused or
/// was superseded does not.
fn competes(other: &DomainRecord) -> bool {
    match other.name_hold() {
        // It is kept for the quarantine.
        NameHold::Gone | NameHold::Leaving | NameHold::Held | NameHold::Served => true,
        NameHold::Failed | NameHold::None => false,
    }
}

fn has_it(other: &DomainRecord) -> bool {
    other.phase.was_served() || (other.ownership.is_held() && competes(other))
}

/// Whether the CNAME of the name proves the claim. Every resolver must see it go through the
/// domain's own target. The target must be unique, and no other tenant's, for this or another
/// hostname.
pub fn target_proves(claim: &Claim<'_>, views: &[ResolverView]) -> bool {
    let target = &claim.record.cname_target;
    claim.policy.is_unique(target)
        && claim.target_holder.names_only(&claim.record.tenant_id)
        && !claim.has_more_strangers
        && claim
            .strangers
            .iter()
            .all(|other| other.cname_target != *target)
        && goes_through(target, views)
}

/// Decides about a claim whose name points at us. `proof` is what the DNS proves for it, and
/// `is_foreign` whether the DNS names the claim of another tenant.
pub fn judge(claim: &Claim<'_>, proof: Option<Basis>, is_foreign: bool) -> Judgement {
    if proof.is_some() {
        return Judgement::Accepted { proof };
    }
    if claim.is_proven_for_this_run() {
        return Judgement::Accepted { proof: None };
    }
    let contested = claim.is_contested();
    let returns = claim.is_returning() && !claim.is_taken();
    let required = match claim.policy.require {
        RequireProof::Never => false,
        _ if returns_soon(claim.record, claim.policy, claim.now) => {
            is_foreign || claim.record.ownership.required().is_some()
        }
        RequireProof::Always => true,
        RequireProof::WhenContested => {
            is_foreign
                || claim.is_proxied
                // The name may point there for the other tenant.
                || claim.target_holder.is_another(&claim.record.tenant_id)
                || must_reprove(claim.record, claim.policy, claim.now)
                || claim.record.ownership.required().is_some()
                || (contested && !returns)
        }
    };
    if required {
        Judgement::ProofRequired {
            contested: contested || is_foreign,
        }
    } else {
        Judgement::Accepted { proof }
    }
}
