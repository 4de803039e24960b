//! The Cabinet's database.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use dps_application::ports::cabinet::{CabinetDomain, CabinetError, CabinetFault};
use dps_domain::{Status, Timestamp};

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) domains: Vec<Entry>,
    /// Domains of the first claims, which are numbered from 0.
    pub(super) added: u32,
    /// Domains whose tenant, name or target are not those of their number.
    pub(super) others: BTreeMap<u32, CabinetDomain>,
    pub(super) has_feed: bool,
    /// Numbers of domains in the order of their changes; only the last of each counts.
    pub(super) feed: Vec<u32>,
    pub(super) by_status: BTreeSet<(Status, u32)>,
    /// Values of TXT records that customers have not read yet.
    pub(super) proofs: BTreeMap<u32, String>,
    /// How often it was restored from a backup; cursors of another life are unknown.
    pub(super) life: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) status: Status,
    pub(super) is_missing: bool,
    pub(super) version: u32,
    /// Its last place in the feed.
    pub(super) place: u32,
    pub(super) not_after: Option<Timestamp>,
}

impl Entry {
    /// A domain that was never added.
    const MISSING: Self = Self {
        status: Status::PendingDns,
        is_missing: true,
        version: 0,
        place: 0,
        not_after: None,
    };
}

impl State {
    pub(super) fn entry(&self, number: u32) -> Option<Entry> {
        let entry = self.domains.get(number as usize).copied();
        entry.filter(|entry| !entry.is_missing)
    }

    /// The domain with this number, after what `alter` does to it.
    pub(super) fn alter(&mut self, number: u32, alter: impl FnOnce(&mut Entry)) {
        let index = number as usize;
        if index >= self.domains.len() {
            self.domains.resize(index + 1, Entry::MISSING);
        }
        let entry = &mut self.domains[index];
        self.by_status.remove(&(entry.status, number));
        alter(entry);
        if !entry.is_missing {
            self.by_status.insert((entry.status, number));
        }
    }

    /// A customer adds a domain.
    pub(super) fn add(&mut self, number: u32) {
        self.alter(number, |entry| entry.is_missing = false);
        self.change(number, Status::PendingDns, true);
    }

    /// Puts a domain at the end of the feed.
    pub(super) fn list(&mut self, number: u32) {
        let place = u32::try_from(self.feed.len()).unwrap_or(u32::MAX);
        self.domains[number as usize].place = place;
        self.feed.push(number);
    }

    pub(super) fn change(&mut self, number: u32, status: Status, is_listed: bool) {
        self.alter(number, |entry| {
            entry.status = status;
            entry.version += 1;
        });
        if is_listed {
            self.list(number);
        }
    }

    pub(super) fn cursor(&self, place: impl Display) -> String {
        format!("{}:{place}", self.life)
    }

    /// The place in feed or list that a cursor stands for.
    pub(super) fn place<T: FromStr + Default>(
        &self,
        cursor: Option<&str>,
    ) -> Result<T, CabinetError> {
        let Some(cursor) = cursor else {
            return Ok(T::default());
        };
        let known = cursor.split_once(':').and_then(|(life, place)| {
            let is_ours = life.parse() == Ok(self.life);
            place.parse().ok().filter(|_| is_ours)
        });
        known.ok_or_else(|| CabinetError {
            fault: CabinetFault::CursorUnknown,
            detail: "unknown cursor".into(),
            retry_after: None,
        })
    }
}
