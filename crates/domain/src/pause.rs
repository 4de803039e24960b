//! Pauses of issuance: no order is placed for what one covers.
//!
//! Renewals are paused too, also urgent ones. Orders that were placed before go on.

use std::fmt;

use crate::action::ActionScope;
use crate::record::DomainRecord;
use crate::{Hostname, Timestamp};

/// The domains that a pause covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseScope {
    /// Every domain.
    All,
    /// The domains of a tenant.
    Tenant(String),
    /// The domains of a hostname.
    Domain(Hostname),
}

impl PauseScope {
    /// Whether an order for the record is paused.
    pub fn covers(&self, record: &DomainRecord) -> bool {
        match self {
            Self::All => true,
            Self::Tenant(tenant) => *tenant == record.tenant_id,
            Self::Domain(hostname) => *hostname == record.hostname,
        }
    }

    /// The kind of scope.
    pub const fn kind(&self) -> ActionScope {
        match self {
            Self::All => ActionScope::All,
            Self::Tenant(_) => ActionScope::Tenant,
            Self::Domain(_) => ActionScope::Domain,
        }
    }

    /// The tenant or hostname; empty for all.
    pub fn subject(&self) -> &str {
        match self {
            Self::All => "",
            Self::Tenant(tenant) => tenant,
            Self::Domain(hostname) => hostname.as_str(),
        }
    }

    /// The scope of this kind and subject; `None` if there is none.
    pub fn of(kind: ActionScope, subject: &str) -> Option<Self> {
        match kind {
            ActionScope::All => Some(Self::All),
            ActionScope::Tenant => Some(Self::Tenant(subject.to_owned())),
            ActionScope::Domain => Hostname::parse(subject).ok().map(Self::Domain),
            _ => None,
        }
    }
}

/// A pause in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The domains that it covers.
    pub scope: PauseScope,
    /// When it began.
    pub since: Timestamp,
    /// The operator that paused last.
    pub who: String,
    /// The reason that was given.
    pub reason: Option<String>,
}

impl fmt::Display for Pause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            PauseScope::All => out.write_str("Issuance for every domain")?,
            PauseScope::Tenant(tenant) => write!(out, "Issuance for the tenant {tenant}")?,
            PauseScope::Domain(hostname) => write!(out, "Issuance for {hostname}")?,
        }
        let since = self.since.whole_second();
        write!(out, " has been paused since {since} ({}", self.who)?;
        if let Some(reason) = &self.reason {
            write!(out, ": {reason}")?;
        }
        out.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::DomainId;

    #[test]
    fn a_pause_covers_all_a_tenant_or_a_hostname_and_is_read_back() {
        let host = |text| Hostname::parse(text).unwrap();
        let id = DomainId::from_uuid(Uuid::from_u128(1));
        let name = host("shop.example");
        let target = host("edge.platform.example");
        let now = Timestamp::EPOCH;
        let record = DomainRecord::new(id, "t-1".to_owned(), name.clone(), target, 1, now);
        for (scope, covers) in [
            (PauseScope::All, true),
            (PauseScope::Tenant("t-1".to_owned()), true),
            (PauseScope::Tenant("t-2".to_owned()), false),
            (PauseScope::Domain(name), true),
            (PauseScope::Domain(host("www.shop.example")), false),
        ] {
            assert_eq!(scope.covers(&record), covers, "{scope:?}");
            let read = PauseScope::of(scope.kind(), scope.subject());
            assert_eq!(read, Some(scope));
        }
        assert_eq!(PauseScope::of(ActionScope::Edge, "t-1"), None);
        assert_eq!(PauseScope::of(ActionScope::Domain, "_"), None);
    }
}
