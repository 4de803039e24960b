//! Old lines of history.

use dps_domain::{DomainId, Timestamp};

use super::State;

impl State {
    pub(super) fn prune_events(&mut self, before: Timestamp, limit: u32) -> u64 {
        let mut old: Vec<(Timestamp, DomainId)> = vec![];
        for (id, row) in &self.rows {
            let times = row.events.iter().map(|event| event.at);
            old.extend(times.filter(|at| *at < before).map(|at| (at, *id)));
        }
        old.sort_unstable();
        old.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        for (at, id) in &old {
            if let Some(row) = self.rows.get_mut(id)
                && let Some(index) = row.events.iter().position(|event| event.at == *at)
            {
                row.events.remove(index);
            }
        }
        u64::try_from(old.len()).unwrap_or(u64::MAX)
    }
}
