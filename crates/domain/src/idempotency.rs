//! Calls that carry an idempotency key, and the answer to a repeated one.

use std::time::Duration;

use crate::Timestamp;

/// Time for which a key is kept.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest time of a call. After it, a key without an answer is of a process that died.
pub const LONGEST_CALL: Duration = Duration::from_secs(2 * 60);
/// Keys of one holder at most.
pub const MAX_KEYS: u32 = 5_000;
/// Longest answer that is kept, in bytes.
pub const MAX_ANSWER_BYTES: usize = 32 * 1024;

/// A call with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedCall {
    /// The caller. Each has keys of its own.
    pub holder: String,
    /// The key.
    pub key: String,
    /// A digest of the whole request.
    pub fingerprint: String,
}

/// The first answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Its body; `None` if it was larger than [`MAX_ANSWER_BYTES`].
    pub body: Option<String>,
}

/// A key in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptKey {
    /// The digest of the first request.
    pub fingerprint: String,
    /// When that began.
    pub begun_at: Timestamp,
    /// The answer; `None` while the call is under way.
    pub answer: Option<KeptAnswer>,
}

/// The state of a call's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// It is the first one and is carried out.
    New,
    /// The first one is under way.
    UnderWay,
    /// The first one was answered.
    Answered(KeptAnswer),
    /// The key is of another call.
    OtherCall,
    /// Its holder has [`MAX_KEYS`] keys.
    TooMany,
}

impl KeptKey {
    /// The state of a call with this key at `now`; `None` if the key is free again.
    pub fn state_of(&self, call: &KeyedCall, now: Timestamp) -> Option<KeyState> {
        if now.since(self.begun_at) >= KEPT {
            return None;
        }
        if self.fingerprint != call.fingerprint {
            return Some(KeyState::OtherCall);
        }
        match &self.answer {
            Some(answer) => Some(KeyState::Answered(answer.clone())),
            None if now.since(self.begun_at) < LONGEST_CALL => Some(KeyState::UnderWay),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_key_is_free_again_after_a_day_or_if_its_call_was_never_answered() {
        let call = |fingerprint: &str| KeyedCall {
            holder: "ann".to_owned(),
            key: "key".to_owned(),
            fingerprint: fingerprint.to_owned(),
        };
        let (first, other) = (call("first"), call("other"));
        let moment = Duration::from_micros(1);
        let mut kept = KeptKey {
            fingerprint: first.fingerprint.clone(),
            begun_at: BEGUN,
            answer: None,
        };
        assert_eq!(kept.state_of(&first, BEGUN), Some(KeyState::UnderWay));
        assert_eq!(kept.state_of(&other, BEGUN), Some(KeyState::OtherCall));
        let late = BEGUN + LONGEST_CALL;
        assert_eq!(
            kept.state_of(&first, late - moment),
            Some(KeyState::UnderWay)
        );
        assert_eq!(kept.state_of(&first, late), None);
        assert_eq!(kept.state_of(&other, late), Some(KeyState::OtherCall));
        let answer = KeptAnswer {
            status: 200,
            body: Some("{}".to_owned()),
        };
        kept.answer = Some(answer.clone());
        let answered = Some(KeyState::Answered(answer));
        assert_eq!(kept.state_of(&first, BEGUN + KEPT - moment), answered);
        assert_eq!(kept.state_of(&first, BEGUN + KEPT), None);
        assert_eq!(kept.state_of(&other, BEGUN + KEPT), None);
    }
}
