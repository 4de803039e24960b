//! The rows of every table for each domain, over the whole run, and the bounds that they keep.

use std::collections::BTreeMap;
use std::time::Duration;

use dps_domain::renewal::renewal_interval;
use dps_domain::retention::Retention;

use crate::memory_store::TableRows;

/// Records below which averages say little.
const FEW: u64 = 20;

/// Tables with a fixed bound on the rows of a domain.
const FIXED: [(&str, f64); 8] = [
    ("custom_domains", 1.0),
    ("acme_challenges", 1.0),
    ("outbox", 2.0),
    ("cabinet_sightings", 1.0),
    ("rate_limit_slots", 5.0),
    ("renewal_questions", 1.0),
    ("rate_limit_buckets", 6.0),
    // Those of domains that are forgotten are kept as well.
    ("target_tenants", 2.0),
];

/// The most rows of a table at any time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Peak {
    /// For each domain, on average.
    pub average: f64,
    /// Of one domain.
    pub most: u64,
}

/// The bound on the rows of a table, at any time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// For each domain, on average.
    pub average: f64,
    /// Of one domain.
    pub most: u64,
}

impl Bound {
    /// Whether a table has never had more rows than this.
    pub fn holds(&self, peak: &Peak) -> bool {
        peak.average <= self.average && peak.most <= self.most
    }
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
    pub fn bounded(&self, bounds: &Bounds) -> Vec<(&'static str, Peak, Bound)> {
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

    fn of(&self, table: &str) -> Bound {
        let average = self.average(table);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a bound is small and positive"
        )]
        let most = average.ceil() as u64;
        let most = match table {
            // A domain that fails for weeks has a line for each attempt.
            "domain_events" => self.lines.into(),
            // A domain may be hit by several crashes and lost answers.
            "acme_orders" => most * 2,
            _ => most,
        };
        Bound { average, most }
    }

    /// The bound on the average. Failures, revocations and orders under way may add half as many
    /// rows as there are at rest.
    fn average(&self, table: &str) -> f64 {
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
        for (orders, most) in [(100, 2), (400, 15), (250, 3)] {
            peaks.note(&[
                rows("custom_domains", 100, 1),
                rows("acme_orders", orders, most),
            ]);
        }
        peaks.note(&[rows("custom_domains", 1, 1), rows("acme_orders", 50, 50)]);
        let bounds = Bounds::new(Retention::default(), 45 * DAY, 200);
        let expected = Peak {
            average: 4.0,
            most: 15,
        };
        let bound = Bound {
            average: 3.0 * 1.5 + 2.0,
            most: 14,
        };
        assert_eq!(peaks.bounded(&bounds)[0], ("acme_orders", expected, bound));
        assert!(!bound.holds(&expected));
        assert!(bound.holds(&Peak {
            most: 14,
            ..expected
        }));
    }
}
