//! Places in lists, as one page names them for the next.

use std::fmt;

use crate::{Hostname, Timestamp};

use super::filter::DomainFilter;
use super::plan::{ListOrder, ListPlan};

/// A text that sorts after every name and identifier.
pub(super) const HIGHEST: &str = "~";

/// The place of a record in a list. Places are ordered as the list is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The part by which the list is ordered before the names.
    pub leading: Leading,
    /// The hostname, or its reversed form in a list that is ordered by it.
    pub name: String,
    /// The record's identifier.
    pub id: String,
}

/// The part of a place before the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leading {
    /// The list is ordered by names.
    Nothing,
    /// The list is ordered by states.
    State {
        /// The status.
        status: String,
        /// Who must act; empty without a failure.
        actor: String,
        /// The failure code; empty for none.
        code: String,
    },
    /// The list is ordered by the ends of certificates.
    Expiry(Timestamp),
}

/// The text is not a place in this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It does not have the form of a place.
    #[error("this is not a place in a list; copy it from the page before, or leave it out")]
    Unreadable,
    /// It belongs to another filter, or was changed.
    #[error(
        "this place belongs to a list with other filters, or was changed; use the filters and the \
         place of the page before, or leave the place out"
    )]
    OtherList,
    /// A hostname, in a list that is not ordered by hostnames.
    #[error(
        "this list is not ordered by hostname; copy the place from the page before, or leave it out"
    )]
    NotByName,
}

impl Place {
    /// A place before every other one with the same leading part and name.
    pub(super) fn before(leading: Leading, name: &str) -> Self {
        Self {
            leading,
            name: name.to_owned(),
            id: String::new(),
        }
    }

    /// A place after every other one with the same leading part and name.
    pub(super) fn after(leading: Leading, name: &str) -> Self {
        Self {
            leading,
            name: name.to_owned(),
            id: HIGHEST.to_owned(),
        }
    }

    /// The text for the next page of the same filter.
    pub fn to_text(&self, filter: &DomainFilter) -> String {
        format!("{self}/{:016x}", check(&self.to_string(), filter))
    }

    /// Parses what [`Self::to_text`] returned for the same filter. A hostname alone is the place
    /// after all its records, in a list that is ordered by hostnames.
    pub fn parse(text: &str, filter: &DomainFilter, plan: &ListPlan) -> Result<Self, PlaceError> {
        let Some((place, stated)) = text.rsplit_once('/') else {
            return by_hostname(text, plan);
        };
        let parts: Vec<&str> = place.split('/').collect();
        let place = match parts.as_slice() {
            ["", name, id] => Self::of(Leading::Nothing, name, id),
            ["state", status, actor, code, name, id] => {
                let leading = Leading::State {
                    status: (*status).to_owned(),
                    actor: (*actor).to_owned(),
                    code: (*code).to_owned(),
                };
                Self::of(leading, name, id)
            }
            ["end", micros, name, id] => {
                let micros = micros.parse().map_err(|_| PlaceError::Unreadable)?;
                Self::of(
                    Leading::Expiry(Timestamp::from_unix_micros(micros)),
                    name,
                    id,
                )
            }
            _ => return Err(PlaceError::Unreadable),
        };
        if place
            .to_text(filter)
            .rsplit_once('/')
            .map(|(_, check)| check)
            != Some(stated)
        {
            return Err(PlaceError::OtherList);
        }
        Ok(place)
    }

    fn of(leading: Leading, name: &str, id: &str) -> Self {
        Self {
            leading,
            name: name.to_owned(),
            id: id.to_owned(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, id) = (&self.name, &self.id);
        match &self.leading {
            Leading::Nothing => write!(f, "/{name}/{id}"),
            Leading::State {
                status,
                actor,
                code,
            } => write!(f, "state/{status}/{actor}/{code}/{name}/{id}"),
            Leading::Expiry(at) => write!(f, "end/{}/{name}/{id}", at.unix_micros()),
        }
    }
}

fn by_hostname(text: &str, plan: &ListPlan) -> Result<Place, PlaceError> {
    let name = Hostname::parse(text).map_err(|_| PlaceError::Unreadable)?;
    match plan.order {
        ListOrder::Name | ListOrder::Tenant | ListOrder::Served => {
            Ok(Place::after(Leading::Nothing, name.as_str()))
        }
        ListOrder::Reversed | ListOrder::State | ListOrder::Expiry => Err(PlaceError::NotByName),
    }
}

/// A checksum of the place and of the filter that it belongs to, against mistakes. A place is no
/// secret, and a forged one shows nothing that the filter would not.
fn check(place: &str, filter: &DomainFilter) -> u64 {
    // FNV-1a.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let filter = format!("{filter:?}");
    let bytes = place.bytes().chain([0]).chain(filter.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn failed() -> DomainFilter {
        DomainFilter {
            status: Some(Status::Failed),
            ..DomainFilter::default()
        }
    }

    #[test]
    fn a_place_is_read_for_its_own_list_alone() {
        let filter = failed();
        let plan = filter.plan(NOW);
        let place = Place {
            leading: Leading::State {
                status: "Failed".into(),
                actor: "customer".into(),
                code: "DNS_NXDOMAIN".into(),
            },
            name: "www.example.com".into(),
            id: "7".into(),
        };
        let text = place.to_text(&filter);
        assert_eq!(Place::parse(&text, &filter, &plan), Ok(place));
        let all = DomainFilter::default();
        let other = Place::parse(&text, &all, &all.plan(NOW));
        assert_eq!(other, Err(PlaceError::OtherList));
        let forged = text.replace("www.", "wwx.");
        assert_eq!(
            Place::parse(&forged, &filter, &plan),
            Err(PlaceError::OtherList)
        );
        for text in ["", "a/b", "end/x/name/id/0", "//////"] {
            let unreadable = Place::parse(text, &filter, &plan);
            assert_eq!(unreadable, Err(PlaceError::Unreadable), "{text}");
        }
    }

    #[test]
    fn a_hostname_is_a_place_in_a_list_by_hostnames() {
        let all = DomainFilter::default();
        let place = Place::parse("www.example.com", &all, &all.plan(NOW)).unwrap();
        assert_eq!(place, Place::after(Leading::Nothing, "www.example.com"));
        let filter = failed();
        let refused = Place::parse("www.example.com", &filter, &filter.plan(NOW));
        assert_eq!(refused, Err(PlaceError::NotByName));
    }
}
