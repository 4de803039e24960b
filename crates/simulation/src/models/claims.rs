//! Names that two tenants claim, and the claim that DNS and Cabinet authorize at any time.
//!
//! The rules are the contract's, applied to what customers do. They share no code with the service,
//! which must find the same claim by itself.

mod contest;

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use dps_application::ports::store::{NewCertificate, StoredOrder};
use dps_domain::Timestamp;
use rustc_hash::FxHashMap;

use crate::memory_store::Witness;
use crate::models::names::{self, TARGET};
use crate::models::tally::{Tally, locked};
use crate::time::TrueTime;

pub use contest::{Contest, Side, draw};

/// Suffix of the targets that belong to one domain each.
pub const OWN_TARGETS: &str = "own.platform.net";

/// Time after a name changed hands in which the claim that lost it may still be ordered and served.
/// The service must notice, and replace the served certificate.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// The claims of all contested names.
#[derive(Debug)]
pub struct Claims {
    /// Orders for a claim that was not authorized.
    pub orders: Tally,
    /// Certificates of such a claim that an edge was sent.
    pub deployed: Tally,
    /// Days on which an edge served the certificate of such a claim, for each name.
    pub served: Tally,
    contests: Vec<Contest>,
    /// The places of contests by the domains of both claims.
    places: FxHashMap<u32, usize>,
    quarantine: Duration,
    time: TrueTime,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// For each contest, in the same order.
    hands: Vec<Hands>,
    /// The domains of certificates for contested names, by serial.
    issued: FxHashMap<u64, u32>,
}

/// The claim that has a name.
#[derive(Debug, Clone, Copy)]
struct Hands {
    /// Its domain; `None` once it was removed.
    holder: Option<u32>,
    /// The claim before it, and when that ended.
    former: Option<(u32, Timestamp)>,
    /// Whether the DNS names the holder, by a TXT record or by its own target.
    is_named: bool,
}

impl Claims {
    /// The claims of these names. A removed name is kept for its tenant for `quarantine`.
    pub fn new(contests: Vec<Contest>, quarantine: Duration, time: TrueTime) -> Self {
        let places = contests.iter().enumerate();
        let places = places.flat_map(|(place, one)| [(one.name, place), (one.second, place)]);
        let hands = contests.iter().map(|contest| Hands {
            holder: Some(contest.name),
            former: None,
            is_named: contest.has_own_targets,
        });
        Self {
            orders: Tally::default(),
            deployed: Tally::default(),
            served: Tally::default(),
            places: places.collect(),
            quarantine,
            time,
            state: Mutex::new(State {
                hands: hands.collect(),
                issued: FxHashMap::default(),
            }),
            contests,
        }
    }

    /// No name is contested.
    pub fn none(time: TrueTime) -> Self {
        Self::new(vec![], Duration::ZERO, time)
    }

    /// All contests.
    pub fn all(&self) -> &[Contest] {
        &self.contests
    }

    /// The contest in which a domain is one of the claims.
    pub fn contest_of(&self, domain: u32) -> Option<&Contest> {
        self.contests.get(*self.places.get(&domain)?)
    }

    /// The number of the name that a domain is for.
    pub fn name_of(&self, domain: u32) -> u32 {
        self.contest_of(domain).map_or(domain, |one| one.name)
    }

    /// The target that the Cabinet gives a domain.
    pub fn target_of(&self, domain: u32) -> String {
        let contest = self.contest_of(domain);
        if contest.is_some_and(|contest| contest.has_own_targets) {
            format!("d{domain}.{OWN_TARGETS}")
        } else {
            TARGET.to_owned()
        }
    }

    /// The target that the name's CNAME record names, while it points at us.
    pub fn target_in_dns(&self, name: u32) -> String {
        let named = self.contest_of(name).map_or(name, |contest| {
            let moved = contest.owner == Side::Second && self.holder(name) == Some(contest.second);
            if moved { contest.second } else { name }
        });
        self.target_of(named)
    }

    fn holder(&self, name: u32) -> Option<u32> {
        let place = *self.places.get(&name)?;
        self.state().hands.get(place)?.holder
    }

    /// The DNS of the name names this claim from now on.
    pub fn name_in_dns(&self, domain: u32) {
        self.pass(domain, Some(domain));
    }

    /// The first tenant removes its domain.
    pub fn remove(&self, domain: u32) {
        self.pass(domain, None);
    }

    fn pass(&self, domain: u32, to: Option<u32>) {
        let now = self.time.now();
        let place = self.places.get(&domain).copied();
        let mut state = self.state();
        let Some(hands) = place.and_then(|place| state.hands.get_mut(place)) else {
            return;
        };
        // A removed domain leaves its DNS records behind.
        hands.is_named |= to.is_some();
        if hands.holder != to {
            hands.former = hands.holder.map(|holder| (holder, now)).or(hands.former);
            hands.holder = to;
        }
    }

    /// Whether the name of a claim was removed, or went over to the other claim.
    pub fn has_changed_hands(&self, name: u32) -> bool {
        let place = self.places.get(&name).copied();
        let state = self.state();
        let hands = place.and_then(|place| state.hands.get(place));
        hands.is_some_and(|hands| hands.former.is_some())
    }

    /// Whether a domain may be ordered and served at this time.
    fn is_authorized(&self, state: &State, domain: u32) -> bool {
        let Some(place) = self.places.get(&domain).copied() else {
            return true;
        };
        let (Some(hands), now) = (state.hands.get(place), self.time.now()) else {
            return true;
        };
        if hands.holder == Some(domain) {
            return true;
        }
        match hands.former {
            Some((former, until)) if former == domain => now.since(until) <= GRACE,
            // A removed name is free after the quarantine, unless its DNS still names a claim.
            Some((_, removed_at)) if hands.holder.is_none() && !hands.is_named => {
                now.since(removed_at) >= self.quarantine
            }
            Some(_) | None => false,
        }
    }

    /// An edge is sent the certificate with this serial.
    pub fn note_deployed(&self, serial: u64) {
        if !self.contests.is_empty() && !self.may_serve(serial) {
            self.deployed.count();
        }
    }

    /// Counts the name if the certificate that an edge serves for it is of a claim that is not
    /// authorized.
    pub fn note_served(&self, serial: u64) {
        if !self.may_serve(serial) {
            self.served.count();
        }
    }

    fn may_serve(&self, serial: u64) -> bool {
        let state = self.state();
        let domain = state.issued.get(&serial);
        domain.is_none_or(|domain| self.is_authorized(&state, *domain))
    }

    /// Whether the certificate with this serial was issued for the domain.
    pub fn is_of(&self, serial: u64, domain: u32) -> bool {
        self.state().issued.get(&serial) == Some(&domain)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

impl Witness for Claims {
    fn order_stored(&self, order: &StoredOrder) {
        let domain = names::number_of_id(order.domain_id);
        let domain = domain.filter(|domain| self.places.contains_key(domain));
        if domain.is_some_and(|domain| !self.is_authorized(&self.state(), domain)) {
            self.orders.count();
        }
    }

    fn certificate_stored(&self, certificate: &NewCertificate) {
        let domain = names::number_of_id(certificate.domain_id);
        let domain = domain.filter(|domain| self.places.contains_key(domain));
        let serial = certificate.details.fingerprint.parse();
        if let (Some(domain), Ok(serial)) = (domain, serial) {
            self.state().issued.insert(serial, domain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WorldTime;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn contest(owner: Side, has_own_targets: bool) -> Contest {
        Contest {
            name: 3,
            second: 9,
            owner,
            has_own_targets,
            removed_at: None,
            claimed_at: Duration::ZERO,
        }
    }

    fn claims(contest: Contest) -> Claims {
        let time = TrueTime::from(WorldTime::begin());
        Claims::new(vec![contest], 30 * DAY, time)
    }

    fn authorized(claims: &Claims) -> [bool; 2] {
        let state = claims.state();
        [3, 9].map(|domain| claims.is_authorized(&state, domain))
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_goes_over_when_its_dns_names_the_other_claim_and_the_loser_has_a_day() {
        let claims = claims(contest(Side::Second, true));
        assert_eq!(authorized(&claims), [true, false]);
        assert_eq!(claims.target_in_dns(3), "d3.own.platform.net");
        claims.name_in_dns(9);
        assert_eq!(claims.target_in_dns(3), "d9.own.platform.net");
        assert_eq!(authorized(&claims), [true, true]);
        tokio::time::sleep(2 * DAY).await;
        assert_eq!(authorized(&claims), [false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_removed_name_is_free_after_the_quarantine_unless_its_dns_names_the_last_claim() {
        for (has_own_targets, is_proven, is_free) in [
            (false, false, true),
            (false, true, false),
            (true, false, false),
        ] {
            let claims = claims(contest(Side::First, has_own_targets));
            if is_proven {
                claims.name_in_dns(3);
            }
            claims.remove(3);
            tokio::time::sleep(29 * DAY).await;
            assert_eq!(authorized(&claims), [false, false]);
            tokio::time::sleep(2 * DAY).await;
            assert_eq!(authorized(&claims), [false, is_free]);
            assert!(claims.has_changed_hands(3));
        }
    }
}
