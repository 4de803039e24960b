//! State for the synchronisation with the Cabinet: cursors, tasks, and presence in the Cabinet.

use std::time::Duration;

use async_trait::async_trait;
use dps_application::ports::store::PeriodicTaskLease;
use dps_application::ports::store::PeriodicTaskState;
use dps_application::ports::store::PeriodicTaskStore;
use dps_application::ports::store::StoreError;
use dps_application::ports::sync::{CabinetPresence, KnownRecord, SyncStore};
use dps_domain::{DomainId, LeaseToken, Phase, Timestamp};

use super::MemoryStore;

/// Work that comes round by itself.
#[derive(Debug)]
pub(super) struct PeriodicTask {
    due_at: Timestamp,
    progress: Option<String>,
    lease: Option<(LeaseToken, Timestamp)>,
    ran_at: Option<Timestamp>,
}

/// The presence of a domain at the last resync.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenInCabinet {
    run: i64,
    missing_since: Option<Timestamp>,
}

impl PeriodicTask {
    /// The task as operators see it.
    pub(super) fn state(&self, name: &str) -> PeriodicTaskState {
        PeriodicTaskState {
            name: name.to_owned(),
            due_at: Some(self.due_at).filter(|due| *due < Timestamp::NEVER),
            leased_until: self.lease.map(|(_, until)| until),
            ran_at: self.ran_at,
        }
    }

    fn held_by(&mut self, lease: &PeriodicTaskLease) -> Result<&mut Self, StoreError> {
        let held = self.lease.is_some_and(|(token, _)| token == lease.token);
        if held {
            Ok(self)
        } else {
            Err(StoreError::LeaseLost)
        }
    }
}

#[async_trait]
impl SyncStore for MemoryStore {
    async fn cursor(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.state().cursors.get(name).cloned())
    }

    async fn cursor_advance(
        &self,
        name: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        if state.cursors.get(name).map(String::as_str) != from {
            return Ok(false);
        }
        state.cursors.insert(name.to_owned(), to.to_owned());
        Ok(true)
    }

    async fn known(&self, ids: &[DomainId]) -> Result<Vec<KnownRecord>, StoreError> {
        let state = self.state();
        let rows = ids.iter().filter_map(|id| state.rows.get(id));
        let known = rows.map(|row| KnownRecord {
            record: row.record.clone(),
            reports_wait: !row.reports.is_empty(),
        });
        Ok(known.collect())
    }

    async fn count_domains(&self) -> Result<u64, StoreError> {
        let state = self.state();
        let rows = state.rows.values();
        let ours = rows.filter(|row| !matches!(row.record.phase, Phase::Leaving | Phase::Gone));
        Ok(ours.count() as u64)
    }

    async fn cabinet_mark_seen(&self, run: i64, ids: &[DomainId]) -> Result<(), StoreError> {
        let mut state = self.state();
        for id in ids {
            if let Some(row) = state.rows.get_mut(id) {
                row.presence = Some(SeenInCabinet {
                    run,
                    missing_since: None,
                });
            }
        }
        Ok(())
    }

    async fn cabinet_presences(
        &self,
        run: i64,
        after: Option<DomainId>,
        limit: u32,
    ) -> Result<Vec<CabinetPresence>, StoreError> {
        let state = self.state();
        let rows = state
            .after(after)
            .filter_map(|id| Some((id, state.rows.get(&id)?)));
        let ours =
            rows.filter(|(_, row)| !matches!(row.record.phase, Phase::Leaving | Phase::Gone));
        let cabinet_presences = ours.map(|(id, row)| CabinetPresence {
            id,
            seen: row
                .presence
                .is_some_and(|seen| seen.run == run && seen.missing_since.is_none()),
            created_at: row.record.created_at,
        });
        Ok(cabinet_presences.take(limit as usize).collect())
    }

    async fn cabinet_mark_missing(
        &self,
        run: i64,
        id: DomainId,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let mut state = self.state();
        let Some(row) = state.rows.get_mut(&id) else {
            return Ok(now);
        };
        let since = row
            .presence
            .and_then(|seen| seen.missing_since)
            .unwrap_or(now);
        row.presence = Some(SeenInCabinet {
            run,
            missing_since: Some(since),
        });
        Ok(since)
    }

    async fn cabinet_missing_since(
        &self,
        run: i64,
        before: Timestamp,
        after: Option<DomainId>,
        limit: u32,
    ) -> Result<Vec<DomainId>, StoreError> {
        let state = self.state();
        let missing = state.after(after).filter(|id| {
            let presence = state.rows.get(id).and_then(|row| row.presence);
            presence.is_some_and(|seen| {
                seen.run == run && seen.missing_since.is_some_and(|since| since <= before)
            })
        });
        Ok(missing.take(limit as usize).collect())
    }
}

#[async_trait]
impl PeriodicTaskStore for MemoryStore {
    async fn periodic_acquire(
        &self,
        name: &str,
        now: Timestamp,
        ttl: Duration,
        first_due: Timestamp,
    ) -> Result<Option<PeriodicTaskLease>, StoreError> {
        let mut state = self.state();
        let token = state.new_token();
        let task = state.tasks.entry(name.to_owned()).or_insert(PeriodicTask {
            due_at: first_due,
            progress: None,
            lease: None,
            ran_at: None,
        });
        let is_free = match task.lease {
            Some((_, expires_at)) => expires_at <= now,
            None => task.due_at <= now,
        };
        if !is_free {
            return Ok(None);
        }
        // An earlier time at its release is a request that came meanwhile.
        task.due_at = Timestamp::NEVER;
        task.lease = Some((token, now + ttl));
        Ok(Some(PeriodicTaskLease {
            name: name.to_owned(),
            token,
            progress: task.progress.clone(),
        }))
    }

    async fn periodic_extend(
        &self,
        lease: &PeriodicTaskLease,
        progress: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let task = state
            .tasks
            .get_mut(&lease.name)
            .ok_or(StoreError::LeaseLost)?;
        let task = task.held_by(lease)?;
        task.progress = Some(progress.to_owned());
        task.lease = Some((lease.token, until));
        Ok(())
    }

    async fn periodic_release(
        &self,
        lease: &PeriodicTaskLease,
        progress: Option<&str>,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let task = state
            .tasks
            .get_mut(&lease.name)
            .ok_or(StoreError::LeaseLost)?;
        let task = task.held_by(lease)?;
        task.progress = progress.map(str::to_owned);
        task.due_at = task.due_at.min(due_at);
        task.lease = None;
        task.ran_at = Some(self.steady.now());
        Ok(())
    }

    async fn periodic_make_due(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        let task = state.tasks.entry(name.to_owned()).or_insert(PeriodicTask {
            due_at: now,
            progress: None,
            lease: None,
            ran_at: None,
        });
        task.due_at = task.due_at.min(now);
        Ok(())
    }
}

impl super::State {
    /// Identifiers in order, after the given one.
    fn after(&self, after: Option<DomainId>) -> impl Iterator<Item = DomainId> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.ids.range((from, Unbounded)).copied()
    }
}
