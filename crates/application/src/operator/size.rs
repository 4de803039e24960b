//! The size of the store, and the size that it will have in a year.

use std::time::Duration;

use dps_domain::renewal::renewal_interval;
use dps_domain::retention::Retention;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The measured size of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSize {
    /// The table's name.
    pub table: &'static str,
    /// Rows.
    pub rows: u64,
    /// Bytes, with indexes and free space.
    pub bytes: u64,
}

/// The fleet that the rows belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetSize {
    /// Records.
    pub domains: u64,
    /// Records that serve a certificate.
    pub served: u64,
    /// Lifetime of a served certificate, on average; `None` while none is served.
    pub lifetime: Option<Duration>,
}

/// The measured size of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSize {
    /// Every table.
    pub tables: Vec<TableSize>,
    /// The fleet.
    pub fleet: FleetSize,
    /// The way in which bytes were measured.
    pub measured_by: &'static str,
}

/// A table now and in a year, with as many domains as now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableGrowth {
    /// Its size now.
    pub now: TableSize,
    /// Rows that are written in a year, of which most are deleted again.
    pub written: u64,
    /// Rows in a year.
    pub rows: u64,
    /// Bytes in a year, with the present bytes of a row.
    pub bytes: u64,
}

impl StoreSize {
    /// Returns the growth of each table in a year. `lines` is the largest number of lines of
    /// history of a domain.
    pub fn growth(&self, retention: &Retention, lines: u32) -> Vec<TableGrowth> {
        let tables = self.tables.iter();
        tables
            .map(|table| growth(*table, &self.fleet, retention, lines))
            .collect()
    }
}

fn growth(now: TableSize, fleet: &FleetSize, retention: &Retention, lines: u32) -> TableGrowth {
    let (written, rest) = fleet.lifetime.map_or((0, now.rows), |lifetime| {
        let renewal = renewal_interval(lifetime);
        let renewals = count(YEAR, renewal);
        let [a_year, at_rest] = match now.table {
            "certificates" => [renewals, retention.certificates_at_rest(renewal, lifetime)],
            "acme_orders" => [renewals, retention.orders_at_rest(renewal, lifetime)],
            "domain_events" => {
                let for_ever = Retention {
                    history: YEAR,
                    ..*retention
                };
                [
                    for_ever.lines_at_rest(renewal, u32::MAX),
                    retention.lines_at_rest(renewal, lines),
                ]
            }
            // As many rows as there are domains, edges or things under way.
            _ => return (0, now.rows),
        };
        // A domain that is not served may fail for months, with a line for each check.
        let not_served = fleet.domains.saturating_sub(fleet.served);
        let waiting = match now.table {
            "domain_events" => not_served.saturating_mul(lines.into()),
            _ => 0,
        };
        let of_all = |rows: u64| rows.saturating_mul(fleet.served).saturating_add(waiting);
        (of_all(a_year), of_all(at_rest))
    });
    let rows = now.rows.saturating_add(written).min(rest);
    TableGrowth {
        now,
        written,
        rows,
        bytes: scaled(now.bytes, rows, now.rows),
    }
}

fn count(time: Duration, interval: Duration) -> u64 {
    let count = time.as_secs().div_ceil(interval.as_secs().max(1));
    count.max(1)
}

/// `bytes` for `rows` instead of `of` rows. An empty table stays as large as it is.
fn scaled(bytes: u64, rows: u64, of: u64) -> u64 {
    if of == 0 {
        return bytes;
    }
    let scaled = u128::from(bytes) * u128::from(rows) / u128::from(of);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn size(lifetime: Option<Duration>, tables: &[(&'static str, u64, u64)]) -> StoreSize {
        let table = |(table, rows, bytes): &(&'static str, u64, u64)| TableSize {
            table,
            rows: *rows,
            bytes: *bytes,
        };
        StoreSize {
            tables: tables.iter().map(table).collect(),
            fleet: FleetSize {
                domains: 1_200,
                served: 1_000,
                lifetime,
            },
            measured_by: "test",
        }
    }

    fn in_a_year(size: &StoreSize) -> Vec<(u64, u64, u64)> {
        let growth = size.growth(&Retention::default(), 200);
        growth
            .iter()
            .map(|one| (one.written, one.rows, one.bytes))
            .collect()
    }

    #[test]
    fn a_young_fleet_grows_until_its_rows_are_at_rest() {
        let tables = [
            ("custom_domains", 1_200, 600_000),
            ("certificates", 1_000, 5_000_000),
            ("acme_orders", 1_000, 400_000),
            ("domain_events", 7_000, 2_100_000),
        ];
        // 90 days: about 60 days from one to the next, seven in a year, each a line of seven kinds.
        // The 200 domains that are not served have 200 lines each.
        assert_eq!(
            in_a_year(&size(Some(90 * DAY), &tables)),
            [
                (0, 1_200, 600_000),
                (7_000, 3_000, 15_000_000),
                (7_000, 3_000, 1_200_000),
                (89_000, 68_000, 20_400_000),
            ]
        );
    }

    #[test]
    fn a_fleet_at_rest_does_not_grow_and_one_with_surplus_rows_shrinks() {
        let tables = [
            ("certificates", 3_000, 15_000_000),
            ("acme_orders", 9_000, 900_000),
        ];
        assert_eq!(
            in_a_year(&size(Some(90 * DAY), &tables)),
            [(7_000, 3_000, 15_000_000), (7_000, 3_000, 300_000)]
        );
    }

    #[test]
    fn short_lifetimes_write_many_rows_and_keep_few() {
        let tables = [
            ("certificates", 1_000, 1_000),
            ("domain_events", 1_000, 1_000),
        ];
        let growth = in_a_year(&size(Some(6 * DAY), &tables));
        assert_eq!(growth[0], (125_000, 3_000, 3_000));
        assert_eq!(growth[1].1, 240_000, "the bound of each domain");
    }

    #[test]
    fn a_store_without_certificates_stays_as_it_is() {
        let tables = [("certificates", 0, 8_192), ("domain_events", 50, 9_000)];
        assert_eq!(
            in_a_year(&size(None, &tables)),
            [(0, 0, 8_192), (0, 50, 9_000)]
        );
    }
}
