//! The open connections of a listener, and the choice of the one that makes room for a newcomer.
//!
//! A newcomer never waits for idle connections: at a bound, the connection that has
//! been waiting longest for its client is closed. Connections with a request under way are never
//! closed for a newcomer. One whose answer is only delayed is closed before any other of its peer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use tokio_util::sync::CancellationToken;

/// The peer's limit divided by its usual number of idle connections; a browser opens about six at
/// once.
const USUAL_SHARE: usize = 4;

/// The bounds of a listener, in connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) total: usize,
    pub(super) per_peer: usize,
    pub(super) unproven: usize,
    pub(super) unproven_per_peer: usize,
}

/// A client: an IPv4 address, or the first 64 bits of an IPv6 address, since a host commonly has a
/// network of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                Self(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into())
            }
        }
    }
}

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Neither a TLS handshake nor the head of a request has been completed yet.
    Unproven,
    /// Between two requests.
    Idle,
    /// A request is under way.
    Busy,
    /// The answer to a wrong token is delayed.
    Delayed,
}

#[derive(Debug)]
struct Connection {
    peer: Peer,
    stage: Stage,
    /// Position in the order in which connections began to wait.
    waiting_since: u64,
    /// Cancelled when the connection must make room.
    evicted: CancellationToken,
}

impl Connection {
    fn counts(&self) -> bool {
        !self.evicted.is_cancelled()
    }

    fn is_waiting(&self) -> bool {
        self.stage != Stage::Busy
    }

    fn is_unproven(&self) -> bool {
        self.stage == Stage::Unproven
    }
}

/// A connection that was let in.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) id: u64,
    pub(super) evicted: CancellationToken,
    /// Whether another connection was closed for this one.
    pub(super) made_room: bool,
}

/// All connections of a listener. Those that were evicted stay until their tasks have ended, but no
/// longer count.
#[derive(Debug)]
pub(super) struct Register {
    bounds: Bounds,
    clock: u64,
    open: BTreeMap<u64, Connection>,
}

impl Register {
    pub(super) const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            clock: 0,
            open: BTreeMap::new(),
        }
    }

    /// Lets a connection in, and evicts another where a bound is met. `None` when the peer has as
    /// many requests under way as it may have connections.
    pub(super) fn admit(&mut self, peer: Peer) -> Option<Admitted> {
        let of_peer = |connection: &Connection| connection.peer == peer;
        let mut made_room = false;
        if self.count(|one| of_peer(one) && one.is_unproven()) >= self.bounds.unproven_per_peer {
            made_room = self.evict(|one| of_peer(one) && one.is_unproven());
        } else if self.count(of_peer) >= self.bounds.per_peer {
            made_room = self.evict(|one| of_peer(one) && one.is_waiting());
            if !made_room {
                return None;
            }
        } else if self.count(Connection::is_unproven) >= self.bounds.unproven {
            // A count that honest clients reach too says nothing: age decides among such peers.
            let usual = self.bounds.unproven_per_peer / USUAL_SHARE;
            made_room = self.evict_of_largest_peer(Connection::is_unproven, usual);
        }
        // Before the newcomer is in, so that it does not evict itself.
        if self.count(|_| true) + 1 >= self.bounds.total {
            made_room |= self.evict_of_largest_peer(Connection::is_waiting, 0);
        }
        self.clock += 1;
        let evicted = CancellationToken::new();
        let connection = Connection {
            peer,
            stage: Stage::Unproven,
            waiting_since: self.clock,
            evicted: evicted.clone(),
        };
        self.open.insert(self.clock, connection);
        Some(Admitted {
            id: self.clock,
            evicted,
            made_room,
        })
    }

    /// Notes what a connection is doing now.
    pub(super) fn set_stage(&mut self, id: u64, stage: Stage) {
        self.clock += 1;
        if let Some(connection) = self.open.get_mut(&id) {
            connection.stage = stage;
            connection.waiting_since = self.clock;
        }
        // While all were busy, nothing could make room for who waits in the kernel's queue.
        if stage != Stage::Busy && self.count(|_| true) >= self.bounds.total {
            self.evict_of_largest_peer(Connection::is_waiting, 0);
        }
    }

    pub(super) fn stage(&self, id: u64) -> Option<Stage> {
        self.open.get(&id).map(|connection| connection.stage)
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.open.remove(&id);
    }

    fn count(&self, which: impl Fn(&Connection) -> bool) -> usize {
        let counted = self.open.values().filter(|one| one.counts() && which(one));
        counted.count()
    }

    /// Evicts the connection that has been waiting longest among these, one with a delayed answer
    /// before all others; whether there was one.
    fn evict(&self, which: impl Fn(&Connection) -> bool) -> bool {
        let counted = self.open.values().filter(|one| one.counts() && which(one));
        let first = counted.min_by_key(|one| (one.stage != Stage::Delayed, one.waiting_since));
        first.inspect(|one| one.evicted.cancel()).is_some()
    }

    /// As [`Self::evict`], among those of the peer that has most of them. Peers with at most
    /// `usual` of them have equally many. Among equals it is the peer whose connection has been
    /// waiting longest: a newcomer has had no time to speak yet.
    fn evict_of_largest_peer(&self, which: impl Fn(&Connection) -> bool, usual: usize) -> bool {
        let mut peers: HashMap<Peer, (usize, u64)> = HashMap::new();
        for one in self.open.values().filter(|one| one.counts() && which(one)) {
            let (count, oldest) = peers.entry(one.peer).or_insert((0, one.waiting_since));
            *count += 1;
            *oldest = one.waiting_since.min(*oldest);
        }
        let rank = |(count, oldest): (usize, u64)| (count.max(usual), Reverse(oldest));
        let largest = peers.into_iter().max_by_key(|(_, held)| rank(*held));
        largest.is_some_and(|(peer, _)| self.evict(|one| one.peer == peer && which(one)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        total: 10,
        per_peer: 6,
        unproven: 5,
        unproven_per_peer: 3,
    };

    fn peer(last: u8) -> Peer {
        Peer::from(IpAddr::from([192, 0, 2, last]))
    }

    fn admit(register: &mut Register, last: u8, stage: Stage) -> Admitted {
        let admitted = register.admit(peer(last)).unwrap();
        if stage != Stage::Unproven {
            register.set_stage(admitted.id, stage);
        }
        admitted
    }

    #[test]
    fn the_oldest_idle_connection_of_a_peer_makes_room_for_its_next() {
        let mut register = Register::new(BOUNDS);
        let first = admit(&mut register, 1, Stage::Unproven);
        let others = [(); 2].map(|()| admit(&mut register, 1, Stage::Unproven));
        let of_another = admit(&mut register, 2, Stage::Unproven);
        assert!(admit(&mut register, 1, Stage::Unproven).made_room);
        assert!(first.evicted.is_cancelled());
        let kept = others.iter().chain([&of_another]);
        assert!(kept.into_iter().all(|one| !one.evicted.is_cancelled()));
    }

    #[test]
    fn the_peer_with_most_idle_connections_makes_room_when_the_pool_is_full() {
        let mut register = Register::new(BOUNDS);
        let few = admit(&mut register, 1, Stage::Unproven);
        let many = [(); 3].map(|()| admit(&mut register, 2, Stage::Unproven));
        admit(&mut register, 3, Stage::Unproven);
        assert!(admit(&mut register, 4, Stage::Unproven).made_room);
        assert!(many[0].evicted.is_cancelled() && !few.evicted.is_cancelled());
    }

    #[test]
    fn among_peers_with_equally_many_the_connection_that_waits_longest_makes_room() {
        for newcomer in [0, 255] {
            let mut register = Register::new(BOUNDS);
            let idle = [11, 12, 13, 14].map(|last| admit(&mut register, last, Stage::Unproven));
            let newest = admit(&mut register, newcomer, Stage::Unproven);
            for (last, oldest) in (20..).zip(&idle) {
                assert!(admit(&mut register, last, Stage::Unproven).made_room);
                assert!(oldest.evicted.is_cancelled() && !newest.evicted.is_cancelled());
            }
        }
    }

    #[test]
    fn a_few_connections_of_one_peer_go_no_sooner_than_one_of_another() {
        let mut register = Register::new(Bounds {
            unproven_per_peer: 12,
            ..BOUNDS
        });
        let idle = [11, 12].map(|last| admit(&mut register, last, Stage::Unproven));
        let usual = [(); 3].map(|()| admit(&mut register, 1, Stage::Unproven));
        for (last, oldest) in (20..).zip(&idle) {
            assert!(admit(&mut register, last, Stage::Unproven).made_room);
            assert!(oldest.evicted.is_cancelled());
        }
        assert!(usual.iter().all(|one| !one.evicted.is_cancelled()));
    }

    #[test]
    fn a_connection_with_a_delayed_answer_makes_room_before_an_idle_one() {
        let mut register = Register::new(BOUNDS);
        let idle = admit(&mut register, 1, Stage::Idle);
        let delayed = [(); 5].map(|()| admit(&mut register, 1, Stage::Delayed));
        assert!(admit(&mut register, 1, Stage::Unproven).made_room);
        assert!(delayed[0].evicted.is_cancelled() && !idle.evicted.is_cancelled());
    }

    #[test]
    fn a_request_under_way_is_never_given_up_for_a_newcomer() {
        let mut register = Register::new(BOUNDS);
        let busy = [(); 6].map(|()| admit(&mut register, 1, Stage::Busy));
        assert!(
            register.admit(peer(1)).is_none(),
            "all that this peer may have"
        );
        register.set_stage(busy[3].id, Stage::Idle);
        assert!(admit(&mut register, 1, Stage::Unproven).made_room);
        assert!(busy[3].evicted.is_cancelled());
        let kept = busy.iter().filter(|one| !one.evicted.is_cancelled());
        assert_eq!(kept.count(), 5);
    }

    #[test]
    fn a_full_listener_frees_a_place_as_soon_as_somebody_waits() {
        let mut register = Register::new(BOUNDS);
        let ids = (0..10).map(|number| admit(&mut register, number % 2, Stage::Busy));
        let all: Vec<Admitted> = ids.collect();
        assert!(all.iter().all(|one| !one.evicted.is_cancelled()));
        register.set_stage(all[7].id, Stage::Idle);
        assert!(all[7].evicted.is_cancelled());
    }

    #[test]
    fn an_evicted_connection_no_longer_counts() {
        let mut register = Register::new(BOUNDS);
        for _ in 0..20 {
            admit(&mut register, 1, Stage::Unproven);
        }
        assert_eq!(register.count(|_| true), 3);
        let ids: Vec<u64> = register.open.keys().copied().collect();
        for id in ids {
            register.remove(id);
        }
        assert_eq!(register.stage(1), None);
        assert!(!admit(&mut register, 1, Stage::Unproven).made_room);
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_a_network_of_64_bits() {
        let same = |one: &str, other: &str| {
            let of = |text: &str| Peer::from(text.parse::<IpAddr>().unwrap());
            of(one) == of(other)
        };
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
