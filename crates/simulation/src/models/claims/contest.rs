//! The contests of a scenario.

use std::time::Duration;

use crate::scenario::Scenario;
use crate::time::Seeded;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// One of two claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The claim that was there first.
    First,
    /// The claim of the second tenant.
    Second,
}

/// A name that two tenants claim. Its number is the domain of the first claim, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contest {
    /// The name.
    pub name: u32,
    /// The domain of the second claim.
    pub second: u32,
    /// The tenant that can change the name's DNS and proves its claim when it is asked.
    pub owner: Side,
    /// Whether each claim has a target of its own. Otherwise both have the platform's.
    pub has_own_targets: bool,
    /// When the first tenant removes its domain, before the second claim.
    pub removed_at: Option<Duration>,
    /// When the second tenant claims the name.
    pub claimed_at: Duration,
}

impl Contest {
    /// The side of a domain, which is one of the two claims.
    pub fn side_of(&self, domain: u32) -> Side {
        if domain == self.second {
            Side::Second
        } else {
            Side::First
        }
    }

    /// The domain of the owner's claim.
    pub fn owners(&self) -> u32 {
        match self.owner {
            Side::First => self.name,
            Side::Second => self.second,
        }
    }

    /// The domain of the other claim.
    pub fn strangers(&self) -> u32 {
        match self.owner {
            Side::First => self.second,
            Side::Second => self.name,
        }
    }

    /// Whether the owner still wants the name in the end.
    pub fn has_owner(&self) -> bool {
        self.owner == Side::Second || self.removed_at.is_none()
    }
}

/// Draws the contests of a scenario, in the order of their names. A removed name is kept for its
/// tenant for `quarantine`.
pub fn draw(scenario: &Scenario, quarantine: Duration, draws: &Seeded) -> Vec<Contest> {
    let customers = &scenario.customers;
    if customers.contested <= 0.0 {
        return vec![];
    }
    let names = (0..scenario.domains).filter(|_| draws.chance(customers.contested));
    let names: Vec<u32> = names.collect();
    let contest = |(name, second): (u32, u32)| {
        let first = customers.contested_from.get() + draws.within(customers.contested_over.get());
        let is_seconds = draws.chance(0.5);
        let has_own_targets = draws.chance(0.5);
        let is_removed = draws.chance(0.25);
        let later = if draws.chance(0.5) {
            draws.within(quarantine)
        } else {
            quarantine + DAY + draws.within(7 * DAY)
        };
        Contest {
            name,
            second,
            owner: if is_seconds {
                Side::Second
            } else {
                Side::First
            },
            has_own_targets,
            removed_at: is_removed.then_some(first),
            claimed_at: if is_removed { first + later } else { first },
        }
    };
    names
        .into_iter()
        .zip(scenario.domains..)
        .map(contest)
        .collect()
}
