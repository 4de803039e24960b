//! Certificates that ended while they were served, and how long the others are valid.

use std::collections::BTreeSet;

use super::expiries::HOUR;
use super::{EdgeFleet, EdgeModel, Served};
use crate::models::tally::locked;

impl EdgeFleet {
    /// Counts certificates that ended while they were served for a name that points at us. Call it
    /// every hour: a later call misses a name that left or was removed after the end.
    pub fn expired_while_served(&self) -> u64 {
        let now = self.time.now().unix_micros();
        let ended: Vec<(u32, u64)> = {
            let mut expiries = locked(&self.expiries);
            let later = expiries.by_hour.split_off(&(now / HOUR));
            let ended = std::mem::replace(&mut expiries.by_hour, later);
            ended.into_values().flatten().collect()
        };
        for (number, serial) in ended
            .into_iter()
            .filter(|(number, _)| self.is_ours(*number))
        {
            for edge in &self.edges {
                let mut state = locked(&edge.state);
                let served = state.served.get_mut(number);
                if served.serial == serial && !served.is_seen_expired {
                    served.is_seen_expired = true;
                    locked(&self.expiries).expired_while_served += 1;
                }
            }
        }
        locked(&self.expiries).expired_while_served
    }

    /// Counts certificates that an edge holds although they ended more than a day ago, wherever the
    /// name points.
    pub fn held_after_their_end(&self) -> u64 {
        let latest = self.time.now().unix_micros() - 24 * HOUR;
        let has_ended = |served: &&Served| served.serial != 0 && served.not_after < latest;
        let count = |edge: &EdgeModel| locked(&edge.state).served.iter().filter(has_ended).count();
        self.edges.iter().map(|edge| count(edge) as u64).sum()
    }

    /// Notes the certificates that are served for contested names. Call it once a day.
    pub fn note_contested(&self) {
        let claims = &self.names.claims;
        for contest in claims.all() {
            let edges = 0..self.edges.len();
            let served = edges.filter_map(|edge| self.served(edge, contest.name));
            let serials: BTreeSet<u64> = served.map(|served| served.serial).collect();
            for serial in serials {
                claims.note_served(serial);
            }
        }
    }

    /// Whether every edge serves a certificate of this domain for its name.
    pub fn is_served(&self, domain: u32) -> bool {
        let claims = &self.names.claims;
        let name = claims.name_of(domain);
        let mut edges = (0..self.edges.len()).map(|edge| self.served(edge, name));
        edges.all(|served| served.is_some_and(|served| claims.is_of(served.serial, domain)))
    }

    /// Sets whether a name points at us and therefore counts as served.
    pub fn count(&self, number: u32, counts: bool) {
        let mut state = locked(&self.edges[0].state);
        let served = state.served.get_mut(number);
        if served.serial == 0 || served.is_counted == counts {
            return;
        }
        served.is_counted = counts;
        let hour = served.not_after / HOUR;
        drop(state);
        locked(&self.expiries).serve(hour, counts);
    }

    /// Remaining validity in hours of the certificates on the first edge, at these ranks. Rank 0 is
    /// the first certificate to end, 1 the last. `None` while nothing is served.
    pub fn remaining_hours(&self, ranks: [f64; 3]) -> Option<[i64; 3]> {
        let now = self.time.now().unix_micros() / HOUR;
        let expiries = locked(&self.expiries);
        let total: u32 = expiries.serving_until.values().sum();
        if total == 0 {
            return None;
        }
        Some(ranks.map(|rank| {
            let wanted = rank * f64::from(total - 1);
            let mut seen = 0;
            let hour = expiries.serving_until.iter().find(|(_, count)| {
                seen += **count;
                f64::from(seen) > wanted
            });
            hour.map_or(0, |(hour, _)| hour - now)
        }))
    }

    /// Domains that the first edge serves and that point at us.
    pub fn served_domains(&self) -> u32 {
        locked(&self.expiries).serving_until.values().sum()
    }
}
