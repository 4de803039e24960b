//! The bearer token.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dps_agent_api::ProblemCode;

use super::App;
use super::problem::Rejection;

/// The token's SHA-256. Digests are compared in constant time and tell nothing about the length either.
pub(super) struct TokenDigest(Digest);

impl TokenDigest {
    pub(super) fn of(token: &str) -> Self {
        Self(digest(&SHA256, token.as_bytes()))
    }

    fn is(&self, presented: &str) -> bool {
        verify_slices_are_equal(self.0.as_ref(), digest(&SHA256, presented.as_bytes()).as_ref()).is_ok()
    }
}

pub(super) async fn require_token(State(app): State<App>, request: Request, next: Next) -> Response {
    let presented = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = presented.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    if token.is_some_and(|token| app.token.is(token)) {
        return next.run(request).await;
    }
    Rejection::new(
        ProblemCode::Unauthorized,
        "send 'Authorization: Bearer <token>' with the token of Agent:Token",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = TokenDigest::of("s3cret");
        assert!(token.is("s3cret"));
        for wrong in ["", "s3cre", "s3cret ", "S3CRET", "s3crets"] {
            assert!(!token.is(wrong), "{wrong}");
        }
    }
}
