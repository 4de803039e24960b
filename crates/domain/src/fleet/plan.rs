//! The plan by which a store finds the domains of a filter: an order that has an index, and ranges
//! in it.

use crate::hostname::reversed;
use crate::record::DomainRecord;
use crate::{FailureCode, Status, Timestamp};

use super::filter::{DomainFilter, NameFilter};
use super::place::{HIGHEST, Leading, Place};
use super::state::DomainState;

/// The orders of lists. Each has an index in the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOrder {
    /// By hostname.
    Name,
    /// By hostname, among the domains of the filter's tenant.
    Tenant,
    /// By reversed hostname, which brings names below one domain together.
    Reversed,
    /// By status, who must act, and code.
    State,
    /// By the end of the served certificate, among domains that point at us.
    Expiry,
    /// By hostname, among domains that are served.
    Served,
}

/// A part of an order: after `lower`, up to and including `upper`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRange {
    /// The place before the first.
    pub lower: Place,
    /// The last place, or one after it.
    pub upper: Place,
}

/// How the domains of a filter are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPlan {
    /// The order in which they are listed.
    pub order: ListOrder,
    /// The ranges that hold them, in the order of the list.
    pub ranges: Vec<PlaceRange>,
    /// Whether the ranges may hold records that the filter excludes. Each is read and passed over.
    pub passes_over: bool,
}

impl ListOrder {
    /// The place of a record in this order.
    pub fn place_of(self, record: &DomainRecord) -> Place {
        let leading = match self {
            Self::Name | Self::Tenant | Self::Reversed | Self::Served => Leading::Nothing,
            Self::State => {
                let state = DomainState::of(record);
                state_of(state.status, state.actor_text(), state.code_text())
            }
            Self::Expiry => {
                let end = record.phase.certificate_not_after();
                Leading::Expiry(end.unwrap_or(Timestamp::NEVER))
            }
        };
        Place {
            leading,
            name: match self {
                Self::Reversed => record.hostname.reversed(),
                _ => record.hostname.to_string(),
            },
            id: record.id.to_string(),
        }
    }
}

fn state_of(status: Status, actor: &str, code: &str) -> Leading {
    Leading::State {
        status: status.as_str().to_owned(),
        actor: actor.to_owned(),
        code: code.to_owned(),
    }
}

impl DomainFilter {
    /// The plan for this filter at the present time. Its order is the one in which the fewest other
    /// records are passed over, as far as the filter alone shows.
    pub fn plan(&self, now: Timestamp) -> ListPlan {
        let (order, ranges, parts) = self.narrowest(now);
        ListPlan {
            order,
            ranges,
            passes_over: self.parts() > parts,
        }
    }

    /// The order, its ranges, and the number of the filter's parts that the ranges stand for.
    fn narrowest(&self, now: Timestamp) -> (ListOrder, Vec<PlaceRange>, usize) {
        let names = |lower: &str, upper: Place| {
            let lower = Place::before(Leading::Nothing, lower);
            vec![PlaceRange { lower, upper }]
        };
        let all = || names("", Place::after(Leading::Nothing, HIGHEST));
        match &self.name {
            Some(NameFilter::Exact(name)) => {
                let upper = Place::after(Leading::Nothing, name.as_str());
                return (ListOrder::Name, names(name.as_str(), upper), 1);
            }
            Some(NameFilter::Below(suffix)) => {
                let first = reversed(suffix);
                let upper = Place::after(Leading::Nothing, &format!("{first}{HIGHEST}"));
                return (ListOrder::Reversed, names(&first, upper), 1);
            }
            Some(NameFilter::Prefix(_) | NameFilter::Contains(_)) | None => {}
        }
        if self.tenant.is_some() {
            return (ListOrder::Tenant, all(), 1);
        }
        if self.code.is_some() || self.actor.is_some() || self.is_of_few() {
            let parts = [
                self.status.is_some(),
                self.code.is_some(),
                self.actor.is_some(),
            ];
            let parts = parts.into_iter().filter(|given| *given).count();
            return (ListOrder::State, self.states(), parts);
        }
        if let Some(within) = self.expires_within {
            let first = Leading::Expiry(Timestamp::from_unix_micros(i64::MIN));
            let range = PlaceRange {
                lower: Place::before(first, ""),
                upper: Place::after(Leading::Expiry(now + within), HIGHEST),
            };
            return (ListOrder::Expiry, vec![range], 1);
        }
        if self.edge.is_some() {
            return (ListOrder::Served, all(), 0);
        }
        match &self.name {
            Some(NameFilter::Prefix(text)) => {
                let upper = Place::after(Leading::Nothing, &format!("{text}{HIGHEST}"));
                (ListOrder::Name, names(text, upper), 1)
            }
            _ => (ListOrder::Name, all(), 0),
        }
    }

    /// Whether its status is one that few domains have at a time. Most domains are served.
    fn is_of_few(&self) -> bool {
        self.status.is_some_and(|status| status != Status::Active)
    }

    /// The ranges of the wanted states, in the order of their texts.
    fn states(&self) -> Vec<PlaceRange> {
        let mut statuses = self
            .status
            .map_or(Status::ALL.to_vec(), |status| vec![status]);
        statuses.sort_unstable_by_key(|status| status.as_str());
        let mut actors: Vec<&str> = match (self.actor, self.code) {
            (Some(actor), _) => vec![actor.as_str()],
            (None, Some(code)) => code.actors().iter().map(|actor| actor.as_str()).collect(),
            (None, None) => vec![],
        };
        actors.sort_unstable();
        let code = self.code.map(FailureCode::as_str);
        let mut ranges = Vec::new();
        for status in statuses {
            if actors.is_empty() {
                ranges.push(range(status, ["", HIGHEST], ["", HIGHEST]));
            }
            for actor in &actors {
                let codes = code.map_or(["", HIGHEST], |code| [code, code]);
                ranges.push(range(status, [actor, actor], codes));
            }
        }
        ranges
    }

    fn parts(&self) -> usize {
        let given = [
            self.name.is_some(),
            self.tenant.is_some(),
            self.status.is_some(),
            self.code.is_some(),
            self.actor.is_some(),
            self.expires_within.is_some(),
            self.edge.is_some(),
        ];
        given.into_iter().filter(|given| *given).count()
    }
}

/// The states of a status between two actors and two codes.
fn range(status: Status, actors: [&str; 2], codes: [&str; 2]) -> PlaceRange {
    PlaceRange {
        lower: Place::before(state_of(status, actors[0], codes[0]), ""),
        upper: Place::after(state_of(status, actors[1], codes[1]), HIGHEST),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
