//! The rows of every table for each domain, over the whole run, and the bounds that they keep.

use std::collections::BTreeMap;
use std::time::Duration;

use dps_domain::renewal::renewal_interval;
use dps_domain::retention::Retention;

use crate::memory_store::TableRows;

/// Records below which averages say little.
const FEW: u64 = 20;

/// Tables with a fixed bound on the rows of a domain, on average.
const FIXED: [(&str, f64); 7] = [
    ("custom_domains", 1.0),
    ("acme_challenges", 1.0),
    ("outbox", 2.0),
    ("cabinet_sightings", 1.0),
    ("rate_limit_slots", 5.0),
    ("renewal_questions", 1.0),
    ("rate_limit_buckets", 6.0),
];

/// The most rows of a table at any time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Peak {
    /// For each domain, on average.
    pub average: f64,
    /// Of one domain.
    pub most: u64,
}

/// The peaks of all tables.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Peaks(BTreeMap<&'static str, Peak>);

impl Peaks {
    /// Takes the rows at one time into account.
    pub fn note(&mut self, tables: &[TableRows]) {
        let domains = tables.iter().find(|rows| rows.table == "custom_domains");
        let Some(domains) = domains.filter(|rows| rows.total >= FEW) else {
            return;
        };
        for rows in tables {
            #[expect(clippy::cast_precision_loss, reason = "a run has fewer rows")]
            let average = rows.total as f64 / domains.total as f64;
            let peak = self.0.entry(rows.table).or_default();
            peak.average = peak.average.max(average);
            peak.most = peak.most.max(rows.most);
        }
    }

    /// Every table with its peak and its bound.
    pub fn bounded(&self, bounds: &Bounds) -> Vec<(&'static str, Peak, f64)> {
        let tables = self.0.iter();
        tables
            .map(|(table, peak)| (*table, *peak, bounds.of(table)))
            .collect()
    }
}

/// The bounds on the rows of a domain, which follow from the lifetime of certificates and from the
/// times for which rows are kept. They do not depend on the length of the run.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    retention: Retention,
    lifetime: Duration,
    lines: u32,
}

impl Bounds {
    /// Bounds for certificates of this lifetime, with at most so many lines of history.
    pub fn new(retention: Retention, lifetime: Duration, lines: u32) -> Self {
        Self {
            retention,
            lifetime,
            lines,
        }
    }

    /// The bound of a table. Failures, revocations and orders under way may add half as many rows
    /// as there are at rest.
    fn of(&self, table: &str) -> f64 {
        let renewal = renewal_interval(self.lifetime);
        let (rest, beside) = match table {
            "certificates" => {
                let rest = self.retention.certificates_at_rest(renewal, self.lifetime);
                (rest, 1.0)
            }
            "acme_orders" => {
                let rest = self.retention.orders_at_rest(renewal, self.lifetime);
                (rest, 2.0)
            }
            "domain_events" => (self.retention.lines_at_rest(renewal, self.lines), 20.0),
            other => {
                let fixed = FIXED.iter().find(|(table, _)| *table == other);
                return fixed.map_or(0.0, |(_, bound)| *bound);
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "a domain has few rows")]
        let bound = rest as f64 * 1.5 + beside;
        bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn rows(table: &'static str, total: u64, most: u64) -> TableRows {
        TableRows { table, total, most }
    }

    #[test]
    fn the_peak_of_a_table_is_that_of_the_worst_time() {
        let mut peaks = Peaks::default();
        for (orders, most) in [(100, 2), (400, 9), (250, 3)] {
            peaks.note(&[
                rows("custom_domains", 100, 1),
                rows("acme_orders", orders, most),
            ]);
        }
        peaks.note(&[rows("custom_domains", 1, 1), rows("acme_orders", 50, 50)]);
        let bounds = Bounds::new(Retention::default(), 45 * DAY, 200);
        let expected = Peak {
            average: 4.0,
            most: 9,
        };
        assert_eq!(
            peaks.bounded(&bounds)[0],
            ("acme_orders", expected, 3.0 * 1.5 + 2.0)
        );
    }
}
