//! Anti-replay nonces (RFC 8555 §6.5), recycled from every answer.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dps_domain::Timestamp;
use http::HeaderValue;

/// More are not worth keeping: a few dozen requests at a time are under way at most.
const MOST: usize = 64;
/// CAs forget nonces after minutes to hours; one that is refused costs two requests, a fresh one
/// costs one.
const LIFETIME: Duration = Duration::from_secs(300);

/// Nonces that the CA sent with its answers, newest used first.
#[derive(Default)]
pub(super) struct NoncePool(Mutex<VecDeque<(HeaderValue, Timestamp)>>);

impl NoncePool {
    /// Keeps a nonce for the next request.
    pub(super) fn give(&self, nonce: HeaderValue, now: Timestamp) {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() == MOST {
            pool.pop_front();
        }
        pool.push_back((nonce, now));
    }

    /// The newest nonce that is young enough; older ones are dropped.
    pub(super) fn take(&self, now: Timestamp) -> Option<HeaderValue> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (nonce, given_at) = pool.pop_back()?;
        if now.since(given_at) > LIFETIME {
            pool.clear();
            return None;
        }
        Some(nonce)
    }

    /// Forgets all: the CA refused one, so it may have forgotten the others as well.
    pub(super) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_nonce_is_used_first_and_old_ones_never() {
        let (pool, start) = (NoncePool::default(), Timestamp::from_unix_seconds(1_000));
        pool.give(HeaderValue::from_static("old"), start);
        let later = start + LIFETIME;
        pool.give(HeaderValue::from_static("new"), later);
        assert_eq!(pool.take(later), Some(HeaderValue::from_static("new")));
        assert_eq!(pool.take(later + Duration::from_secs(1)), None);
        assert_eq!(pool.take(start), None, "what was too old is dropped");
    }

    #[test]
    fn the_pool_stays_small_by_dropping_the_oldest() {
        let (pool, now) = (NoncePool::default(), Timestamp::EPOCH);
        for number in 0..=MOST {
            pool.give(HeaderValue::from(number), now);
        }
        let drained: Vec<_> = std::iter::from_fn(|| pool.take(now)).collect();
        assert_eq!(drained.len(), MOST);
        assert!(!drained.contains(&HeaderValue::from(0)));
    }
}
