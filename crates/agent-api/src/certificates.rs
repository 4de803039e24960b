//! Certificates as they travel to the agent and back.

use dps_domain::{Hostname, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// `POST /internal/v1/certificates/apply`: serve this certificate for this hostname.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyRequest {
    /// The name that clients will send in SNI.
    #[schema(value_type = String, example = "shop.example.com")]
    pub hostname: Hostname,
    /// The certificate chain in PEM, leaf first, without the root.
    #[schema(max_length = 65536)]
    pub chain_pem: String,
    /// The leaf's private key in PEM, unencrypted.
    #[serde(serialize_with = "expose")]
    #[schema(value_type = String, format = Password, write_only, max_length = 16384)]
    pub private_key_pem: SecretString,
    /// SHA-256 of the leaf in lower-case hex, to catch a mixed-up chain before anything is touched.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub fingerprint: String,
    /// Grows with every certificate of this hostname, up to 2^63 - 1. An older one than the agent
    /// holds, or has removed lately, is refused.
    pub generation: u64,
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// The effect of an apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ApplyOutcome {
    /// The hostname was not served before.
    Created,
    /// Another certificate was served before.
    Replaced,
    /// This very certificate was served already.
    Unchanged,
    /// An effect that only a newer agent has; the certificate is served.
    #[serde(other)]
    Unknown,
}

/// The answer to an apply: the edge presented exactly this certificate in a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The requested name.
    #[schema(value_type = String, example = "shop.example.com")]
    pub hostname: Hostname,
    /// SHA-256 of the leaf that the edge presented.
    pub fingerprint: String,
    /// The generation that the agent holds now.
    pub generation: u64,
    /// Last moment of the certificate's validity.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Timestamp,
    /// The effect.
    pub outcome: ApplyOutcome,
}

/// One certificate that the agent holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryItem {
    /// The name it is served for.
    #[schema(value_type = String, example = "shop.example.com")]
    pub hostname: Hostname,
    /// SHA-256 of the leaf in lower-case hex.
    pub fingerprint: String,
    /// Last moment of validity.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Timestamp,
    /// The generation it was applied with.
    pub generation: u64,
    /// Whether HAProxy serves it.
    #[serde(default)]
    pub state: CertificateState,
}

/// Whether HAProxy serves what the agent holds, as far as the agent knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum CertificateState {
    /// HAProxy had it when the agent last compared.
    Served,
    /// HAProxy refused it when the agent tried to bring it back.
    NotServed,
    /// HAProxy does not answer, or was not compared since it returned. It also stands for a missing
    /// or unknown value of another version.
    #[default]
    #[serde(other)]
    Unknown,
}

/// `GET /internal/v1/certificates?limit=…&cursor=…`: a page of what the agent holds, by hostname. A
/// cursor stays valid while certificates are added and removed between two pages: a certificate
/// that is there all the time is listed exactly once. Pages with different digests belong to
/// different moments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryPage {
    /// The certificates of this page.
    pub items: Vec<InventoryItem>,
    /// Send it back to get the next page; absent on the last one. Opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The [`InventoryDigest`](crate::InventoryDigest) of all that was held when this page was
    /// made, in lower-case hex: equal digests mean equal inventories.
    pub digest: String,
}
