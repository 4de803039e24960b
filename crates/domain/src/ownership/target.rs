//! The tenants that have or had the target of a domain.

/// The tenants of the domains that have or had a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TargetHolder {
    /// No domain is known to have had it.
    #[default]
    Nobody,
    /// The domains of this tenant alone.
    Tenant(String),
    /// Domains of several tenants: it was shared before targets had to be unique.
    Several,
}

impl TargetHolder {
    /// Whether the target is another tenant's than this one's. A request that names it is refused,
    /// and a chain through it proves nothing for this tenant.
    pub fn is_another(&self, tenant: &str) -> bool {
        match self {
            Self::Nobody | Self::Several => false,
            Self::Tenant(holder) => holder != tenant,
        }
    }

    /// Whether a chain through the target names this tenant alone.
    pub fn names_only(&self, tenant: &str) -> bool {
        match self {
            Self::Nobody => true,
            Self::Tenant(holder) => holder == tenant,
            Self::Several => false,
        }
    }
}
