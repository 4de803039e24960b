//! The arguments that a filter and a range give to a statement.

use dps_domain::fleet::{DomainFilter, EdgeFilter, Leading, NameFilter, Place, PlaceRange};
use dps_domain::hostname::reversed;
use dps_domain::{Actor, FailureCode, Status, Timestamp};

use crate::sql::{Arg, args};

/// A text that sorts after every name.
const HIGHEST: &str = "~";

/// `$1` to `$12`, all parts of the filter.
pub(super) fn conditions(filter: &DomainFilter, now: Timestamp) -> Vec<Arg> {
    let every = (String::new(), HIGHEST.to_owned());
    let below = match &filter.name {
        Some(NameFilter::Below(suffix)) => range_of(reversed(suffix)),
        _ => every.clone(),
    };
    let names = match &filter.name {
        Some(NameFilter::Exact(name)) => (name.to_string(), format!("{name}!")),
        Some(NameFilter::Prefix(text)) => range_of(text.clone()),
        _ => every,
    };
    let contained = match &filter.name {
        Some(NameFilter::Contains(text)) => like_pattern(text),
        _ => "%".to_owned(),
    };
    let (kind, edge) = match &filter.edge {
        Some(EdgeFilter::Serving(edge)) => ("serving", edge.as_str()),
        Some(EdgeFilter::Pending(edge)) => ("pending", edge.as_str()),
        None => ("", ""),
    };
    let expires = filter.expires_within.map(|within| now + within);
    args![
        filter.status.map_or("", Status::as_str),
        filter.code.map_or("", FailureCode::as_str),
        filter.actor.map_or("", Actor::as_str),
        filter.tenant.as_deref().unwrap_or_default(),
        below.0,
        below.1,
        names.0,
        names.1,
        contained,
        expires,
        kind,
        edge,
    ]
}

/// The texts that begin with this one, from the first to before the second.
fn range_of(text: String) -> (String, String) {
    let end = format!("{text}{HIGHEST}");
    (text, end)
}

/// A LIKE pattern for names that contain `text` literally.
fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// The two ends of a range, each as the columns of its order.
pub(super) fn bounds(range: &PlaceRange) -> Vec<Arg> {
    [&range.lower, &range.upper]
        .into_iter()
        .flat_map(columns)
        .collect()
}

fn columns(place: &Place) -> Vec<Arg> {
    let mut columns = match &place.leading {
        Leading::Nothing => vec![],
        Leading::State {
            status,
            actor,
            code,
        } => args![status.as_str(), actor.as_str(), code.as_str()],
        Leading::Expiry(at) => args![*at],
    };
    columns.extend(args![place.name.as_str(), place.id.as_str()]);
    columns
}
