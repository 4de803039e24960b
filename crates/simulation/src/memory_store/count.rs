//! The number of rows in every table that grows.

use super::{MemoryStore, State, row::Row};

/// Rows of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableRows {
    /// The table's name in the databases.
    pub table: &'static str,
    /// Rows in all.
    pub total: u64,
    /// The most rows of one domain.
    pub most: u64,
}

/// The rows of one record in a table.
type Count = fn(&Row) -> usize;

/// The tables whose rows belong to a record.
const TABLES: [(&str, Count); 8] = [
    ("custom_domains", |_| 1),
    ("acme_orders", |row| row.orders.len()),
    ("acme_challenges", |row| row.challenges.len()),
    ("certificates", |row| row.certificates.len()),
    ("domain_events", |row| row.events.len().max(row.lines.len())),
    ("outbox", |row| row.reports.len()),
    ("cabinet_sightings", |row| {
        usize::from(row.presence.is_some())
    }),
    ("rate_limit_slots", |row| row.slots.len()),
];

impl MemoryStore {
    /// Counts the rows of every table that grows with domains or time. Reads all records.
    pub fn table_rows(&self) -> Vec<TableRows> {
        let state = self.state();
        let mut tables: Vec<TableRows> = TABLES
            .iter()
            .map(|(table, count)| state.count(table, *count))
            .collect();
        let alone = |table, total: usize| TableRows {
            table,
            total: total as u64,
            most: 1,
        };
        tables.push(alone("renewal_questions", state.polls.len()));
        tables.push(alone("rate_limit_buckets", state.buckets.len()));
        tables.push(alone("target_tenants", state.targets.len()));
        tables
    }
}

impl State {
    fn count(&self, table: &'static str, count: Count) -> TableRows {
        let (mut total, mut most) = (0, 0);
        for row in self.rows.values() {
            let rows = count(row) as u64;
            total += rows;
            most = rows.max(most);
        }
        TableRows { table, total, most }
    }
}
