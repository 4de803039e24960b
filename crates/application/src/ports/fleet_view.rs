//! The CertificateStore's view of the fleet: lists, counts, and counts of earlier hours.
//!
//! For a filter, one call reads at most [`WINDOW`] records of each range of the filter's plan. If a
//! range has more, the call ends there and names the place at which the next one continues.

use async_trait::async_trait;
use dps_domain::Timestamp;
use dps_domain::fleet::{DomainFilter, Place, StateCount};

use super::store::{DomainRecord, StoreError};

/// Records that one call reads of a range at most.
pub const WINDOW: u32 = 10_000;
/// Domains of one page at most.
pub const MAX_PAGE: u32 = 1_000;

/// A request for a page of a list or for a part of a count.
#[derive(Debug, Clone)]
pub struct ListRequest<'a> {
    /// The wanted domains.
    pub filter: &'a DomainFilter,
    /// The present time.
    pub now: Timestamp,
    /// The place after which to begin, in the order of the filter's plan; `None` for the beginning.
    pub after: Option<Place>,
}

/// A domain in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedDomain {
    /// Its record.
    pub record: DomainRecord,
    /// When its status last changed.
    pub status_since: Timestamp,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListPage {
    /// The domains, in the order of the filter's plan. Rows that cannot be read are left out.
    pub domains: Vec<ListedDomain>,
    /// The place at which the list continues; `None` at its end. A page with fewer domains than the
    /// limit may have a next one.
    pub next: Option<Place>,
}

/// The domains of one state and tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCount {
    /// The state, with the number of domains.
    pub count: StateCount,
    /// The tenant; empty if the count is not by tenant.
    pub tenant: String,
}

/// A part of a count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CountPart {
    /// The domains that were found, in groups.
    pub groups: Vec<GroupCount>,
    /// The place at which the count continues; `None` at its end.
    pub next: Option<Place>,
}

/// The number of domains in every state at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetCounts {
    /// When they were counted.
    pub counted_at: Timestamp,
    /// The states that any domain has, in their order.
    pub counts: Vec<StateCount>,
}

/// The domains of a tenant by state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantCount {
    /// The tenant.
    pub tenant: String,
    /// The states that any of its domains has, in their order.
    pub counts: Vec<StateCount>,
    /// Whether all of its domains were counted; otherwise the first [`WINDOW`] of them were.
    pub is_complete: bool,
}

/// A page of tenants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantPage {
    /// The tenants, by name.
    pub tenants: Vec<TenantCount>,
    /// The tenant after which the list continues; `None` at its end. A page with fewer tenants than
    /// the limit may have a next one.
    pub next: Option<String>,
}

/// The view of the fleet.
#[async_trait]
pub trait FleetView: Send + Sync {
    /// Up to `limit` domains of a filter, at most [`MAX_PAGE`].
    async fn fleet_list(
        &self,
        request: &ListRequest<'_>,
        limit: u32,
    ) -> Result<ListPage, StoreError>;

    /// Counts the domains of a filter, in groups by state, and by tenant on request.
    async fn fleet_count(
        &self,
        request: &ListRequest<'_>,
        by_tenant: bool,
    ) -> Result<CountPart, StoreError>;

    /// Up to `limit` tenants after the given one, at most [`MAX_PAGE`], with at most [`WINDOW`] of
    /// their domains.
    async fn fleet_tenants(&self, after: &str, limit: u32) -> Result<TenantPage, StoreError>;

    /// Counts all domains by state now. Reads an index alone, but all of it.
    async fn fleet_recount(&self) -> Result<Vec<StateCount>, StoreError>;

    /// Counts all domains by state and keeps the result in place of that of the same hour.
    async fn fleet_counts_store(&self, now: Timestamp) -> Result<(), StoreError>;

    /// The newest kept counts; `None` before the first.
    async fn fleet_counts(&self) -> Result<Option<FleetCounts>, StoreError>;

    /// The last kept counts of every hour that began at `from` or later, the oldest first.
    async fn fleet_counts_since(&self, from: Timestamp) -> Result<Vec<FleetCounts>, StoreError>;
}
