//! The replicas, the periodic tasks and the database, for operators.

use async_trait::async_trait;
use dps_application::ports::store::{
    DatabaseState, PeriodicTaskState, Replica, StoreError, SystemStore,
};
use dps_domain::Timestamp;

use super::MemoryStore;

#[async_trait]
impl SystemStore for MemoryStore {
    async fn replica_put(
        &self,
        replica: &Replica,
        forget_before: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let replicas = &mut state.replicas;
        replicas.insert(replica.name.clone(), replica.clone());
        replicas.retain(|_, replica| replica.seen_at >= forget_before);
        Ok(())
    }

    async fn replicas(&self, limit: u32) -> Result<Vec<Replica>, StoreError> {
        let state = self.state();
        let replicas = state.replicas.values().take(limit as usize);
        Ok(replicas.cloned().collect())
    }

    async fn periodic_tasks(&self, limit: u32) -> Result<Vec<PeriodicTaskState>, StoreError> {
        let state = self.state();
        let tasks = state.tasks.iter().take(limit as usize);
        let tasks = tasks.map(|(name, task)| task.state(name));
        Ok(tasks.collect())
    }

    async fn database_state(&self) -> Result<DatabaseState, StoreError> {
        Ok(DatabaseState {
            kind: "memory",
            migration: 0,
        })
    }
}
