//! The fleet as operators ask for it: lists and counts by filters, and counts of earlier hours.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dps_application::ports::FleetView;
use dps_application::ports::fleet_view::{
    CountPart, FleetCounts, GroupCount, ListPage, ListRequest, ListedDomain, MAX_PAGE, TenantCount,
    TenantPage, WINDOW,
};
use dps_application::ports::store::StoreError;
use dps_domain::Timestamp;
use dps_domain::fleet::{DomainState, Place, StateCount};

use super::row::Row;
use super::{MemoryStore, State};

const HOUR_MICROS: i64 = 3_600_000_000;

/// Counts by state, and those of earlier hours by the beginning of the hour.
#[derive(Debug, Default)]
pub(super) struct Counts {
    counts: BTreeMap<DomainState, u64>,
    hours: BTreeMap<i64, FleetCounts>,
}

impl Counts {
    pub(super) fn enter(&mut self, state: DomainState) {
        *self.counts.entry(state).or_default() += 1;
    }

    pub(super) fn leave(&mut self, state: DomainState) {
        if let Some(count) = self.counts.get_mut(&state) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&state);
            }
        }
    }

    fn counts(&self) -> Vec<StateCount> {
        let counts = self.counts.iter();
        counts
            .map(|(state, domains)| StateCount {
                state: *state,
                domains: *domains,
            })
            .collect()
    }

    /// Forgets hours that began before the given time, at most `limit`.
    pub(super) fn prune(&mut self, before: Timestamp, limit: usize) -> u64 {
        let old = self.hours.range(..before.unix_micros());
        let old: Vec<i64> = old.map(|(hour, _)| *hour).take(limit).collect();
        for hour in &old {
            self.hours.remove(hour);
        }
        old.len() as u64
    }
}

impl State {
    /// The rows of a request with their places, in order.
    fn found(&self, request: &ListRequest<'_>) -> Vec<(Place, &Row)> {
        let plan = request.filter.plan(request.now);
        let after = request.after.as_ref();
        let presents = |row: &Row, edge: &str| {
            let held = self.deployments.get(&row.record.id);
            held.into_iter().flatten().any(|held| {
                held.edge == edge && Some(held.certificate_id) == row.record.phase.serving()
            })
        };
        let rows = self.rows.values().filter(|row| {
            let presents = |edge: &str| presents(row, edge);
            request.filter.matches(&row.record, request.now, presents)
        });
        let mut found: Vec<(Place, &Row)> = rows
            .map(|row| (plan.order.place_of(&row.record), row))
            .filter(|(place, _)| after.is_none_or(|after| place > after))
            .collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        found
    }
}

#[async_trait]
impl FleetView for MemoryStore {
    async fn fleet_list(
        &self,
        request: &ListRequest<'_>,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE) as usize;
        let state = self.state();
        let found = state.found(request);
        let next = (found.len() > limit).then(|| found[limit - 1].0.clone());
        let listed = found.iter().take(limit).map(|(_, row)| ListedDomain {
            record: row.record.clone(),
            status_since: row.status_since,
        });
        Ok(ListPage {
            domains: listed.collect(),
            next,
        })
    }

    async fn fleet_count(
        &self,
        request: &ListRequest<'_>,
        by_tenant: bool,
    ) -> Result<CountPart, StoreError> {
        let state = self.state();
        let mut groups: BTreeMap<(DomainState, &str), u64> = BTreeMap::new();
        for (_, row) in state.found(request) {
            let tenant = if by_tenant { &row.record.tenant_id } else { "" };
            *groups
                .entry((DomainState::of(&row.record), tenant))
                .or_default() += 1;
        }
        let groups = groups
            .into_iter()
            .map(|((state, tenant), domains)| GroupCount {
                count: StateCount { state, domains },
                tenant: tenant.to_owned(),
            });
        Ok(CountPart {
            groups: groups.collect(),
            next: None,
        })
    }

    async fn fleet_tenants(&self, after: &str, limit: u32) -> Result<TenantPage, StoreError> {
        let state = self.state();
        let mut tenants: BTreeMap<&str, BTreeMap<DomainState, u64>> = BTreeMap::new();
        let rows = state.rows.values().map(|row| &row.record);
        for record in rows.filter(|record| record.tenant_id.as_str() > after) {
            let counts = tenants.entry(&record.tenant_id).or_default();
            *counts.entry(DomainState::of(record)).or_default() += 1;
        }
        let limit = limit.clamp(1, MAX_PAGE) as usize;
        let (mut page, mut left) = (TenantPage::default(), u64::from(WINDOW));
        for (tenant, counts) in tenants {
            let last = page.tenants.last();
            let last = last.map(|counted: &TenantCount| counted.tenant.clone());
            let domains: u64 = counts.values().sum();
            if page.tenants.len() == limit || (domains > left && last.is_some()) {
                page.next = last;
                break;
            }
            left = left.saturating_sub(domains);
            let counts = counts.into_iter();
            page.tenants.push(TenantCount {
                tenant: tenant.to_owned(),
                counts: counts
                    .map(|(state, domains)| StateCount { state, domains })
                    .collect(),
                is_complete: domains <= u64::from(WINDOW),
            });
        }
        Ok(page)
    }

    async fn fleet_recount(&self) -> Result<Vec<StateCount>, StoreError> {
        Ok(self.state().fleet_view.counts())
    }

    async fn fleet_counts_store(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        let counts = FleetCounts {
            counted_at: now,
            counts: state.fleet_view.counts(),
        };
        let hour = now.unix_micros().div_euclid(HOUR_MICROS) * HOUR_MICROS;
        state.fleet_view.hours.insert(hour, counts);
        Ok(())
    }

    async fn fleet_counts(&self) -> Result<Option<FleetCounts>, StoreError> {
        let state = self.state();
        let newest = state.fleet_view.hours.last_key_value();
        Ok(newest.map(|(_, counts)| counts.clone()))
    }

    async fn fleet_counts_since(&self, from: Timestamp) -> Result<Vec<FleetCounts>, StoreError> {
        let state = self.state();
        let hours = state.fleet_view.hours.range(from.unix_micros()..);
        Ok(hours.map(|(_, counts)| counts.clone()).collect())
    }
}
