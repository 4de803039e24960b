//! The certificate that an edge presents.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to `GET /internal/v1/handshakes/{hostname}`: the result of a TLS handshake that the
/// agent makes with its HAProxy now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Presented {
    /// SHA-256 of the presented leaf in lower-case hex; absent if none was presented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "5f3a0c1d9b7e46289a0de8f1c2b3a4958677a1b2c3d4e5f60718293a4b5c6d7e")]
    pub fingerprint: Option<String>,
    /// Why none was presented; absent if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
