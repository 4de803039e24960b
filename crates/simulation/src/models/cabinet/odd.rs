//! Domains of any tenant and name, and what an operator of the Cabinet does to its database.

use dps_application::ports::cabinet::CabinetDomain;
use dps_domain::{DomainId, Status};

use super::CabinetModel;
use super::state::State;
use crate::models::names;
use crate::models::tally::locked;

/// The Cabinet's database at an earlier moment.
#[derive(Debug, Clone)]
pub struct Backup(State);

impl CabinetModel {
    /// A customer adds this domain.
    pub fn add(&self, domain: CabinetDomain) {
        let mut state = locked(&self.state);
        if let Some(number) = names::number_of_id(domain.id) {
            state.alter(number, |entry| entry.is_missing = false);
            state.list(number);
            state.write(number, domain);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The domain as customers and service see it; `None` if the Cabinet has none with this
    /// identifier.
    pub fn view(&self, id: DomainId) -> Option<CabinetDomain> {
        let state = locked(&self.state);
        let number = names::number_of_id(id)?;
        let entry = state.entry(number)?;
        Some(self.view_of(&state, number, entry))
    }

    /// Changes the row of a domain, which the feed does not tell. Returns whether there is one.
    pub fn edit(&self, id: DomainId, alter: impl FnOnce(&mut CabinetDomain)) -> bool {
        let mut state = locked(&self.state);
        let number = names::number_of_id(id);
        let found = number.and_then(|number| Some((number, state.entry(number)?)));
        let Some((number, entry)) = found else {
            return false;
        };
        let mut domain = self.view_of(&state, number, entry);
        alter(&mut domain);
        state.write(number, domain);
        true
    }

    /// The row of a domain disappears, or is there again.
    pub fn set_missing(&self, id: DomainId, is_missing: bool) {
        if let Some(number) = names::number_of_id(id) {
            locked(&self.state).alter(number, |entry| entry.is_missing = is_missing);
        }
    }

    /// The rows of all domains disappear.
    pub fn lose_all(&self) {
        let mut state = locked(&self.state);
        for number in 0..u32::try_from(state.domains.len()).unwrap_or(u32::MAX) {
            state.alter(number, |entry| entry.is_missing = true);
        }
    }

    /// Offers a feed from now on, which begins with the next change.
    pub fn begin_feed(&self) {
        let mut state = locked(&self.state);
        state.has_feed = true;
        state.feed.clear();
    }

    /// The database as it is now.
    pub fn backup(&self) -> Backup {
        Backup(locked(&self.state).clone())
    }

    /// Goes on from a backup. Cursors from before the restoration are unknown.
    pub fn restore(&self, backup: Backup) {
        let mut state = locked(&self.state);
        let life = state.life + 1;
        *state = State { life, ..backup.0 };
    }
}

impl State {
    /// Writes the row of a domain. One without a status keeps what it had.
    fn write(&mut self, number: u32, domain: CabinetDomain) {
        self.alter(number, |entry| {
            let status: Option<Status> = domain.status;
            entry.status = status.unwrap_or(entry.status);
            entry.version = u32::try_from(domain.version).unwrap_or(u32::MAX);
        });
        self.others.insert(number, domain);
    }
}
