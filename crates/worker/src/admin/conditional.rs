//! Conditional calls (RFC 9110 §13). A read sends a document only if it has changed. An action on
//! a domain is refused if its record has changed.
//!
//! The tag of a document is a digest of it. Before the digest, the tag of a domain has the version
//! of the record. An action compares that version alone, so that no new line of history refuses it.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use dps_application::operator::Target;
use dps_domain::Hostname;
use dps_domain::record::RecordVersion;
use sha2::{Digest as _, Sha256};

use super::problem::Refusal;

/// Bytes of the digest in a tag.
const DIGEST_BYTES: usize = 16;

/// Tags the document of a read, and answers 304 if the caller has it.
pub(super) async fn tag(request: Request, next: Next) -> Response {
    let known: Vec<String> = tags(request.headers(), &IF_NONE_MATCH).collect();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return Refusal::internal().into_response();
    };
    let tag = tag_of(parts.extensions.get::<RecordVersion>(), &body);
    let Ok(value) = HeaderValue::from_str(&tag) else {
        return Refusal::internal().into_response();
    };
    parts.headers.insert(ETAG, value);
    // The caller may keep the document, and asks whether it is current before each use.
    let no_cache = HeaderValue::from_static("private, no-cache");
    parts.headers.insert(CACHE_CONTROL, no_cache);
    // A weak tag is good enough for a read.
    let is_same = |known: &String| known == "*" || known.trim_start_matches("W/") == tag;
    if known.iter().any(is_same) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(CONTENT_TYPE);
        parts.headers.remove(CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

fn tag_of(version: Option<&RecordVersion>, body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let digest = hex::encode(&digest[..DIGEST_BYTES]);
    match version {
        Some(version) => format!("\"{version}/{digest}\""),
        None => format!("\"{digest}\""),
    }
}

/// The elements of a header that lists tags.
fn tags(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).iter();
    // Our tags have no comma. Parts of a foreign one with a comma match nothing.
    let texts = values.flat_map(|value| value.to_str().unwrap_or("?").split(','));
    let texts = texts.map(|text| text.trim().to_owned());
    texts.filter(|text| !text.is_empty())
}

/// The states of a domain's record for which a call is meant; `None` for any.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IfMatch(Option<Vec<RecordVersion>>);

impl IfMatch {
    /// The target of the call.
    pub(super) fn target<'a>(&'a self, hostname: &'a Hostname) -> Target<'a> {
        Target {
            expected: self.0.as_deref(),
            ..Target::from(hostname)
        }
    }

    fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let listed: Vec<String> = tags(headers, &IF_MATCH).collect();
        let is_tag = |text: &String| {
            let text = text.trim_start_matches("W/");
            text.len() >= 2 && text.starts_with('"') && text.ends_with('"')
        };
        match listed.as_slice() {
            [] if !headers.contains_key(IF_MATCH) => Ok(Self(None)),
            [any] if any == "*" => Ok(Self(None)),
            [_, ..] if listed.iter().all(is_tag) => {
                // A weak tag, and the tag of another document, is that of no state.
                let versions = listed.iter().filter_map(|tag| version_in(tag));
                Ok(Self(Some(versions.collect())))
            }
            _ => Err(Refusal::field(
                "If-Match",
                "give the ETag of GET /admin/v1/domains/{host} as it was sent, or leave it out",
            )),
        }
    }
}

fn version_in(tag: &str) -> Option<RecordVersion> {
    let tag = tag.strip_prefix('"')?.strip_suffix('"')?;
    let (version, _) = tag.rsplit_once('/')?;
    version.parse().ok()
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::read(&parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<IfMatch, String> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::from_str(value).unwrap());
        IfMatch::read(&headers).map_err(|refusal| refusal.into_field().unwrap().0)
    }

    #[test]
    fn an_action_is_meant_for_the_versions_of_the_tags() {
        let version: RecordVersion = "01890000-0000-7000-8000-000000000001/7".parse().unwrap();
        let tag = tag_of(Some(&version), b"{}");
        let [exact, none] = [Some(vec![version]), Some(vec![])].map(|list| Ok(IfMatch(list)));
        assert_eq!(read(&tag), exact);
        assert_eq!(read(&format!("\"x\", {tag}")), exact);
        assert_eq!(read(&format!("W/{tag}")), none);
        assert_eq!(read("\"x\""), none);
        assert_eq!(read(&tag_of(None, b"{}")), none);
        assert_eq!(read("*"), Ok(IfMatch(None)));
        for wrong in ["", "x", "\"", "\"x", "*, \"x\"", ","] {
            assert_eq!(read(wrong), Err("If-Match".to_owned()), "{wrong}");
        }
        assert_eq!(IfMatch::read(&HeaderMap::new()).unwrap(), IfMatch(None));
    }
}
