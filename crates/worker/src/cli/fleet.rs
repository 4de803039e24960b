//! `dps fleet` and `dps domains count`: the fleet in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use dps_admin_api::{Cause, Count, CountBy, CountGroup, Fleet, StatusCount};
use dps_application::operator::fleet::{self, Counted};
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet_view::{FleetCounts, ListRequest};
use dps_application::ports::store::StoreError;
use dps_domain::fleet::{DomainFilter, StateCount};
use dps_domain::pause::Pause;
use dps_domain::{Actor, FailureCode, Status, Timestamp};
use serde_json::json;

use super::filter::check_edge;
use super::output::{OutputError, outln};

/// A day.
pub const DAY: Duration = Duration::from_secs(86_400);
/// The time from which counts are read to compare them with those of a day ago.
pub const COMPARED: Duration = Duration::from_secs(86_400 + 3_600);
/// Tolerance for the counts of a day ago, which are kept once an hour.
const HOUR: Duration = Duration::from_secs(3_600);
/// Certificates that end within this time should have been renewed, for certificates of 90 days.
const SOON: Duration = Duration::from_secs(7 * 86_400);
/// Groups of a table at most.
const MAX_GROUPS: usize = 100;

/// The groups of `dps domains count --by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// By status
    Status,
    /// By the code of the last failure
    Code,
    /// By tenant
    Tenant,
    /// By who must act
    Actor,
}

impl By {
    const fn wire(self) -> CountBy {
        match self {
            Self::Status => CountBy::Status,
            Self::Code => CountBy::Code,
            Self::Tenant => CountBy::Tenant,
            Self::Actor => CountBy::Actor,
        }
    }

    const fn head(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Code => "code",
            Self::Tenant => "tenant",
            Self::Actor => "actor",
        }
    }

    fn groups(self, counted: &Counted) -> Vec<CountGroup> {
        let mut groups: BTreeMap<Option<String>, u64> = BTreeMap::new();
        if self == Self::Tenant {
            let tenants = counted.tenants.iter();
            groups.extend(tenants.map(|(tenant, domains)| (Some(tenant.clone()), *domains)));
        } else {
            for count in &counted.states {
                let state = count.state;
                let key = match self {
                    Self::Status => Some(state.status.as_str()),
                    Self::Code => state.code.map(FailureCode::as_str),
                    Self::Actor | Self::Tenant => state.actor.map(Actor::as_str),
                };
                *groups.entry(key.map(str::to_owned)).or_default() += count.domains;
            }
        }
        let groups = groups.into_iter();
        let mut groups: Vec<CountGroup> = groups
            .map(|(key, domains)| CountGroup { key, domains })
            .collect();
        // The sort is stable, so equals stay in the order of their keys.
        groups.sort_by_key(|group| std::cmp::Reverse(group.domains));
        groups
    }
}

/// Counts the domains of a filter.
pub async fn count(
    store: &dyn CertificateStore,
    filter: &DomainFilter,
    now: Timestamp,
    by: Option<By>,
    as_json: bool,
) -> anyhow::Result<()> {
    check_edge(store, filter).await?;
    let count = counted(store, filter, now, by).await?;
    if as_json {
        outln!("{}", json!(count))?;
        return Ok(());
    }
    if let Some(by) = by {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        table.set_header([by.head(), "domains"]);
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

/// The number of domains of a filter, as programs read it.
pub async fn counted(
    store: &dyn CertificateStore,
    filter: &DomainFilter,
    now: Timestamp,
    by: Option<By>,
) -> Result<Count, StoreError> {
    let counted = fleet::count(store, filter, now, by == Some(By::Tenant)).await?;
    Ok(Count {
        domains: counted.total(),
        by: by.map(By::wire),
        groups: by.map(|by| by.groups(&counted)).unwrap_or_default(),
    })
}

/// Prints the fleet as a whole, what needs attention first.
pub async fn overview(
    store: &dyn CertificateStore,
    now: Timestamp,
    as_json: bool,
) -> anyhow::Result<()> {
    let fleet = survey(store, now).await?;
    if as_json {
        outln!("{}", json!(fleet))?;
        return Ok(());
    }
    let pause = store.pauses(None, 1).await?.pop();
    Ok(print(&fleet, pause.as_ref())?)
}

/// The fleet as a whole, as programs read it.
pub async fn survey(store: &dyn CertificateStore, now: Timestamp) -> Result<Fleet, StoreError> {
    let counts = store.fleet_recount().await?;
    let earlier = store.fleet_counts_since(now - DAY - HOUR).await?;
    let earlier = earlier.into_iter().next();
    let expiring = fleet::count(store, &expiring(SOON), now, false)
        .await?
        .total();
    Ok(summary(&counts, earlier.as_ref(), now, expiring))
}

/// The fleet from kept counts, which cost little at any size.
#[derive(Debug)]
pub struct KeptFleet {
    /// The fleet.
    pub fleet: Fleet,
    /// Whether more domains end soon than were counted.
    pub expiring_is_least: bool,
    /// The counts of each hour since the wanted time, the oldest first.
    pub hours: Vec<FleetCounts>,
}

/// The fleet as the counting last found it, with the counts of each hour since `from`. Counts now
/// if there are no counts yet.
pub async fn kept(
    store: &dyn CertificateStore,
    now: Timestamp,
    from: Timestamp,
) -> Result<KeptFleet, StoreError> {
    let hours = store.fleet_counts_since(from).await?;
    let newest = match store.fleet_counts().await? {
        Some(newest) => newest,
        None => FleetCounts {
            counted_at: now,
            counts: store.fleet_recount().await?,
        },
    };
    let expiring = expiring_at_least(store, now, SOON).await?;
    let mut earlier = hours.iter();
    let earlier = earlier.find(|hour| hour.counted_at >= now - DAY - HOUR);
    let earlier = earlier.filter(|hour| hour.counted_at < newest.counted_at);
    Ok(KeptFleet {
        fleet: summary(&newest.counts, earlier, newest.counted_at, expiring.domains),
        expiring_is_least: expiring.is_least,
        hours,
    })
}

/// A count that may not be complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtLeast {
    /// Domains that were counted.
    pub domains: u64,
    /// Whether there are more.
    pub is_least: bool,
}

/// Counts domains whose certificate ends within a time, those that moved away left out. Reads one
/// part alone: a fleet with short lifetimes may have any number of them.
pub async fn expiring_at_least(
    store: &dyn CertificateStore,
    now: Timestamp,
    within: Duration,
) -> Result<AtLeast, StoreError> {
    let filter = expiring(within);
    let request = ListRequest {
        filter: &filter,
        now,
        after: None,
    };
    let part = store.fleet_count(&request, false).await?;
    Ok(AtLeast {
        domains: part.groups.iter().map(|group| group.count.domains).sum(),
        is_least: part.next.is_some(),
    })
}

fn expiring(within: Duration) -> DomainFilter {
    DomainFilter {
        expires_within: Some(within),
        ..DomainFilter::default()
    }
}

/// The fleet, from its counts now and at an earlier time.
fn summary(
    counts: &[StateCount],
    earlier: Option<&FleetCounts>,
    now: Timestamp,
    expiring: u64,
) -> Fleet {
    let sum = |counts: &[StateCount], wanted: &dyn Fn(&StateCount) -> bool| -> u64 {
        let wanted = counts.iter().filter(|count| wanted(count));
        wanted.map(|count| count.domains).sum()
    };
    let change = |domains: u64, wanted: &dyn Fn(&StateCount) -> bool| {
        let before = sum(&earlier?.counts, wanted);
        Some(domains.cast_signed() - before.cast_signed())
    };
    let status = |status: Status| {
        let wanted = |count: &StateCount| count.state.status == status;
        let domains = sum(counts, &wanted);
        StatusCount {
            status,
            domains,
            change: change(domains, &wanted),
        }
    };
    let cause = |code: FailureCode, actor: Actor| {
        let wanted =
            |count: &StateCount| (count.state.code, count.state.actor) == (Some(code), Some(actor));
        let domains = sum(counts, &wanted);
        Cause {
            code: code.as_str(),
            actor,
            domains,
            served: sum(counts, &|count| {
                wanted(count) && count.state.status == Status::Active
            }),
            change: change(domains, &wanted),
        }
    };
    let causes = FailureCode::ALL.iter().flat_map(|code| {
        let actors = code.actors().iter();
        actors.map(|actor| cause(*code, *actor))
    });
    let mut causes: Vec<Cause> = causes.filter(|cause| cause.domains > 0).collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.domains));
    Fleet {
        counted_at: now,
        compared_with: earlier.map(|earlier| earlier.counted_at),
        domains: sum(counts, &|_| true),
        statuses: Status::ALL.map(status).into(),
        causes,
        expiring,
    }
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
                cause.code.to_owned(),
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
    use dps_domain::DomainState;
    use dps_domain::pause::PauseScope;

    use super::*;

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
        let causes: Vec<&str> = fleet.causes.iter().map(|cause| cause.code).collect();
        assert_eq!(causes, ["DNS_NXDOMAIN", "DNS_MOVED", "EDGE_REJECTED"]);
    }
}
