//! The account at the CA.

use dps_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The account at the configured CA. Its key is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaAccount {
    /// The CA's directory.
    #[schema(example = "https://acme-v02.api.letsencrypt.org/directory")]
    pub directory_url: String,
    /// The URL of the account; `null` before it is registered.
    pub url: Option<String>,
    /// When its key was made; `null` before that.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Timestamp>,
    /// The CA's names in CAA records; empty until they are known.
    pub caa_identities: Vec<String>,
    /// Whether the operator agreed to the CA's terms of service.
    pub terms_of_service_agreed: bool,
    /// The limits of the account and of its requests.
    pub limits: Vec<AccountLimit>,
}

/// A limit of the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountLimit {
    /// The limit.
    #[schema(example = "NewOrders")]
    pub limit: String,
    /// Requests at once at most.
    pub capacity: u32,
    /// Requests that are left; `null` for any number.
    pub left: Option<u32>,
    /// The moment of the next request; the present if one is left.
    #[schema(value_type = String, format = DateTime)]
    pub next_at: Timestamp,
    /// The end of the wait that the CA named, if it has not passed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub blocked_until: Option<Timestamp>,
}
