//! Filters as they are stored and as people read them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::filter::{DomainFilter, EdgeFilter, NameFilter};
use super::filter_text::{FilterError, FilterText};

/// The parts of a filter as texts. A part that is absent accepts every value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "each field is the part of `FilterText` of its name"
)]
pub struct FilterParts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_within_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge_pending: Option<String>,
}

impl From<&DomainFilter> for FilterParts {
    fn from(filter: &DomainFilter) -> Self {
        let mut parts = Self {
            tenant: filter.tenant.clone(),
            status: filter.status.map(|status| status.as_str().to_owned()),
            code: filter.code.map(|code| code.as_str().to_owned()),
            actor: filter.actor.map(|actor| actor.as_str().to_owned()),
            expires_within_seconds: filter.expires_within.map(|within| within.as_secs()),
            ..Self::default()
        };
        match &filter.name {
            Some(NameFilter::Exact(name)) => parts.name = Some(name.to_string()),
            Some(NameFilter::Prefix(text)) => parts.prefix = Some(text.clone()),
            Some(NameFilter::Below(text)) => parts.suffix = Some(text.clone()),
            Some(NameFilter::Contains(text)) => parts.containing = Some(text.clone()),
            None => {}
        }
        match &filter.edge {
            Some(EdgeFilter::Serving(edge)) => parts.edge = Some(edge.clone()),
            Some(EdgeFilter::Pending(edge)) => parts.edge_pending = Some(edge.clone()),
            None => {}
        }
        parts
    }
}

impl FilterParts {
    /// Parses the filter; the error names the part and the remedy.
    pub fn filter(&self) -> Result<DomainFilter, FilterError> {
        DomainFilter::parse(&FilterText {
            name: self.name.as_deref(),
            prefix: self.prefix.as_deref(),
            suffix: self.suffix.as_deref(),
            containing: self.containing.as_deref(),
            tenant: self.tenant.as_deref(),
            status: self.status.as_deref(),
            code: self.code.as_deref(),
            actor: self.actor.as_deref(),
            expires_within: self.expires_within_seconds.map(Duration::from_secs),
            edge: self.edge.as_deref(),
            edge_pending: self.edge_pending.as_deref(),
        })
    }
}

impl fmt::Display for FilterParts {
    /// Writes each part with its name; `all` without any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = (self.expires_within_seconds).map(|seconds| format!("{seconds}s"));
        let parts = [
            ("name", &self.name),
            ("prefix", &self.prefix),
            ("suffix", &self.suffix),
            ("containing", &self.containing),
            ("tenant", &self.tenant),
            ("status", &self.status),
            ("code", &self.code),
            ("actor", &self.actor),
            ("expires-within", &seconds),
            ("edge", &self.edge),
            ("edge-pending", &self.edge_pending),
        ];
        let given = parts.into_iter();
        let given = given.filter_map(|(name, part)| Some(format!("{name}={}", part.as_ref()?)));
        let given: Vec<String> = given.collect();
        if given.is_empty() {
            return f.write_str("all");
        }
        f.write_str(&given.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, FailureCode, Hostname, Status};

    #[test]
    fn a_filter_is_read_back_from_its_parts_and_shown_in_words() {
        let filters = [
            DomainFilter::default(),
            DomainFilter {
                name: Some(NameFilter::Below("shop.example".to_owned())),
                tenant: Some("t-1".to_owned()),
                status: Some(Status::Failed),
                code: Some(FailureCode::DnsNxdomain),
                actor: Some(Actor::Customer),
                expires_within: Some(Duration::from_secs(90)),
                edge: Some(EdgeFilter::Pending("https://edge".to_owned())),
            },
            DomainFilter {
                name: Some(NameFilter::Exact(Hostname::parse("a.example").unwrap())),
                edge: Some(EdgeFilter::Serving("https://edge".to_owned())),
                ..DomainFilter::default()
            },
        ];
        for filter in &filters {
            let parts = FilterParts::from(filter);
            let text = serde_json::to_string(&parts).unwrap();
            let read: FilterParts = serde_json::from_str(&text).unwrap();
            assert_eq!(read.filter().unwrap(), *filter, "{text}");
        }
        let texts: Vec<String> = filters
            .iter()
            .map(|one| FilterParts::from(one).to_string())
            .collect();
        assert_eq!(
            texts,
            [
                "all",
                "suffix=shop.example tenant=t-1 status=Failed code=DNS_NXDOMAIN actor=customer \
                 expires-within=90s edge-pending=https://edge",
                "name=a.example edge=https://edge",
            ]
        );
    }
}
