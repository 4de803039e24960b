//! `dps store size`: rows and bytes of every table, now and in a year.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use dps_application::operator::size::{FleetSize, StoreSize, TableGrowth};
use dps_domain::retention::Retention;
use dps_host::HumanDuration;
use dps_store::Store;
use serde_json::{Value, json};

use super::output::outln;

/// Prints the size of every table. `lines` is the largest number of lines of history of a domain.
pub async fn print(
    store: &Store,
    retention: &Retention,
    lines: u32,
    as_json: bool,
) -> anyhow::Result<()> {
    let size = store.size().await?;
    let growth = size.growth(retention, lines);
    if as_json {
        outln!("{}", value(&size, &growth))?;
    } else {
        outln!("{}", text(&size, &growth))?;
    }
    Ok(())
}

/// The sum of all tables: bytes now and in a year.
fn total(growth: &[TableGrowth]) -> (u64, u64) {
    let now = growth.iter().map(|one| one.now.bytes).sum();
    (now, growth.iter().map(|one| one.bytes).sum())
}

fn text(size: &StoreSize, growth: &[TableGrowth]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "table",
        "rows",
        "per domain",
        "bytes",
        "bytes per row",
        "written in a year",
        "rows in a year",
        "bytes in a year",
    ]);
    for one in growth {
        let now = one.now;
        table.add_row([
            now.table.to_owned(),
            now.rows.to_string(),
            per(now.rows, size.fleet.domains, 2),
            bytes(now.bytes),
            per(now.bytes, now.rows, 0),
            one.written.to_string(),
            one.rows.to_string(),
            bytes(one.bytes),
        ]);
    }
    let (now, in_a_year) = total(growth);
    let blank = String::new;
    table.add_row([
        "total".to_owned(),
        blank(),
        blank(),
        bytes(now),
        blank(),
        blank(),
        blank(),
        bytes(in_a_year),
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let FleetSize {
        domains,
        served,
        lifetime,
    } = size.fleet;
    let lifetime = lifetime.map_or_else(
        || "none serves a certificate".to_owned(),
        |lifetime| {
            format!(
                "{served} serve certificates of {}",
                HumanDuration::from(lifetime)
            )
        },
    );
    format!(
        "{table}\n{domains} domains, of which {lifetime}. Bytes by {}.\n\
         The year is for as many domains as now.",
        size.measured_by
    )
}

/// One number of another, or nothing where there is no other.
fn per(number: u64, of: u64, digits: usize) -> String {
    if of == 0 {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "it is shown with few digits")]
    let quotient = number as f64 / of as f64;
    format!("{quotient:.digits$}")
}

/// Bytes in the largest unit of which there is at least one.
fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "it is shown with few digits")]
    let mut number = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if number < 1_024.0 {
            break;
        }
        number /= 1_024.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{number:.1} {unit}")
    }
}

fn value(size: &StoreSize, growth: &[TableGrowth]) -> Value {
    let table = |one: &TableGrowth| {
        json!({
            "table": one.now.table,
            "rows": one.now.rows,
            "bytes": one.now.bytes,
            "writtenInAYear": one.written,
            "rowsInAYear": one.rows,
            "bytesInAYear": one.bytes,
        })
    };
    let (now, in_a_year) = total(growth);
    json!({
        "domains": size.fleet.domains,
        "served": size.fleet.served,
        "certificateLifetimeSeconds": size.fleet.lifetime.map(|lifetime| lifetime.as_secs()),
        "measuredBy": size.measured_by,
        "tables": growth.iter().map(table).collect::<Vec<_>>(),
        "bytes": now,
        "bytesInAYear": in_a_year,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dps_application::operator::size::TableSize;

    use super::*;

    #[test]
    fn the_table_and_the_json_show_what_was_measured() {
        let table = |table, rows, bytes| TableSize { table, rows, bytes };
        let size = StoreSize {
            tables: vec![
                table("custom_domains", 4, 8_192),
                table("certificates", 4, 20_480),
                table("outbox", 0, 16_384),
            ],
            fleet: FleetSize {
                domains: 4,
                served: 2,
                lifetime: Some(Duration::from_secs(90 * 86_400)),
            },
            measured_by: "test",
        };
        let growth = size.growth(&Retention::default(), 200);
        let shown = text(&size, &growth);
        let line = |name: &str| {
            let line = shown
                .lines()
                .find(|line| line.trim_start().starts_with(name));
            line.unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            line("custom_domains"),
            "custom_domains 4 1.00 8.0 KiB 2048 0 4 8.0 KiB"
        );
        assert_eq!(
            line("certificates"),
            "certificates 4 1.00 20.0 KiB 5120 14 6 30.0 KiB"
        );
        assert_eq!(line("outbox"), "outbox 0 0.00 16.0 KiB 0 0 16.0 KiB");
        assert_eq!(line("total"), "total 44.0 KiB 54.0 KiB");
        assert!(shown.contains("4 domains, of which 2 serve certificates of 90d. Bytes by test."));
        let json = value(&size, &growth);
        assert_eq!(json["tables"][1]["rowsInAYear"], 6);
        assert_eq!(json["bytesInAYear"], 55_296);
    }
}
