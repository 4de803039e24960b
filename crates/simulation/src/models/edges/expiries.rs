//! When served certificates end.

use std::collections::BTreeMap;

/// Microseconds in an hour.
pub(super) const HOUR: i64 = 3_600_000_000;

/// When certificates that are or were served end, by hour of the run, so that none is looked for
/// among all.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    pub(super) by_hour: BTreeMap<i64, Vec<(u32, u64)>>,
    /// Domains that point at us and are served by the first edge, by the hour in which that ends.
    pub(super) serving_until: BTreeMap<i64, u32>,
    pub(super) expired_while_served: u64,
}

impl Expiries {
    /// One domain more, or one less, is served until this hour.
    pub(super) fn serve(&mut self, hour: i64, more: bool) {
        let count = self.serving_until.entry(hour).or_default();
        *count = if more { *count + 1 } else { *count - 1 };
        if *count == 0 {
            self.serving_until.remove(&hour);
        }
    }
}
