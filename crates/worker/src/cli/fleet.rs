//! `dps fleet` and `dps domains count`: the fleet in numbers.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::{Cause, CountBy, Fleet};
use dps_domain::fleet::DomainFilter;
use dps_domain::pause::Pause;
use dps_domain::{Actor, FailureCode};
use serde_json::json;

use super::calls::AdminCalls;
use super::output::{OutputError, outln};
use crate::documents::fleet::By;
use crate::documents::issuance;

/// Groups of a table at most.
const MAX_GROUPS: usize = 100;

/// Counts the domains of a filter.
pub async fn count(
    calls: &dyn AdminCalls,
    filter: &DomainFilter,
    by: Option<By>,
    as_json: bool,
) -> anyhow::Result<()> {
    let by = by.map(By::wire);
    let count = calls.count(filter, by).await?;
    if as_json {
        outln!("{}", json!(count))?;
        return Ok(());
    }
    if let Some(by) = by {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        table.set_header([head(by), "domains"]);
        for group in count.groups.iter().take(MAX_GROUPS) {
            let key = group.key.as_deref().unwrap_or("(no failure)");
            table.add_row([key, &group.domains.to_string()]);
        }
        outln!("{table}")?;
        if let Some(others) = count.groups.len().checked_sub(MAX_GROUPS + 1) {
            outln!("and {} smaller ones; --json prints all", others + 1)?;
        }
    }
    outln!("{} domains", count.domains)?;
    Ok(())
}

const fn head(by: CountBy) -> &'static str {
    match by {
        CountBy::Status => "status",
        CountBy::Code => "code",
        CountBy::Tenant => "tenant",
        CountBy::Actor => "actor",
    }
}

/// Prints the fleet as a whole, what needs attention first.
pub async fn overview(calls: &dyn AdminCalls, as_json: bool) -> anyhow::Result<()> {
    let fleet = calls.fleet().await?;
    if as_json {
        outln!("{}", json!(fleet))?;
        return Ok(());
    }
    let pauses = calls.issuance().await?.pauses;
    let pause = pauses.into_iter().next().and_then(issuance::read);
    Ok(print(&fleet, pause.as_ref())?)
}

/// Lines about problems that need an operator, each with the command that shows them.
fn attention(fleet: &Fleet, pause: Option<&Pause>) -> Vec<String> {
    let sum = |pick: &dyn Fn(&Cause) -> u64| -> u64 { fleet.causes.iter().map(pick).sum() };
    let ours = sum(&|cause| {
        if cause.actor == Actor::Operator {
            cause.domains
        } else {
            0
        }
    });
    let served = sum(&|cause| {
        if cause.code == FailureCode::DnsMoved.as_str() {
            0
        } else {
            cause.served
        }
    });
    let lines = [
        (ours, "wait for the operator", "list --actor operator"),
        (
            served,
            "are served and have a failure",
            "count --status Active --by code",
        ),
        (
            fleet.expiring,
            "have a certificate that ends within 7 days",
            "list --expires-within 7d",
        ),
    ];
    let lines = lines.into_iter().filter(|(domains, _, _)| *domains > 0);
    let lines = lines
        .map(|(domains, what, command)| format!("{domains} domains {what}: dps domains {command}"));
    let pause = pause.map(|pause| format!("{pause}: dps issuance status"));
    pause.into_iter().chain(lines).collect()
}

fn print(fleet: &Fleet, pause: Option<&Pause>) -> Result<(), OutputError> {
    let attention = attention(fleet, pause);
    if attention.is_empty() {
        outln!("All clear, counted at {}", fleet.counted_at)?;
    } else {
        outln!("Attention, counted at {}", fleet.counted_at)?;
        for line in attention {
            outln!("  {line}")?;
        }
    }
    let changed = |change: Option<i64>| change.map_or_else(String::new, |by| format!("{by:+}"));
    let since = fleet
        .compared_with
        .map_or_else(|| "change".to_owned(), |at| format!("since {at}"));
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["status", "domains", &since]);
    for one in &fleet.statuses {
        let (status, domains) = (one.status.to_string(), one.domains.to_string());
        table.add_row([status, domains, changed(one.change)]);
    }
    outln!("{table}")?;
    if !fleet.causes.is_empty() {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        table.set_header(["code", "actor", "domains", "served", &since]);
        for cause in &fleet.causes {
            table.add_row([
                cause.code.to_string(),
                cause.actor.as_str().to_owned(),
                cause.domains.to_string(),
                cause.served.to_string(),
                changed(cause.change),
            ]);
        }
        outln!("{table}")?;
    }
    outln!("{} domains", fleet.domains)
}

#[cfg(test)]
mod tests {
    use dps_application::ports::fleet_view::FleetCounts;
    use dps_domain::fleet::StateCount;
    use dps_domain::pause::PauseScope;
    use dps_domain::{DomainState, Status, Timestamp};

    use super::*;
    use crate::documents::fleet::{DAY, summary};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn count(status: Status, failure: Option<(FailureCode, Actor)>, domains: u64) -> StateCount {
        StateCount {
            state: DomainState {
                status,
                actor: failure.map(|(_, actor)| actor),
                code: failure.map(|(code, _)| code),
            },
            domains,
        }
    }

    #[test]
    fn a_fleet_without_trouble_is_all_clear() {
        let fleet = summary(&[count(Status::Active, None, 5)], None, NOW, 0);
        assert_eq!(attention(&fleet, None), [""; 0]);
        assert_eq!((fleet.domains, fleet.causes.len()), (5, 0));
        assert!(fleet.statuses.iter().all(|status| status.change.is_none()));
    }

    #[test]
    fn what_needs_attention_comes_with_the_command_that_shows_it() {
        let rejected = Some((FailureCode::EdgeRejected, Actor::Operator));
        let nxdomain = Some((FailureCode::DnsNxdomain, Actor::Customer));
        let moved = Some((FailureCode::DnsMoved, Actor::Customer));
        let counts = [
            count(Status::Active, None, 90),
            count(Status::Active, rejected, 2),
            count(Status::Active, moved, 4),
            count(Status::Issuing, rejected, 1),
            count(Status::PendingDns, nxdomain, 7),
        ];
        let earlier = FleetCounts {
            counted_at: NOW - DAY,
            counts: vec![
                count(Status::Active, None, 91),
                count(Status::PendingDns, nxdomain, 9),
            ],
        };
        let fleet = summary(&counts, Some(&earlier), NOW, 6);
        let pause = Pause {
            scope: PauseScope::All,
            since: NOW,
            who: "ada".to_owned(),
            reason: None,
        };
        assert_eq!(
            attention(&fleet, Some(&pause)),
            [
                "Issuance for every domain has been paused since 2027-01-15T08:00:00Z (ada): dps issuance status",
                "3 domains wait for the operator: dps domains list --actor operator",
                "2 domains are served and have a failure: dps domains count --status Active --by code",
                "6 domains have a certificate that ends within 7 days: dps domains list --expires-within 7d",
            ]
        );
        let changes: Vec<Option<i64>> = fleet.statuses.iter().map(|one| one.change).collect();
        assert_eq!(changes[0], Some(-2));
        assert_eq!(changes[3], Some(5));
        let causes: Vec<&str> = fleet.causes.iter().map(|cause| &*cause.code).collect();
        assert_eq!(causes, ["DNS_NXDOMAIN", "DNS_MOVED", "EDGE_REJECTED"]);
    }
}
