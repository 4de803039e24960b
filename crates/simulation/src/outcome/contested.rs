//! The verdicts about names that two tenants claim.

use std::time::Duration;

use dps_domain::Status;

use super::{Verdict, by_status, grouped, none};
use crate::models::claims::Contest;
use crate::models::tally::Tally;
use crate::time::since;
use crate::world::World;

/// Domains that a verdict names at most.
const FEW: usize = 5;
/// Time that a claim has before the end to be proven and served.
const TO_PROVE: Duration = Duration::from_secs(3 * 24 * 3600);

pub(super) fn verdicts(world: &World) -> [Verdict; 2] {
    let claims = &world.claims;
    let [orders, deployed, served] =
        [&claims.orders, &claims.deployed, &claims.served].map(Tally::get);
    let left = unserved_owners(world);
    [
        none(
            "no name is ordered or served for a tenant that its DNS does not authorize",
            orders + deployed + served,
            "none was",
            &format!(
                "were: {orders} orders, {deployed} deployed, {served} served at the end of a day"
            ),
        ),
        none(
            "every owner of a contested name is served in the end",
            left.len() as u64,
            "all are",
            &format!("are not: {:?}", &left[..left.len().min(FEW)]),
        ),
    ]
}

/// The domains of owners of contested names that are not served.
fn unserved_owners(world: &World) -> Vec<u32> {
    let until = world.scenario.length().saturating_sub(TO_PROVE);
    let is_due = |contest: &&Contest| {
        let pointing = world.names.pointing_since(contest.name);
        let points = pointing.is_some_and(|at| since(at) <= until);
        contest.has_owner() && contest.claimed_at <= until && points
    };
    let owners = world
        .claims
        .all()
        .iter()
        .filter(is_due)
        .map(Contest::owners);
    let is_served = |domain: &u32| {
        world.cabinet.status(*domain) == Some(Status::Active) && world.edges.is_served(*domain)
    };
    owners.filter(|domain| !is_served(domain)).collect()
}

pub(super) fn figure(world: &World) -> String {
    let contests = world.claims.all();
    let statuses = contests.iter();
    let statuses: Vec<Option<Status>> = statuses
        .map(|contest| world.cabinet.status(contest.second))
        .collect();
    let of = |status| statuses.iter().filter(|one| **one == Some(status)).count();
    let counts = Status::ALL.map(|status| (status, of(status)));
    let number = grouped(contests.len() as u64);
    format!("{number}, of the second claims {}", by_status(&counts))
}
