//! The challenges that are answered right now. In memory: the service publishes again what it still needs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dps_agent_api::ChallengeToken;
use tokio::time::Instant;

const MAX_KEY_AUTHORIZATION_BYTES: usize = 512;

/// Why a challenge is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChallengeError {
    #[error("a key authorization has 1 to 512 characters of visible ASCII")]
    KeyAuthorization,
    #[error("too many challenges are published already; withdraw those that are done")]
    Full,
}

/// Tokens with their key authorizations, bounded in number, size and time. The time is that which has passed, so that a clock which is
/// set right neither ends a challenge nor keeps it.
pub(crate) struct Challenges {
    answers: Mutex<HashMap<ChallengeToken, Answer>>,
    capacity: usize,
    ttl: Duration,
}

struct Answer {
    key_authorization: String,
    expires_at: Instant,
}

impl Challenges {
    pub(crate) fn new(capacity: usize, ttl: Duration) -> Self {
        Self {
            answers: Mutex::default(),
            capacity,
            ttl,
        }
    }

    /// Answers this token from now on, until its time is over.
    pub(crate) fn publish(
        &self,
        token: ChallengeToken,
        key_authorization: String,
        now: Instant,
    ) -> Result<(), ChallengeError> {
        let is_visible = key_authorization.bytes().all(|byte| byte.is_ascii_graphic());
        if key_authorization.is_empty()
            || key_authorization.len() > MAX_KEY_AUTHORIZATION_BYTES
            || !is_visible
        {
            return Err(ChallengeError::KeyAuthorization);
        }
        let mut answers = self.lock();
        if answers.len() >= self.capacity && !answers.contains_key(&token) {
            answers.retain(|_, answer| answer.expires_at > now);
            if answers.len() >= self.capacity {
                return Err(ChallengeError::Full);
            }
        }
        answers.insert(
            token,
            Answer {
                key_authorization,
                expires_at: now + self.ttl,
            },
        );
        Ok(())
    }

    /// Answers this token no more.
    pub(crate) fn withdraw(&self, token: &ChallengeToken) {
        self.lock().remove(token);
    }

    /// The key authorization, if the token is known. The look-up hashes with a secret key, so its time tells nothing about others.
    pub(crate) fn answer(&self, token: &ChallengeToken, now: Instant) -> Option<String> {
        let answers = self.lock();
        answers
            .get(token)
            .filter(|answer| answer.expires_at > now)
            .map(|answer| answer.key_authorization.clone())
    }

    /// How many are answered. Forgets those whose time is over.
    pub(crate) fn count(&self, now: Instant) -> usize {
        let mut answers = self.lock();
        answers.retain(|_, answer| answer.expires_at > now);
        answers.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChallengeToken, Answer>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves the map whole.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> ChallengeToken {
        ChallengeToken::parse(text).unwrap()
    }

    #[test]
    fn a_challenge_is_answered_until_it_is_withdrawn_or_its_time_is_over() {
        let noon = Instant::now();
        let challenges = Challenges::new(10, Duration::from_secs(60));
        challenges
            .publish(token("a"), "a.thumb".to_owned(), noon)
            .unwrap();
        assert_eq!(challenges.answer(&token("a"), noon).as_deref(), Some("a.thumb"));
        assert_eq!(challenges.answer(&token("b"), noon), None);
        assert_eq!(
            challenges.answer(&token("a"), noon + Duration::from_secs(60)),
            None
        );
        challenges.withdraw(&token("a"));
        assert_eq!(challenges.answer(&token("a"), noon), None);
    }

    #[test]
    fn memory_is_bounded_and_expired_challenges_make_room() {
        let noon = Instant::now();
        let challenges = Challenges::new(2, Duration::from_secs(60));
        challenges.publish(token("a"), "1".to_owned(), noon).unwrap();
        challenges.publish(token("b"), "2".to_owned(), noon).unwrap();
        challenges.publish(token("b"), "3".to_owned(), noon).unwrap();
        assert_eq!(
            challenges.publish(token("c"), "4".to_owned(), noon),
            Err(ChallengeError::Full)
        );
        let later = noon + Duration::from_secs(61);
        challenges.publish(token("c"), "4".to_owned(), later).unwrap();
        assert_eq!(challenges.count(later), 1);
    }

    #[test]
    fn a_key_authorization_is_visible_ascii_of_bounded_length() {
        let noon = Instant::now();
        let challenges = Challenges::new(2, Duration::from_secs(60));
        for bad in ["", "a b", "a\r\nx: y", "ä", &"x".repeat(513)] {
            let verdict = challenges.publish(token("a"), bad.to_owned(), noon);
            assert_eq!(verdict, Err(ChallengeError::KeyAuthorization), "{bad:?}");
        }
    }
}
