//! Filters of domains.

use std::time::Duration;

use crate::hostname::reversed;
use crate::record::DomainRecord;
use crate::{Actor, FailureCode, Hostname, Status, Timestamp};

use super::state::DomainState;

/// The wanted domains: those for which every given part holds. Without any part, all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DomainFilter {
    /// Their names.
    pub name: Option<NameFilter>,
    /// Their tenant.
    pub tenant: Option<String>,
    /// Their status.
    pub status: Option<Status>,
    /// The code of their last failure.
    pub code: Option<FailureCode>,
    /// Who must act.
    pub actor: Option<Actor>,
    /// The served certificate ends within this time, or has ended. Domains that moved away are left
    /// out, as nobody waits for their renewal.
    pub expires_within: Option<Duration>,
    /// The edge that serves them, or should.
    pub edge: Option<EdgeFilter>,
}

/// A part of a hostname, in A-labels and lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameFilter {
    /// This name.
    Exact(Hostname),
    /// Names that begin with this text.
    Prefix(String),
    /// The name and every name below it.
    Below(String),
    /// Names that contain this text.
    Contains(String),
}

/// The relation of an edge to a domain that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EdgeFilter {
    /// The edge of this name has presented the certificate.
    Serving(String),
    /// The edge of this name has not presented it yet.
    Pending(String),
}

impl NameFilter {
    fn matches(&self, name: &Hostname) -> bool {
        match self {
            Self::Exact(wanted) => name == wanted,
            Self::Prefix(text) => name.as_str().starts_with(text),
            Self::Below(suffix) => name.reversed().starts_with(&reversed(suffix)),
            Self::Contains(text) => name.as_str().contains(&text.to_lowercase()),
        }
    }
}

impl DomainFilter {
    /// Whether the record is wanted. `presents` says whether an edge has presented the certificate
    /// that the record serves.
    pub fn matches(
        &self,
        record: &DomainRecord,
        now: Timestamp,
        presents: impl Fn(&str) -> bool,
    ) -> bool {
        let state = DomainState::of(record);
        let expires = |within: Duration| {
            let end = record
                .phase
                .serving()
                .and(record.phase.certificate_not_after());
            !record.phase.is_moved_away() && end.is_some_and(|end| end <= now + within)
        };
        let is_served = record.phase.serving().is_some();
        let edge = |filter: &EdgeFilter| match filter {
            EdgeFilter::Serving(edge) => is_served && presents(edge),
            EdgeFilter::Pending(edge) => is_served && !presents(edge),
        };
        self.name
            .as_ref()
            .is_none_or(|name| name.matches(&record.hostname))
            && self
                .tenant
                .as_ref()
                .is_none_or(|tenant| *tenant == record.tenant_id)
            && self.status.is_none_or(|status| status == state.status)
            && self.code.is_none_or(|code| Some(code) == state.code)
            && self.actor.is_none_or(|actor| Some(actor) == state.actor)
            && self.expires_within.is_none_or(expires)
            && self.edge.as_ref().is_none_or(edge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DomainId;
    use uuid::Uuid;

    #[test]
    fn names_below_a_suffix_are_those_of_whole_labels() {
        let record = |name: &str| {
            let host = |text| Hostname::parse(text).unwrap();
            let id = DomainId::from_uuid(Uuid::from_u128(1));
            let target = host("edge.platform.example");
            DomainRecord::new(id, String::new(), host(name), target, 1, Timestamp::EPOCH)
        };
        let filter = DomainFilter {
            name: Some(NameFilter::Below("shop.example".into())),
            ..DomainFilter::default()
        };
        for (name, expected) in [
            ("shop.example", true),
            ("www.shop.example", true),
            ("a.b.shop.example", true),
            ("myshop.example", false),
            ("shop.example.com", false),
        ] {
            let matches = filter.matches(&record(name), Timestamp::EPOCH, |_| false);
            assert_eq!(matches, expected, "{name}");
        }
    }
}
