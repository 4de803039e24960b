//! Query parameters and path segments, each checked by name.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use dps_cabinet_api::{ProblemCode, is_tenant_id, limits, parse_version_tag};
use dps_domain::text::shown;
use dps_domain::{DomainId, Hostname, Status};

use super::reply::no_such_domain;
use crate::cursor::CursorKind;
use crate::refusal::Refusal;

/// The query parameters of a call. Unknown and repeated ones are refused: a misspelt filter must
/// not list everything.
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Refusal> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            refuse(
                "query",
                "the query string is not valid; percent-encode its values",
            )
        })?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                let detail = format!("unknown parameter; the known ones are {}", known.join(", "));
                return Err(refuse(&shown(&name, 64), detail));
            }
            if params.insert(name.clone(), value).is_some() {
                return Err(refuse(&name, "give this parameter once"));
            }
        }
        Ok(Self(params))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn limit(&self) -> Result<u32, Refusal> {
        let Some(text) = self.get("limit") else {
            return Ok(limits::DEFAULT_PAGE_LIMIT);
        };
        text.parse()
            .ok()
            .filter(|limit| (1..=limits::MAX_PAGE_LIMIT).contains(limit))
            .ok_or_else(|| {
                refuse(
                    "limit",
                    format!("give a number from 1 to {}", limits::MAX_PAGE_LIMIT),
                )
            })
    }

    /// Returns the position of the cursor; the beginning without one.
    pub(super) fn position(&self, kind: CursorKind) -> Result<i64, Refusal> {
        match self.get(kind.parameter()) {
            None => Ok(0),
            Some(text) => kind.decode(text),
        }
    }

    /// Returns the seconds to wait for a change, 0 by default.
    pub(super) fn wait(&self) -> Result<u64, Refusal> {
        let Some(text) = self.get("wait") else {
            return Ok(0);
        };
        text.parse()
            .ok()
            .filter(|wait| *wait <= limits::MAX_WAIT_SECONDS)
            .ok_or_else(|| {
                refuse(
                    "wait",
                    format!("give seconds from 0 to {}", limits::MAX_WAIT_SECONDS),
                )
            })
    }

    pub(super) fn status(&self) -> Result<Option<Status>, Refusal> {
        self.get("status")
            .map(|text| {
                text.parse()
                    .map_err(|error| refuse("status", format!("{error}")))
            })
            .transpose()
    }

    pub(super) fn tenant_id(&self) -> Result<Option<String>, Refusal> {
        let Some(text) = self.get("tenantId") else {
            return Ok(None);
        };
        if is_tenant_id(text) {
            Ok(Some(text.to_owned()))
        } else {
            Err(refuse("tenantId", TENANT_ID_RULE))
        }
    }

    /// Returns the hostname in canonical form.
    pub(super) fn hostname(&self) -> Result<Option<String>, Refusal> {
        self.get("hostname")
            .map(|text| match Hostname::parse(text) {
                Ok(host) => Ok(host.to_string()),
                Err(error) => Err(refuse("hostname", error.to_string())),
            })
            .transpose()
    }
}

/// Rule for a tenant's identifier, as the sentence of a refusal.
pub(super) const TENANT_ID_RULE: &str = "give 1 to 200 bytes of text without control characters";

/// The domain's identifier in a path. A segment that is no UUID is refused as an unknown domain.
pub(super) struct PathId(pub(super) DomainId);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let segment = Path::<String>::from_request_parts(parts, state).await;
        let id = segment.ok().and_then(|Path(segment)| segment.parse().ok());
        id.map(Self).ok_or_else(no_such_domain)
    }
}

/// Returns the version to which a report applies (RFC 9110 §13.1.1; missing: RFC 6585 §3).
pub(super) fn if_match(headers: &HeaderMap) -> Result<u64, Refusal> {
    const FIELD: &str = "If-Match";
    let Some(value) = headers.get(axum::http::header::IF_MATCH) else {
        let detail =
            "send the version of the domain to which the report applies, such as If-Match: \"1\"";
        return Err(Refusal::at(ProblemCode::VersionRequired, FIELD, detail));
    };
    value
        .to_str()
        .ok()
        .and_then(parse_version_tag)
        .ok_or_else(|| refuse(FIELD, "give one version in quotes, such as \"1\""))
}

fn refuse(field: &str, detail: impl Into<String>) -> Refusal {
    Refusal::at(ProblemCode::ParameterInvalid, field, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_parameter_is_named_without_its_control_characters() {
        let uri = Uri::from_static("/?st%1B%5B2Jatus=x");
        let refusal = Params::read(&uri, &["status"]).err().unwrap();
        assert_eq!(refusal.problem.field.as_deref(), Some("st[2Jatus"));
    }
}
