//! Proof of a lease, which names its holder.

use std::fmt;

use uuid::Uuid;

use crate::Timestamp;

/// Proof of holding a lease: only the holder of the current token may complete the record.
///
/// Its text is a UUID and, after a space, the process that holds the lease. Stores compare texts,
/// and read nothing from them but the holder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken {
    id: Uuid,
    /// Empty if it is not known.
    holder: &'static str,
}

impl LeaseToken {
    /// A token of a holder that is not known.
    pub const fn from_uuid(id: Uuid) -> Self {
        Self { id, holder: "" }
    }

    /// A new token with a UUID version 7 (RFC 9562 §5.7): `now` and ten random bytes.
    #[must_use]
    pub fn new(now: Timestamp, random: [u8; 10], holder: &'static str) -> Self {
        let millis = u64::try_from(now.unix_micros().div_euclid(1_000)).unwrap_or(0);
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        Self { id, holder }
    }

    /// A new token of the same holder.
    #[must_use]
    pub fn next(self, now: Timestamp, random: [u8; 10]) -> Self {
        Self::new(now, random, self.holder)
    }

    /// The holder that the text of a token names; `None` in one of an earlier version.
    pub fn holder_in(text: &str) -> Option<&str> {
        text.split_once(' ').map(|(_, holder)| holder)
    }
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(out)?;
        if self.holder.is_empty() {
            return Ok(());
        }
        write!(out, " {}", self.holder)
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    #[test]
    fn the_text_names_the_holder_and_a_continued_lease_keeps_it() {
        let token = LeaseToken::new(NOW, [7; 10], "dps-1");
        let next = token.next(NOW, [8; 10]);
        assert_ne!(token, next);
        for text in [token, next].map(|token| token.to_string()) {
            assert_eq!(LeaseToken::holder_in(&text), Some("dps-1"));
        }
        let unknown = LeaseToken::from_uuid(Uuid::nil()).to_string();
        assert_eq!(unknown, Uuid::nil().to_string());
        assert_eq!(LeaseToken::holder_in(&unknown), None);
    }
}
