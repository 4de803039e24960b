//! Complete lists and counts for an operator, from the store's bounded parts.

use std::collections::BTreeMap;

use dps_domain::Timestamp;
use dps_domain::fleet::{DomainFilter, DomainState, Place, StateCount};

use crate::ports::CertificateStore;
use crate::ports::fleet_view::{ListPage, ListRequest};
use crate::ports::store::StoreError;

/// The number of domains in groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// By state, in the order of states.
    pub states: Vec<StateCount>,
    /// By tenant; empty unless asked for.
    pub tenants: BTreeMap<String, u64>,
}

impl Counted {
    /// Domains in all.
    pub fn total(&self) -> u64 {
        self.states.iter().map(|count| count.domains).sum()
    }
}

/// Lists up to `limit` domains of a filter, through as many parts of the list as it takes.
pub async fn list(
    store: &dyn CertificateStore,
    filter: &DomainFilter,
    now: Timestamp,
    after: Option<Place>,
    limit: u32,
) -> Result<ListPage, StoreError> {
    let mut request = ListRequest { filter, now, after };
    let mut page = ListPage::default();
    loop {
        let found = u32::try_from(page.domains.len()).unwrap_or(u32::MAX);
        let left = limit.saturating_sub(found);
        if left == 0 {
            page.next = request.after;
            return Ok(page);
        }
        let part = store.fleet_list(&request, left).await?;
        page.domains.extend(part.domains);
        if part.next.is_none() {
            return Ok(page);
        }
        request.after = part.next;
    }
}

/// Counts the domains of a filter.
pub async fn count(
    store: &dyn CertificateStore,
    filter: &DomainFilter,
    now: Timestamp,
    by_tenant: bool,
) -> Result<Counted, StoreError> {
    if *filter == DomainFilter::default() && !by_tenant {
        return Ok(Counted {
            states: store.fleet_recount().await?,
            tenants: BTreeMap::new(),
        });
    }
    let mut request = ListRequest {
        filter,
        now,
        after: None,
    };
    let mut states: BTreeMap<DomainState, u64> = BTreeMap::new();
    let mut tenants: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        let part = store.fleet_count(&request, by_tenant).await?;
        for group in part.groups {
            *states.entry(group.count.state).or_default() += group.count.domains;
            if by_tenant {
                *tenants.entry(group.tenant).or_default() += group.count.domains;
            }
        }
        if part.next.is_none() {
            break;
        }
        request.after = part.next;
    }
    let states = states
        .into_iter()
        .map(|(state, domains)| StateCount { state, domains });
    Ok(Counted {
        states: states.collect(),
        tenants,
    })
}
