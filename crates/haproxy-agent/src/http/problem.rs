//! Refusals on the wire.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use dps_agent_api::{Problem, ProblemCode};
use dps_domain::HostnameError;
use serde::Deserialize;

use crate::edge::Refusal;

/// A problem document as a response.
#[derive(Debug)]
pub(super) struct Rejection(Problem);

impl Rejection {
    pub(super) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self(Problem::new(code, detail))
    }

    pub(super) fn at(self, field: &str) -> Self {
        Self(self.0.at(field))
    }

    /// The document, to send it as a part of an answer.
    pub(super) fn into_problem(self) -> Problem {
        self.0
    }
}

impl From<Arc<Refusal>> for Rejection {
    fn from(refusal: Arc<Refusal>) -> Self {
        Self(refusal.problem())
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.problem())
    }
}

impl From<HostnameError> for Rejection {
    fn from(error: HostnameError) -> Self {
        Self::new(ProblemCode::RequestMalformed, error.to_string()).at("hostname")
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        dps_host::problem::response(&self.0, None)
    }
}

/// Reads a JSON body. The refusal names the field and never quotes the value, which may be a key.
pub(super) fn read_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Rejection> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let inner = error.inner();
        let reason = match inner.classify() {
            serde_json::error::Category::Data if field == "hostname" => inner.to_string(),
            serde_json::error::Category::Data => match missing_field(inner) {
                Some(name) => return malformed(&name, "the field is missing"),
                None => "the field has the wrong type".to_owned(),
            },
            // Where JSON breaks, the path may hold names that the sender made up, and so anything,
            // a key included.
            _ => {
                let place = format!("(line {}, column {})", inner.line(), inner.column());
                return malformed(".", &format!("the body is not JSON {place}"));
            }
        };
        malformed(&field, &reason)
    })?;
    json.end()
        .map_err(|_| malformed(".", "there is more in the body than one JSON document"))?;
    Ok(value)
}

fn missing_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let (name, _) = text.strip_prefix("missing field `")?.split_once('`')?;
    Some(name.to_owned())
}

fn malformed(field: &str, reason: &str) -> Rejection {
    let rejection = Rejection::new(ProblemCode::RequestMalformed, reason);
    if field == "." {
        rejection
    } else {
        rejection.at(field)
    }
}

#[cfg(test)]
mod tests {
    use dps_agent_api::ApplyRequest;

    use super::*;

    fn refused(body: &str) -> Problem {
        read_json::<ApplyRequest>(body.as_bytes()).unwrap_err().0
    }

    #[test]
    fn the_field_is_named_and_its_value_is_not_quoted() {
        let missing = refused(r#"{"hostname":"a.example","chainPem":"x"}"#);
        assert_eq!(missing.field.as_deref(), Some("privateKeyPem"));
        let secret = refused(
            r#"{"hostname":"a.example","chainPem":"x","privateKeyPem":"x","fingerprint":"x","generation":"MIGHAgEA"}"#,
        );
        assert_eq!(secret.field.as_deref(), Some("generation"));
        assert!(!format!("{secret:?}").contains("MIGHAgEA"));
        let host = refused(r#"{"hostname":"*.example","chainPem":"x"}"#);
        assert_eq!(host.field.as_deref(), Some("hostname"));
        assert!(host.detail.contains("wildcard"), "{}", host.detail);
        let broken = refused(r#"{"MIGHAgEA": tru"#);
        assert!(broken.detail.contains("not JSON"));
        assert!(!format!("{broken:?}").contains("MIGHAgEA"));
    }
}
