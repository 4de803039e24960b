//! Bearer tokens that callers must show, with a count, a bounded log and a delay for wrong ones.
//!
//! A right token passes at once, since its caller may share an address with an attacker. The delay
//! of a wrong one grows with the number that its peer has shown. An IPv4 address is one peer; in
//! IPv6 a network of 64 bits is. A connection with a delayed answer is the first to be closed for a
//! new one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Extensions, HeaderMap};
use tokio::time::Instant;

use crate::bearer_token::shown_in;
use crate::http_server::{ClientAddress, ClientConnection, Peer};
use crate::log_throttle::{LogThrottle, lock};
use crate::{BearerToken, Secret};

/// Delay of the first wrong token of a peer; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// Longest delay of an answer to a wrong token.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// A peer that shows no wrong token for this time starts anew.
const FORGET_AFTER: Duration = Duration::from_secs(10 * 60);
/// Peers remembered at once. The one that has been quiet longest makes room for a new one.
const MAX_PEERS: usize = 1024;

/// Admits requests that show a token. `H` is the holder of a token.
#[derive(Debug)]
pub struct TokenGuard<H = ()> {
    /// The purpose of the tokens, for the log.
    name: &'static str,
    tokens: RwLock<Vec<(BearerToken, H)>>,
    refused: AtomicU64,
    peers: Mutex<Peers>,
}

impl TokenGuard {
    /// A guard that wants `token`; `name` says in the log what it is for.
    pub fn new(name: &'static str, token: &Secret) -> Self {
        Self::of_holders(name, [(token, ())])
    }

    /// Whether a request with these headers and extensions shows the token. Returns late if it does
    /// not.
    pub async fn admits(&self, headers: &HeaderMap, extensions: &Extensions) -> bool {
        self.holder(headers, extensions).await.is_some()
    }
}

impl<H: Clone> TokenGuard<H> {
    /// A guard that wants one of several tokens, each with its holder.
    pub fn of_holders<'a>(
        name: &'static str,
        tokens: impl IntoIterator<Item = (&'a Secret, H)>,
    ) -> Self {
        let guard = Self {
            name,
            tokens: RwLock::default(),
            refused: AtomicU64::new(0),
            peers: Mutex::default(),
        };
        guard.replace(tokens);
        guard
    }

    /// Wants these tokens from now on, and no others.
    pub fn replace<'a>(&self, tokens: impl IntoIterator<Item = (&'a Secret, H)>) {
        let tokens = tokens
            .into_iter()
            .map(|(token, holder)| (BearerToken::new(token), holder));
        let tokens = tokens.collect();
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// The holder of the token that a request with these headers and extensions shows. Returns late
    /// if it shows none that is wanted.
    pub async fn holder(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<H> {
        self.holder_of(shown_in(headers), extensions).await
    }

    /// The holder of a token that came otherwise than in a header. Returns late if it is not one
    /// that is wanted.
    pub async fn holder_of(&self, shown: Option<&[u8]>, extensions: &Extensions) -> Option<H> {
        let holder = shown.and_then(|shown| self.find(|token, _| token.is(shown)));
        if holder.is_some() {
            return holder;
        }
        let peer = extensions
            .get::<ClientAddress>()
            .map(|client| client.0.ip());
        let delay = self.refuse(peer);
        match extensions.get::<ClientConnection>() {
            Some(connection) => connection.delay_answer(delay).await,
            // The routes are called without a server, so no connection waits for the place.
            None => tokio::time::sleep(delay).await,
        }
        None
    }

    /// Seals a message with the token of the first holder for whom `is_wanted` holds. Every process
    /// with the same token makes and accepts the same seal. `None` without such a holder.
    pub fn seal(&self, is_wanted: impl Fn(&H) -> bool, message: &[u8]) -> Option<Vec<u8>> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let (token, _) = tokens.iter().find(|(_, holder)| is_wanted(holder))?;
        Some(token.seal(message).as_ref().to_vec())
    }

    /// The holder for whom `is_wanted` holds, if the seal of the message is by its present token.
    pub fn sealed_by(
        &self,
        is_wanted: impl Fn(&H) -> bool,
        message: &[u8],
        seal: &[u8],
    ) -> Option<H> {
        self.find(|token, holder| is_wanted(holder) && token.has_sealed(message, seal))
    }

    fn find(&self, is_wanted: impl Fn(&BearerToken, &H) -> bool) -> Option<H> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let mut tokens = tokens.iter();
        let found = tokens.find(|(token, holder)| is_wanted(token, holder));
        found.map(|(_, holder)| holder.clone())
    }

    /// Wrong tokens so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Counts and logs a wrong token; returns how long its answer is delayed.
    fn refuse(&self, peer: Option<IpAddr>) -> Duration {
        let total = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        let refusal = lock(&self.peers).refuse(peer.map(Peer::from), Instant::now());
        if refusal.log {
            tracing::warn!(
                token = self.name,
                ?peer,
                of_peer = refusal.of_peer,
                total,
                "token.refused"
            );
        }
        delay(refusal.of_peer)
    }
}

/// The consequence of a wrong token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refusal {
    /// Wrong tokens of this peer, this one included.
    of_peer: u32,
    /// Whether it is logged.
    log: bool,
}

#[derive(Debug, Default)]
struct Peers {
    wrong: HashMap<Option<Peer>, (u32, Instant)>,
    logged: LogThrottle,
}

impl Peers {
    fn refuse(&mut self, peer: Option<Peer>, now: Instant) -> Refusal {
        if !self.wrong.contains_key(&peer) && self.wrong.len() >= MAX_PEERS {
            self.make_room(now);
        }
        let (count, last) = self.wrong.entry(peer).or_insert((0, now));
        if now.duration_since(*last) >= FORGET_AFTER {
            *count = 0;
        }
        *count = count.saturating_add(1);
        *last = now;
        Refusal {
            of_peer: *count,
            log: self.logged.is_due(now).is_some(),
        }
    }

    fn make_room(&mut self, now: Instant) {
        self.wrong
            .retain(|_, (_, last)| now.duration_since(*last) < FORGET_AFTER);
        if self.wrong.len() < MAX_PEERS {
            return;
        }
        let quietest = self.wrong.iter().min_by_key(|(_, (_, last))| *last);
        if let Some(peer) = quietest.map(|(peer, _)| *peer) {
            self.wrong.remove(&peer);
        }
    }
}

/// The delay of the answer to a peer's `of_peer`th wrong token.
fn delay(of_peer: u32) -> Duration {
    FIRST_DELAY
        .saturating_mul(1 << of_peer.saturating_sub(1).min(16))
        .min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> Peer {
        Peer::from(IpAddr::from(std::net::Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn a_guessing_peer_waits_ever_longer_and_no_other_does() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        let mut waits = (0..10).map(|_| delay(peers.refuse(Some(peer(1)), now).of_peer));
        assert_eq!(waits.next(), Some(FIRST_DELAY));
        assert_eq!(waits.next(), Some(FIRST_DELAY * 2));
        assert_eq!(waits.last(), Some(MAX_DELAY));
        assert_eq!(peers.refuse(Some(peer(2)), now).of_peer, 1);
        assert_eq!(peers.refuse(Some(peer(1)), now + FORGET_AFTER).of_peer, 1);
        assert_eq!(delay(u32::MAX), MAX_DELAY);
    }

    #[test]
    fn any_number_of_peers_takes_bounded_room_and_few_log_lines() {
        let (mut peers, mut now, mut lines) = (Peers::default(), Instant::now(), 0);
        for number in 0..20_000 {
            lines += u32::from(peers.refuse(Some(peer(number)), now).log);
            now += Duration::from_millis(1);
        }
        assert_eq!(peers.wrong.len(), MAX_PEERS);
        assert_eq!(lines, 2, "20 seconds of guessing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_token_passes_at_once_however_much_its_peer_guessed() {
        let guard = TokenGuard::new("test", &Secret::from("0123456789abcdef"));
        let mut extensions = Extensions::new();
        extensions.insert(ClientAddress(([192, 0, 2, 1], 4711).into()));
        for _ in 0..100 {
            assert!(!guard.admits(&HeaderMap::new(), &extensions).await);
        }
        let started = Instant::now();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer 0123456789abcdef".parse().unwrap());
        assert!(guard.admits(&headers, &extensions).await);
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert_eq!(guard.refused(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn each_token_has_its_holder_until_others_replace_it() {
        let [first, second, third] = [
            "first-token-00000",
            "second-token-0000",
            "third-token-00000",
        ]
        .map(Secret::from);
        let guard = TokenGuard::of_holders("test", [(&first, "ann"), (&second, "bob")]);
        let holder = async |token: &Secret| {
            let mut headers = HeaderMap::new();
            let value = format!("Bearer {}", token.expose());
            headers.insert("authorization", value.parse().unwrap());
            guard.holder(&headers, &Extensions::new()).await
        };
        assert_eq!(holder(&first).await, Some("ann"));
        assert_eq!(holder(&second).await, Some("bob"));
        assert_eq!(holder(&third).await, None);
        guard.replace([(&third, "ann"), (&second, "bob")]);
        assert_eq!(holder(&first).await, None);
        assert_eq!(holder(&third).await, Some("ann"));
    }

    #[test]
    fn a_seal_ends_with_the_token_of_its_holder() {
        let [first, second] = ["first-token-00000", "second-token-0000"].map(Secret::from);
        let guard = TokenGuard::of_holders("test", [(&first, "ann"), (&second, "bob")]);
        let is_ann = |holder: &&str| *holder == "ann";
        let seal = guard.seal(is_ann, b"message").unwrap();
        assert_eq!(guard.sealed_by(is_ann, b"message", &seal), Some("ann"));
        assert_eq!(guard.sealed_by(is_ann, b"other", &seal), None);
        let is_bob = |holder: &&str| *holder == "bob";
        assert_eq!(guard.sealed_by(is_bob, b"message", &seal), None);
        assert_eq!(guard.seal(|holder| *holder == "eve", b"message"), None);
        // Another process with the same token accepts the seal; after a new token nobody does.
        let replica = TokenGuard::of_holders("test", [(&first, "ann")]);
        assert_eq!(replica.sealed_by(is_ann, b"message", &seal), Some("ann"));
        replica.replace([(&second, "ann")]);
        assert_eq!(replica.sealed_by(is_ann, b"message", &seal), None);
    }
}
