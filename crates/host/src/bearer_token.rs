//! Bearer tokens (RFC 6750) that callers of ours must show.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::hmac;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};

use crate::Secret;

/// A token by its SHA-256. Digests have one length and are compared in constant time, so a refusal
/// reveals nothing about the token, not even how long it is.
#[derive(Debug, Clone)]
pub struct BearerToken(Digest);

impl BearerToken {
    /// The token to be shown.
    pub fn new(secret: &Secret) -> Self {
        Self(digest(&SHA256, secret.expose().as_bytes()))
    }

    /// Whether a request with these headers shows it: `Authorization: Bearer <token>`, the scheme
    /// in any case.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        shown_in(headers).is_some_and(|shown| self.is(shown))
    }

    /// Whether this text is the token.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        verify_slices_are_equal(self.0.as_ref(), digest(&SHA256, shown).as_ref()).is_ok()
    }

    /// The seal of a message (HMAC with SHA-256), under a key that only holders of the token have.
    pub(crate) fn seal(&self, message: &[u8]) -> hmac::Tag {
        hmac::sign(&self.sealing_key(), message)
    }

    /// Whether this is the seal of the message.
    pub(crate) fn has_sealed(&self, message: &[u8], seal: &[u8]) -> bool {
        hmac::verify(&self.sealing_key(), message, seal).is_ok()
    }

    fn sealing_key(&self) -> hmac::Key {
        // The token itself is never a key, so a seal says nothing of other uses of it.
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_ref());
        let key = hmac::sign(&key, b"dps: key of seals, version 1");
        hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
    }
}

/// The text that a request with these headers shows as its token.
pub(crate) fn shown_in(headers: &HeaderMap) -> Option<&[u8]> {
    headers
        .get(AUTHORIZATION)
        .map(HeaderValue::as_bytes)
        .and_then(|value| value.split_at_checked("Bearer ".len()))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
        .map(|(_, shown)| shown.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(header: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(
            AUTHORIZATION,
            HeaderValue::from_bytes(header.as_bytes()).unwrap(),
        );
        BearerToken::new(&Secret::from("s3cret")).is_in(&headers)
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        for right in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"] {
            assert!(shows(right), "{right}");
        }
        for wrong in [
            "",
            "s3cret",
            "Bearer",
            "Bearer ",
            "Bearer s3cre",
            "Bearer s3crets",
            "Bearer S3CRET",
            "Basic s3cret",
            "Bearer: s3cret",
            "Bearer ü",
        ] {
            assert!(!shows(wrong), "{wrong}");
        }
        assert!(!BearerToken::new(&Secret::from("s3cret")).is_in(&HeaderMap::new()));
    }

    #[test]
    fn the_token_itself_is_not_kept() {
        let shown = format!("{:?}", BearerToken::new(&Secret::from("s3cret")));
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn a_seal_is_of_one_message_and_one_token() {
        let [mine, other] = ["s3cret", "0ther"].map(|text| BearerToken::new(&Secret::from(text)));
        let seal = mine.seal(b"message");
        assert!(mine.has_sealed(b"message", seal.as_ref()));
        assert!(!mine.has_sealed(b"massage", seal.as_ref()));
        assert!(!mine.has_sealed(b"message", &seal.as_ref()[1..]));
        assert!(!mine.has_sealed(b"message", b""));
        assert!(!other.has_sealed(b"message", seal.as_ref()));
    }
}
