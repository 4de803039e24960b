//! The list of domains: which ones?

use askama::Template;
use dps_admin_api::Domains;
use dps_domain::{Actor, FailureCode, Status};

use crate::chip;
use crate::jobs::job_actions;
use crate::page::{Page, encoded};

/// The filter, as the form and the address of the page write it. An empty text is no wish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are parameters of the admin API")]
pub struct FilterFields {
    /// The searched part of a hostname.
    pub q: String,
    /// The parameter that `q` stands for.
    pub r#match: String,
    pub tenant: String,
    pub status: String,
    pub code: String,
    pub actor: String,
    pub expires_within: String,
    pub edge: String,
    pub edge_pending: String,
}

impl FilterFields {
    /// The parts that are given, with their names in the address.
    pub fn parts(&self) -> Vec<(&'static str, &str)> {
        let is_compared = if self.q.is_empty() { "" } else { &self.r#match };
        let parts = [
            ("q", self.q.as_str()),
            ("match", is_compared),
            ("tenant", &self.tenant),
            ("status", &self.status),
            ("code", &self.code),
            ("actor", &self.actor),
            ("expiresWithin", &self.expires_within),
            ("edge", &self.edge),
            ("edgePending", &self.edge_pending),
        ];
        let given = parts.into_iter().filter(|(_, value)| !value.is_empty());
        given.collect()
    }

    /// The filter as the query of an address.
    pub fn query(&self) -> String {
        let parts = self.parts();
        let parts = parts.iter();
        let parts = parts.map(|(name, value)| format!("{name}={}", encoded(value)));
        parts.collect::<Vec<_>>().join("&")
    }

    /// The address of the list with this filter.
    pub fn path(&self) -> String {
        let query = self.query();
        if query.is_empty() {
            "/domains".to_owned()
        } else {
            format!("/domains?{query}")
        }
    }

    /// Whether only the state of domains is chosen, of which there are counts.
    pub fn is_of_state(&self) -> bool {
        let mut parts = self.parts().into_iter();
        parts.all(|(name, _)| ["status", "code", "actor"].contains(&name))
    }
}

/// A link that narrows the list by status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// The status; `None` for all.
    pub status: Option<Status>,
    /// Domains that it leads to; `None` if they are not counted.
    pub domains: Option<u64>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "domains.html")]
pub struct DomainsView {
    /// The frame.
    pub page: Page,
    /// The filter.
    pub filter: FilterFields,
    /// The statuses.
    pub facets: Vec<Facet>,
    /// The domains; `None` if the filter or the place cannot be used.
    pub domains: Option<Domains>,
    /// The part of the filter that cannot be used, and the remedy.
    pub problem: Option<(String, String)>,
    /// Whether this is the first page.
    pub is_first: bool,
    /// The names of the edges.
    pub edges: Vec<String>,
}

/// A choice of a form.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) value: &'static str,
    pub(crate) text: &'static str,
    pub(crate) is_chosen: bool,
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "templates pass references"
)]
impl DomainsView {
    fn matches(&self) -> Vec<Choice> {
        let t = self.page.t();
        let choices = [
            ("containing", t.match_containing),
            ("name", t.match_name),
            ("prefix", t.match_prefix),
            ("suffix", t.match_suffix),
        ];
        choose(&self.filter.r#match, choices)
    }

    fn statuses(&self) -> Vec<Choice> {
        let t = self.page.t();
        let status = |status: Status| (status.as_str(), chip::status_word(t, status));
        choose(&self.filter.status, Status::ALL.map(status))
    }

    fn codes(&self) -> Vec<Choice> {
        let codes = FailureCode::ALL.iter();
        choose(
            &self.filter.code,
            codes.map(|code| (code.as_str(), code.as_str())),
        )
    }

    fn actors(&self) -> Vec<Choice> {
        let t = self.page.t();
        let actor = |actor: Actor| {
            let text = match actor {
                Actor::Customer => t.actor_customer,
                Actor::Operator => t.actor_operator,
                Actor::Nobody => t.actor_nobody,
            };
            (actor.as_str(), text)
        };
        choose(&self.filter.actor, Actor::ALL.map(actor))
    }

    fn times(&self) -> Vec<Choice> {
        let times = ["1d", "3d", "7d", "14d", "30d"];
        choose(&self.filter.expires_within, times.map(|time| (time, time)))
    }

    fn facet_path(&self, status: &Option<Status>) -> String {
        let status = status.map_or("", Status::as_str).to_owned();
        let filter = FilterFields {
            status,
            ..self.filter.clone()
        };
        filter.path()
    }

    fn is_here(&self, status: &Option<Status>) -> bool {
        self.filter.status == status.map_or("", Status::as_str)
    }

    fn facet_word(&self, status: &Option<Status>) -> &'static str {
        let t = self.page.t();
        status.map_or(t.all_domains, |status| chip::status_word(t, status))
    }

    fn next_path(&self, after: &str) -> String {
        let path = self.filter.path();
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{path}{joint}after={}", encoded(after))
    }

    fn actions(&self) -> Vec<Choice> {
        job_actions(&self.page, "")
    }

    fn is_stale(&self) -> bool {
        let mut problem = self.problem.iter();
        problem.any(|(field, _)| field == "after")
    }
}

/// The choices of a field, with the chosen one marked.
pub(crate) fn choose(
    chosen: &str,
    choices: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> Vec<Choice> {
    let choice = |(value, text)| Choice {
        value,
        text,
        is_chosen: value == chosen,
    };
    choices.into_iter().map(choice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_holds_the_filter_and_nothing_else() {
        let mut filter = FilterFields {
            r#match: "prefix".to_owned(),
            ..FilterFields::default()
        };
        assert_eq!(filter.path(), "/domains");
        assert!(filter.is_of_state());
        "Failed".clone_into(&mut filter.status);
        assert!(filter.is_of_state());
        "a&b".clone_into(&mut filter.q);
        assert_eq!(filter.path(), "/domains?q=a%26b&match=prefix&status=Failed");
        assert!(!filter.is_of_state());
    }
}
