//! The documents that customers send and see.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::CustomDomain;

/// A customer's request for a custom domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateRequest {
    /// The hostname in any spelling that means a DNS name: any case, Unicode or A-labels.
    #[schema(min_length = 1, max_length = 1024, example = "shop.example.com")]
    pub hostname: String,
    /// The platform's customer who claims the name.
    #[schema(min_length = 1, max_length = 200, example = "tenant-1")]
    pub tenant_id: String,
    /// Where the customer's DNS must point, if not to the configured target. It lies under
    /// `Cabinet:AllowedTargets`, and not where each domain gets a target of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 253)]
    pub cname_target: Option<String>,
}

/// A custom domain with what the customer has to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomerView {
    /// The domain.
    #[serde(flatten)]
    pub domain: CustomDomain,
    /// The exact DNS record to create; with `ownershipVerification`, that record too.
    #[schema(
        example = "create the record \"shop CNAME edge.platform.example.\" in the zone example.com"
    )]
    pub instruction: String,
    /// Signed link to the page that shows the customer what to do; absent if the platform has no
    /// such page. Until it expires, its holder sees this domain and can request checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048)]
    pub setup_url: Option<String>,
}
