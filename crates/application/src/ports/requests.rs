//! Tokens for requests to the CA, out of the ledger that all replicas share.

use async_trait::async_trait;
use dps_domain::Timestamp;
use dps_domain::limits::{Endpoint, Limit};

use super::store::{StoreError, Taken};

/// Where the way to the CA gets its tokens from.
#[async_trait]
pub trait RequestTokens: Send + Sync {
    /// The limit of an endpoint; [`Limit::NONE`] when requests to it need no token.
    fn limit(&self, endpoint: Endpoint) -> Limit;

    /// Takes up to `most` tokens for requests to an endpoint.
    async fn take(&self, endpoint: Endpoint, most: u32) -> Result<Taken, StoreError>;

    /// The CA wants no request to this endpoint before `until`, from any domain.
    async fn block(&self, endpoint: Endpoint, until: Timestamp) -> Result<(), StoreError>;
}
