//! Calls with an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a repeated call
//! gets the first answer and does nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HeaderName, IF_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use dps_domain::idempotency::{KeptAnswer, KeyState, KeyedCall, MAX_ANSWER_BYTES, MAX_KEYS};
use dps_domain::with_causes;
use dps_problem::PROBLEM_CONTENT_TYPE;
use sha2::{Digest as _, Sha256};

use super::App;
use super::auth::Caller;
use super::params::body_bytes;
use super::problem::Refusal;

/// The header that holds the key.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key, in bytes.
pub(super) const MAX_KEY_BYTES: usize = 255;
/// Time after which a call is made again that was under way.
const RETRY: Duration = Duration::from_secs(5);
/// Time after which a holder with too many keys tries again. Old keys are deleted every hour.
const RETRY_FULL: Duration = Duration::from_secs(60 * 60);

/// Answers a call, in its turn. One with a key is carried out once.
pub(super) async fn answer(
    app: Arc<App>,
    caller: &Caller,
    request: Request,
    next: Next,
) -> Response {
    let key = match key_of(request.method(), request.headers()) {
        Ok(key) => key,
        Err(refusal) => return refusal.into_response(),
    };
    let holder = caller.name.to_string();
    let Some(key) = key else {
        // Closed never, so that an error cannot come.
        let _permit = app.calls.acquire().await;
        return next.run(request).await;
    };
    // A call goes on if its caller hangs up: the next one with the key wants the answer.
    let call = tokio::spawn(async move {
        let _permit = app.calls.acquire().await;
        let answered = once(&app, (holder, key), request, next).await;
        answered.unwrap_or_else(Refusal::into_response)
    });
    call.await
        .unwrap_or_else(|_| Refusal::internal().into_response())
}

/// The key of a call that acts; `None` without one.
fn key_of(method: &Method, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(value), false) = (values.next(), method.is_safe()) else {
        return Ok(None);
    };
    let refuse = |detail: String| Err(Refusal::field("Idempotency-Key", detail));
    if values.next().is_some() {
        return refuse("is sent twice; send one".to_owned());
    }
    let text = value.to_str().unwrap_or_default().trim();
    // The draft wants a string in quotes; many clients send none.
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let key = quoted.unwrap_or(text);
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !key.bytes().all(is_plain) {
        return refuse(format!(
            "give 1 to {MAX_KEY_BYTES} visible ASCII characters, such as a UUID, in quotes or without"
        ));
    }
    Ok(Some(key.to_owned()))
}

/// Carries out a call if it is the first one with its key.
async fn once(
    app: &App,
    (holder, key): (String, String),
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let body = body_bytes(Request::from_parts(parts.clone(), body), &()).await?;
    let fingerprint = fingerprint(&parts, &body);
    let call = KeyedCall {
        holder,
        key,
        fingerprint,
    };
    let begun_at = app.now();
    match app.store.keyed_begin(&call, begun_at).await? {
        KeyState::New => {}
        KeyState::Answered(kept) => return Ok(repeated(kept)),
        KeyState::OtherCall => return Err(Refusal::key_reused()),
        KeyState::UnderWay => {
            return Err(
                Refusal::conflict("the call with this Idempotency-Key is under way").after(RETRY),
            );
        }
        KeyState::TooMany => {
            return Err(Refusal::too_many(
                format!("each holder has up to {MAX_KEYS} idempotency keys in 24 hours"),
                RETRY_FULL,
            ));
        }
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX)
        .await
        .map_err(|_| Refusal::internal())?;
    let written = if is_final(parts.status) {
        let text = (body.len() <= MAX_ANSWER_BYTES).then(|| String::from_utf8(body.to_vec()));
        let answer = KeptAnswer {
            status: parts.status.as_u16(),
            body: text.and_then(Result::ok),
        };
        let kept = app.store.keyed_answer(&call, begun_at, &answer).await;
        kept.map(|_| ())
    } else {
        app.store.keyed_release(&call, begun_at).await
    };
    if let Err(error) = written {
        // The caller gets the answer. Until the key is free again, it hears that the call is under
        // way.
        tracing::error!(error = %with_causes(&error), "admin.answer_not_kept");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Whether the answer is the same whenever the call is made again.
fn is_final(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

/// The digest of all that makes a request another one.
fn fingerprint(parts: &Parts, body: &[u8]) -> String {
    let condition = parts.headers.get_all(IF_MATCH).iter();
    let condition: Vec<&[u8]> = condition.map(HeaderValue::as_bytes).collect();
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let mut digest = Sha256::new();
    for part in [
        parts.method.as_str().as_bytes(),
        path.as_bytes(),
        condition.join(&b',').as_slice(),
        body,
    ] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

fn repeated(kept: KeptAnswer) -> Response {
    let Some(body) = kept.body else {
        return Refusal::conflict(format!(
            "the call with this Idempotency-Key was answered with the status {}; the answer was too long to be kept",
            kept.status
        ))
        .into_response();
    };
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let media_type = if status.is_success() {
        "application/json"
    } else {
        PROBLEM_CONTENT_TYPE
    };
    (status, [(CONTENT_TYPE, media_type)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(IDEMPOTENCY_KEY, value);
        }
        key_of(&Method::POST, &headers).map_err(|refusal| refusal.into_field().unwrap().0)
    }

    #[test]
    fn a_key_is_a_string_in_quotes_or_without() {
        let key = "8e03978e-40d5-43dd-bc93-6894a57f9324";
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[key]), Ok(Some(key.to_owned())));
        assert_eq!(read(&[&format!("\"{key}\"")]), Ok(Some(key.to_owned())));
        let longest = "k".repeat(MAX_KEY_BYTES);
        assert_eq!(read(&[&longest]), Ok(Some(longest.clone())));
        let long = format!("{longest}k");
        for wrong in ["", "\"\"", "a b", "a\"b", "a\\b", "\"a", "ключ", &long] {
            assert_eq!(read(&[wrong]), Err("Idempotency-Key".to_owned()), "{wrong}");
        }
        let twice = read(&[key, key]);
        assert_eq!(twice, Err("Idempotency-Key".to_owned()));
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        assert_eq!(key_of(&Method::GET, &headers).unwrap(), None);
    }
}
