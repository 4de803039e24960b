//! Bearer tokens (RFC 6750) that callers of ours must show.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
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
        headers
            .get(AUTHORIZATION)
            .map(HeaderValue::as_bytes)
            .and_then(|value| value.split_at_checked("Bearer ".len()))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
            .is_some_and(|(_, shown)| self.is(shown.trim_ascii()))
    }

    fn is(&self, shown: &[u8]) -> bool {
        verify_slices_are_equal(self.0.as_ref(), digest(&SHA256, shown).as_ref()).is_ok()
    }
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
}
