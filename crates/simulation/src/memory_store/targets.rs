//! The tenants of targets, also of domains that are forgotten.

use async_trait::async_trait;
use dps_application::ports::store::{StoreError, TargetStore};
use dps_domain::ownership::TargetHolder;
use dps_domain::{Hostname, Timestamp};

use super::{MemoryStore, State};

impl State {
    pub(super) fn prune_targets(&mut self, until: Timestamp, limit: usize) -> u64 {
        let due = self.targets.iter().filter(|(_, (_, at))| *at <= until);
        let due: Vec<String> = due.take(limit).map(|(target, _)| target.clone()).collect();
        for target in &due {
            self.targets.remove(target);
        }
        due.len() as u64
    }
}

#[async_trait]
impl TargetStore for MemoryStore {
    async fn target_note(
        &self,
        target: &Hostname,
        tenant: &str,
        now: Timestamp,
    ) -> Result<TargetHolder, StoreError> {
        let mut state = self.state();
        let noted = state.targets.entry(target.to_string());
        let (holder, noted_at) = noted.or_insert_with(|| (tenant.to_owned(), now));
        if holder == tenant {
            *noted_at = now;
        }
        Ok(TargetHolder::Tenant(holder.clone()))
    }

    async fn target_holder(&self, target: &str) -> Result<TargetHolder, StoreError> {
        let state = self.state();
        let holder = state.targets.get(target).map(|(holder, _)| holder.clone());
        Ok(holder.map_or(TargetHolder::Nobody, TargetHolder::Tenant))
    }
}
