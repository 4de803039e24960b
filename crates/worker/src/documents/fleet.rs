//! The fleet in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use dps_admin_api::{Cause, Count, CountBy, CountGroup, Fleet, StatusCount};
use dps_application::operator::fleet::{self, Counted};
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet_view::{FleetCounts, ListRequest};
use dps_application::ports::store::StoreError;
use dps_domain::fleet::{DomainFilter, StateCount};
use dps_domain::{Actor, FailureCode, Status, Timestamp};

/// A day.
pub const DAY: Duration = Duration::from_secs(86_400);
/// The time from which counts are read to compare them with those of a day ago.
pub const COMPARED: Duration = Duration::from_secs(86_400 + 3_600);
/// Tolerance for the counts of a day ago, which are kept once an hour.
const HOUR: Duration = Duration::from_secs(3_600);
/// Certificates that end within this time should have been renewed, for certificates of 90 days.
const SOON: Duration = Duration::from_secs(7 * 86_400);
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
    pub(crate) const fn of(by: CountBy) -> Self {
        match by {
            CountBy::Status => Self::Status,
            CountBy::Code => Self::Code,
            CountBy::Tenant => Self::Tenant,
            CountBy::Actor => Self::Actor,
        }
    }

    pub(crate) const fn wire(self) -> CountBy {
        match self {
            Self::Status => CountBy::Status,
            Self::Code => CountBy::Code,
            Self::Tenant => CountBy::Tenant,
            Self::Actor => CountBy::Actor,
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
pub(crate) fn summary(
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
            code: code.as_str().into(),
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
