//! HTTP-01 challenges (RFC 8555 §8.3) as they travel to the agent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The path at which a CA reads the key authorization; the token follows.
pub const CHALLENGE_PATH_PREFIX: &str = "/.well-known/acme-challenge/";

/// `PUT /internal/v1/challenges/{token}`: answer this token with this text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChallengePublication {
    /// The key authorization (RFC 8555 §8.1), at most 512 octets of visible ASCII.
    #[schema(max_length = 512)]
    pub key_authorization: String,
}

/// A challenge token: 1 to 128 characters of base64url (RFC 8555 §8.3), so it can stand in a path
/// as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChallengeToken(Box<str>);

/// The text is not a [`ChallengeToken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a challenge token has 1 to 128 characters out of A-Z, a-z, 0-9, '-' and '_'")]
pub struct ChallengeTokenError;

const MAX_TOKEN_CHARS: usize = 128;

impl ChallengeToken {
    /// Checks length and alphabet.
    pub fn parse(text: &str) -> Result<Self, ChallengeTokenError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.is_empty() || text.len() > MAX_TOKEN_CHARS || !text.bytes().all(legal) {
            return Err(ChallengeTokenError);
        }
        Ok(Self(text.into()))
    }

    /// The token's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChallengeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ChallengeToken {
    type Err = ChallengeTokenError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_base64url_of_bounded_length_is_a_token() {
        for good in [
            "a",
            "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
            "-_-",
            &"x".repeat(128),
        ] {
            assert_eq!(ChallengeToken::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a/b", "../x", "a b", "a=", "ä", &"x".repeat(129), "a\n"] {
            assert_eq!(
                ChallengeToken::parse(bad),
                Err(ChallengeTokenError),
                "{bad:?}"
            );
        }
    }
}
