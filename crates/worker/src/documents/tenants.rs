//! The documents about tenants.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use dps_admin_api::{CountGroup, Limit, Pause, Tenant, TenantDetail, Tenants};
use dps_application::operator::{fleet, limits};
use dps_application::ports::CertificateStore;
use dps_application::ports::fleet_view::ListRequest;
use dps_application::ports::store::StoreError;
use dps_domain::fleet::{DomainFilter, StateCount};
use dps_domain::pause::PauseScope;
use dps_domain::{FailureCode, Timestamp};

use crate::config::LetsEncrypt;

/// Up to `limit` tenants after the given one.
pub async fn tenants(
    store: &dyn CertificateStore,
    after: &str,
    limit: u32,
) -> Result<Tenants, StoreError> {
    let page = store.fleet_tenants(after, limit).await?;
    let items = page.tenants.into_iter();
    let items = items.map(|counted| document(counted.tenant, &counted.counts, counted.is_complete));
    Ok(Tenants {
        items: items.collect(),
        next: page.next,
    })
}

/// A tenant; `None` if it has no domain.
pub async fn tenant(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
    tenant: &str,
) -> Result<Option<TenantDetail>, StoreError> {
    let filter = of_tenant(tenant);
    let counted = fleet::count(store, &filter, now, false).await?;
    let detail = detail(store, ca, now, tenant).await?;
    Ok(detail.map(|of| TenantDetail {
        tenant: document(tenant.to_owned(), &counted.states, true),
        pauses: of.pauses,
        limits: of.limits,
    }))
}

/// A tenant as a page shows it.
#[derive(Debug)]
pub struct TenantPart {
    /// The tenant, with at most [`WINDOW`](dps_application::ports::fleet_view::WINDOW) of its
    /// domains.
    pub detail: TenantDetail,
    /// The same domains by state.
    pub states: Vec<StateCount>,
}

/// A tenant, of which one part of its domains is counted; `None` if it has no domain.
pub async fn tenant_part(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
    tenant: &str,
) -> Result<Option<TenantPart>, StoreError> {
    let filter = of_tenant(tenant);
    let request = ListRequest {
        filter: &filter,
        now,
        after: None,
    };
    let part = store.fleet_count(&request, false).await?;
    let states: Vec<StateCount> = part.groups.iter().map(|group| group.count).collect();
    let detail = detail(store, ca, now, tenant).await?;
    Ok(detail.map(|of| TenantPart {
        detail: TenantDetail {
            tenant: document(tenant.to_owned(), &states, part.next.is_none()),
            pauses: of.pauses,
            limits: of.limits,
        },
        states,
    }))
}

fn of_tenant(tenant: &str) -> DomainFilter {
    DomainFilter {
        tenant: Some(tenant.to_owned()),
        ..DomainFilter::default()
    }
}

/// The pauses and limits of a tenant's orders.
struct OfOrders {
    pauses: Vec<Pause>,
    limits: Vec<Limit>,
}

async fn detail(
    store: &dyn CertificateStore,
    ca: &LetsEncrypt,
    now: Timestamp,
    tenant: &str,
) -> Result<Option<OfOrders>, StoreError> {
    let filter = of_tenant(tenant);
    let first = fleet::list(store, &filter, now, None, 1).await?;
    let Some(first) = first.domains.first() else {
        return Ok(None);
    };
    let mut pauses = store.pauses_of(&first.record).await?;
    pauses.retain(|pause| !matches!(pause.scope, PauseScope::Domain(_)));
    let effective = ca.effective_limits();
    let of_ca = (ca.directory_url.as_str(), &effective);
    let limit = limits::of_tenant(store, of_ca, now, tenant).await?;
    Ok(Some(OfOrders {
        pauses: pauses.into_iter().map(super::issuance::wire).collect(),
        limits: limit.into_iter().map(super::limits::wire).collect(),
    }))
}

fn document(tenant_id: String, counts: &[StateCount], is_complete: bool) -> Tenant {
    let of = |codes: &[FailureCode]| {
        let found = counts.iter();
        let found =
            found.filter(|count| count.state.code.is_some_and(|code| codes.contains(&code)));
        found.map(|count| count.domains).sum()
    };
    let mut by_status: BTreeMap<&str, u64> = BTreeMap::new();
    for count in counts {
        *by_status.entry(count.state.status.as_str()).or_default() += count.domains;
    }
    let statuses = by_status.into_iter().map(|(status, domains)| CountGroup {
        key: Some(status.to_owned()),
        domains,
    });
    let mut statuses: Vec<CountGroup> = statuses.collect();
    statuses.sort_by_key(|group| Reverse(group.domains));
    Tenant {
        domains: counts.iter().map(|count| count.domains).sum(),
        limited: of(&[FailureCode::AcmeRateLimited]),
        paused: of(&[FailureCode::IssuancePaused]),
        contested: of(&[
            FailureCode::NameAlreadyClaimed,
            FailureCode::DnsOwnershipRequired,
        ]),
        tenant_id,
        is_complete,
        statuses,
    }
}
