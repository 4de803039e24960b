//! Bearer tokens (RFC 6750), compared in constant time.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dps_cabinet_api::ProblemCode;
use dps_host::Secret;

use super::App;
use crate::refusal::Refusal;

/// A token by its digest: digests of tokens have one length, so the comparison tells nothing about the token's.
pub(super) struct Token(Vec<u8>);

impl Token {
    pub(super) fn new(secret: &Secret) -> Self {
        Self::of(secret.expose().as_bytes())
    }

    fn of(token: &[u8]) -> Self {
        Self(digest(&SHA256, token).as_ref().to_vec())
    }

    /// Whether the headers carry this token.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get(AUTHORIZATION)
            .map(HeaderValue::as_bytes)
            .and_then(|value| value.split_at_checked("Bearer ".len()))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
            .map(|(_, token)| Self::of(token));
        given.is_some_and(|given| verify_slices_are_equal(&given.0, &self.0).is_ok())
    }
}

/// Lets the service pass.
pub(super) async fn service(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    pass(&app.draft.service_token, request, next).await
}

/// Lets the platform's own backend pass.
pub(super) async fn customer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    pass(&app.draft.api_token, request, next).await
}

async fn pass(token: &Token, request: Request, next: Next) -> Response {
    if token.is_in(request.headers()) {
        return next.run(request).await;
    }
    let detail = "send the header \"Authorization: Bearer\" with the token of this side of the API";
    Refusal::at(ProblemCode::Unauthorized, "Authorization", detail).into_response()
}
