//! Path segments, queries and bodies. A refusal names the part that is wrong.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use dps_application::operator::WhichClaim;
use dps_application::ports::fleet_view::MAX_PAGE;
use dps_cabinet_api::limits::MAX_TENANT_ID_BYTES;
use dps_domain::action::check_reason;
use dps_domain::revocation::RevocationReason;
use dps_domain::text::shown;
use dps_domain::{DomainId, Hostname};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Refusal;

/// Longest text of the caller that a refusal repeats, in characters.
const SHOWN: usize = 300;
/// Items of a page without `limit`.
const DEFAULT_PAGE: u32 = 100;

/// The hostname in the path of a call.
pub(super) struct PathHost(pub(super) Hostname);

impl<S: Send + Sync> FromRequestParts<S> for PathHost {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let refuse = |detail: String| Refusal::field("host", detail);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| refuse(error.body_text()))?;
        let host = Hostname::parse(&text).map_err(|error| {
            let text = shown(&text, SHOWN);
            refuse(format!("{text:?} cannot be used: {error}"))
        })?;
        Ok(Self(host))
    }
}

/// The tenant in the path of a call.
pub(super) struct PathTenant(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathTenant {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let refuse = |detail: String| Refusal::field("id", detail);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| refuse(error.body_text()))?;
        if text.is_empty() || text.len() > MAX_TENANT_ID_BYTES || text.contains(char::is_control) {
            return Err(refuse(format!(
                "give 1 to {MAX_TENANT_ID_BYTES} bytes without control characters"
            )));
        }
        Ok(Self(text))
    }
}

/// The number of items of a page.
pub(super) fn page_size(limit: Option<u32>) -> Result<u32, Refusal> {
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("give a number from 1 to {MAX_PAGE}");
        return Err(Refusal::field("limit", detail));
    }
    Ok(limit)
}

/// The query parameters of a call. Unknown and repeated ones are refused: a misspelt filter must
/// not choose everything.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    Query::<T>::try_from_uri(uri)
        .map(|Query(query)| query)
        .map_err(|error| Refusal::field("query", shown(&error.body_text(), SHOWN)))
}

/// Which of several claims of a hostname is meant.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ClaimQuery {
    /// The domain's identifier, where several claim the hostname.
    #[param(value_type = Option<Uuid>)]
    id: Option<DomainId>,
    /// The domain's tenant, where several claim the hostname.
    tenant: Option<String>,
}

impl ClaimQuery {
    pub(super) fn claim(&self) -> WhichClaim<'_> {
        WhichClaim {
            id: self.id,
            tenant: self.tenant.as_deref(),
        }
    }
}

/// The body of a request, within its bound.
pub(super) async fn body_bytes<S: Send + Sync>(
    request: Request,
    state: &S,
) -> Result<Bytes, Refusal> {
    let read = Bytes::from_request(request, state).await;
    read.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::field("body", "is larger than 16 KiB"),
        _ => Refusal::field("body", error.body_text()),
    })
}

/// A JSON body. An empty one counts as an object without members.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = body_bytes(request, state).await?;
        let json: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        // A derived `Deserialize` of a struct also accepts an array.
        serde_json::from_slice::<Map<String, Value>>(json)
            .and_then(|object| serde_json::from_value(Value::Object(object)))
            .map(Self)
            .map_err(|error| Refusal::field("body", shown(&error.to_string(), SHOWN)))
    }
}

/// The reason of a revocation.
pub(super) fn revocation_reason(text: &str) -> Result<RevocationReason, Refusal> {
    let parsed = text.parse::<RevocationReason>();
    parsed.map_err(|error| Refusal::field("revocationReason", error.to_string()))
}

/// The reason of an action, if it can be kept.
pub(super) fn checked_reason(reason: Option<&str>) -> Result<Option<&str>, Refusal> {
    let checked = reason.map(check_reason).transpose();
    checked.map_err(|error| Refusal::field("reason", error.to_string()))
}
