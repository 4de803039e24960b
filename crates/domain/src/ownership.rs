//! Proof of ownership: which of several tenants may have a hostname.
//!
//! Addresses show that a name points at the platform, not which tenant its owner meant. Two records
//! show the tenant. One is a CNAME through the domain's own target, where targets are unique per
//! domain. The other is a TXT record with a value of this claim alone. A later proof supersedes an
//! earlier claim, since only the present owner of the name can publish a new value.

mod judge;
mod target;
mod txt;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Hostname, NameSuffix, Phase, Timestamp};

pub use judge::{Claim, Judgement, is_open, judge, target_proves};
pub use target::TargetHolder;
pub use txt::{
    ProofValue, TxtAnswer, TxtObservation, is_answered, is_foreign, is_published, txt_name,
};

/// When a tenant must prove that a hostname is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RequireProof {
    /// Never: the first claim holds the hostname. For a platform with one tenant.
    Never,
    /// If another tenant claims the hostname, or had it until recently.
    #[default]
    WhenContested,
    /// For every first certificate.
    Always,
}

/// The operator's rules for proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnershipPolicy {
    /// When a proof is required.
    pub require: RequireProof,
    /// How long a domain may be moved away without a new proof when it returns.
    pub reprove_after: Duration,
    /// Suffixes below which every name is the target of one domain.
    pub unique_targets: Vec<NameSuffix>,
}

impl Default for OwnershipPolicy {
    fn default() -> Self {
        Self {
            require: RequireProof::default(),
            reprove_after: Duration::from_secs(7 * 24 * 60 * 60),
            unique_targets: Vec::new(),
        }
    }
}

impl OwnershipPolicy {
    /// The suffixes below which a chain must go through the domain's own target.
    ///
    /// A domain that is served may point at a target from before targets were unique, but not at
    /// one of another tenant.
    pub fn unique_targets_of(&self, phase: &Phase, leads_to_another: bool) -> &[NameSuffix] {
        let is_here = phase.was_served() && !phase.is_moved_away();
        if is_here && !leads_to_another {
            &[]
        } else {
            &self.unique_targets
        }
    }

    /// Whether a target belongs to one domain alone, so that a CNAME through it names its tenant.
    pub fn is_unique(&self, target: &Hostname) -> bool {
        is_below_any(&self.unique_targets, target.as_str())
    }
}

/// Whether a name lies below one of the suffixes. The suffix itself does not.
pub(crate) fn is_below_any(suffixes: &[NameSuffix], name: &str) -> bool {
    let is_below = |suffix: &NameSuffix| {
        name.strip_suffix(suffix.as_str())
            .is_some_and(|rest| rest.ends_with('.'))
    };
    suffixes.iter().any(is_below)
}

/// The ownership of a hostname by the tenant of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Ownership {
    /// Nothing was required and nothing is proven.
    #[default]
    Open,
    /// The tenant must publish the value before the domain goes on.
    Required {
        /// The value of the TXT record.
        value: ProofValue,
        /// Since when. A proof of another tenant after that makes the value worthless.
        since: Timestamp,
    },
    /// The tenant has the hostname.
    Held {
        /// Why.
        basis: Basis,
        /// Since when.
        since: Timestamp,
        /// The value that proved it. It proves nothing more, but it is no other tenant's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<ProofValue>,
    },
}

/// Why a tenant has a hostname.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Basis {
    /// A CNAME through the domain's own target.
    Target,
    /// A TXT record with the domain's own value.
    Txt,
    /// No other tenant claimed it before it was served.
    Uncontested,
}

impl Ownership {
    /// The ownership once the domain is served.
    #[must_use]
    pub fn served(self, now: Timestamp) -> Self {
        match self {
            Self::Open | Self::Required { .. } => Self::Held {
                basis: Basis::Uncontested,
                since: now,
                value: None,
            },
            held @ Self::Held { .. } => held,
        }
    }

    /// The ownership after a proof.
    #[must_use]
    pub fn proven(self, basis: Basis, now: Timestamp) -> Self {
        match self {
            held @ Self::Held {
                basis: Basis::Target,
                ..
            } if basis == Basis::Target => held,
            Self::Required { value, .. } => Self::Held {
                basis,
                since: now,
                value: Some(value),
            },
            Self::Open | Self::Held { .. } => Self::Held {
                basis,
                since: now,
                value: None,
            },
        }
    }

    /// The ownership of a record that failed and begins anew: an old proof proves nothing any more.
    /// The customer may have published a value that is still required.
    #[must_use]
    pub fn without_proof(self) -> Self {
        match self {
            required @ Self::Required { .. } => required,
            Self::Open | Self::Held { .. } => Self::Open,
        }
    }

    /// The value that the tenant must publish now; `None` if no proof is required.
    pub const fn required(&self) -> Option<&ProofValue> {
        match self {
            Self::Required { value, .. } => Some(value),
            Self::Open | Self::Held { .. } => None,
        }
    }

    /// The last value of this claim, whether it is required or has proven it.
    const fn value(&self) -> Option<&ProofValue> {
        match self {
            Self::Required { value, .. } => Some(value),
            Self::Held { value, .. } => value.as_ref(),
            Self::Open => None,
        }
    }

    /// Whether the tenant has the hostname, by proof or because nobody contested it.
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }
}
