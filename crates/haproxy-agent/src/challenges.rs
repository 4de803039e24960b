//! The challenges that are answered right now. Challenges are kept on the disk too, and answered
//! again after a restart.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dps_agent_api::ChallengeToken;
use tokio::time::Instant;

const MAX_KEY_AUTHORIZATION_BYTES: usize = 512;

/// Why a challenge is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChallengeError {
    #[error("a key authorization must have 1 to 512 visible ASCII characters")]
    KeyAuthorization,
    #[error("too many challenges are published; withdraw those that are finished")]
    Full,
}

/// Tokens with their key authorizations, bounded in number, size and time. The time is that which
/// has passed, so that a clock which is set right neither ends a challenge nor keeps it.
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

    /// Answers again what was answered before a restart, each for its remaining time.
    pub(crate) fn restore(
        &self,
        token: ChallengeToken,
        key_authorization: String,
        expires_at: Instant,
    ) {
        let mut answers = self.lock();
        if is_usable(&key_authorization) && answers.len() < self.capacity {
            answers.insert(
                token,
                Answer {
                    key_authorization,
                    expires_at,
                },
            );
        }
    }

    /// How long a challenge is answered.
    pub(crate) const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Answers this token from now on, until its time is over. Returns the tokens whose time is
    /// over.
    pub(crate) fn publish(
        &self,
        token: ChallengeToken,
        key_authorization: String,
        now: Instant,
    ) -> Result<Vec<ChallengeToken>, ChallengeError> {
        if !is_usable(&key_authorization) {
            return Err(ChallengeError::KeyAuthorization);
        }
        let mut answers = self.lock();
        let over = answers
            .extract_if(|_, answer| answer.expires_at <= now)
            .map(|(token, _)| token)
            .filter(|over| *over != token)
            .collect();
        if answers.len() >= self.capacity && !answers.contains_key(&token) {
            return Err(ChallengeError::Full);
        }
        answers.insert(
            token,
            Answer {
                key_authorization,
                expires_at: now + self.ttl,
            },
        );
        Ok(over)
    }

    /// Answers this token no more.
    pub(crate) fn withdraw(&self, token: &ChallengeToken) {
        self.lock().remove(token);
    }

    /// The key authorization, if the token is known. The look-up hashes with a secret key, so its
    /// time reveals nothing about others.
    pub(crate) fn answer(&self, token: &ChallengeToken, now: Instant) -> Option<String> {
        let answers = self.lock();
        answers
            .get(token)
            .filter(|answer| answer.expires_at > now)
            .map(|answer| answer.key_authorization.clone())
    }

    /// How many are answered.
    pub(crate) fn count(&self, now: Instant) -> usize {
        let answers = self.lock();
        answers
            .values()
            .filter(|answer| answer.expires_at > now)
            .count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChallengeToken, Answer>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves the map whole.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_usable(key_authorization: &str) -> bool {
    (1..=MAX_KEY_AUTHORIZATION_BYTES).contains(&key_authorization.len())
        && key_authorization
            .bytes()
            .all(|byte| byte.is_ascii_graphic())
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
        assert_eq!(
            challenges.answer(&token("a"), noon).as_deref(),
            Some("a.thumb")
        );
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
        challenges
            .publish(token("a"), "1".to_owned(), noon)
            .unwrap();
        challenges
            .publish(token("b"), "2".to_owned(), noon)
            .unwrap();
        challenges
            .publish(token("b"), "3".to_owned(), noon)
            .unwrap();
        assert_eq!(
            challenges.publish(token("c"), "4".to_owned(), noon),
            Err(ChallengeError::Full)
        );
        let later = noon + Duration::from_secs(61);
        let mut over = challenges
            .publish(token("c"), "4".to_owned(), later)
            .unwrap();
        over.sort();
        assert_eq!(over, [token("a"), token("b")]);
        assert_eq!(challenges.count(later), 1);
        challenges.restore(token("d"), "5".to_owned(), later + Duration::from_secs(9));
        challenges.restore(token("e"), "6".to_owned(), later + Duration::from_secs(9));
        assert_eq!(challenges.count(later), 2);
        assert_eq!(challenges.answer(&token("d"), later).as_deref(), Some("5"));
        assert_eq!(
            challenges.answer(&token("d"), later + Duration::from_secs(9)),
            None
        );
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
