//! Counters by result.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

pub(super) type Results = Family<[(&'static str, &'static str); 1], Counter>;

/// A counter that shows both results from the beginning, so that a rate over it is never empty.
pub(super) fn results() -> Results {
    let family = Results::default();
    for success in [true, false] {
        drop(family.get_or_create(&label(success)));
    }
    family
}

pub(super) fn count(family: &Results, success: bool) {
    family.get_or_create(&label(success)).inc();
}

pub(super) const fn label(success: bool) -> [(&'static str, &'static str); 1] {
    [("result", if success { "success" } else { "failed" })]
}
